package conformance

// conditionalRules are about the client's own preconditions (RFC 9110 §8.8, §13 and §15.4.5, RFC
// 9111 §4.3.2).
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
		Rule: "For If-None-Match, compare entity tags weakly.",
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
			conditional("a weak entity tag with a lower-case mark does not match", `If-None-Match: w/"a"`, false),
		},
	},
	{
		Section: "RFC 9110 §13.1.3, §13.2.2", Level: Must,
		Rule: "Ignore If-Modified-Since if there is If-None-Match.",
		Cases: []Case{
			{Name: "a tag that differs overrides a date that matches", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", `ETag: "a"`, "Last-Modified: {now-1000}"),
				get(`If-None-Match: "b"`, "If-Modified-Since: {now}").reuses(0),
			}},
			{Name: "a tag that matches overrides a date that differs", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", `ETag: "a"`, "Last-Modified: {now-1000}"),
				get(`If-None-Match: "a"`, "If-Modified-Since: {now-2000}").sees(304),
			}},
			{Name: "If-None-Match overrides If-Modified-Since even if the response has no entity tag", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Last-Modified: {now-1000}"),
				get(`If-None-Match: "b"`, "If-Modified-Since: {now}").reuses(0),
			}},
		},
	},
	{
		Section: "RFC 9110 §13.1.3", Level: Must,
		Rule: "Ignore an If-Modified-Since that is not a date or has several members.",
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
		Rule:   "Evaluate If-None-Match first, If-Modified-Since only without If-None-Match, and If-Range last.",
		KeptBy: []string{"a tag that differs overrides a date that matches", "a 304 takes precedence over a range", "If-Range with another entity tag does not hold"},
	},
	{
		Section: "RFC 9110 §13.1.4", Level: Must,
		Rule:   "Ignore If-Unmodified-Since if there is If-Match, if it is not a date, or if the resource has no modification date.",
		KeptBy: []string{"If-Unmodified-Since is forwarded to the origin"},
	},
	{
		Section: "RFC 9110 §13.1.2", Level: Should,
		Rule:   "As a client, list in If-None-Match the entity tags of all responses to validate.",
		KeptBy: []string{"the entity tags of all variants are sent"},
	},
	{
		Section: "RFC 9111 §4.3.2", Level: Should,
		Rule: "Without Last-Modified, compare If-Modified-Since with Date or the time of receipt.",
		Cases: []Case{
			{Name: "without Last-Modified, If-Modified-Since is compared with Date", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Date: {now-100}"),
				get("If-Modified-Since: {now-100}").sees(304),
				get("If-Modified-Since: {now-200}").reuses(0),
			}},
		},
	},
	{
		Section: "RFC 9110 §13.1.3", Level: Must,
		Rule:    "Ignore If-Modified-Since if the resource has no modification date.",
		NotKept: "RFC 9111 §4.3.2 tells caches to compare with Date instead",
	},
	{
		Section: "RFC 9110 §13.1.3, §13.1.4", Level: Must,
		Rule:   "Interpret If-Modified-Since by the origin's clock.",
		KeptBy: []string{"a date equal to Last-Modified is a 304", "without Last-Modified, If-Modified-Since is compared with Date"},
	},
	{
		Section: "RFC 9111 §4.3.2, RFC 9110 §13.1.1, §13.1.4", Level: MustNot,
		Rule: "Do not evaluate preconditions that only the origin evaluates.",
		Cases: []Case{
			{Name: "If-Match is forwarded to the origin", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", `ETag: "a"`),
				get(`If-Match: "b"`).answered(412).asked(`If-Match: "b"`),
				get().reuses(0),
			}},
			{Name: "If-Unmodified-Since is forwarded to the origin", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Last-Modified: {now-1000}"),
				get("If-Unmodified-Since: {now-2000}").answered(412).asked("If-Unmodified-Since: {now-2000}"),
				get().reuses(0),
			}},
			{Name: "preconditions of an unsafe request are forwarded to the origin", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", `ETag: "a"`),
				send("PUT", `If-Match: "b"`).answered(412).asked(`If-Match: "b"`),
				send("PUT", "If-None-Match: *").answered(412).asked("If-None-Match: *"),
				get().reuses(0),
			}},
			{Name: "an unknown precondition does not prevent reuse", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", `ETag: "a"`),
				get("If: <x>").reuses(0),
			}},
		},
	},
	{
		Section: "RFC 9111 §4.3.2", Level: MustNot,
		Rule: "Do not evaluate preconditions if nothing is stored for the resource.",
		Cases: []Case{
			{Name: "a miss with a precondition stores the whole response", Steps: []Step{
				get(`If-None-Match: "b"`).answered(200, "Cache-Control: max-age=3600", `ETag: "a"`),
				get().reuses(0),
			}},
			{Name: "an uncacheable response is forwarded despite a precondition", Steps: []Step{
				get(`If-None-Match: "a"`).answered(200, "Cache-Control: no-store", `ETag: "a"`).sees(200),
			}},
		},
	},
	{
		Section: "RFC 9111 §4.3.2", Level: Ours,
		Rule: "On a miss, evaluate preconditions against the response that the miss stores.",
		Cases: []Case{
			{Name: "a precondition on a miss gets a 304 if the new response matches", Steps: []Step{
				get(`If-None-Match: "a"`).answered(200, "Cache-Control: max-age=3600", `ETag: "a"`).asked("-If-None-Match").sees(304, `ETag: "a"`),
				get().reuses(0),
			}},
		},
	},
	{
		Section: "RFC 9110 §13.2.1", Level: Must,
		Rule: "Forward preconditions for a resource that the cache cannot serve.",
		Cases: []Case{
			{Name: "preconditions for a resource known to be uncacheable are forwarded", Steps: []Step{
				get().answered(200, "Cache-Control: private", `ETag: "a"`),
				get(`If-None-Match: "a"`, "If-Modified-Since: {now}").answered(304, `ETag: "a"`).asked(`If-None-Match: "a"`, "If-Modified-Since: {now}").sees(304),
			}},
			{Name: "preconditions of OPTIONS are forwarded", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", `ETag: "a"`),
				send("OPTIONS", `If-None-Match: "a"`).answered(200).asked(`If-None-Match: "a"`),
			}},
		},
	},
	{
		Section: "RFC 9110 §13.2.1", Level: Must,
		Rule: "Ignore preconditions if the response without them would not be a 2xx.",
		Cases: []Case{
			{Name: "a stored 404 stays a 404 if the entity tag matches", Steps: []Step{
				get().answered(404, "Cache-Control: max-age=3600", `ETag: "a"`),
				get(`If-None-Match: "a"`).reuses(0),
			}},
			{Name: "a stored redirect stays a redirect if the date matches", Steps: []Step{
				get().answered(301, "Cache-Control: max-age=3600", "Location: /x", "Last-Modified: {now-1000}"),
				get("If-Modified-Since: {now}").reuses(0),
			}},
		},
	},
	{
		Section: "RFC 9110 §15.4.5", Level: Must,
		Rule: "A 304 has Content-Location, Date, ETag, Vary, Cache-Control and Expires if the 200 would have them.",
		Cases: []Case{
			{Name: "a 304 has the required fields of the 200", Steps: []Step{
				get("X-A: 1").answered(200, "Cache-Control: max-age=3600, x", "Expires: {now+60}", "Date: {now-5}", `ETag: "a"`, "Vary: X-A", "Content-Location: /x"),
				get("X-A: 1", `If-None-Match: "a"`).sees(304, "Cache-Control: max-age=3600, x", "Expires: {now+60}", "Date: {now-5}", `ETag: "a"`, "Vary: X-A", "Content-Location: /x"),
			}},
		},
	},
	{
		Section: "RFC 9110 §15.4.5", Level: ShouldNot,
		Rule: "Do not send other metadata in a 304, unless a client needs it for an update.",
		Cases: []Case{
			{Name: "a 304 has no other metadata", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", `ETag: "a"`, "Last-Modified: {now-1000}", "Content-Type: text/x", "Content-Language: de", "Content-Encoding: x-a"),
				get(`If-None-Match: "a"`).sees(304, "-Content-Type", "-Content-Language", "-Content-Encoding", "-Content-Length"),
			}},
			{Name: "a 304 has Last-Modified if there is no entity tag", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Last-Modified: {now-1000}"),
				get("If-Modified-Since: {now-1000}").sees(304, "Last-Modified: {now-1000}"),
			}},
		},
	},
	{
		Section: "RFC 9110 §15.4.5", Level: Should,
		Rule:   "Forward a 304 to a client that sent a conditional request.",
		KeptBy: []string{"a 304 to the cache is a 304 to a client that has the same version", "preconditions for a resource known to be uncacheable are forwarded"},
	},
	{
		Section: "RFC 9110 §15.4.5, §6.4.1", Level: Must,
		Rule:   "A 304 has no content.",
		KeptBy: []string{"an entity tag that matches is a 304"},
	},
	{
		Section: "RFC 9110 §8.8.2, §8.8.3", Level: Must,
		Rule: "Forward validators as the origin sent them.",
		Cases: []Case{
			storesField("a strong entity tag stays strong", `ETag: "a\b"`),
			storesField("an ETag that is not an entity tag is forwarded", "ETag: abc"),
			storesField("a Last-Modified that is not a date is forwarded", "Last-Modified: once upon a time"),
		},
	},
}

// conditional shows whether a precondition gets a 304 from a stored response with ETag "a" that was
// last modified 1000 s ago.
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
