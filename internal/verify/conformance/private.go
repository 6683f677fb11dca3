package conformance

var (
	privateCache = Setup{Private: true}
	oneUser      = Setup{Private: true, SingleUser: true}
)

// privateRules are about private caches (RFC 9111 §1, §5.2.2.7, §5.2.2.8, §5.2.2.10).
var privateRules = []Requirement{
	{
		Section: "RFC 9111 §5.2.2.7", Level: May,
		Rule: "A private cache stores responses with private, even if the status is not heuristically cacheable.",
		Cases: in(privateCache,
			reused("a private cache stores a response with private", "Cache-Control: private, max-age=3600"),
			reused(`a private cache stores a response with private="f" with all its fields`, `Cache-Control: private="X-User", max-age=3600`, "X-User: 1"),
			Case{Name: "in a private cache private allows a heuristic for 302", Steps: []Step{
				get().answered(302, "Cache-Control: private", "Last-Modified: {now-100000}", "Location: /x"),
				get().reuses(0),
			}},
			Case{Name: `a private cache serves the fields that private="f" lists`, Steps: []Step{
				get().answered(200, `Cache-Control: private="X-User", max-age=3600`, "X-User: 1"),
				get().reuses(0, "X-User: 1"),
			}},
		),
	},
	{
		Section: "RFC 9111 §5.2.2.5", Level: MustNot,
		Rule:  "A private cache does not store a response with no-store either.",
		Cases: in(privateCache, notStored("a private cache does not store a response with no-store", "Cache-Control: no-store, max-age=3600")),
	},
	{
		Section: "RFC 9111 §3.5", Level: Ours,
		Rule: "A private cache stores the answers to requests with Authorization.",
		Cases: in(privateCache,
			Case{Name: "a private cache stores the answer to Authorization", Steps: []Step{
				get("Authorization: Basic YTpi").answered(200, "Cache-Control: max-age=3600"),
				get("Authorization: Basic YTpi").reuses(0),
			}},
			Case{Name: "a private cache stores a response with Set-Cookie and a heuristic lifetime, without the cookie", Steps: []Step{
				get("Cookie: a=1").answered(200, "Last-Modified: {now-100000}", "Set-Cookie: b=2").sees(0, "Set-Cookie: b=2"),
				get("Cookie: a=1").reuses(0, "-Set-Cookie"),
			}},
		),
	},
	{
		Section: "RFC 9111 §5.2.2.10", Level: Ours,
		Rule: "A private cache ignores s-maxage.",
		Cases: in(privateCache,
			reused("a private cache ignores s-maxage=0", "Cache-Control: max-age=3600, s-maxage=0"),
			notReused("s-maxage gives no freshness in a private cache", "Cache-Control: s-maxage=3600"),
			Case{Name: "a private cache may serve stale despite s-maxage", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, s-maxage=60, stale-if-error=3600", "Age: 61"),
				get().answered(503).reuses(0),
			}},
		),
	},
	{
		Section: "RFC 9111 §5.2.2.8", Level: Ours,
		Rule: "A private cache ignores proxy-revalidate and obeys must-revalidate.",
		Cases: in(privateCache,
			Case{Name: "a private cache may serve stale despite proxy-revalidate", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, proxy-revalidate, stale-if-error=3600", "Age: 61"),
				get().answered(503).reuses(0),
			}},
			Case{Name: "a private cache does not serve stale with must-revalidate", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, must-revalidate, stale-if-error=3600", "Age: 61"),
				get().answered(503),
			}},
		),
	},
	{
		Section: "RFC 9213 §3", Level: Ours,
		Rule: "A private cache is not a CDN and ignores CDN-Cache-Control.",
		Cases: in(privateCache,
			notReused("CDN-Cache-Control gives no freshness in a private cache", "CDN-Cache-Control: max-age=3600"),
			reused("a private cache ignores CDN-Cache-Control: no-store", "CDN-Cache-Control: no-store", "Cache-Control: max-age=3600"),
		),
	},
	{
		Section: "RFC 9111 §7.3", Level: Ours,
		Rule: "A private cache that serves several users never mixes their responses.",
		Cases: append(in(privateCache,
			Case{Name: "another user's Authorization gets another response", Steps: []Step{
				get("Authorization: Basic YTpi").answered(200, "Cache-Control: private, max-age=3600"),
				get("Authorization: Basic Yzpk").answered(200, "Cache-Control: private, max-age=3600"),
				get("Authorization: Basic YTpi").reuses(0),
				get("Authorization: Basic Yzpk").reuses(1),
			}},
			Case{Name: "another user's Cookie gets another response", Steps: []Step{
				get("Cookie: u=1").answered(200, "Cache-Control: private, max-age=3600"),
				get("Cookie: u=2").answered(200, "Cache-Control: private, max-age=3600"),
				get("Cookie: u=1").reuses(0),
			}},
			Case{Name: "requests with and without Authorization get different responses", Steps: []Step{
				get("Authorization: Basic YTpi").answered(200, "Cache-Control: private, max-age=3600"),
				get().answered(200, "Cache-Control: max-age=3600"),
			}},
			Case{Name: "the same value in Authorization and in Cookie are two users", Steps: []Step{
				get("Authorization: x").answered(200, "Cache-Control: private, max-age=3600"),
				get("Cookie: x").answered(200, "Cache-Control: private, max-age=3600"),
			}},
		), in(oneUser,
			Case{Name: "with SingleUser, credentials may change", Steps: []Step{
				get("Authorization: Basic YTpi").answered(200, "Cache-Control: private, max-age=3600"),
				get("Authorization: Basic Yzpk").reuses(0),
			}},
		)...),
	},
}

// in returns the cases with this Setup.
func in(setup Setup, cases ...Case) []Case {
	for i := range cases {
		cases[i].Setup = setup
	}
	return cases
}
