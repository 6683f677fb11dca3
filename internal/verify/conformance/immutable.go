package conformance

// immutableRules are about immutable (RFC 8246).
var immutableRules = []Requirement{
	{
		Section: "RFC 8246 §2, §2.1", Level: ShouldNot,
		Rule: "Do not validate a fresh response with immutable, unless the client requires it.",
		Cases: []Case{
			{Name: "a reload of an immutable response is a hit", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600, immutable", `ETag: "a"`),
				get("Cache-Control: max-age=0").reuses(0),
			}},
			{Name: "a conditional reload of an immutable response gets a 304 from the cache", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600, immutable", `ETag: "a"`),
				get("Cache-Control: max-age=0", `If-None-Match: "a"`).sees(304),
			}},
			{Name: "a reload of an immutable response is a hit in a private cache", Setup: Setup{Private: true, TLS: true}, Doors: []string{InClient}, Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600, immutable", `ETag: "a"`),
				get("Cache-Control: max-age=0").reuses(0),
			}},
			{Name: "a forced reload of an immutable response is validated", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600, immutable", `ETag: "a"`),
				get("Cache-Control: no-cache").answered(304, `ETag: "a"`).asked(`If-None-Match: "a"`).reuses(0),
			}},
			{Name: "a response with no-cache and immutable is validated", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600, immutable, no-cache", `ETag: "a"`),
				get().answered(304, `ETag: "a"`).asked(`If-None-Match: "a"`).reuses(0),
			}},
		},
	},
	{
		Section: "RFC 8246 §2", Level: Should,
		Rule: "Validate a stale response with immutable like any other.",
		Cases: []Case{
			validated("a stale immutable response is validated", "Cache-Control: max-age=60, immutable", "Age: 61"),
			{Name: "immutable does not lift a request's max-age for a stale response", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, immutable", "Age: 100", `ETag: "a"`),
				get("Cache-Control: max-age=10, max-stale").answered(304, `ETag: "a"`).asked(`If-None-Match: "a"`).reuses(0),
			}},
			notReused("immutable gives no freshness", "Cache-Control: immutable"),
		},
	},
	{
		Section: "RFC 8246 §2", Level: Must,
		Rule: "Ignore arguments of immutable. Several count as one. Ignore immutable in a request.",
		Cases: []Case{
			{Name: "arguments of immutable are ignored", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600, immutable=0", `ETag: "a"`),
				get("Cache-Control: max-age=0").reuses(0),
			}},
			{Name: "several immutable directives count as one", Steps: []Step{
				get().answered(200, `Cache-Control: immutable, max-age=3600, immutable="x"`, `ETag: "a"`),
				get("Cache-Control: max-age=0").reuses(0),
			}},
			{Name: "immutable in a request is ignored", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", `ETag: "a"`),
				get("Cache-Control: max-age=0, immutable").answered(304, `ETag: "a"`).asked(`If-None-Match: "a"`).reuses(0),
			}},
		},
	},
	{
		Section: "RFC 8246 §3", Level: Should,
		Rule: "A client's cache ignores immutable if the resource is not authenticated.",
		Cases: []Case{
			{Name: "a private cache does not trust immutable without TLS", Setup: privateCache, Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600, immutable", `ETag: "a"`),
				get("Cache-Control: max-age=0").answered(304, `ETag: "a"`).asked(`If-None-Match: "a"`).reuses(0),
			}},
		},
	},
	{
		Section: "RFC 8246 §3", Level: Should,
		Rule:   "A forced reload ignores immutable.",
		KeptBy: []string{"a forced reload of an immutable response is validated"},
	},
	{
		Section: "RFC 8246 §3", Level: Should,
		Rule:    "Ignore immutable if the response may be incomplete.",
		NotKept: "only complete responses are stored. The last chunk and the end of an HTTP/2 stream prove completeness as Content-Length does",
	},
}
