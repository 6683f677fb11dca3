package conformance

import (
	"fmt"
	"strconv"
)

// invalidationRules are about what unsafe requests invalidate (RFC 9111 §4.4).
var invalidationRules = []Requirement{
	{
		Section: "RFC 9111 §4.4", Level: Must,
		Rule: "Invalidate the target URI on a non-error response to an unsafe method. An unknown method counts as unsafe.",
		Cases: append(append(invalidatingMethods("POST", "PUT", "DELETE", "PATCH", "M-SEARCH", "PROPPATCH", "FROBNICATE"),
			statuses(func(status int) Case {
				return Case{Name: fmt.Sprintf("a %d to POST invalidates", status), Steps: []Step{
					get().answered(200, "Cache-Control: max-age=3600"),
					send("POST").answered(status, "Location: /elsewhere"),
					get().answered(200, "Cache-Control: max-age=3600"),
				}}
			}, 200, 201, 202, 204, 299, 301, 302, 303, 307, 399)...),
			Case{Name: "an unsafe request invalidates all variants", Steps: []Step{
				get("X-A: 1").answered(200, "Cache-Control: max-age=3600", "Vary: X-A"),
				get("X-A: 2").answered(200, "Cache-Control: max-age=3600", "Vary: X-A"),
				send("POST", "X-A: 3").answered(204),
				get("X-A: 1").answered(200, "Cache-Control: max-age=3600", "Vary: X-A"),
				get("X-A: 2").answered(200, "Cache-Control: max-age=3600", "Vary: X-A"),
			}},
			Case{Name: "an unsafe request invalidates a response that could be served stale", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600, stale-if-error=3600, stale-while-revalidate=3600"),
				send("POST").answered(204),
				get().answered(503),
			}},
			Case{Name: "an unsafe request with a query invalidates only that URL", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600"),
				get().at("?a=1").answered(200, "Cache-Control: max-age=3600"),
				send("POST").at("?a=1").answered(204),
				get().reuses(0),
				get().at("?a=1").answered(200),
			}},
			Case{Name: "an unsafe request invalidates whatever its directives", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600"),
				send("POST", "Cache-Control: no-store").answered(204, "Cache-Control: no-store"),
				get().answered(200),
			}},
			Case{Name: "a response is stored again after an invalidation", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600"),
				send("POST").answered(204),
				get().answered(200, "Cache-Control: max-age=3600"),
				get().reuses(2),
			}},
		),
	},
	{
		Section: "RFC 9111 §4.4", Level: Must,
		Rule: "Do not invalidate on an error or on a safe method.",
		Cases: append(statuses(func(status int) Case {
			return Case{Name: "a " + strconv.Itoa(status) + " to POST invalidates nothing", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600"),
				send("POST").answered(status, "Location: {path}"),
				get().reuses(0),
			}}
		}, 400, 403, 404, 409, 412, 500, 503, 599),
			Case{Name: "a POST without an answer invalidates nothing", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600"),
				{Method: "POST", Body: "x", Answer: &Answer{Dead: true}, Sees: Sees{Fails: true}},
				get().reuses(0),
			}},
			Case{Name: "a GET with Location invalidates nothing", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600"),
				get().at("/x").answered(201, "Location: {path}", "Content-Location: {path}"),
				get().reuses(0),
			}},
			Case{Name: "HEAD and OPTIONS invalidate nothing", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600"),
				send("OPTIONS").answered(200, "Location: {path}"),
				head().reuses(0),
				get().reuses(0),
			}},
		),
	},
	{
		Section: "RFC 9111 §4.4", Level: May,
		Rule: "Invalidate the URIs in Location and Content-Location if they have the same origin.",
		Cases: []Case{
			alsoInvalidates("a relative Location", "Location: {path}/other"),
			alsoInvalidates("an absolute Location", "Location: {url}/other"),
			alsoInvalidates("a Location without a scheme", "Location: //{host}{path}/other"),
			alsoInvalidates("a Location relative to the path", "Location: other"),
			alsoInvalidates("a Location with dot segments", "Location: x/../other"),
			alsoInvalidates("a Location with a fragment", "Location: {path}/other#part"),
			alsoInvalidates("a relative Content-Location", "Content-Location: {path}/other"),
			alsoInvalidates("an absolute Content-Location", "Content-Location: {url}/other"),
			{Name: "a Location with a query invalidates the URL with that query", Steps: []Step{
				get().at("/other?a=b").answered(200, "Cache-Control: max-age=3600"),
				send("POST").at("/form").answered(303, "Location: other?a=b"),
				get().at("/other?a=b").answered(200),
			}},
			{Name: "Location and Content-Location are both invalidated, and the target", Steps: []Step{
				get().at("/a").answered(200, "Cache-Control: max-age=3600"),
				get().at("/b").answered(200, "Cache-Control: max-age=3600"),
				get().at("/c").answered(200, "Cache-Control: max-age=3600"),
				send("PUT").at("/c").answered(201, "Location: a", "Content-Location: b"),
				get().at("/a").answered(200),
				get().at("/b").answered(200),
				get().at("/c").answered(200),
			}},
			{Name: "an invalid Location invalidates nothing but the target", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600"),
				send("POST").at("/form").answered(201, "Location: http://[::1", "Content-Location: %zz"),
				get().reuses(0),
			}},
		},
	},
	{
		Section: "RFC 9111 §4.4", Level: MustNot,
		Rule: "Do not invalidate URIs of another origin.",
		Cases: []Case{
			otherOrigin("a Location at another host", "Location: http://other.example{path}"),
			otherOrigin("a Content-Location at another host", "Content-Location: http://other.example{path}"),
			otherOrigin("a Location without a scheme at another host", "Location: //other.example{path}"),
			{Name: "a Location with another port invalidates nothing there", Steps: []Step{
				{Host: "other.example:81", Answer: &Answer{Header: Lines{"Cache-Control: max-age=3600"}}},
				{Method: "POST", Host: "other.example", Path: "/form", Answer: &Answer{Status: 201, Header: Lines{"Location: http://other.example:81{path}"}}},
				{Host: "other.example:81", Sees: Sees{from: 1}},
			}},
		},
	},
}

// invalidatingMethods shows for each method that it invalidates its target.
func invalidatingMethods(methods ...string) []Case {
	var all []Case
	for _, m := range methods {
		all = append(all, Case{Name: m + " invalidates", Steps: []Step{
			get().answered(200, "Cache-Control: max-age=3600"),
			send(m).answered(200),
			get().answered(200, "Cache-Control: max-age=3600"),
		}})
	}
	return all
}

// alsoInvalidates shows that a field in the answer to a POST at /form invalidates the response that
// is stored at /other.
func alsoInvalidates(what, line string) Case {
	return Case{Name: what + " is invalidated", Steps: []Step{
		get().at("/other").answered(200, "Cache-Control: max-age=3600"),
		send("POST").at("/form").answered(201, line),
		get().at("/other").answered(200),
	}}
}

// otherOrigin shows that a field in the answer to a POST does not invalidate the response that is
// stored for another host.
func otherOrigin(what, line string) Case {
	return Case{Name: what + " is not invalidated", Steps: []Step{
		{Host: "other.example", Answer: &Answer{Header: Lines{"Cache-Control: max-age=3600"}}},
		send("POST").at("/form").answered(201, line),
		{Host: "other.example", Sees: Sees{from: 1}},
	}}
}
