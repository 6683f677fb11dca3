package conformance

import (
	"fmt"
	"strings"
)

// storingRules are about what may be stored (RFC 9111 §3 and §3.5, and the directives of §5.2.2
// about storing).
var storingRules = []Requirement{
	{
		Section: "RFC 9111 §3", Level: MustNot,
		Rule:  "Do not store a response to a method that the cache does not understand.",
		Cases: uncacheableMethods("PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "FROBNICATE"),
	},
	{
		Section: "RFC 9111 §3", Level: MustNot,
		Rule: "Do not store a 206 or 304 that the cache does not understand. With must-understand, do not store any status that it does not understand.",
		Cases: append(statuses(func(status int) Case {
			return Case{Name: fmt.Sprintf("%d is not understood", status), Steps: []Step{
				get().answered(status, "Cache-Control: max-age=3600, must-understand", `ETag: "a"`),
				get().answered(status, "Cache-Control: max-age=3600, must-understand").asked("-If-None-Match"),
			}}
		}, 207, 299, 305, 306, 309, 399, 418, 423, 428, 499, 506, 599),
			Case{Name: "must-understand with no-store does not store an unknown status", Steps: []Step{
				get().answered(499, "Cache-Control: max-age=3600, no-store, must-understand", `ETag: "a"`),
				get().answered(499, "Cache-Control: max-age=3600, no-store, must-understand").asked("-If-None-Match"),
			}},
			Case{Name: "a 304 to a request without conditions is not stored", Steps: []Step{
				get().answered(304, "Cache-Control: max-age=3600", `ETag: "a"`),
				get().answered(200, "Cache-Control: max-age=3600").asked("-If-None-Match"),
			}},
			Case{Name: "a 206 to a request without Range is not stored", Steps: []Step{
				get().answered(206, "Cache-Control: max-age=3600", `ETag: "a"`, "Content-Range: bytes 0-4/10").with("01234"),
				get().answered(200, "Cache-Control: max-age=3600").with("0123456789"),
			}},
		),
	},
	{
		Section: "RFC 9111 §3, §5.2.2.5", Level: MustNot,
		Rule: "Do not store any part of a response with no-store, or of its request.",
		Cases: []Case{
			notStored("no-store is not stored", "Cache-Control: no-store"),
			notStored("no-store overrides max-age", "Cache-Control: no-store, max-age=3600"),
			notStored("no-store after max-age overrides it", "Cache-Control: max-age=3600, no-store"),
			notStored("no-store in a second line counts", "Cache-Control: max-age=3600", "Cache-Control: no-store"),
			notStored("no-store overrides Expires", "Cache-Control: no-store", "Expires: {now+3600}"),
			notStored("no-store overrides public", "Cache-Control: public, max-age=3600, no-store"),
			notStored("NO-STORE is no-store", "Cache-Control: max-age=3600, NO-STORE"),
			notStored("no-store with an argument is no-store", "Cache-Control: max-age=3600, no-store=1"),
			notStored("no-store next to a malformed directive counts", "Cache-Control: max-age=3600, ==, no-store"),
			notStored("no-store without spaces counts", "Cache-Control: max-age=3600,no-store"),
			notStored("no-store after empty members counts", "Cache-Control: max-age=3600, ,, no-store,"),
			{Name: "a response with no-store is not served on an error", Steps: []Step{
				get().answered(200, "Cache-Control: no-store, max-age=3600, stale-if-error=3600", `ETag: "a"`),
				get().answered(503).asked("-If-None-Match"),
			}},
			reused("no-store inside a quoted string is not the directive", `Cache-Control: max-age=3600, ext="a, no-store"`),
			reused("a directive whose name begins with no-store is a different one", "Cache-Control: max-age=3600, no-store-please"),
		},
	},
	{
		Section: "RFC 9111 §3, §5.2.2.7", Level: MustNot,
		Rule: "A shared cache does not store a response with private that lists no fields.",
		Cases: []Case{
			notStored("private is not stored", "Cache-Control: private, max-age=3600"),
			notStored("private overrides s-maxage", "Cache-Control: s-maxage=3600, private"),
			notStored("private overrides public", "Cache-Control: public, max-age=3600, private"),
			notStored("PRIVATE is private", "Cache-Control: max-age=3600, PRIVATE"),
			notStored("private in a second line counts", "Cache-Control: max-age=3600", "Cache-Control: private"),
			notStored("private overrides Expires", "Cache-Control: private", "Expires: {now+3600}"),
			notStored("an unknown directive next to private does not lift it", `Cache-Control: private, community="all", max-age=3600`),
		},
	},
	{
		Section: "RFC 9111 §5.2.2.7", Level: MustNot,
		Rule: "A shared cache does not store the fields that private lists.",
		Cases: []Case{
			{Name: `private="f" hides the field from other clients`, Steps: []Step{
				get().answered(200, `Cache-Control: max-age=3600, private="X-User"`, "X-User: one", "X-Other: kept").sees(0, "X-User: one"),
				get().reuses(0, "-X-User", "X-Other: kept"),
			}},
			{Name: `private="f, g" hides all the fields from other clients`, Steps: []Step{
				get().answered(200, `Cache-Control: max-age=3600, private="x-user, Set-Cookie"`, "X-User: one", "Set-Cookie: a=1"),
				get().reuses(0, "-X-User", "-Set-Cookie"),
			}},
			{Name: "private=f without quotes hides the field from other clients", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600, private=X-User", "X-User: one"),
				get().reuses(0, "-X-User"),
			}},
			notStored(`private="f" next to a plain private is not stored`, `Cache-Control: max-age=3600, private="X-User"`, "Cache-Control: private"),
		},
	},
	{
		Section: "RFC 9111 §3, §3.5", Level: MustNot,
		Rule: "A shared cache does not reuse the response to a request with Authorization, unless public, s-maxage or must-revalidate allows it.",
		Cases: []Case{
			authorized("the answer to Authorization is not shared", "Cache-Control: max-age=3600", false),
			authorized("the answer to Authorization is not shared with Expires", "Expires: {now+3600}", false),
			authorized("the answer to Authorization is not shared with proxy-revalidate", "Cache-Control: max-age=3600, proxy-revalidate", false),
			authorized("the answer to Authorization is shared with public", "Cache-Control: max-age=3600, public", true),
			authorized("the answer to Authorization is shared with s-maxage", "Cache-Control: s-maxage=3600", true),
			authorized("the answer to Authorization is shared with must-revalidate", "Cache-Control: max-age=3600, must-revalidate", true),
			{Name: "the answer to a request without Authorization serves a request with it", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600"),
				get("Authorization: Basic YTpi").reuses(0),
			}},
			{Name: "a stale answer to Authorization with s-maxage is validated", Steps: []Step{
				get("Authorization: Basic YTpi").answered(200, "Cache-Control: s-maxage=60", "Age: 61", `ETag: "a"`),
				get("Authorization: Basic YTpi").answered(304).asked(`If-None-Match: "a"`).reuses(0),
			}},
			{Name: "a refused answer to Authorization does not stop other answers from being stored", Steps: []Step{
				get("Authorization: Basic YTpi").answered(200, "Cache-Control: max-age=3600"),
				get().answered(200, "Cache-Control: max-age=3600"),
				get().reuses(1),
			}},
		},
	},
	{
		Section: "RFC 9111 §3", Level: MustNot,
		Rule: "Do not store a response without any of: public, Expires, max-age, s-maxage, a heuristically cacheable status.",
		Cases: append(statuses(func(status int) Case {
			return Case{Name: fmt.Sprintf("%d without freshness is not stored", status), Steps: []Step{
				get().answered(status, "Last-Modified: {now-100000}", "Location: /x"),
				get().answered(status, "Location: /x").asked("-If-Modified-Since"),
			}}
		}, 201, 202, 299, 302, 303, 307, 400, 403, 418, 499, 500, 502, 503, 504, 599),
			Case{Name: "private gives no freshness in a shared cache", Steps: []Step{
				get().answered(302, "Cache-Control: private", "Last-Modified: {now-100000}", "Location: /x"),
				get().answered(302, "Location: /x").asked("-If-Modified-Since"),
			}},
		),
	},
	{
		Section: "RFC 9111 §3", Level: Ours,
		Rule: "Store every final status with explicit freshness, even an unknown one. Store a server error only if the owner configures it.",
		Cases: append(statuses(func(status int) Case {
			header := []string{"Cache-Control: max-age=3600", "Location: /x", `ETag: "a"`}
			return Case{Name: fmt.Sprintf("%d with max-age is reused", status), Setup: Setup{StoreServerErrors: status >= 500}, Steps: []Step{
				get().answered(status, header...),
				get().reuses(0, `ETag: "a"`, "Location: /x"),
			}}
		}, 200, 203, 204, 299, 301, 302, 303, 307, 308, 400, 403, 404, 405, 410, 414, 429, 451, 499, 500, 501, 502, 503, 504, 599),
			statuses(func(status int) Case {
				header := []string{"Cache-Control: max-age=60", "Age: 61", "Location: /x"}
				return Case{Name: fmt.Sprintf("%d that is stale is not reused", status), Setup: Setup{StoreServerErrors: status >= 500}, Steps: []Step{
					get().answered(status, header...),
					get().answered(status, header...),
				}}
			}, 200, 203, 204, 299, 301, 302, 308, 400, 404, 410, 499, 500, 503, 599)...,
		),
	},
	{
		Section: "RFC 9111 §3", Level: Ours,
		Rule: "Do not store a server error for the lifetime that it states, unless the owner configures it: the lifetime may be meant for the page.",
		Cases: statuses(func(status int) Case {
			return Case{Name: fmt.Sprintf("%d with max-age is not stored by default", status), Steps: []Step{
				get().answered(status, "Cache-Control: public, max-age=3600, s-maxage=3600", `ETag: "a"`).says("-stored"),
				get().answered(200, "Cache-Control: max-age=3600").asked("-If-None-Match"),
				get().reuses(1),
			}}
		}, 500, 501, 502, 503, 504, 599),
	},
	{
		Section: "RFC 9111 §5.2.2.3", Level: Should,
		Rule: "With must-understand, ignore no-store if the cache understands the status and its caching rules.",
		Cases: append(statuses(func(status int) Case {
			return Case{Name: fmt.Sprintf("%d is understood", status), Setup: Setup{StoreServerErrors: status >= 500}, Steps: []Step{
				get().answered(status, "Cache-Control: max-age=3600, no-store, must-understand", "Location: /x"),
				get().reuses(0),
			}}
		}, 200, 201, 205, 300, 301, 302, 308, 400, 404, 417, 421, 422, 426, 500, 505),
			reused("must-understand cancels no-store on a 200", "Cache-Control: max-age=3600, no-store, must-understand"),
			reused("must-understand before no-store cancels it too", "Cache-Control: must-understand, no-store, max-age=3600"),
			reused("must-understand alone changes nothing on a 200", "Cache-Control: max-age=3600, must-understand"),
			notStored("must-understand does not cancel private", "Cache-Control: max-age=3600, private, must-understand"),
		),
	},
	{
		Section: "RFC 9111 §5.2.2.9", Level: May,
		Rule: "Store a response with public even if it could not be stored otherwise. Without explicit freshness its lifetime is heuristic.",
		Cases: []Case{
			{Name: "public allows heuristics for 599", Setup: Setup{StoreServerErrors: true}, Steps: []Step{
				get().answered(599, "Cache-Control: public", "Last-Modified: {now-100000}"),
				get().reuses(0),
			}},
			{Name: "public allows heuristics for 201", Steps: []Step{
				get().answered(201, "Cache-Control: public", "Last-Modified: {now-100000}"),
				get().reuses(0),
			}},
		},
	},
	{
		Section: "RFC 9111 §3.1", Level: Must,
		Rule: "Store Set-Cookie like every other field.",
		NotKept: "a cookie is for one client at one time. Sent to others, it would give them that client's session; sent later, it would undo a login " +
			"or a logout. Browsers do not reuse it either, and other caches do not store the response at all. Config.SetCookie keeps the field",
	},
	{
		Section: "RFC 9111 §3.1", Level: Ours,
		Rule: "Store a response with Set-Cookie without that field; only the client that the origin answered gets it. A shared cache stores the response only if the origin gave explicit freshness.",
		Cases: []Case{
			{Name: "Set-Cookie with max-age reaches only the first client", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Set-Cookie: a=1", "Set-Cookie: b=2").sees(0, "Set-Cookie: a=1", "Set-Cookie: b=2"),
				get().reuses(0, "-Set-Cookie"),
			}},
			{Name: "Set-Cookie with Expires reaches only the first client", Steps: []Step{
				get().answered(200, "Expires: {now+3600}", "Set-Cookie: a=1").sees(0, "Set-Cookie: a=1"),
				get().reuses(0, "-Set-Cookie"),
			}},
			{Name: "Set-Cookie2 reaches only the first client", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Set-Cookie2: a=1").sees(0, "Set-Cookie2: a=1"),
				get().reuses(0, "-Set-Cookie2"),
			}},
			{Name: "a response with Set-Cookie and a heuristic lifetime is not stored", Steps: []Step{
				get().answered(200, "Last-Modified: {now-1000000}", "Set-Cookie: a=1"),
				get().answered(200, "Last-Modified: {now-1000000}", "Set-Cookie: a=2").sees(0, "Set-Cookie: a=2"),
			}},
			{Name: "Set-Cookie of a 304 with max-age reaches only its client", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 61", `ETag: "a"`),
				get().answered(304, "Cache-Control: max-age=3600", "Set-Cookie: a=1", `ETag: "a"`).reuses(0, "Set-Cookie: a=1"),
				get().reuses(0, "-Set-Cookie"),
			}},
			{Name: "Set-Cookie of a 304 without freshness reaches only its client", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 61", `ETag: "a"`),
				get().answered(304, "Set-Cookie: a=1", `ETag: "a"`).reuses(0, "Set-Cookie: a=1"),
				get().reuses(0, "-Set-Cookie"),
			}},
			{Name: "a request with Cookie does not stop storing", Steps: []Step{
				get("Cookie: a=1").answered(200, "Cache-Control: max-age=3600"),
				get("Cookie: a=2").reuses(0),
			}},
		},
	},
	{
		Section: "RFC 9111 §3.1", Level: Ours,
		Rule: "If configured to keep it, store Set-Cookie with a response that has explicit freshness.",
		Cases: in(Setup{KeepSetCookie: true},
			Case{Name: "Set-Cookie with max-age is reused if it is kept", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Set-Cookie: a=1", "Set-Cookie: b=2"),
				get().reuses(0, "Set-Cookie: a=1", "Set-Cookie: b=2"),
			}},
			Case{Name: "Set-Cookie with a heuristic lifetime is not reused if it is kept", Steps: []Step{
				get().answered(200, "Last-Modified: {now-1000000}", "Set-Cookie: a=1"),
				get().answered(200, "Last-Modified: {now-1000000}", "Set-Cookie: a=2").sees(0, "Set-Cookie: a=2"),
			}},
			Case{Name: "Set-Cookie of a 304 with max-age is reused if it is kept", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 61", `ETag: "a"`),
				get().answered(304, "Cache-Control: max-age=3600", "Set-Cookie: a=1", `ETag: "a"`).reuses(0, "Set-Cookie: a=1"),
				get().reuses(0, "Set-Cookie: a=1"),
			}},
			Case{Name: "Set-Cookie of a 304 without freshness reaches only its client if it is kept", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 61", `ETag: "a"`),
				get().answered(304, "Set-Cookie: a=1", `ETag: "a"`).reuses(0, "Set-Cookie: a=1"),
				get().answered(200, "Cache-Control: max-age=60").sees(0, "-Set-Cookie"),
			}},
		),
	},
	{
		Section: "RFC 9111 §3.1", Level: Ours,
		Rule: "If configured to refuse them, do not store responses with Set-Cookie.",
		Cases: in(Setup{RefuseSetCookie: true},
			Case{Name: "a response with Set-Cookie is not stored if refused", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Set-Cookie: a=1").sees(0, "Set-Cookie: a=1"),
				get().answered(200, "Cache-Control: max-age=3600").sees(0, "-Set-Cookie"),
				get().reuses(1, "-Set-Cookie"),
			}},
		),
	},
	{
		Section: "RFC 9111 §5.2.1.5", Level: MustNot,
		Rule: "Do not store the answer to a request with no-store.",
		Cases: []Case{
			{Name: "the answer to a request with no-store is not stored", Steps: []Step{
				get("Cache-Control: no-store").answered(200, "Cache-Control: max-age=3600", `ETag: "a"`),
				get().answered(200, "Cache-Control: max-age=3600").asked("-If-None-Match"),
				get().reuses(1),
			}},
			{Name: "a request with no-store does not remove the stored response", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600"),
				get("Cache-Control: no-store").reuses(0),
				get().reuses(0),
			}},
		},
	},
	{
		Section: "RFC 9111 §5.2.1.5, §5.2.2.5", Level: Must,
		Rule:          "Do not keep data under no-store on disk, and remove it from memory soon.",
		NotObservable: "a look into the memory and disk of the cache. What can be seen is that the response is neither reused nor validated",
	},
	{
		Section: "RFC 9110 §6.1", Level: Ours,
		Rule: "Store only complete responses.",
		Cases: []Case{
			{Name: "a body that breaks off is not stored", Steps: []Step{
				get().answer(Answer{Header: Lines{"Cache-Control: max-age=3600", `ETag: "a"`}, Cut: true}).breaks(),
				get().answered(200, "Cache-Control: max-age=3600").asked("-If-None-Match", "-Range"),
				get().reuses(1),
			}},
			{Name: "a chunked body that breaks off is not stored", Steps: []Step{
				get().answer(Answer{Header: Lines{"Cache-Control: max-age=3600", "-Content-Length"}, Cut: true}).breaks(),
				get().answered(200, "Cache-Control: max-age=3600"),
			}},
			reused("a chunked body is stored", "Cache-Control: max-age=3600", "-Content-Length"),
		},
	},
	{
		Section: "RFC 9111 §7.1", Level: Ours,
		Rule: "Do not store an error that the request may have provoked with something that is neither in the key nor in the variance.",
		Cases: []Case{
			overridden("X-HTTP-Method-Override"),
			overridden("X-HTTP-Method"),
			overridden("X-Method-Override"),
			overridden("X-Original-URL"),
			overridden("X-Rewrite-URL"),
			provoked("an error in answer to an oversized header is not stored", "X-Padding: "+strings.Repeat("x", 9000)),
			{Name: "a GET with content is neither stored nor answered from the cache", Steps: []Step{
				{Header: Lines{"Content-Type: text/plain"}, Body: "fat", Answer: &Answer{Header: Lines{"Cache-Control: max-age=3600"}}},
				get().answered(200, "Cache-Control: max-age=3600"),
				{Body: "fat", Answer: &Answer{Header: Lines{"Cache-Control: max-age=3600"}}},
				get().reuses(1),
			}},
		},
	},
}

