package conformance

// cacheStatusRules are about Cache-Status (RFC 9211). Besides, all cases check that every response
// says whether it is a hit.
var cacheStatusRules = []Requirement{
	{
		Section: "RFC 9211 §2", Level: Should,
		Rule: "Keep the existing value and append to it.",
		Cases: []Case{
			{Name: "Cache-Status is appended to that of an upstream cache", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Cache-Status: Upstream; hit; ttl=1").says("fwd=uri-miss").seesUpstream("Upstream"),
				get().reuses(0).says("hit").seesUpstream("Upstream"),
			}},
			{Name: "Cache-Status is appended to that of an uncacheable answer", Steps: []Step{
				get().answered(200, "Cache-Control: no-store", `Cache-Status: "Up stream"; hit, Two; fwd=miss`).says("fwd=uri-miss").seesUpstream("Up stream", "Two"),
			}},
		},
	},
	{
		Section: "RFC 9211 §2", Level: Must,
		Rule:   "Name the cache with a String or Token.",
		KeptBy: []string{"Cache-Status is appended to that of an upstream cache"},
	},
	{
		Section: "RFC 9211 §2", Level: ShouldNot,
		Rule: "Do not add Cache-Status to responses that the cache generates.",
		Cases: []Case{
			{Name: "a 504 that the cache generates has no Cache-Status", Steps: []Step{
				get("Cache-Control: only-if-cached").sees(504, "-Cache-Status"),
			}},
		},
	},
	{
		Section: "RFC 9211 §2.1", Level: Ours,
		Rule: "hit means that the request was not forwarded. hit and fwd exclude each other.",
		Cases: []Case{
			{Name: "hit and fwd exclude each other", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600").says("fwd=uri-miss", "-hit"),
				get().reuses(0).says("hit", "-fwd", "-fwd-status", "-stored"),
			}},
			{Name: "a 304 and a 206 made by the cache are hits", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", `ETag: "a"`).with(digits),
				get(`If-None-Match: "a"`).sees(304).says("hit", "-fwd", "ttl=~3600"),
				get("Range: bytes=2-4").sees(206).seesBody("234").says("hit", "-fwd", "ttl=~3600"),
			}},
			{Name: "a stale response that is served without validation is a hit", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 160", `ETag: "a"`),
				get("Cache-Control: max-stale").reuses(0).says("hit", "-fwd", "ttl=~-100"),
			}},
		},
	},
	{
		Section: "RFC 9211 §2.2", Level: Should,
		Rule: "fwd is the most specific reason for forwarding.",
		Cases: []Case{
			{Name: "fwd=uri-miss if nothing is stored", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600").says("fwd=uri-miss"),
			}},
			{Name: "fwd=vary-miss if no variant matches", Steps: []Step{
				get("X-A: 1").answered(200, "Cache-Control: max-age=3600", "Vary: X-A"),
				get("X-A: 2").answered(200, "Cache-Control: max-age=3600", "Vary: X-A").says("fwd=vary-miss"),
			}},
			{Name: "fwd=stale if the stored response is stale", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 61", `ETag: "a"`),
				get().answered(304, `ETag: "a"`).reuses(0).says("fwd=stale", "fwd-status=304"),
			}},
			{Name: "fwd=request if the request requires a validation", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", `ETag: "a"`),
				get("Cache-Control: no-cache").answered(304, `ETag: "a"`).reuses(0).says("fwd=request", "fwd-status=304"),
			}},
			{Name: "fwd=method for a method that is not cached", Steps: []Step{
				send("POST").answered(200).says("fwd=method"),
				send("DELETE").answered(200).says("fwd=method"),
				send("FROBNICATE").answered(200).says("fwd=method"),
			}},
			{Name: "fwd=bypass if the request does not use the cache", Steps: []Step{
				get(`If-Match: "a"`).answered(200).says("fwd=bypass"),
			}},
			{Name: "fwd=partial if a part lacks requested bytes", Setup: forwarding, Steps: []Step{
				part("0-4", "01234"),
				get("Range: bytes=5-9").answered(206, "Cache-Control: max-age=3600", `ETag: "a"`, "Content-Range: bytes 5-9/10").with("56789").says("fwd=partial"),
			}},
		},
	},
	{
		Section: "RFC 9211 §2.3", Level: Ours,
		Rule: "fwd-status is the status of the origin's answer.",
		Cases: []Case{
			{Name: "fwd-status is the origin's status", Steps: []Step{
				get().answered(404).says("fwd=uri-miss", "fwd-status=404"),
			}},
			{Name: "fwd-status is the origin's status if a stale response is served", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, stale-if-error=3600", "Age: 61"),
				get().answered(503).reuses(0).says("fwd=stale", "fwd-status=503"),
			}},
		},
	},
	{
		Section: "RFC 9211 §2.4", Level: Ours,
		Rule: "ttl is the remaining lifetime, negative for a stale response.",
		Cases: []Case{
			{Name: "ttl is the remaining lifetime", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Age: 600").says("stored", "ttl=~3000"),
				get().reuses(0).says("hit", "ttl=~3000"),
			}},
			{Name: "ttl counts from the validation", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 61", `ETag: "a"`),
				get().answered(304, "Cache-Control: max-age=600", `ETag: "a"`).reuses(0).says("fwd=stale", "ttl=~600"),
				get().reuses(0).says("hit", "ttl=~600"),
			}},
		},
		KeptBy: []string{"a tenth of the time since Last-Modified is fresh", "a stale response that is served without validation is a hit"},
	},
	{
		Section: "RFC 9211 §2.5", Level: Ours,
		Rule: "stored says whether the response was stored.",
		Cases: []Case{
			{Name: "stored is there if the response is stored", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600").says("fwd=uri-miss", "stored"),
			}},
			{Name: "stored is absent if the response is not stored", Steps: []Step{
				get().answered(200, "Cache-Control: no-store").says("fwd=uri-miss", "-stored"),
			}},
		},
	},
	{
		Section: "RFC 9211 §2.6", Level: Ours,
		Rule: "collapsed says that the response to another request answered this one.",
		Cases: []Case{
			{Name: "collapsed is there for requests that waited", Steps: []Step{
				{Clients: 3, Answer: &Answer{Header: Lines{"Cache-Control: max-age=3600"}}, Sees: Sees{OthersSay: []string{"fwd=uri-miss", "collapsed"}}},
			}},
		},
	},
	{
		Section: "RFC 9211 §2.7, §6", Level: Ours,
		Rule: "key is added only if configured.",
		Cases: []Case{
			{Name: "key is absent by default", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600").says("fwd=uri-miss", "-key"),
				get().reuses(0).says("hit", "-key"),
			}},
			{Name: "key is there if configured", Setup: Setup{CacheStatusKey: true}, Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600").says("fwd=uri-miss", "key=*"),
				get().reuses(0).says("hit", "key=*"),
			}},
		},
	},
	{
		Section: "RFC 9211 §2.8", Level: Ours,
		Rule: "detail names the rule that refused a response or decided its reuse.",
		Cases: []Case{
			{Name: "detail says why a response is not stored", Steps: []Step{
				get().answered(200, "Cache-Control: no-store").says("fwd=uri-miss", "detail=no-store"),
			}},
			{Name: "detail says why a stale response is served", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, stale-if-error=3600", "Age: 61"),
				get().answered(503).reuses(0).says("fwd=stale", "detail=stale-if-error"),
			}},
		},
	},
}
