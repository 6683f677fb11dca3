package conformance

// validationRules: asking the origin whether a stored response is still good (RFC 9111 §4.3.1 to
// §4.3.3).
var validationRules = []Requirement{
	{
		Section: "RFC 9111 §4.3.1", Level: Must,
		Rule: "Send the entity tags of the stored responses that are validated.",
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
			{Name: "an entity tag with commas and non-ASCII bytes is sent as it is", Steps: []Step{
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
			{Name: "the tag of a stale variant is sent with the others'", Steps: []Step{
				get("X-A: 1").answered(200, "Cache-Control: max-age=0", "Vary: X-A", `ETag: "a"`),
				get("X-A: 2").answered(200, "Cache-Control: max-age=3600", "Vary: X-A", `ETag: "b"`),
				get("X-A: 1").answered(304, "Vary: X-A", `ETag: "a"`).asked(`If-None-Match: "a", "b"`).reuses(0),
			}},
		},
	},
	{
		Section: "RFC 9111 §4.3.1", Level: Should,
		Rule: "Send Last-Modified too where one stored response is validated.",
		Cases: []Case{
			{Name: "Last-Modified is sent as If-Modified-Since", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=0", "Last-Modified: {now-1000}"),
				get().answered(304).asked("If-Modified-Since: {now-1000}", "-If-None-Match").reuses(0),
			}},
			{Name: "both validators are sent", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=0", "Last-Modified: {now-1000}", `ETag: "a"`),
				get().answered(304).asked("If-Modified-Since: {now-1000}", `If-None-Match: "a"`).reuses(0),
			}},
			{Name: "Last-Modified is sent in the origin's own spelling", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=0", "Last-Modified: {rfc850|now-1000}"),
				get().answered(304).asked("If-Modified-Since: {rfc850|now-1000}").reuses(0),
			}},
			{Name: "no validator, no condition", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=0, stale-if-error=10"),
				get().answered(200).asked("-If-Modified-Since", "-If-None-Match"),
			}},
		},
	},
	{
		Section: "RFC 9111 §4.3.1", Level: May,
		Rule:    "Validate a stored part by If-Unmodified-Since or If-Range with a date.",
		NotKept: "only a strong entity tag, or a Last-Modified that is strong, makes a part worth keeping; If-Range carries it",
	},
	{
		Section: "RFC 9111 §4.3.1", Level: Must,
		Rule: "A validation made without a client carries the method, URI and the fields named by Vary of the stored response.",
		Cases: []Case{
			{Name: "a background validation carries the fields named by Vary", Steps: []Step{
				get("X-A: 1").at("?q").answered(200, "Cache-Control: max-age=60, stale-while-revalidate=3600", "Age: 61", "Vary: X-A", `ETag: "a"`),
				get("X-A: 1").at("?q").refreshes(304, "Vary: X-A", `ETag: "a"`).asked("X-A: 1", `If-None-Match: "a"`).reuses(0),
			}},
			{Name: "a background validation for HEAD asks with GET or HEAD for the same", Steps: []Step{
				get("X-A: 1").answered(200, "Cache-Control: max-age=60, stale-while-revalidate=3600", "Age: 61", "Vary: X-A", `ETag: "a"`),
				{Method: "HEAD", Header: Lines{"X-A: 1"}, Background: true, Answer: &Answer{Status: 304, Header: Lines{`ETag: "a"`, "Vary: X-A"}},
					Sees: Sees{from: 1}, Asked: Asked{Method: "GET", Header: Lines{"X-A: 1"}}},
			}},
		},
	},
	{
		Section: "RFC 9111 §4.3.2", Level: May,
		Rule:    "Send the union of the client's entity tags and one's own.",
		NotKept: "a fill belongs to the cache and may serve others than the client who caused it; the client's own conditions are answered from what it brings",
	},
	{
		Section: "RFC 9111 §4.3.2", Level: Must,
		Rule: "Where a 304 names an entity tag that the client did not list, answer 200 with the stored response that it names.",
		Cases: []Case{
			{Name: "a 304 for the cache is a 200 for a client that has something else", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=0", `ETag: "a"`),
				get(`If-None-Match: "mine"`).answered(304, `ETag: "a"`).asked(`If-None-Match: "a"`).reuses(0, `ETag: "a"`),
			}},
			{Name: "a 304 for the cache is a 304 for a client that has the same", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=0", `ETag: "a"`),
				get(`If-None-Match: "x", "a"`).answered(304, `ETag: "a"`).asked(`If-None-Match: "a"`).sees(304, `ETag: "a"`),
			}},
			{Name: "a 304 for the cache is a 200 for a client that has an older one by date", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=0", "Last-Modified: {now-1000}"),
				get("If-Modified-Since: {now-2000}").answered(304).asked("If-Modified-Since: {now-1000}").reuses(0),
			}},
		},
	},
	{
		Section: "RFC 9111 §4.3.3", Level: Must,
		Rule: "A full answer to a validation goes to the client.",
		Cases: []Case{
			{Name: "a full answer replaces what was validated", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=0", `ETag: "a"`, "X-Old: 1"),
				get().answered(200, "Cache-Control: max-age=3600", `ETag: "b"`).asked(`If-None-Match: "a"`).sees(200, `ETag: "b"`, "-X-Old"),
				get().reuses(1, `ETag: "b"`, "-X-Old"),
			}},
			{Name: "a full answer with the same entity tag replaces what was validated", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=0", `ETag: "a"`),
				get().answered(200, "Cache-Control: max-age=3600", `ETag: "a"`),
				get().reuses(1),
			}},
			{Name: "a full answer may be an error of the client's", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=0", `ETag: "a"`),
				get().answered(404, "Cache-Control: max-age=3600"),
				get().reuses(1),
			}},
		},
	},
	{
		Section: "RFC 9111 §4.3.3", Level: May,
		Rule: "Pass on a 5xx that answers a validation, or serve what is stored where that is allowed.",
		Cases: []Case{
			{Name: "a 500 to a validation is passed on and leaves the response to be validated", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=0", `ETag: "a"`),
				get().answered(500).asked(`If-None-Match: "a"`),
				get().answered(304, `ETag: "a"`).asked(`If-None-Match: "a"`).reuses(0),
			}},
		},
		KeptBy: []string{"stale-if-error covers a failed validation"},
	},
	{
		Section: "RFC 9111 §4.3", Level: Ours,
		Rule: "After a validation the response is fresh again by the new fields.",
		Cases: []Case{
			{Name: "a 304 makes the response fresh again", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 61", `ETag: "a"`),
				get().answered(304, "Cache-Control: max-age=60", `ETag: "a"`).reuses(0, "-Age"),
				get().reuses(0, "Age: ~0"),
			}},
			{Name: "a 304 without freshness of its own keeps the response's", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 61", `ETag: "a"`),
				get().answered(304, `ETag: "a"`).reuses(0),
				get().reuses(0).says("hit", "ttl=~60"),
			}},
			{Name: "a 304 with an Age leaves the response that old", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 61", `ETag: "a"`),
				get().answered(304, "Cache-Control: max-age=3600", "Age: 100", `ETag: "a"`).reuses(0),
				get().reuses(0, "Age: ~100"),
			}},
			{Name: "a 304 that says no-store serves once more and no longer", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 61", `ETag: "a"`),
				get().answered(304, "Cache-Control: no-store", `ETag: "a"`).reuses(0),
				get().answered(200).asked("-If-None-Match"),
			}},
		},
	},
}
