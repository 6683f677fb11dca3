package conformance

// validationRules are about asking the origin whether a stored response is still current (RFC 9111
// §4.3.1 to §4.3.3).
var validationRules = []Requirement{
	{
		Section: "RFC 9111 §4.3.1", Level: Must,
		Rule: "Send the entity tags of the stored responses to validate.",
		Cases: []Case{
			validated("a strong entity tag is sent", "Cache-Control: max-age=0"),
			{Name: "a weak entity tag is sent", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=0", `ETag: W/"a"`),
				get().answered(304, `ETag: W/"a"`).asked(`If-None-Match: W/"a"`).reuses(0),
			}},
			{Name: "an empty entity tag is sent", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=0", `ETag: ""`),
				get().answered(304, `ETag: ""`).asked(`If-None-Match: ""`).reuses(0),
			}},
			{Name: "an entity tag with commas and non-ASCII bytes is sent unchanged", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=0", "ETag: \"a,b\xfc\""),
				get().answered(304).asked("If-None-Match: \"a,b\xfc\"").reuses(0),
			}},
			{Name: "the entity tags of all variants are sent", Steps: []Step{
				get("X-A: 1").answered(200, "Cache-Control: max-age=3600", "Vary: X-A", `ETag: "a"`),
				get("X-A: 2").answered(200, "Cache-Control: max-age=3600", "Vary: X-A", `ETag: "b"`).asked(`If-None-Match: "a"`),
				get("X-A: 3").answered(304, "Vary: X-A", `ETag: "b"`).asked(`If-None-Match: "a", "b"`, "X-A: 3").reuses(1, `ETag: "b"`),
			}},
			{Name: "an entity tag that variants share is sent once", Steps: []Step{
				get("X-A: 1").answered(200, "Cache-Control: max-age=0", "Vary: X-A", `ETag: "a"`).with("the same"),
				get("X-A: 2").answered(200, "Cache-Control: max-age=0", "Vary: X-A", `ETag: "a"`).with("the same").asked(`If-None-Match: "a"`),
				get("X-A: 1").answered(304, "Vary: X-A", `ETag: "a"`).asked(`If-None-Match: "a"`).reuses(1),
			}},
			{Name: "the tag of a stale variant is sent with those of the others", Steps: []Step{
				get("X-A: 1").answered(200, "Cache-Control: max-age=0", "Vary: X-A", `ETag: "a"`),
				get("X-A: 2").answered(200, "Cache-Control: max-age=3600", "Vary: X-A", `ETag: "b"`),
				get("X-A: 1").answered(304, "Vary: X-A", `ETag: "a"`).asked(`If-None-Match: "a", "b"`).reuses(0),
			}},
		},
	},
	{
		Section: "RFC 9111 §4.3.1", Level: Should,
		Rule: "Send Last-Modified too if only one stored response is validated.",
		Cases: []Case{
			{Name: "Last-Modified is sent as If-Modified-Since", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=0", "Last-Modified: {now-1000}"),
				get().answered(304).asked("If-Modified-Since: {now-1000}", "-If-None-Match").reuses(0),
			}},
			{Name: "both validators are sent", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=0", "Last-Modified: {now-1000}", `ETag: "a"`),
				get().answered(304).asked("If-Modified-Since: {now-1000}", `If-None-Match: "a"`).reuses(0),
			}},
			{Name: "Last-Modified is sent in the origin's spelling", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=0", "Last-Modified: {rfc850|now-1000}"),
				get().answered(304).asked("If-Modified-Since: {rfc850|now-1000}").reuses(0),
			}},
			{Name: "without a validator no condition is sent", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=0, stale-if-error=10"),
				get().answered(200).asked("-If-Modified-Since", "-If-None-Match"),
			}},
		},
	},
	{
		Section: "RFC 9111 §4.3.1", Level: May,
		Rule:    "Validate a stored part with If-Unmodified-Since or If-Range and a date.",
		NotKept: "only parts with a strong entity tag or a strong Last-Modified are stored. That validator is sent in If-Range",
	},
	{
		Section: "RFC 9111 §4.3.1", Level: Must,
		Rule: "A validation that no client caused has the method and URI of the stored response, and the fields named by Vary.",
		Cases: []Case{
			{Name: "a background validation sends the fields named by Vary", Steps: []Step{
				get("X-A: 1").at("?q").answered(200, "Cache-Control: max-age=60, stale-while-revalidate=3600", "Age: 61", "Vary: X-A", `ETag: "a"`),
				get("X-A: 1").at("?q").refreshes(304, "Vary: X-A", `ETag: "a"`).asked("X-A: 1", `If-None-Match: "a"`).reuses(0),
			}},
			{Name: "a background validation after HEAD sends the same request as GET", Steps: []Step{
				get("X-A: 1").answered(200, "Cache-Control: max-age=60, stale-while-revalidate=3600", "Age: 61", "Vary: X-A", `ETag: "a"`),
				{Method: "HEAD", Header: Lines{"X-A: 1"}, Background: true, Answer: &Answer{Status: 304, Header: Lines{`ETag: "a"`, "Vary: X-A"}},
					Sees: Sees{from: 1}, Asked: Asked{Method: "GET", Header: Lines{"X-A: 1"}}},
			}},
		},
	},
	{
		Section: "RFC 9111 §4.3.2", Level: May,
		Rule:    "Send the client's entity tags together with the cache's own.",
		NotKept: "a fill may serve other clients than the one that caused it. The client's own conditions are evaluated against the response that comes",
	},
	{
		Section: "RFC 9111 §4.3.2", Level: Must,
		Rule: "If a 304 has an entity tag that the client did not list, answer 200 with the stored response that has this tag.",
		Cases: []Case{
			{Name: "a 304 to the cache is a 200 to a client that has another version", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=0", `ETag: "a"`),
				get(`If-None-Match: "mine"`).answered(304, `ETag: "a"`).asked(`If-None-Match: "a"`).reuses(0, `ETag: "a"`),
			}},
			{Name: "a 304 to the cache is a 304 to a client that has the same version", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=0", `ETag: "a"`),
				get(`If-None-Match: "x", "a"`).answered(304, `ETag: "a"`).asked(`If-None-Match: "a"`).sees(304, `ETag: "a"`),
			}},
			{Name: "a 304 to the cache is a 200 to a client with an older date", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=0", "Last-Modified: {now-1000}"),
				get("If-Modified-Since: {now-2000}").answered(304).asked("If-Modified-Since: {now-1000}").reuses(0),
			}},
		},
	},
	{
		Section: "RFC 9111 §4.3.3", Level: Must,
		Rule: "Send a full answer to a validation to the client.",
		Cases: []Case{
			{Name: "a full answer replaces the validated response", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=0", `ETag: "a"`, "X-Old: 1"),
				get().answered(200, "Cache-Control: max-age=3600", `ETag: "b"`).asked(`If-None-Match: "a"`).sees(200, `ETag: "b"`, "-X-Old"),
				get().reuses(1, `ETag: "b"`, "-X-Old"),
			}},
			{Name: "a full answer with the same entity tag replaces the validated response", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=0", `ETag: "a"`),
				get().answered(200, "Cache-Control: max-age=3600", `ETag: "a"`),
				get().reuses(1),
			}},
			{Name: "a full answer may be a client error", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=0", `ETag: "a"`),
				get().answered(404, "Cache-Control: max-age=3600"),
				get().reuses(1),
			}},
		},
	},
	{
		Section: "RFC 9111 §4.3.3", Level: May,
		Rule: "Forward a 5xx in answer to a validation, or serve the stored response if that is allowed.",
		Cases: []Case{
			{Name: "a 500 to a validation is forwarded and does not remove the response", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=0", `ETag: "a"`),
				get().answered(500).asked(`If-None-Match: "a"`),
				get().answered(304, `ETag: "a"`).asked(`If-None-Match: "a"`).reuses(0),
			}},
		},
		KeptBy: []string{"stale-if-error covers a failed validation"},
	},
	{
		Section: "RFC 9111 §4.3", Level: Ours,
		Rule: "After a validation the response is fresh again, according to the new fields.",
		Cases: []Case{
			{Name: "a 304 makes the response fresh again", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 61", `ETag: "a"`),
				get().answered(304, "Cache-Control: max-age=60", `ETag: "a"`).reuses(0, "-Age"),
				get().reuses(0, "Age: ~0"),
			}},
			{Name: "a 304 without freshness keeps the stored lifetime", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 61", `ETag: "a"`),
				get().answered(304, `ETag: "a"`).reuses(0),
				get().reuses(0).says("hit", "ttl=~60"),
			}},
			{Name: "a 304 with an Age gives the response that age", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 61", `ETag: "a"`),
				get().answered(304, "Cache-Control: max-age=3600", "Age: 100", `ETag: "a"`).reuses(0),
				get().reuses(0, "Age: ~100"),
			}},
			{Name: "a 304 with no-store serves the response once more and removes it", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 61", `ETag: "a"`),
				get().answered(304, "Cache-Control: no-store", `ETag: "a"`).reuses(0),
				get().answered(200).asked("-If-None-Match"),
			}},
		},
	},
}
