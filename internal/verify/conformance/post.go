package conformance

// postRules are about POST (RFC 9110 §9.3.3).
var postRules = []Requirement{
	{
		Section: "RFC 9110 §9.3.3", Level: May,
		Rule: "Use a response to POST with explicit freshness and a Content-Location equal to the target URI to answer later GET and HEAD requests.",
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
		Rule: "Do not reuse any other response to POST.",
		Cases: []Case{
			servesNothing("a POST response without Content-Location is not reused", "Cache-Control: max-age=3600"),
			servesNothing("a POST response with another Content-Location is not reused", "Cache-Control: max-age=3600", "Content-Location: {path}/other"),
			servesNothing("a POST response with the Content-Location of another host is not reused", "Cache-Control: max-age=3600", "Content-Location: http://other.example{path}"),
			servesNothing("a POST response without freshness is not reused", "Content-Location: {path}", "Last-Modified: {now-100000}"),
			servesNothing("a POST response that is stale is not reused", "Cache-Control: max-age=0", "Content-Location: {path}"),
			servesNothing("a POST response with no-store is not reused", "Cache-Control: no-store, max-age=3600", "Content-Location: {path}"),
			servesNothing("a POST response with private is not reused", "Cache-Control: private, max-age=3600", "Content-Location: {path}"),
			{Name: "a POST response with another Content-Location is not reused at that URI", Steps: []Step{
				send("POST").answered(200, "Cache-Control: max-age=3600", "Content-Location: {path}/other"),
				get().at("/other").answered(200),
			}},
			{Name: "a PUT response is not reused", Steps: []Step{
				send("PUT").answered(200, "Cache-Control: max-age=3600", "Content-Location: {path}"),
				get().answered(200),
			}},
		},
	},
	{
		Section: "RFC 9110 §9.3.3, RFC 9111 §4", Level: MustNot,
		Rule: "Do not answer POST from the cache.",
		Cases: []Case{
			{Name: "a POST is not answered by a stored POST response", Steps: []Step{
				send("POST").answered(200, "Cache-Control: max-age=3600", "Content-Location: {path}"),
				send("POST").answered(200, "Cache-Control: max-age=3600", "Content-Location: {path}"),
				get().reuses(1),
			}},
		},
	},
}

// servesLater shows that the response to a POST answers a later GET.
func servesLater(name string, header ...string) Case {
	return Case{Name: name, Steps: []Step{
		{Method: "POST", Body: "question", Answer: &Answer{Header: header}},
		get().reuses(0),
	}}
}

// servesNothing shows that the response to a POST does not answer a later GET.
func servesNothing(name string, header ...string) Case {
	return Case{Name: name, Steps: []Step{
		{Method: "POST", Body: "question", Answer: &Answer{Header: header}},
		get().answered(200),
	}}
}