// statuses returns one case for each status code.
func statuses(make func(status int) Case, codes ...int) []Case {
	var all []Case
	for _, code := range codes {
		all = append(all, make(code))
	}
	return all
}

// uncacheableMethods shows for each method that its response answers neither the same method nor
// GET.
func uncacheableMethods(methods ...string) []Case {
	var all []Case
	for _, m := range methods {
		all = append(all, Case{Name: m + " is not stored", Steps: []Step{
			send(m).answered(200, "Cache-Control: max-age=3600", `ETag: "a"`),
			send(m).answered(200, "Cache-Control: max-age=3600"),
			get().answered(200, "Cache-Control: max-age=3600").asked("-If-None-Match"),
		}})
	}
	return all
}

// authorized shows whether the response to one user's request is reused for another user.
func authorized(name, line string, shared bool) Case {
	again := get("Authorization: Basic Yzpk").answered(200, line).asked("-If-None-Match")
	if shared {
		again = get("Authorization: Basic Yzpk").reuses(0)
	}
	return Case{Name: name, Steps: []Step{
		get("Authorization: Basic YTpi").answered(200, line, `ETag: "a"`),
		again,
	}}
}

// provoked shows that the error in answer to a request with this field is not stored.
func provoked(name, line string) Case {
	return Case{Name: name, Steps: []Step{
		get(line).answered(404, "Cache-Control: max-age=3600"),
		get().answered(200, "Cache-Control: max-age=3600"),
		get().reuses(1),
	}}
}

// overridden shows that a request with this field, which asks for another method or target, does
// not use the cache.
func overridden(field string) Case {
	return Case{Name: "a GET with " + field + " is neither stored nor answered from the cache", Steps: []Step{
		get(field+": HEAD").answered(200, "Cache-Control: max-age=3600").says("fwd=bypass"),
		get().answered(200, "Cache-Control: max-age=3600"),
		get(field+": HEAD").answered(200, "Cache-Control: max-age=3600"),
		get().reuses(1),
	}}
}
