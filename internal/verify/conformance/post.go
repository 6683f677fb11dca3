package conformance

// postRules: POST (RFC 9110 §9.3.3).
var postRules = []Requirement{
	{
		Section: "RFC 9110 §9.3.3", Level: May,
		Rule: "A response to POST with explicit freshness, and a Content-Location equal to the target URI, serves later GET and HEAD requests.",
		Cases: []Case{
			servesLater("a POST response serves a later GET", "Cache-Control: max-age=3600", "Content-Location: {path}"),
			servesLater("a POST response with an absolute Content-Location serves a later GET", "Cache-Control: max-age=3600", "Content-Location: {url}"),
			servesLater("a POST response with s-maxage serves a later GET", "Cache-Control: s-maxage=3600", "Content-Location: {path}"),
			servesLater("a POST response with Expires serves a later GET", "Expires: {now+3600}", "Content-Location: {path}"),
			{Name: "a POST response serves a later HEAD", Steps: []Step{
				send("POST").answered(200, "Cache-Control: max-age=3600", "Content-Location: {path}", "X-Test: 1"),
				head().reuses(0, "X-Test: 1"),
			}},
			{Name: "a POST response replaces a stored GET", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600"),
				send("POST").answered(200, "Cache-Control: max-age=3600", "Content-Location: {path}"),
				get().reuses(1),
			}},
		},
	},
	{
		Section: "RFC 9110 §9.3.3", Level: MustNot,
		Rule: "No other response to POST is reused.",
		Cases: []Case{
			servesNothing("a POST response without Content-Location serves nothing", "Cache-Control: max-age=3600"),
			servesNothing("a POST response with another Content-Location serves nothing", "Cache-Control: max-age=3600", "Content-Location: {path}/other"),
			servesNothing("a POST response with the Content-Location of another host serves nothing", "Cache-Control: max-age=3600", "Content-Location: http://other.example{path}"),
			servesNothing("a POST response without freshness serves nothing", "Content-Location: {path}", "Last-Modified: {now-100000}"),
			servesNothing("a POST response that is stale serves nothing", "Cache-Control: max-age=0", "Content-Location: {path}"),
			servesNothing("a POST response with no-store serves nothing", "Cache-Control: no-store, max-age=3600", "Content-Location: {path}"),
			servesNothing("a POST response with private serves nothing", "Cache-Control: private, max-age=3600", "Content-Location: {path}"),
			{Name: "a POST response with Content-Location serves nothing at the other URI", Steps: []Step{
				send("POST").answered(200, "Cache-Control: max-age=3600", "Content-Location: {path}/other"),
				get().at("/other").answered(200),
			}},
			{Name: "a PUT response serves nothing", Steps: []Step{
				send("PUT").answered(200, "Cache-Control: max-age=3600", "Content-Location: {path}"),
				get().answered(200),
			}},
		},
	},
	{
		Section: "RFC 9110 §9.3.3, RFC 9111 §4", Level: MustNot,
		Rule: "No POST is answered from the cache.",
		Cases: []Case{
			{Name: "a POST is not answered by a stored POST response", Steps: []Step{
				send("POST").answered(200, "Cache-Control: max-age=3600", "Content-Location: {path}"),
				send("POST").answered(200, "Cache-Control: max-age=3600", "Content-Location: {path}"),
				get().reuses(1),
			}},
		},
	},
}

func servesLater(name string, header ...string) Case {
	return Case{Name: name, Steps: []Step{
		{Method: "POST", Body: "question", Answer: &Answer{Header: header}},
		get().reuses(0),
	}}
}

func servesNothing(name string, header ...string) Case {
	return Case{Name: name, Steps: []Step{
		{Method: "POST", Body: "question", Answer: &Answer{Header: header}},
		get().answered(200),
	}}
}
