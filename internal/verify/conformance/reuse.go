package conformance

// reuseRules are about when a stored response answers a request (RFC 9111 §4, §5.2.2).
var reuseRules = []Requirement{
	{
		Section: "RFC 9111 §4", Level: MustNot,
		Rule: "Do not reuse a response for another target URI.",
		Cases: []Case{
			differs("another path is another resource", "/a", "/b"),
			differs("a path in other letter case is another resource", "/a", "/A"),
			differs("a path with a trailing slash is another resource", "/a", "/a/"),
			differs("another query is another resource", "?a=1", "?a=2"),
			differs("a URL with a query and one without are two resources", "/a", "/a?x"),
			differs("a URL with an empty query and one without are two resources", "/a", "/a?"),
			differs("the order of query parameters counts", "?a=1&b=2", "?b=2&a=1"),
			differs("an escaped question mark does not begin a query", "/a%3Fx=1", "/a?x=1"),
			differs("an escaped slash is not a slash", "/a%2Fb", "/a/b"),
			differs("a repeated parameter makes another query", "?a=1", "?a=1&a=1"),
			{Name: "the same query is the same resource", Steps: []Step{
				get().at("?a=1&b=%20").answered(200, "Cache-Control: max-age=3600"),
				get().at("?a=1&b=%20").reuses(0),
			}},
			{Name: "another host is another resource", Steps: []Step{
				{Host: "a.example", Answer: &Answer{Header: Lines{"Cache-Control: max-age=3600"}}},
				{Host: "b.example", Answer: &Answer{Header: Lines{"Cache-Control: max-age=3600"}}},
				{Host: "a.example", Sees: Sees{Body: "answer 0\n"}},
				{Host: "b.example", Sees: Sees{Body: "answer 1\n"}},
			}},
			{Name: "another port is another resource", Steps: []Step{
				{Host: "a.example:81", Answer: &Answer{Header: Lines{"Cache-Control: max-age=3600"}}},
				{Host: "a.example:82", Answer: &Answer{Header: Lines{"Cache-Control: max-age=3600"}}},
			}},
			{Name: "X-Forwarded-Host does not lead to another resource", Steps: []Step{
				get("X-Forwarded-Host: evil.example").answered(200, "Cache-Control: max-age=3600"),
				get().reuses(0),
			}},
		},
	},
	{
		Section: "RFC 9111 §4", Level: MustNot,
		Rule: "Do not reuse a response if its method does not allow that for the request's method.",
		Cases: []Case{
			{Name: "a stored GET does not answer OPTIONS", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600"),
				send("OPTIONS").answered(200),
				get().reuses(0),
			}},
			{Name: "the answer to HEAD does not answer GET", Steps: []Step{
				head().answered(200, "Cache-Control: max-age=3600"),
				get().answered(200, "Cache-Control: max-age=3600"),
				get().reuses(1),
			}},
		},
		KeptBy: []string{"PUT is not stored", "FROBNICATE is not stored"},
	},
	{
		Section: "RFC 9111 §4", Level: Must,
		Rule:  "Forward unsafe requests to the origin.",
		Cases: append(writeThrough("POST", "PUT", "DELETE", "PATCH"), writeThrough("FROBNICATE", "M-SEARCH")...),
	},
	{
		Section: "RFC 9111 §4, §5.2.2.4", Level: MustNot,
		Rule: "Do not reuse a response with no-cache without a successful validation.",
		Cases: []Case{
			validated("no-cache is validated", "Cache-Control: no-cache"),
			validated("no-cache is validated although fresh", "Cache-Control: no-cache, max-age=3600"),
			validated("No-Cache is no-cache", "Cache-Control: max-age=3600, No-Cache"),
			validated("no-cache in a second line counts", "Cache-Control: max-age=3600", "Cache-Control: no-cache"),
			validated("no-cache with Expires is validated", "Cache-Control: no-cache", "Expires: {now+3600}"),
			notReused("a response with no-cache and no validator is fetched anew", "Cache-Control: no-cache, max-age=3600"),
			{Name: "no-cache is validated at every use", Steps: []Step{
				get().answered(200, "Cache-Control: no-cache", `ETag: "a"`),
				get().answered(304, `ETag: "a"`).asked(`If-None-Match: "a"`).reuses(0),
				get().answered(304, `ETag: "a"`).asked(`If-None-Match: "a"`).reuses(0),
			}},
			{Name: "a response with no-cache is not served for max-stale", Steps: []Step{
				get().answered(200, "Cache-Control: no-cache, max-age=3600", `ETag: "a"`),
				get("Cache-Control: max-stale=3600").answered(304).asked(`If-None-Match: "a"`).reuses(0),
			}},
			{Name: "a response with no-cache is not served on an error", Steps: []Step{
				get().answered(200, "Cache-Control: no-cache, stale-if-error=3600", `ETag: "a"`),
				get().answered(503),
			}},
			{Name: "a response with no-cache is not served while it is revalidated", Steps: []Step{
				get().answered(200, "Cache-Control: no-cache, stale-while-revalidate=3600", `ETag: "a"`),
				get().answered(304).asked(`If-None-Match: "a"`).reuses(0),
			}},
			{Name: "a response with no-cache is not served if the origin is unreachable", Steps: []Step{
				get().answered(200, "Cache-Control: no-cache, max-age=3600", `ETag: "a"`),
				get().dead().fails(),
			}},
			{Name: "no-cache in a 304 counts from then on", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 61", `ETag: "a"`),
				get().answered(304, "Cache-Control: no-cache, max-age=3600", `ETag: "a"`).reuses(0),
				get().answered(304, `ETag: "a"`).asked(`If-None-Match: "a"`).reuses(0),
			}},
			reused("a directive whose name begins with no-cache is a different one", "Cache-Control: max-age=3600, no-cached"),
		},
	},
	{
		Section: "RFC 9111 §4", Level: MustNot,
		Rule: "Do not reuse a response that is not fresh, may not be served stale and is not validated.",
		Cases: []Case{
			validated("a stale response is validated", "Cache-Control: max-age=60", "Age: 61"),
			notReused("a stale response without a validator is fetched anew", "Cache-Control: max-age=60", "Age: 61"),
			{Name: "a response without freshness is validated", Steps: []Step{
				get().answered(200, `ETag: "a"`),
				get().answered(304).asked(`If-None-Match: "a"`).reuses(0),
			}},
		},
	},
	{
		Section: "RFC 9111 §5.2.2.2", Level: MustNot,
		Rule: "Do not reuse a stale response with must-revalidate without validation, even if the origin is unreachable.",
		Cases: []Case{
			reused("must-revalidate is reused while fresh", "Cache-Control: max-age=3600, must-revalidate"),
			validated("must-revalidate is validated when stale", "Cache-Control: max-age=60, must-revalidate", "Age: 61"),
			{Name: "must-revalidate forbids stale for max-stale", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, must-revalidate", "Age: 61", `ETag: "a"`),
				get("Cache-Control: max-stale").answered(304).asked(`If-None-Match: "a"`).reuses(0),
			}},
			{Name: "must-revalidate forbids stale on an error", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, must-revalidate, stale-if-error=3600", "Age: 61"),
				get().answered(503),
			}},
			{Name: "must-revalidate forbids stale while revalidating", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, must-revalidate, stale-while-revalidate=3600", "Age: 61", `ETag: "a"`),
				get().answered(304).asked(`If-None-Match: "a"`).reuses(0),
			}},
		},
	},
	{
		Section: "RFC 9111 §5.2.2.2", Level: Must,
		Rule: "With must-revalidate and an unreachable origin, answer with an error.",
		Cases: []Case{
			{Name: "a stale response with must-revalidate and an unreachable origin is an error", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, must-revalidate", "Age: 61"),
				get().dead().fails(),
			}},
			{Name: "a stale response with must-revalidate and an unreachable origin is an error despite stale-if-error", Setup: staleOnError, Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, must-revalidate, stale-if-error=3600", "Age: 61"),
				get().dead().fails(),
			}},
		},
	},
	{
		Section: "RFC 9111 §5.2.2.2", Level: Should,
		Rule:   "Make that error a 504, unless another status fits better.",
		KeptBy: []string{"a stale response with must-revalidate and an unreachable origin is an error"},
	},
	{
		Section: "RFC 9111 §5.2.2.8", Level: MustNot,
		Rule: "In a shared cache, do not reuse a stale response with proxy-revalidate without validation.",
		Cases: []Case{
			reused("proxy-revalidate is reused while fresh", "Cache-Control: max-age=3600, proxy-revalidate"),
			validated("proxy-revalidate is validated when stale", "Cache-Control: max-age=60, proxy-revalidate", "Age: 61"),
			{Name: "proxy-revalidate forbids stale for max-stale", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, proxy-revalidate", "Age: 61", `ETag: "a"`),
				get("Cache-Control: max-stale").answered(304).asked(`If-None-Match: "a"`).reuses(0),
			}},
			{Name: "proxy-revalidate forbids stale on an error", Setup: staleOnError, Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, proxy-revalidate", "Age: 61"),
				get().answered(503),
			}},
			{Name: "proxy-revalidate forbids stale if the origin is unreachable", Setup: staleOnError, Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, proxy-revalidate", "Age: 61"),
				get().dead().fails(),
			}},
			notReused("proxy-revalidate gives no freshness", "Cache-Control: proxy-revalidate"),
		},
	},
	{
		Section: "RFC 9111 §5.2.2.10", Level: MustNot,
		Rule: "In a shared cache, do not reuse a stale response with s-maxage without validation.",
		Cases: []Case{
			{Name: "s-maxage forbids stale for max-stale", Steps: []Step{
				get().answered(200, "Cache-Control: s-maxage=60", "Age: 61", `ETag: "a"`),
				get("Cache-Control: max-stale").answered(304).asked(`If-None-Match: "a"`).reuses(0),
			}},
			{Name: "s-maxage forbids stale on an error", Setup: staleOnError, Steps: []Step{
				get().answered(200, "Cache-Control: s-maxage=60", "Age: 61"),
				get().answered(503),
			}},
			{Name: "s-maxage forbids stale if the origin is unreachable", Setup: staleOnError, Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600, s-maxage=60", "Age: 61"),
				get().dead().fails(),
			}},
		},
	},
	{
		Section: "RFC 9111 §5.2.2", Level: Must,
		Rule:   "Obey the response directives.",
		KeptBy: []string{"no-store is not stored", "private is not stored", "no-cache is validated", "must-revalidate is validated when stale", "max-age in the future is fresh", "s-maxage shorter than max-age is used"},
	},
	{
		Section: "RFC 9111 §4", Level: May,
		Rule: "Answer several waiting requests with one response, if it may be reused for each of them.",
		Cases: []Case{
			{Name: "several requests for one resource are answered by one fetch", Steps: []Step{
				{Clients: 4, Answer: &Answer{Header: Lines{"Cache-Control: max-age=3600"}}},
			}},
			{Name: "requests whose answer cannot be shared all reach the origin", Steps: []Step{
				{Clients: 4, Answer: &Answer{Header: Lines{"Cache-Control: no-store"}}, Asked: Asked{Times: 4}},
			}},
			{Name: "an answer with Set-Cookie and no freshness is not shared by waiting requests", Steps: []Step{
				{Clients: 3, Answer: &Answer{Header: Lines{"Set-Cookie: a=1"}}, Asked: Asked{Times: 3}},
			}},
		},
	},
	{
		Section: "RFC 9111 §4, §5.2.2.4", Level: MustNot,
		Rule: "Do not answer waiting requests with a response that must be validated before reuse.",
		Cases: []Case{
			notCollapsed("no-cache", "Cache-Control: no-cache, max-age=3600"),
			notCollapsed("max-age=0 and must-revalidate", "Cache-Control: max-age=0, must-revalidate"),
			notCollapsed("s-maxage=0", "Cache-Control: s-maxage=0"),
			notCollapsed("no freshness"),
		},
	},
}

// notCollapsed shows that each of several waiting requests reaches the origin.
func notCollapsed(what string, fields ...string) Case {
	return Case{Name: "waiting requests do not share an answer with " + what, Steps: []Step{
		{Clients: 3, Answer: &Answer{Header: append(Lines{`ETag: "a"`}, fields...)}, Asked: Asked{Times: 3}},
	}}
}

// differs shows that two paths get two responses.
func differs(name, a, b string) Case {
	return Case{Name: name, Steps: []Step{
		get().at(a).answered(200, "Cache-Control: max-age=3600"),
		get().at(b).answered(200, "Cache-Control: max-age=3600"),
		get().at(a).reuses(0),
		get().at(b).reuses(1),
	}}
}

// writeThrough shows that a stored response answers no request with an unsafe method.
func writeThrough(methods ...string) []Case {
	var all []Case
	for _, m := range methods {
		all = append(all, Case{Name: m + " is forwarded", Steps: []Step{
			get().answered(200, "Cache-Control: max-age=3600"),
			{Method: m, Body: "content", Answer: &Answer{Status: 400}, Asked: Asked{Body: "content"}},
			{Method: m, Body: "content", Answer: &Answer{Status: 200}, Asked: Asked{Body: "content"}},
		}})
	}
	return all
}
