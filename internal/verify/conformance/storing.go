package conformance

import (
	"fmt"
	"strings"
)

// storingRules: what may be stored (RFC 9111 §3 and §3.5, and the directives of §5.2.2 that speak
// of storing).
var storingRules = []Requirement{
	{
		Section: "RFC 9111 §3", Level: MustNot,
		Rule:  "Store no response to a method that the cache does not understand.",
		Cases: uncacheableMethods("PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "FROBNICATE"),
	},
	{
		Section: "RFC 9111 §3", Level: MustNot,
		Rule: "Store no 206 or 304, and with must-understand no status at all, that the cache does not understand.",
		Cases: append(statuses(func(status int) Case {
			return Case{Name: fmt.Sprintf("%d is not understood", status), Steps: []Step{
				get().answered(status, "Cache-Control: max-age=3600, must-understand", `ETag: "a"`),
				get().answered(status, "Cache-Control: max-age=3600, must-understand").asked("-If-None-Match"),
			}}
		}, 207, 299, 305, 306, 309, 399, 418, 423, 428, 499, 506, 599),
			Case{Name: "must-understand and no-store keep an unknown status out", Steps: []Step{
				get().answered(499, "Cache-Control: max-age=3600, no-store, must-understand", `ETag: "a"`),
				get().answered(499, "Cache-Control: max-age=3600, no-store, must-understand").asked("-If-None-Match"),
			}},
			Case{Name: "an unasked-for 304 is not stored", Steps: []Step{
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
		Rule: "Store no part of a response with no-store, nor of the request for it.",
		Cases: []Case{
			notStored("no-store is not stored", "Cache-Control: no-store"),
			notStored("no-store beats max-age", "Cache-Control: no-store, max-age=3600"),
			notStored("no-store beats max-age whatever the order", "Cache-Control: max-age=3600, no-store"),
			notStored("no-store in a second line counts", "Cache-Control: max-age=3600", "Cache-Control: no-store"),
			notStored("no-store beats Expires", "Cache-Control: no-store", "Expires: {now+3600}"),
			notStored("no-store beats public", "Cache-Control: public, max-age=3600, no-store"),
			notStored("NO-STORE is no-store", "Cache-Control: max-age=3600, NO-STORE"),
			notStored("no-store with an argument is no-store", "Cache-Control: max-age=3600, no-store=1"),
			notStored("no-store beside a broken directive counts", "Cache-Control: max-age=3600, ==, no-store"),
			notStored("no-store without spaces counts", "Cache-Control: max-age=3600,no-store"),
			notStored("no-store after empty members counts", "Cache-Control: max-age=3600, ,, no-store,"),
			{Name: "no-store is never replayed on an error", Steps: []Step{
				get().answered(200, "Cache-Control: no-store, max-age=3600, stale-if-error=3600", `ETag: "a"`),
				get().answered(503).asked("-If-None-Match"),
			}},
			reused("no-store inside a quoted string is not the directive", `Cache-Control: max-age=3600, ext="a, no-store"`),
			reused("a directive that only begins with no-store is another", "Cache-Control: max-age=3600, no-store-please"),
		},
	},
	{
		Section: "RFC 9111 §3, §5.2.2.7", Level: MustNot,
		Rule: "A shared cache stores no response with an unqualified private.",
		Cases: []Case{
			notStored("private is not stored", "Cache-Control: private, max-age=3600"),
			notStored("private beats s-maxage", "Cache-Control: s-maxage=3600, private"),
			notStored("private beats public", "Cache-Control: public, max-age=3600, private"),
			notStored("PRIVATE is private", "Cache-Control: max-age=3600, PRIVATE"),
			notStored("private in a second line counts", "Cache-Control: max-age=3600", "Cache-Control: private"),
			notStored("private beats Expires", "Cache-Control: private", "Expires: {now+3600}"),
			notStored("an unknown modifier of private does not widen it", `Cache-Control: private, community="all", max-age=3600`),
		},
	},
	{
		Section: "RFC 9111 §5.2.2.7", Level: MustNot,
		Rule: "A shared cache stores no field that a qualified private lists.",
		Cases: []Case{
			{Name: `private="f" keeps the field from others`, Steps: []Step{
				get().answered(200, `Cache-Control: max-age=3600, private="X-User"`, "X-User: one", "X-Other: kept").sees(0, "X-User: one"),
				get().reuses(0, "-X-User", "X-Other: kept"),
			}},
			{Name: `private="f, g" keeps all the fields from others`, Steps: []Step{
				get().answered(200, `Cache-Control: max-age=3600, private="x-user, Set-Cookie"`, "X-User: one", "Set-Cookie: a=1"),
				get().reuses(0, "-X-User", "-Set-Cookie"),
			}},
			{Name: "private=f in token form keeps the field from others", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600, private=X-User", "X-User: one"),
				get().reuses(0, "-X-User"),
			}},
			notStored(`private="f" beside an unqualified private is not stored`, `Cache-Control: max-age=3600, private="X-User"`, "Cache-Control: private"),
		},
	},
	{
		Section: "RFC 9111 §3, §3.5", Level: MustNot,
		Rule: "A shared cache serves no response to a request with Authorization to another one, unless public, s-maxage or must-revalidate allows it.",
		Cases: []Case{
			authorized("an answer to Authorization is not shared", "Cache-Control: max-age=3600", false),
			authorized("an answer to Authorization with Expires is not shared", "Expires: {now+3600}", false),
			authorized("an answer to Authorization with proxy-revalidate is not shared", "Cache-Control: max-age=3600, proxy-revalidate", false),
			authorized("public shares an answer to Authorization", "Cache-Control: max-age=3600, public", true),
			authorized("s-maxage shares an answer to Authorization", "Cache-Control: s-maxage=3600", true),
			authorized("must-revalidate shares an answer to Authorization", "Cache-Control: max-age=3600, must-revalidate", true),
			{Name: "an answer to no Authorization serves one with", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600"),
				get("Authorization: Basic YTpi").reuses(0),
			}},
			{Name: "a stale s-maxage answer to Authorization is validated", Steps: []Step{
				get("Authorization: Basic YTpi").answered(200, "Cache-Control: s-maxage=60", "Age: 61", `ETag: "a"`),
				get("Authorization: Basic YTpi").answered(304).asked(`If-None-Match: "a"`).reuses(0),
			}},
			{Name: "a refused answer to Authorization doesn't keep others from being stored", Steps: []Step{
				get("Authorization: Basic YTpi").answered(200, "Cache-Control: max-age=3600"),
				get().answered(200, "Cache-Control: max-age=3600"),
				get().reuses(1),
			}},
		},
	},
	{
		Section: "RFC 9111 §3", Level: MustNot,
		Rule: "Store no response that has neither public, Expires, max-age, s-maxage, nor a heuristically cacheable status.",
		Cases: append(statuses(func(status int) Case {
			return Case{Name: fmt.Sprintf("%d without freshness is not stored", status), Steps: []Step{
				get().answered(status, "Last-Modified: {now-100000}", "Location: /x"),
				get().answered(status, "Location: /x").asked("-If-Modified-Since"),
			}}
		}, 201, 202, 299, 302, 303, 307, 400, 403, 418, 499, 500, 502, 503, 504, 599),
			Case{Name: "private gives a shared cache no freshness", Steps: []Step{
				get().answered(302, "Cache-Control: private", "Last-Modified: {now-100000}", "Location: /x"),
				get().answered(302, "Location: /x").asked("-If-Modified-Since"),
			}},
		),
	},
	{
		Section: "RFC 9111 §3", Level: Ours,
		Rule: "Store every final status that has explicit freshness, known or not; a server error only where the owner says so.",
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
		Rule: "Store no server error for a lifetime that may have been meant for the page, unless the owner says so.",
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
		Rule: "With must-understand, ignore no-store where the status and its caching rules are understood.",
		Cases: append(statuses(func(status int) Case {
			return Case{Name: fmt.Sprintf("%d is understood", status), Setup: Setup{StoreServerErrors: status >= 500}, Steps: []Step{
				get().answered(status, "Cache-Control: max-age=3600, no-store, must-understand", "Location: /x"),
				get().reuses(0),
			}}
		}, 200, 201, 205, 300, 301, 302, 308, 400, 404, 417, 421, 422, 426, 500, 505),
			reused("must-understand lifts no-store from 200", "Cache-Control: max-age=3600, no-store, must-understand"),
			reused("must-understand before no-store lifts it too", "Cache-Control: must-understand, no-store, max-age=3600"),
			reused("must-understand alone on 200 changes nothing", "Cache-Control: max-age=3600, must-understand"),
			notStored("must-understand does not lift private", "Cache-Control: max-age=3600, private, must-understand"),
		),
	},
	{
		Section: "RFC 9111 §5.2.2.9", Level: May,
		Rule: "Store what is public even where it could not be stored otherwise; without explicit freshness it is heuristic.",
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
		NotKept: "a stored cookie is one client's at one time: sent to others it gives them that client's session, sent later it undoes a login " +
			"or a logout. Browsers do not reuse it either, and other caches do not store the response at all. Config.SetCookie keeps the field",
	},
	{
		Section: "RFC 9111 §3.1", Level: Ours,
		Rule: "A response with Set-Cookie is stored without that field, which reaches the client that the origin answered; a shared cache stores it only where the origin gave explicit freshness.",
		Cases: []Case{
			{Name: "Set-Cookie with max-age is for its client", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Set-Cookie: a=1", "Set-Cookie: b=2").sees(0, "Set-Cookie: a=1", "Set-Cookie: b=2"),
				get().reuses(0, "-Set-Cookie"),
			}},
			{Name: "Set-Cookie with Expires is for its client", Steps: []Step{
				get().answered(200, "Expires: {now+3600}", "Set-Cookie: a=1").sees(0, "Set-Cookie: a=1"),
				get().reuses(0, "-Set-Cookie"),
			}},
			{Name: "Set-Cookie2 is for its client", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Set-Cookie2: a=1").sees(0, "Set-Cookie2: a=1"),
				get().reuses(0, "-Set-Cookie2"),
			}},
			{Name: "Set-Cookie on heuristics is not stored", Steps: []Step{
				get().answered(200, "Last-Modified: {now-1000000}", "Set-Cookie: a=1"),
				get().answered(200, "Last-Modified: {now-1000000}", "Set-Cookie: a=2").sees(0, "Set-Cookie: a=2"),
			}},
			{Name: "Set-Cookie of a 304 with max-age is for its client", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 61", `ETag: "a"`),
				get().answered(304, "Cache-Control: max-age=3600", "Set-Cookie: a=1", `ETag: "a"`).reuses(0, "Set-Cookie: a=1"),
				get().reuses(0, "-Set-Cookie"),
			}},
			{Name: "Set-Cookie of a 304 without freshness is for its client", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 61", `ETag: "a"`),
				get().answered(304, "Set-Cookie: a=1", `ETag: "a"`).reuses(0, "Set-Cookie: a=1"),
				get().reuses(0, "-Set-Cookie"),
			}},
			{Name: "a Cookie in the request is no obstacle", Steps: []Step{
				get("Cookie: a=1").answered(200, "Cache-Control: max-age=3600"),
				get("Cookie: a=2").reuses(0),
			}},
		},
	},
	{
		Section: "RFC 9111 §3.1", Level: Ours,
		Rule: "Where so configured, Set-Cookie is stored with a response that has explicit freshness.",
		Cases: in(Setup{KeepSetCookie: true},
			Case{Name: "Set-Cookie with max-age is reused where so configured", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Set-Cookie: a=1", "Set-Cookie: b=2"),
				get().reuses(0, "Set-Cookie: a=1", "Set-Cookie: b=2"),
			}},
			Case{Name: "Set-Cookie is not reused on heuristics where it is kept", Steps: []Step{
				get().answered(200, "Last-Modified: {now-1000000}", "Set-Cookie: a=1"),
				get().answered(200, "Last-Modified: {now-1000000}", "Set-Cookie: a=2").sees(0, "Set-Cookie: a=2"),
			}},
			Case{Name: "Set-Cookie of a 304 with max-age is reused where so configured", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 61", `ETag: "a"`),
				get().answered(304, "Cache-Control: max-age=3600", "Set-Cookie: a=1", `ETag: "a"`).reuses(0, "Set-Cookie: a=1"),
				get().reuses(0, "Set-Cookie: a=1"),
			}},
			Case{Name: "Set-Cookie of a 304 without freshness is for its client where it is kept", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 61", `ETag: "a"`),
				get().answered(304, "Set-Cookie: a=1", `ETag: "a"`).reuses(0, "Set-Cookie: a=1"),
				get().answered(200, "Cache-Control: max-age=60").sees(0, "-Set-Cookie"),
			}},
		),
	},
	{
		Section: "RFC 9111 §3.1", Level: Ours,
		Rule: "Where so configured, no response with Set-Cookie is stored.",
		Cases: in(Setup{RefuseSetCookie: true},
			Case{Name: "a response with Set-Cookie is not stored where so configured", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Set-Cookie: a=1").sees(0, "Set-Cookie: a=1"),
				get().answered(200, "Cache-Control: max-age=3600").sees(0, "-Set-Cookie"),
				get().reuses(1, "-Set-Cookie"),
			}},
		),
	},
	{
		Section: "RFC 9111 §5.2.1.5", Level: MustNot,
		Rule: "Store no answer to a request with no-store.",
		Cases: []Case{
			{Name: "a request's no-store keeps its answer out", Steps: []Step{
				get("Cache-Control: no-store").answered(200, "Cache-Control: max-age=3600", `ETag: "a"`),
				get().answered(200, "Cache-Control: max-age=3600").asked("-If-None-Match"),
				get().reuses(1),
			}},
			{Name: "a request's no-store leaves what is stored", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600"),
				get("Cache-Control: no-store").reuses(0),
				get().reuses(0),
			}},
		},
	},
	{
		Section: "RFC 9111 §5.2.1.5, §5.2.2.5", Level: Must,
		Rule:          "Keep nothing of what no-store covers in non-volatile storage, and remove it from volatile storage soon.",
		NotObservable: "the memory and the disk of the cache; that it is not reused, nor validated, is seen",
	},
	{
		Section: "RFC 9110 §6.1", Level: Ours,
		Rule: "Only a complete response becomes an entry.",
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
		Rule: "An error that a request may have provoked by what is neither in the key nor in the variance is not stored.",
		Cases: []Case{
			overridden("X-HTTP-Method-Override"),
			overridden("X-HTTP-Method"),
			overridden("X-Method-Override"),
			overridden("X-Original-URL"),
			overridden("X-Rewrite-URL"),
			provoked("an error after an oversized header is not stored", "X-Padding: "+strings.Repeat("x", 9000)),
			{Name: "a GET with content is neither stored nor served", Steps: []Step{
				{Header: Lines{"Content-Type: text/plain"}, Body: "fat", Answer: &Answer{Header: Lines{"Cache-Control: max-age=3600"}}},
				get().answered(200, "Cache-Control: max-age=3600"),
				{Body: "fat", Answer: &Answer{Header: Lines{"Cache-Control: max-age=3600"}}},
				get().reuses(1),
			}},
		},
	},
}

// statuses makes one case for each status code.
func statuses(make func(status int) Case, codes ...int) []Case {
	var all []Case
	for _, code := range codes {
		all = append(all, make(code))
	}
	return all
}

// uncacheableMethods shows for each method that its answer serves neither itself nor GET.
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

// authorized shows whether the answer to one user's request is shared.
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

// provoked shows that a request with this field leaves no stored error behind.
func provoked(name, line string) Case {
	return Case{Name: name, Steps: []Step{
		get(line).answered(404, "Cache-Control: max-age=3600"),
		get().answered(200, "Cache-Control: max-age=3600"),
		get().reuses(1),
	}}
}

// overridden shows that a request that asks for another method or target in this field is none of
// the cache's business.
func overridden(field string) Case {
	return Case{Name: "a GET with " + field + " is neither stored nor served", Steps: []Step{
		get(field+": HEAD").answered(200, "Cache-Control: max-age=3600").says("fwd=bypass"),
		get().answered(200, "Cache-Control: max-age=3600"),
		get(field+": HEAD").answered(200, "Cache-Control: max-age=3600"),
		get().reuses(1),
	}}
}
