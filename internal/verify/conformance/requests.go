package conformance

// requestRules: what a request may ask of the cache (RFC 9111 §5.2.1 and §5.4).
var requestRules = []Requirement{
	{
		Section: "RFC 9111 §5.2.1.1", Level: May,
		Rule: "A request's max-age limits the age of the response; without max-stale it wants none that is stale.",
		Cases: []Case{
			{Name: "a request's max-age=0 validates", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", `ETag: "a"`),
				get("Cache-Control: max-age=0").answered(304).asked(`If-None-Match: "a"`).reuses(0),
			}},
			{Name: "a request's max-age below the age validates", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Age: 1800", `ETag: "a"`),
				get("Cache-Control: max-age=600").answered(304).asked(`If-None-Match: "a"`).reuses(0),
			}},
			{Name: "a request's max-age above the age is a hit", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Age: 600"),
				get("Cache-Control: max-age=1800").reuses(0),
			}},
			{Name: "a request's max-age does not make a stale response fresh", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 61", `ETag: "a"`),
				get("Cache-Control: max-age=3600").answered(304).asked(`If-None-Match: "a"`).reuses(0),
			}},
			{Name: "a request's max-age and max-stale together take a stale response", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 100", `ETag: "a"`),
				get("Cache-Control: max-age=3600, max-stale=600").reuses(0),
			}},
			{Name: "a request's max-age in double quotes is a number", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Age: 1800", `ETag: "a"`),
				get(`Cache-Control: max-age="600"`).answered(304).asked(`If-None-Match: "a"`).reuses(0),
			}},
			{Name: "a request's MAX-AGE is max-age", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Age: 1800", `ETag: "a"`),
				get("Cache-Control: x, MAX-AGE=600").answered(304).asked(`If-None-Match: "a"`).reuses(0),
			}},
			{Name: "a validation asked for with max-age refreshes what is stored", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Age: 1800", `ETag: "a"`),
				get("Cache-Control: max-age=600").answered(304, `ETag: "a"`).reuses(0),
				get("Cache-Control: max-age=600").reuses(0, "Age: ~0"),
			}},
		},
	},
	{
		Section: "RFC 9111 §5.2.1.2", Level: May,
		Rule: "max-stale takes a response that has been stale no longer than it says, or for any time if it says nothing.",
		Cases: []Case{
			{Name: "max-stale takes any stale response", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 100000", `ETag: "a"`),
				get("Cache-Control: max-stale").reuses(0, "Age: ~100000"),
			}},
			{Name: "max-stale=n takes a response stale for less", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 160", `ETag: "a"`),
				get("Cache-Control: max-stale=600").reuses(0, "Age: ~160"),
			}},
			{Name: "max-stale=n takes no response stale for more", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 700", `ETag: "a"`),
				get("Cache-Control: max-stale=600").answered(304).asked(`If-None-Match: "a"`).reuses(0),
			}},
			{Name: "an invalid max-stale takes nothing stale", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 100", `ETag: "a"`),
				get("Cache-Control: max-stale=abc").answered(304).asked(`If-None-Match: "a"`).reuses(0),
			}},
		},
	},
	{
		Section: "RFC 9111 §5.2.1.3", Level: May,
		Rule: "min-fresh wants a response that stays fresh for that long.",
		Cases: []Case{
			{Name: "min-fresh takes a response that stays fresh for longer", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600"),
				get("Cache-Control: min-fresh=600").reuses(0),
			}},
			{Name: "min-fresh validates a response that does not", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", `ETag: "a"`),
				get("Cache-Control: min-fresh=7200").answered(304).asked(`If-None-Match: "a"`).reuses(0),
			}},
			{Name: "min-fresh counts the age", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Age: 3000", `ETag: "a"`),
				get("Cache-Control: min-fresh=1200").answered(304).asked(`If-None-Match: "a"`).reuses(0),
			}},
			{Name: "min-fresh below the time left takes the response", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Age: 3000"),
				get("Cache-Control: min-fresh=500").reuses(0),
			}},
		},
	},
	{
		Section: "RFC 9111 §5.2.1.4", Level: May,
		Rule: "A request's no-cache wants a validation.",
		Cases: []Case{
			{Name: "a request's no-cache validates a fresh response", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", `ETag: "a"`),
				get("Cache-Control: no-cache").answered(304).asked(`If-None-Match: "a"`).reuses(0),
			}},
			{Name: "a request's no-cache validates by date", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Last-Modified: {now-1000}"),
				get("Cache-Control: no-cache").answered(304).asked("If-Modified-Since: {now-1000}").reuses(0),
			}},
			{Name: "a request's no-cache fetches anew where there is no validator", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600"),
				get("Cache-Control: no-cache").answered(200, "Cache-Control: max-age=3600"),
				get().reuses(1),
			}},
			{Name: "a request's No-Cache among others counts", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600"),
				get("Cache-Control: max-stale, No-Cache").answered(200),
			}},
		},
	},
	{
		Section: "RFC 9111 §5.2.1.7", Level: Should,
		Rule: "only-if-cached gets a stored response that suits the request, or a 504.",
		Cases: []Case{
			{Name: "only-if-cached gets a stored response", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600"),
				get("Cache-Control: only-if-cached").reuses(0),
			}},
			{Name: "only-if-cached gets 504 where nothing is stored", Steps: []Step{
				get("Cache-Control: only-if-cached").sees(504),
			}},
			{Name: "only-if-cached gets 504 where what is stored is stale", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 61", `ETag: "a"`),
				get("Cache-Control: only-if-cached").sees(504),
			}},
			{Name: "only-if-cached with max-stale gets what is stale", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 61", `ETag: "a"`),
				get("Cache-Control: only-if-cached, max-stale").reuses(0),
			}},
			{Name: "only-if-cached with no-cache gets 504", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600"),
				get("Cache-Control: only-if-cached, no-cache").sees(504),
			}},
			{Name: "only-if-cached gets 504 for another variant", Steps: []Step{
				get("X-A: 1").answered(200, "Cache-Control: max-age=3600", "Vary: X-A"),
				get("X-A: 2", "Cache-Control: only-if-cached").sees(504),
				get("X-A: 1", "Cache-Control: only-if-cached").reuses(0),
			}},
		},
	},
	{
		Section: "RFC 9111 §5.4", Level: Ours,
		Rule: "A request's Pragma: no-cache is no-cache where there is no Cache-Control.",
		Cases: []Case{
			{Name: "a request's Pragma: no-cache alone validates", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", `ETag: "a"`),
				get("Pragma: no-cache").answered(304).asked(`If-None-Match: "a"`).reuses(0),
			}},
			{Name: "a request's Pragma: No-Cache among others validates", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", `ETag: "a"`),
				get("Pragma: x, No-Cache").answered(304).asked(`If-None-Match: "a"`).reuses(0),
			}},
			{Name: "a request's Pragma: no-cache beside Cache-Control is ignored", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600"),
				get("Pragma: no-cache", "Cache-Control: max-age=600").reuses(0),
			}},
			{Name: "another Pragma is ignored", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600"),
				get("Pragma: no-store").reuses(0),
			}},
		},
	},
	{
		Section: "RFC 9111 §5.2.1.1, §5.2.1.2, §5.2.1.3, §5.2.2.1, §5.2.2.10", Level: MustNot,
		Rule:          "Generate no argument of max-age, max-stale, min-fresh or s-maxage in quotes.",
		NotObservable: "a directive of the cache's own making; it makes none",
	},
	{
		Section: "RFC 9111 §5.2.3", Level: Must,
		Rule: "Ignore directives of a request that are unknown or mean something in responses only.",
		Cases: []Case{
			{Name: "an unknown directive of a request is ignored", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600"),
				get(`Cache-Control: foobar, x="no-cache, y"`).reuses(0),
			}},
			{Name: "a request's must-revalidate, private and immutable mean nothing", Steps: []Step{
				get("Cache-Control: private, must-revalidate, s-maxage=0").answered(200, "Cache-Control: max-age=3600"),
				get("Cache-Control: private, must-revalidate, s-maxage=0, immutable").reuses(0),
			}},
		},
	},
}
