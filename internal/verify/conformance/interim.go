package conformance

// interimRules are about 1xx responses (RFC 9110 §15.2).
var interimRules = []Requirement{
	{
		Section: "RFC 9110 §15.2", Level: Must,
		Rule: "Forward interim responses, in their order.",
		Cases: []Case{
			interims("a 103 is forwarded", Interim{103, Lines{"Link: </a>; rel=preload"}}),
			interims("a 102 is forwarded", Interim{102, nil}),
			interims("several interim responses are forwarded in order", Interim{102, nil}, Interim{103, Lines{"Link: </a>"}}, Interim{103, Lines{"Link: </b>", "Link: </c>"}}),
			interims("an unknown interim response is forwarded", Interim{150, Lines{"X-Test: 1"}}),
			{Name: "an interim response before an uncacheable answer is forwarded", Steps: []Step{
				{
					Answer: &Answer{Header: Lines{"Cache-Control: no-store"}, Interim: []Interim{{103, Lines{"Link: </a>"}}}},
					Sees:   Sees{Interim: []Interim{{103, Lines{"Link: </a>"}}}},
				},
			}},
			{Name: "an interim response to POST is forwarded", Steps: []Step{
				{
					Method: "POST", Body: "x",
					Answer: &Answer{Interim: []Interim{{103, Lines{"Link: </a>"}}}},
					Sees:   Sees{Interim: []Interim{{103, Lines{"Link: </a>"}}}},
				},
			}},
		},
	},
	{
		Section: "RFC 9111 §3", Level: MustNot,
		Rule: "Do not store a response that is not final.",
		Cases: []Case{
			interimNotStored("103 is not stored", Interim{103, Lines{"Link: </a>", "Cache-Control: max-age=3600"}}),
			interimNotStored("102 is not stored", Interim{102, Lines{"Cache-Control: max-age=3600"}}),
		},
	},
	{
		Section: "RFC 9110 §15.2", Level: Ours,
		Rule: "The fields of an interim response are not part of the final response.",
		Cases: []Case{
			{Name: "the fields of an interim response are not in the final one", Steps: []Step{
				{
					Answer: &Answer{Header: Lines{"Cache-Control: max-age=3600"}, Interim: []Interim{{103, Lines{"X-Early: 1", "Cache-Control: no-store"}}}},
					Sees:   Sees{Header: Lines{"-X-Early", "Cache-Control: max-age=3600"}, Interim: []Interim{{103, Lines{"X-Early: 1"}}}},
				},
				get().reuses(0, "-X-Early", "Cache-Control: max-age=3600"),
			}},
		},
	},
}

// interims shows that interim responses reach the client, once, and that the final response is
// stored.
func interims(name string, all ...Interim) Case {
	return Case{Name: name, Steps: []Step{
		{
			Answer: &Answer{Header: Lines{"Cache-Control: max-age=3600"}, Interim: all},
			Sees:   Sees{Interim: all},
		},
		get().reuses(0),
	}}
}

// interimNotStored shows that an interim response before an uncacheable final response is not
// stored.
func interimNotStored(name string, interim Interim) Case {
	return Case{Name: name, Steps: []Step{
		{
			Answer: &Answer{Header: Lines{"Cache-Control: no-store"}, Interim: []Interim{interim}},
			Sees:   Sees{Interim: []Interim{interim}},
		},
		get().answered(200, "Cache-Control: no-store"),
	}}
}
