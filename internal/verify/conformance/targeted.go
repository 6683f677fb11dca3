package conformance

// targetedRules are about CDN-Cache-Control (RFC 9213).
var targetedRules = []Requirement{
	{
		Section: "RFC 9213 §2.2", Level: Must,
		Rule: "Obey the first valid targeted field. If there is one, ignore Cache-Control and Expires.",
		Cases: []Case{
			reused("CDN-Cache-Control gives freshness", "CDN-Cache-Control: max-age=3600"),
			reused("CDN-Cache-Control overrides a shorter Cache-Control", "CDN-Cache-Control: max-age=3600", "Cache-Control: max-age=0"),
			notReused("CDN-Cache-Control overrides a longer Cache-Control", "CDN-Cache-Control: max-age=0", "Cache-Control: max-age=3600"),
			reused("CDN-Cache-Control overrides s-maxage", "CDN-Cache-Control: max-age=3600", "Cache-Control: s-maxage=0"),
			reused("CDN-Cache-Control overrides no-store", "CDN-Cache-Control: max-age=3600", "Cache-Control: no-store"),
			reused("CDN-Cache-Control overrides no-cache", "CDN-Cache-Control: max-age=3600", "Cache-Control: no-cache"),
			reused("CDN-Cache-Control overrides private", "CDN-Cache-Control: max-age=3600", "Cache-Control: private"),
			reused("CDN-Cache-Control overrides Expires in the past", "CDN-Cache-Control: max-age=3600", "Expires: {now-3600}"),
			notReused("CDN-Cache-Control overrides Expires in the future", "CDN-Cache-Control: max-age=0", "Expires: {now+3600}"),
			notReused("a CDN-Cache-Control without freshness overrides Cache-Control", "CDN-Cache-Control: none", "Cache-Control: max-age=3600"),
			notReused("a CDN-Cache-Control without freshness overrides Expires", "CDN-Cache-Control: none", "Expires: {now+3600}"),
			reused("CDN-Cache-Control in two lines is one field", "CDN-Cache-Control: public", "CDN-Cache-Control: max-age=3600"),
			notReused("Age uses up CDN-Cache-Control", "CDN-Cache-Control: max-age=60", "Age: 61"),
			reused("Age uses up only a part of CDN-Cache-Control", "CDN-Cache-Control: max-age=3600", "Age: 60"),
		},
	},
	{
		Section: "RFC 9213 §2.2", Level: Must,
		Rule: "Implement max-age, must-revalidate, no-store, no-cache and private in a targeted field.",
		Cases: []Case{
			notStored("CDN-Cache-Control: no-store is not stored", "CDN-Cache-Control: no-store", "Cache-Control: max-age=3600"),
			notStored("CDN-Cache-Control: private is not stored", "CDN-Cache-Control: private, max-age=3600", "Cache-Control: max-age=3600"),
			validated("CDN-Cache-Control: no-cache is validated", "CDN-Cache-Control: no-cache, max-age=3600", "Cache-Control: max-age=3600"),
			{Name: "CDN-Cache-Control: must-revalidate forbids stale", Setup: staleOnError, Steps: []Step{
				get().answered(200, "CDN-Cache-Control: max-age=60, must-revalidate", "Age: 61"),
				get().answered(503),
			}},
			notStored("in CDN-Cache-Control no-store overrides max-age", "CDN-Cache-Control: max-age=3600, no-store"),
			{Name: `CDN-Cache-Control: private="f" hides the field from other clients`, Steps: []Step{
				get().answered(200, `CDN-Cache-Control: max-age=3600, private="X-User"`, "X-User: 1"),
				get().reuses(0, "-X-User"),
			}},
		},
	},
	{
		Section: "RFC 9213 §2.2", Level: Should,
		Rule: "Implement the other directives as well.",
		Cases: []Case{
			reused("in CDN-Cache-Control s-maxage overrides max-age", "CDN-Cache-Control: max-age=0, s-maxage=3600"),
			{Name: "CDN-Cache-Control: stale-if-error counts", Steps: []Step{
				get().answered(200, "CDN-Cache-Control: max-age=60, stale-if-error=3600", "Age: 61"),
				get().answered(503).reuses(0),
			}},
			{Name: "CDN-Cache-Control: stale-while-revalidate counts", Steps: []Step{
				get().answered(200, "CDN-Cache-Control: max-age=60, stale-while-revalidate=3600", "Age: 61"),
				get().refreshes(200, "CDN-Cache-Control: max-age=3600").reuses(0),
			}},
			{Name: "the stale-if-error of Cache-Control does not count next to CDN-Cache-Control", Steps: []Step{
				get().answered(200, "CDN-Cache-Control: max-age=60", "Cache-Control: stale-if-error=3600", "Age: 61"),
				get().answered(503),
			}},
			{Name: "the answer to Authorization is shared with CDN-Cache-Control: public", Steps: []Step{
				get("Authorization: Basic YTpi").answered(200, "CDN-Cache-Control: public, max-age=3600"),
				get().reuses(0),
			}},
			{Name: "the public of Cache-Control does not count next to CDN-Cache-Control", Steps: []Step{
				get("Authorization: Basic YTpi").answered(200, "CDN-Cache-Control: max-age=3600", "Cache-Control: public"),
				get().answered(200),
			}},
		},
	},
	{
		Section: "RFC 9213 §2.1", Level: Must,
		Rule: "Ignore a targeted field that is empty or not a valid Structured Field.",
		Cases: []Case{
			reused("an empty CDN-Cache-Control is ignored", "CDN-Cache-Control:", "Cache-Control: max-age=3600"),
			reused("a CDN-Cache-Control with an empty name is ignored as a whole", "CDN-Cache-Control: max-age=0, =", "Cache-Control: max-age=3600"),
			reused("a CDN-Cache-Control with an upper-case name is ignored as a whole", "CDN-Cache-Control: Max-Age=0", "Cache-Control: max-age=3600"),
			reused("a CDN-Cache-Control with a trailing comma is ignored as a whole", "CDN-Cache-Control: max-age=0,", "Cache-Control: max-age=3600"),
			reused("a CDN-Cache-Control with a number of sixteen digits is ignored as a whole", "CDN-Cache-Control: max-age=0, x=1234567890123456", "Cache-Control: max-age=3600"),
			reused("a CDN-Cache-Control with an unclosed string is ignored as a whole", `CDN-Cache-Control: max-age=0, x="a`, "Cache-Control: max-age=3600"),
			reused("a CDN-Cache-Control with single quotes is ignored as a whole", "CDN-Cache-Control: max-age='0'", "Cache-Control: max-age=3600"),
			reused("after a semicolon CDN-Cache-Control has parameters, not directives", "CDN-Cache-Control: max-age=3600; no-store"),
			notReused("an ignored CDN-Cache-Control gives no freshness", "CDN-Cache-Control: max-age=3600, ="),
			notStored("an ignored CDN-Cache-Control does not overrule no-store", "CDN-Cache-Control: max-age=3600 no", "Cache-Control: no-store"),
		},
	},
	{
		Section: "RFC 9213 §2.1", Level: ShouldNot,
		Rule: "Do not use a value of the wrong type.",
		Cases: []Case{
			notReused("a String is not a max-age", `CDN-Cache-Control: max-age="3600"`, "Cache-Control: max-age=3600"),
			notReused("a Decimal is not a max-age", "CDN-Cache-Control: max-age=3600.0", "Cache-Control: max-age=3600"),
			notReused("a Token is not a max-age", "CDN-Cache-Control: max-age=a3600", "Cache-Control: max-age=3600"),
			notReused("a Boolean is not a max-age", "CDN-Cache-Control: max-age", "Cache-Control: max-age=3600"),
			notReused("a negative Integer is not a max-age", "CDN-Cache-Control: max-age=-3600", "Cache-Control: max-age=3600"),
			notReused("an Inner List is not a max-age", "CDN-Cache-Control: max-age=(3600)", "Cache-Control: max-age=3600"),
			reused("a directive with the Boolean false counts as absent", "CDN-Cache-Control: max-age=3600, no-store=?0"),
		},
	},
	{
		Section: "RFC 9213 §2.1", Level: Ours,
		Rule: "Ignore parameters and unknown directives. Of several values, use the last.",
		Cases: []Case{
			reused("parameters of a CDN-Cache-Control directive are ignored", "CDN-Cache-Control: max-age=3600;foo=bar;no-store"),
			reused("an unknown CDN-Cache-Control directive is ignored", "CDN-Cache-Control: foo, max-age=3600, bar=(1 2), baz=:YQ==:"),
			notReused("the last of several CDN-Cache-Control values counts", "CDN-Cache-Control: max-age=3600, max-age=0"),
		},
	},
	{
		Section: "RFC 9213 §2.1", Level: MustNot,
		Rule:          "Do not generate a value that the directive does not allow.",
		NotObservable: "a targeted field that the cache generates. It generates none",
	},
	{
		Section: "RFC 9213 §2.2", Level: MustNot,
		Rule: "Ignore other targeted fields, and forward them. The suffix of a field's name has no meaning.",
		Cases: []Case{
			notReused("another targeted field gives no freshness", "Example-CDN-Cache-Control: max-age=3600"),
			{Name: "another targeted field is forwarded", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Example-Cache-Control: no-store").sees(0, "Example-Cache-Control: no-store"),
				get().reuses(0, "Example-Cache-Control: no-store"),
			}},
			notReused("Surrogate-Control gives no freshness", "Surrogate-Control: max-age=3600"),
		},
	},
	{
		Section: "RFC 9213 §3", Level: Ours,
		Rule: "Forward CDN-Cache-Control for downstream caches.",
		Cases: []Case{
			{Name: "CDN-Cache-Control is forwarded", Steps: []Step{
				get().answered(200, "CDN-Cache-Control: max-age=3600", "Cache-Control: max-age=5").sees(0, "CDN-Cache-Control: max-age=3600", "Cache-Control: max-age=5"),
				get().reuses(0, "CDN-Cache-Control: max-age=3600", "Cache-Control: max-age=5"),
			}},
		},
	},
	{
		Section: "RFC 9213 §2.3", Level: Ours,
		Rule: "Send the true Age and Date even if they make the response stale for downstream caches.",
		Cases: []Case{
			{Name: "Age may exceed the lifetime for downstream caches", Steps: []Step{
				get().answered(200, "CDN-Cache-Control: max-age=3600", "Cache-Control: max-age=60", "Age: 100", "Date: {now-100}"),
				get().reuses(0, "Age: ~100", "Date: {now-100}"),
			}},
		},
	},
}
