package conformance

// conditionalRules: the client's own preconditions (RFC 9110 §8.8, §13 and §15.4.5, RFC 9111
// §4.3.2).
var conditionalRules = []Requirement{
	{
		Section: "RFC 9111 §4.3.2, RFC 9110 §13.2.1", Level: Should,
		Rule: "Evaluate a request's preconditions against the stored response that answers it.",
		Cases: []Case{
			conditional("an entity tag that matches is a 304", `If-None-Match: "a"`, true),
			conditional("an entity tag that does not match is a 200", `If-None-Match: "b"`, false),
			conditional("an asterisk matches", "If-None-Match: *", true),
			conditional("a list with the entity tag first matches", `If-None-Match: "a", "b"`, true),
			conditional("a list with the entity tag last matches", `If-None-Match: "x","y" ,"a"`, true),
			conditional("a list without the entity tag does not match", `If-None-Match: "x", "y"`, false),
			conditional("an entity tag in another case does not match", `If-None-Match: "A"`, false),
			conditional("an entity tag without quotes does not match", "If-None-Match: a", false),
			conditional("a date equal to Last-Modified is a 304", "If-Modified-Since: {now-1000}", true),
			conditional("a date after Last-Modified is a 304", "If-Modified-Since: {now-500}", true),
			conditional("a date before Last-Modified is a 200", "If-Modified-Since: {now-1500}", false),
			{Name: "several lines of If-None-Match are one list", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", `ETag: "a"`),
				get(`If-None-Match: "x"`, `If-None-Match: "a"`).sees(304),
			}},
			{Name: "preconditions hold for HEAD", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", `ETag: "a"`),
				head(`If-None-Match: "a"`).sees(304),
				head(`If-None-Match: "b"`).reuses(0),
			}},
			{Name: "preconditions choose the variant first", Steps: []Step{
				get("X-A: 1").answered(200, "Cache-Control: max-age=3600", "Vary: X-A", `ETag: "a"`),
				get("X-A: 2").answered(200, "Cache-Control: max-age=3600", "Vary: X-A", `ETag: "b"`),
				get("X-A: 1", `If-None-Match: "a"`).sees(304),
				get("X-A: 1", `If-None-Match: "b"`).reuses(0),
			}},
			{Name: "an asterisk matches a response without an entity tag", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600"),
				get("If-None-Match: *").sees(304),
			}},
			{Name: "an entity tag does not match a response without one", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600"),
				get(`If-None-Match: "a"`).reuses(0),
				get(`If-None-Match: ""`).reuses(0),
			}},
			{Name: "an entity tag with a comma is one tag", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", `ETag: "x,y"`),
				get(`If-None-Match: "z", "x,y"`).sees(304),
				get(`If-None-Match: "x", "y"`).reuses(0),
			}},
			{Name: "an entity tag with non-ASCII bytes matches", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "ETag: \"\xe9\""),
				get("If-None-Match: \"\xe9\"").sees(304),
			}},
		},
	},
	{
		Section: "RFC 9110 §8.8.3.2, §13.1.2", Level: Must,
		Rule: "Compare entity tags weakly for If-None-Match.",
		Cases: []Case{
			conditional("a weak entity tag matches a strong one", `If-None-Match: W/"a"`, true),
			{Name: "a strong entity tag matches a weak one", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", `ETag: W/"a"`),
				get(`If-None-Match: "a"`).sees(304, `ETag: W/"a"`),
			}},
			{Name: "a weak entity tag matches a weak one", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", `ETag: W/"a"`),
				get(`If-None-Match: "x", W/"a"`).sees(304),
			}},
			conditional("the mark of a weak entity tag is in upper case", `If-None-Match: w/"a"`, false),
		},
	},
	{
		Section: "RFC 9110 §13.1.3, §13.2.2", Level: Must,
		Rule: "Ignore If-Modified-Since beside If-None-Match.",
		Cases: []Case{
			{Name: "If-None-Match that fails goes before If-Modified-Since that holds", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", `ETag: "a"`, "Last-Modified: {now-1000}"),
				get(`If-None-Match: "b"`, "If-Modified-Since: {now}").reuses(0),
			}},
			{Name: "If-None-Match that matches goes before If-Modified-Since that does not", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", `ETag: "a"`, "Last-Modified: {now-1000}"),
				get(`If-None-Match: "a"`, "If-Modified-Since: {now-2000}").sees(304),
			}},
			{Name: "If-None-Match goes before If-Modified-Since where there is no entity tag", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Last-Modified: {now-1000}"),
				get(`If-None-Match: "b"`, "If-Modified-Since: {now}").reuses(0),
			}},
		},
	},
	{
		Section: "RFC 9110 §13.1.3", Level: Must,
		Rule: "Ignore an If-Modified-Since that is no date or has several members.",
		Cases: []Case{
			conditional("If-Modified-Since in RFC 850 format counts", "If-Modified-Since: {rfc850|now-1000}", true),
			conditional("If-Modified-Since in asctime format counts", "If-Modified-Since: {asctime|now-1000}", true),
			conditional("If-Modified-Since: 0 is ignored", "If-Modified-Since: 0", false),
			conditional("a list of dates is ignored", "If-Modified-Since: {now}, {now}", false),
			conditional("a date in another zone is ignored", "If-Modified-Since: {Mon, 02 Jan 2006 15:04:05 UTC|now}", false),
			{Name: "two lines of If-Modified-Since are ignored", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Last-Modified: {now-1000}"),
				get("If-Modified-Since: {now}", "If-Modified-Since: {now}").reuses(0),
			}},
		},
	},
	{
		Section: "RFC 9110 §13.2.2", Level: Must,
		Rule:   "Evaluate If-None-Match first, If-Modified-Since only without it, then If-Range.",
		KeptBy: []string{"If-None-Match that fails goes before If-Modified-Since that holds", "a 304 goes before a range", "If-Range with another entity tag does not hold"},
	},
	{
		Section: "RFC 9110 §13.1.4", Level: Must,
		Rule:   "Ignore If-Unmodified-Since beside If-Match, where it is no date, and where there is no modification date.",
		KeptBy: []string{"If-Unmodified-Since is for the origin"},
	},
	{
		Section: "RFC 9110 §13.1.2", Level: Should,
		Rule:   "As a client, list the entity tags of all that is to be validated in If-None-Match.",
		KeptBy: []string{"the entity tags of all variants are sent"},
	},
	{
		Section: "RFC 9111 §4.3.2", Level: Should,
		Rule: "Compare If-Modified-Since with Date, or the time of arrival, where there is no Last-Modified.",
		Cases: []Case{
			{Name: "If-Modified-Since is compared with Date where there is no Last-Modified", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Date: {now-100}"),
				get("If-Modified-Since: {now-100}").sees(304),
				get("If-Modified-Since: {now-200}").reuses(0),
			}},
		},
	},
	{
		Section: "RFC 9110 §13.1.3", Level: Must,
		Rule:    "Ignore If-Modified-Since where the resource has no modification date.",
		NotKept: "RFC 9111 §4.3.2 tells caches to compare with Date instead",
	},
	{
		Section: "RFC 9110 §13.1.3, §13.1.4", Level: Must,
		Rule:   "Read If-Modified-Since in terms of the origin's clock.",
		KeptBy: []string{"a date equal to Last-Modified is a 304", "If-Modified-Since is compared with Date where there is no Last-Modified"},
	},
	{
		Section: "RFC 9111 §4.3.2, RFC 9110 §13.1.1, §13.1.4", Level: MustNot,
		Rule: "Evaluate no precondition that is for the origin.",
		Cases: []Case{
			{Name: "If-Match is for the origin", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", `ETag: "a"`),
				get(`If-Match: "b"`).answered(412).asked(`If-Match: "b"`),
				get().reuses(0),
			}},
			{Name: "If-Unmodified-Since is for the origin", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Last-Modified: {now-1000}"),
				get("If-Unmodified-Since: {now-2000}").answered(412).asked("If-Unmodified-Since: {now-2000}"),
				get().reuses(0),
			}},
			{Name: "preconditions of an unsafe request are for the origin", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", `ETag: "a"`),
				send("PUT", `If-Match: "b"`).answered(412).asked(`If-Match: "b"`),
				send("PUT", "If-None-Match: *").answered(412).asked("If-None-Match: *"),
				get().reuses(0),
			}},
			{Name: "an unknown precondition does not keep from reuse", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", `ETag: "a"`),
				get("If: <x>").reuses(0),
			}},
		},
	},
	{
		Section: "RFC 9111 §4.3.2", Level: MustNot,
		Rule: "Evaluate no precondition for a resource of which nothing is stored.",
		Cases: []Case{
			{Name: "a precondition on a miss brings the whole response into the cache", Steps: []Step{
				get(`If-None-Match: "b"`).answered(200, "Cache-Control: max-age=3600", `ETag: "a"`),
				get().reuses(0),
			}},
			{Name: "a precondition does not keep a response from being passed on", Steps: []Step{
				get(`If-None-Match: "a"`).answered(200, "Cache-Control: no-store", `ETag: "a"`).sees(200),
			}},
		},
	},
	{
		Section: "RFC 9111 §4.3.2", Level: Ours,
		Rule: "A precondition on a miss is answered from what the miss has stored.",
		Cases: []Case{
			{Name: "a precondition on a miss is a 304 where what comes matches", Steps: []Step{
				get(`If-None-Match: "a"`).answered(200, "Cache-Control: max-age=3600", `ETag: "a"`).asked("-If-None-Match").sees(304, `ETag: "a"`),
				get().reuses(0),
			}},
		},
	},
	{
		Section: "RFC 9110 §13.2.1", Level: Must,
		Rule: "Forward preconditions where one cannot act as a cache for the resource.",
		Cases: []Case{
			{Name: "preconditions on what is known to be uncacheable are the origin's", Steps: []Step{
				get().answered(200, "Cache-Control: private", `ETag: "a"`),
				get(`If-None-Match: "a"`, "If-Modified-Since: {now}").answered(304, `ETag: "a"`).asked(`If-None-Match: "a"`, "If-Modified-Since: {now}").sees(304),
			}},
			{Name: "preconditions of OPTIONS are not the cache's", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", `ETag: "a"`),
				send("OPTIONS", `If-None-Match: "a"`).answered(200).asked(`If-None-Match: "a"`),
			}},
		},
	},
	{
		Section: "RFC 9110 §13.2.1", Level: Must,
		Rule: "Ignore preconditions where the response without them would not be a 2xx.",
		Cases: []Case{
			{Name: "a stored 404 is a 404 whatever the entity tag", Steps: []Step{
				get().answered(404, "Cache-Control: max-age=3600", `ETag: "a"`),
				get(`If-None-Match: "a"`).reuses(0),
			}},
			{Name: "a stored redirect is a redirect whatever the date", Steps: []Step{
				get().answered(301, "Cache-Control: max-age=3600", "Location: /x", "Last-Modified: {now-1000}"),
				get("If-Modified-Since: {now}").reuses(0),
			}},
		},
	},
	{
		Section: "RFC 9110 §15.4.5", Level: Must,
		Rule: "A 304 carries Content-Location, Date, ETag, Vary, Cache-Control and Expires.",
		Cases: []Case{
			{Name: "a 304 carries what the 200 would", Steps: []Step{
				get("X-A: 1").answered(200, "Cache-Control: max-age=3600, x", "Expires: {now+60}", "Date: {now-5}", `ETag: "a"`, "Vary: X-A", "Content-Location: /x"),
				get("X-A: 1", `If-None-Match: "a"`).sees(304, "Cache-Control: max-age=3600, x", "Expires: {now+60}", "Date: {now-5}", `ETag: "a"`, "Vary: X-A", "Content-Location: /x"),
			}},
		},
	},
	{
		Section: "RFC 9110 §15.4.5", Level: ShouldNot,
		Rule: "A 304 carries no other metadata than guides an update.",
		Cases: []Case{
			{Name: "a 304 carries no other metadata", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", `ETag: "a"`, "Last-Modified: {now-1000}", "Content-Type: text/x", "Content-Language: de", "Content-Encoding: x-a"),
				get(`If-None-Match: "a"`).sees(304, "-Content-Type", "-Content-Language", "-Content-Encoding", "-Content-Length"),
			}},
			{Name: "a 304 carries Last-Modified where there is no entity tag", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Last-Modified: {now-1000}"),
				get("If-Modified-Since: {now-1000}").sees(304, "Last-Modified: {now-1000}"),
			}},
		},
	},
	{
		Section: "RFC 9110 §15.4.5", Level: Should,
		Rule:   "Forward a 304 to the client that has asked conditionally.",
		KeptBy: []string{"a 304 for the cache is a 304 for a client that has the same", "preconditions on what is known to be uncacheable are the origin's"},
	},
	{
		Section: "RFC 9110 §15.4.5, §6.4.1", Level: Must,
		Rule:   "A 304 has no content.",
		KeptBy: []string{"an entity tag that matches is a 304"},
	},
	{
		Section: "RFC 9110 §8.8.2, §8.8.3", Level: Must,
		Rule: "Pass validators on as the origin gave them.",
		Cases: []Case{
			storesField("a strong entity tag stays strong", `ETag: "a\b"`),
			storesField("an ETag that is no entity tag is passed on", "ETag: abc"),
			storesField("an odd Last-Modified is passed on", "Last-Modified: once upon a time"),
		},
	},
}

// conditional shows what becomes of a precondition on a stored response with ETag "a", last
// modified 1000 s ago.
func conditional(name, line string, matches bool) Case {
	again := get(line).reuses(0)
	if matches {
		again = get(line).sees(304)
	}
	return Case{Name: name, Steps: []Step{
		get().answered(200, "Cache-Control: max-age=3600", `ETag: "a"`, "Last-Modified: {now-1000}"),
		again,
	}}
}
