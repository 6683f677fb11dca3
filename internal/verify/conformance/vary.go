package conformance

// varyRules are about which of a resource's responses a request gets (RFC 9111 §4.1).
var varyRules = []Requirement{
	{
		Section: "RFC 9111 §4.1", Level: MustNot,
		Rule: "Do not reuse a response for a request that differs in a field named by Vary.",
		Cases: []Case{
			varies("one field", "Vary: X-A", Lines{"X-A: 1"}, Lines{"X-A: 2"}),
			varies("a field's case-sensitive value", "Vary: X-A", Lines{"X-A: a"}, Lines{"X-A: A"}),
			varies("the second of two fields", "Vary: X-A, X-B", Lines{"X-A: 1", "X-B: 1"}, Lines{"X-A: 1", "X-B: 2"}),
			varies("the last of three fields", "Vary: X-A, X-B, X-C", Lines{"X-A: 1", "X-B: 1", "X-C: 1"}, Lines{"X-A: 1", "X-B: 1", "X-C: 2"}),
			varies("values in exchanged fields", "Vary: X-A, X-B", Lines{"X-A: 1", "X-B: 2"}, Lines{"X-A: 2", "X-B: 1"}),
			varies("the order of a field's values", "Vary: X-A", Lines{"X-A: 1, 2"}, Lines{"X-A: 2, 1"}),
			varies("the number of a field's values", "Vary: X-A", Lines{"X-A: 1"}, Lines{"X-A: 1", "X-A: 1"}),
			varies("Accept-Encoding", "Vary: Accept-Encoding", Lines{"Accept-Encoding: gzip"}, Lines{"Accept-Encoding: br"}),
			varies("the refusal of identity", "Vary: Accept-Encoding", Lines{"Accept-Encoding: gzip"}, Lines{"Accept-Encoding: gzip, identity;q=0"}),
			varies("Accept-Language", "Vary: Accept-Language", Lines{"Accept-Language: de"}, Lines{"Accept-Language: fr"}),
			varies("the q-values of Accept-Language", "Vary: Accept-Language", Lines{"Accept-Language: de, en;q=0.5"}, Lines{"Accept-Language: de;q=0.5, en"}),
			varies("the order of Accept-Language", "Vary: Accept-Language", Lines{"Accept-Language: en, de"}, Lines{"Accept-Language: de, en"}),
			varies("the case of Accept-Language", "Vary: Accept-Language", Lines{"Accept-Language: en, DE"}, Lines{"Accept-Language: EN, de"}),
			varies("the spelling of a weight", "Vary: Accept-Language", Lines{"Accept-Language: en;q=0.5"}, Lines{"Accept-Language: en;q=0.50"}),
			varies("the order of Accept-Encoding", "Vary: Accept-Encoding", Lines{"Accept-Encoding: gzip, br"}, Lines{"Accept-Encoding: br, gzip"}),
			varies("a refused coding", "Vary: Accept-Encoding", Lines{"Accept-Encoding: gzip"}, Lines{"Accept-Encoding: gzip, br;q=0"}),
			varies("the split into lines", "Vary: X-A", Lines{"X-A: 1, 2"}, Lines{"X-A: 1", "X-A: 2"}),
			varies("whitespace around commas", "Vary: X-A", Lines{"X-A: 1,2"}, Lines{"X-A: 1, 2"}),
			varies("Cookie", "Vary: Cookie", Lines{"Cookie: a=1"}, Lines{"Cookie: a=2"}),
			varies("User-Agent", "Vary: User-Agent", Lines{"User-Agent: a"}, Lines{"User-Agent: b"}),
			varies("Origin", "Vary: Origin", Lines{"Origin: http://a.example"}, Lines{"Origin: http://b.example"}),
			varies("the spacing of User-Agent", "Vary: User-Agent", Lines{"User-Agent: a, b"}, Lines{"User-Agent: a,b"}),
			varies("the spacing of Cookie", "Vary: Cookie", Lines{"Cookie: a=1, b"}, Lines{"Cookie: a=1,b"}),
			varies("the spacing of Origin", "Vary: Origin", Lines{"Origin: http://a.example, x"}, Lines{"Origin: http://a.example,x"}),
			varies("the spacing of Referer", "Vary: Referer", Lines{"Referer: http://a.example/?x, y"}, Lines{"Referer: http://a.example/?x,y"}),
			varies("the spacing in a quoted string", "Vary: X-A", Lines{`X-A: "a, b"`}, Lines{`X-A: "a,b"`}),
			varies("the spacing in a quoted string with an escaped quote", "Vary: X-A", Lines{`X-A: "\"a, b"`}, Lines{`X-A: "\"a,b"`}),
			varies("a field named in another case", "Vary: x-a", Lines{"X-A: 1"}, Lines{"X-A: 2"}),
			{Name: "Vary in two lines names the fields of both", Steps: []Step{
				get("X-A: 1", "X-B: 1").answered(200, "Cache-Control: max-age=3600", "Vary: X-A", "Vary: X-B"),
				get("X-A: 1", "X-B: 2").answered(200, "Cache-Control: max-age=3600", "Vary: X-A", "Vary: X-B"),
				get("X-A: 2", "X-B: 1").answered(200, "Cache-Control: max-age=3600", "Vary: X-A", "Vary: X-B"),
				get("X-A: 1", "X-B: 1").reuses(0),
			}},
		},
	},
	{
		Section: "RFC 9111 §4.1", Level: Must,
		Rule: "An absent field matches only a request in which it is absent too.",
		Cases: []Case{
			varies("the absence of a field", "Vary: X-A", Lines{"X-A: 1"}, nil),
			varies("the presence of a field", "Vary: X-A", nil, Lines{"X-A: 1"}),
			varies("an empty field and no field", "Vary: X-A", Lines{"X-A:"}, nil),
			varies("the absence of one field of two", "Vary: X-A, X-B", Lines{"X-A: 1", "X-B: 1"}, Lines{"X-A: 1"}),
			matches("an absent field matches its absence", "Vary: X-A", nil, nil),
			matches("two absent fields match their absence", "Vary: X-A, X-B", Lines{"X-C: 1"}, Lines{"X-C: 2"}),
		},
	},
	{
		Section: "RFC 9111 §4.1", Level: Must,
		Rule: "Reuse a response for requests that have the same lines in every field that Vary names.",
		Cases: []Case{
			matches("one field matches", "Vary: X-A", Lines{"X-A: 1"}, Lines{"X-A: 1"}),
			matches("two fields match", "Vary: X-A, X-B", Lines{"X-A: 1", "X-B: 2"}, Lines{"X-B: 2", "X-A: 1"}),
			matches("three fields match in any order of Vary", "Vary: X-C, X-A, X-B", Lines{"X-A: 1", "X-B: 2", "X-C: 3"}, Lines{"X-C: 3", "X-B: 2", "X-A: 1"}),
			matches("a field that Vary does not name is not compared", "Vary: X-A", Lines{"X-A: 1", "X-B: 1"}, Lines{"X-A: 1", "X-B: 2"}),
			matches("a field that Vary names twice counts once", "Vary: X-A, x-a", Lines{"X-A: 1"}, Lines{"X-A: 1"}),
			matches("an empty Vary names nothing", "Vary:", Lines{"X-A: 1"}, Lines{"X-A: 2"}),
			matches("two lines of a field match", "Vary: X-A", Lines{"X-A: 1", "X-A: 2"}, Lines{"X-A: 1", "X-A: 2"}),
		},
	},
	{
		Section: "RFC 9111 §4.1", Level: May,
		Rule:    "Treat fields as equal that differ in whitespace, in how lines are split, or in ways that their specification calls equal.",
		NotKept: "if an origin treats such fields as different, one client could make the cache give its answer to another. The owner can define classes with Config.Normalize",
	},
	{
		Section: "RFC 9111 §4.1", Level: Must,
		Rule: `A Vary with a member "*" matches no request.`,
		Cases: []Case{
			matchesNothing("Vary: * matches nothing", "Vary: *"),
			matchesNothing("Vary: *, * matches nothing", "Vary: *, *"),
			matchesNothing("* first matches nothing", "Vary: *, X-A"),
			matchesNothing("* last matches nothing", "Vary: X-A, *"),
			matchesNothing("* between matches nothing", "Vary: X-A,*,X-B"),
			matchesNothing("* after an empty member matches nothing", "Vary: , *"),
			matchesNothing("* in a second line matches nothing", "Vary: X-A", "Vary: *"),
		},
	},
	{
		Section: "RFC 9111 §4.1", Level: Ours,
		Rule: "Store several variants of a resource at the same time.",
		Cases: []Case{
			{Name: "variants do not replace each other", Steps: []Step{
				get("X-A: 1").answered(200, "Cache-Control: max-age=3600", "Vary: X-A"),
				get("X-A: 2").answered(200, "Cache-Control: max-age=3600", "Vary: X-A"),
				get().answered(200, "Cache-Control: max-age=3600", "Vary: X-A"),
				get("X-A: 1").reuses(0),
				get("X-A: 2").reuses(1),
				get().reuses(2),
			}},
			{Name: "a new answer for one variant does not change the other", Steps: []Step{
				get("X-A: 1").answered(200, "Cache-Control: max-age=3600", "Vary: X-A"),
				get("X-A: 2").answered(200, "Cache-Control: max-age=3600", "Vary: X-A"),
				get("X-A: 1", "Cache-Control: no-cache").answered(200, "Cache-Control: max-age=3600", "Vary: X-A"),
				get("X-A: 1").reuses(2),
				get("X-A: 2").reuses(1),
			}},
			{Name: "a Vary with more fields makes responses stored with fewer unreachable", Steps: []Step{
				get("X-A: 1", "X-B: 1").answered(200, "Cache-Control: max-age=3600", "Vary: X-A"),
				get("X-A: 2", "X-B: 1").answered(200, "Cache-Control: max-age=3600", "Vary: X-A, X-B"),
				get("X-A: 2", "X-B: 2").answered(200, "Cache-Control: max-age=3600", "Vary: X-A, X-B"),
				get("X-A: 2", "X-B: 1").reuses(1),
				get("X-A: 2", "X-B: 2").reuses(2),
			}},
			{Name: "a 404 can be a variant", Steps: []Step{
				get("X-A: 1").answered(200, "Cache-Control: max-age=3600", "Vary: X-A"),
				get("X-A: 2").answered(404, "Cache-Control: max-age=3600", "Vary: X-A"),
				get("X-A: 2").reuses(1),
				get("X-A: 1").reuses(0),
			}},
			{Name: "HEAD gets the same variant as GET", Steps: []Step{
				get("X-A: 1").answered(200, "Cache-Control: max-age=3600", "Vary: X-A", "X-Which: 1"),
				get("X-A: 2").answered(200, "Cache-Control: max-age=3600", "Vary: X-A", "X-Which: 2"),
				head("X-A: 1").reuses(0, "X-Which: 1"),
				head("X-A: 2").reuses(1, "X-Which: 2"),
			}},
		},
	},
	{
		Section: "RFC 9111 §4.1", Level: May,
		Rule:    "Choose among the stored variants by the request's preferences.",
		NotKept: "preferences can only rank responses that match, and in Cirque at most one variant matches a request",
	},
	{
		Section: "RFC 9111 §4.1", Level: Ours,
		Rule: "A response for another Accept-Language is not selected even if its language is preferred.",
		Cases: []Case{
			{Name: "a stored variant in the preferred language is not selected for its language", Steps: []Step{
				get("Accept-Language: en, <script>").answered(200, "Cache-Control: max-age=3600", "Vary: Accept-Language", "Content-Language: en"),
				get("Accept-Language: en").answered(200, "Cache-Control: max-age=3600", "Vary: Accept-Language", "Content-Language: en"),
				get("Accept-Language: en;q=0.8, de;q=0.3").answered(200, "Cache-Control: max-age=3600", "Vary: Accept-Language", "Content-Language: en"),
				get("Accept-Language: en").reuses(1),
			}},
		},
	},
	{
		Section: "RFC 9111 §4, §4.1", Level: Must,
		Rule:   "If several responses match equally, choose the most recent.",
		KeptBy: []string{"a newer response replaces an older one"},
	},
	{
		Section: "RFC 9111 §4.1", Level: Should,
		Rule: "Of responses with and without Vary, choose the most recent with a valid Vary.",
		Cases: []Case{
			{Name: "a response with Vary is chosen over an older one without", Steps: []Step{
				get("X-A: 1").answered(200, "Cache-Control: max-age=3600"),
				get("X-A: 1", "Cache-Control: no-cache").answered(200, "Cache-Control: max-age=3600", "Vary: X-A"),
				get("X-A: 1").reuses(1),
				get("X-A: 2").answered(200, "Cache-Control: max-age=3600", "Vary: X-A"),
			}},
		},
	},
}

// varies shows that requests with two different headers get different responses.
func varies(name, line string, a, b Lines) Case {
	answer := Answer{Header: Lines{"Cache-Control: max-age=3600", line}}
	return Case{Name: "variants differ by " + name, Steps: []Step{
		{Header: a, Answer: &answer},
		{Header: b, Answer: &answer},
		{Header: a, Sees: Sees{from: 1}},
		{Header: b, Sees: Sees{from: 2}},
	}}
}

// matches shows that requests with two headers get the same response.
func matches(name, line string, a, b Lines) Case {
	return Case{Name: name, Steps: []Step{
		{Header: a, Answer: &Answer{Header: Lines{"Cache-Control: max-age=3600", line}}},
		{Header: b, Sees: Sees{from: 1}},
	}}
}

// matchesNothing shows that not even the same request gets the response again.
func matchesNothing(name string, vary ...string) Case {
	header := append([]string{"Cache-Control: max-age=3600"}, vary...)
	return Case{Name: name, Steps: []Step{
		get("X-A: 1").answered(200, header...),
		get("X-A: 1").answered(200, header...),
	}}
}
