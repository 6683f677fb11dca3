package conformance

// targetedRules: CDN-Cache-Control (RFC 9213).
var targetedRules = []Requirement{
	{
		Section: "RFC 9213 §2.2", Level: Must,
		Rule: "Go by the first valid targeted field, and ignore Cache-Control and Expires then.",
		Cases: []Case{
			reused("CDN-Cache-Control gives freshness", "CDN-Cache-Control: max-age=3600"),
			reused("CDN-Cache-Control goes before a shorter Cache-Control", "CDN-Cache-Control: max-age=3600", "Cache-Control: max-age=0"),
			notReused("CDN-Cache-Control goes before a longer Cache-Control", "CDN-Cache-Control: max-age=0", "Cache-Control: max-age=3600"),
			reused("CDN-Cache-Control goes before s-maxage", "CDN-Cache-Control: max-age=3600", "Cache-Control: s-maxage=0"),
			reused("CDN-Cache-Control goes before no-store", "CDN-Cache-Control: max-age=3600", "Cache-Control: no-store"),
			reused("CDN-Cache-Control goes before no-cache", "CDN-Cache-Control: max-age=3600", "Cache-Control: no-cache"),
			reused("CDN-Cache-Control goes before private", "CDN-Cache-Control: max-age=3600", "Cache-Control: private"),
			reused("CDN-Cache-Control goes before Expires in the past", "CDN-Cache-Control: max-age=3600", "Expires: {now-3600}"),
			notReused("CDN-Cache-Control goes before Expires in the future", "CDN-Cache-Control: max-age=0", "Expires: {now+3600}"),
			notReused("a CDN-Cache-Control without freshness takes Cache-Control's away", "CDN-Cache-Control: none", "Cache-Control: max-age=3600"),
			notReused("a CDN-Cache-Control without freshness takes Expires away", "CDN-Cache-Control: none", "Expires: {now+3600}"),
			reused("CDN-Cache-Control in two lines is one field", "CDN-Cache-Control: public", "CDN-Cache-Control: max-age=3600"),
			notReused("Age uses up CDN-Cache-Control", "CDN-Cache-Control: max-age=60", "Age: 61"),
			reused("Age leaves some of CDN-Cache-Control", "CDN-Cache-Control: max-age=3600", "Age: 60"),
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
			notStored("in CDN-Cache-Control no-store beats max-age", "CDN-Cache-Control: max-age=3600, no-store"),
			{Name: `CDN-Cache-Control: private="f" keeps the field from others`, Steps: []Step{
				get().answered(200, `CDN-Cache-Control: max-age=3600, private="X-User"`, "X-User: 1"),
				get().reuses(0, "-X-User"),
			}},
		},
	},
	{
		Section: "RFC 9213 §2.2", Level: Should,
		Rule: "Implement the other directives too.",
		Cases: []Case{
			reused("CDN-Cache-Control: s-maxage goes before its max-age", "CDN-Cache-Control: max-age=0, s-maxage=3600"),
			{Name: "CDN-Cache-Control: stale-if-error counts", Steps: []Step{
				get().answered(200, "CDN-Cache-Control: max-age=60, stale-if-error=3600", "Age: 61"),
				get().answered(503).reuses(0),
			}},
			{Name: "CDN-Cache-Control: stale-while-revalidate counts", Steps: []Step{
				get().answered(200, "CDN-Cache-Control: max-age=60, stale-while-revalidate=3600", "Age: 61"),
				get().refreshes(200, "CDN-Cache-Control: max-age=3600").reuses(0),
			}},
			{Name: "the stale-if-error of Cache-Control does not count beside CDN-Cache-Control", Steps: []Step{
				get().answered(200, "CDN-Cache-Control: max-age=60", "Cache-Control: stale-if-error=3600", "Age: 61"),
				get().answered(503),
			}},
			{Name: "CDN-Cache-Control: public shares an answer to Authorization", Steps: []Step{
				get("Authorization: Basic YTpi").answered(200, "CDN-Cache-Control: public, max-age=3600"),
				get().reuses(0),
			}},
			{Name: "the public of Cache-Control does not count beside CDN-Cache-Control", Steps: []Step{
				get("Authorization: Basic YTpi").answered(200, "CDN-Cache-Control: max-age=3600", "Cache-Control: public"),
				get().answered(200),
			}},
		},
	},
	{
		Section: "RFC 9213 §2.1", Level: Must,
		Rule: "Ignore a targeted field that is empty or no valid Structured Field.",
		Cases: []Case{
			reused("an empty CDN-Cache-Control is ignored", "CDN-Cache-Control:", "Cache-Control: max-age=3600"),
			reused("a CDN-Cache-Control that cannot be parsed is ignored whole", "CDN-Cache-Control: max-age=0, =", "Cache-Control: max-age=3600"),
			reused("a CDN-Cache-Control with an upper-case name is ignored whole", "CDN-Cache-Control: Max-Age=0", "Cache-Control: max-age=3600"),
			reused("a CDN-Cache-Control with a trailing comma is ignored whole", "CDN-Cache-Control: max-age=0,", "Cache-Control: max-age=3600"),
			reused("a CDN-Cache-Control with a number of sixteen digits is ignored whole", "CDN-Cache-Control: max-age=0, x=1234567890123456", "Cache-Control: max-age=3600"),
			reused("a CDN-Cache-Control with an unclosed string is ignored whole", `CDN-Cache-Control: max-age=0, x="a`, "Cache-Control: max-age=3600"),
			reused("a CDN-Cache-Control with single quotes is ignored whole", "CDN-Cache-Control: max-age='0'", "Cache-Control: max-age=3600"),
			reused("a CDN-Cache-Control with semicolons between its members is one member with parameters", "CDN-Cache-Control: max-age=3600; no-store"),
			notReused("an ignored CDN-Cache-Control gives no freshness", "CDN-Cache-Control: max-age=3600, ="),
			notStored("an ignored CDN-Cache-Control does not overrule no-store", "CDN-Cache-Control: max-age=3600 no", "Cache-Control: no-store"),
		},
	},
	{
		Section: "RFC 9213 §2.1", Level: ShouldNot,
		Rule: "Use no value of a type that its directive does not have.",
		Cases: []Case{
			notReused("a String is no max-age", `CDN-Cache-Control: max-age="3600"`, "Cache-Control: max-age=3600"),
			notReused("a Decimal is no max-age", "CDN-Cache-Control: max-age=3600.0", "Cache-Control: max-age=3600"),
			notReused("a Token is no max-age", "CDN-Cache-Control: max-age=a3600", "Cache-Control: max-age=3600"),
			notReused("a Boolean is no max-age", "CDN-Cache-Control: max-age", "Cache-Control: max-age=3600"),
			notReused("a negative Integer is no max-age", "CDN-Cache-Control: max-age=-3600", "Cache-Control: max-age=3600"),
			notReused("an Inner List is no max-age", "CDN-Cache-Control: max-age=(3600)", "Cache-Control: max-age=3600"),
			reused("a Boolean that is false is no directive", "CDN-Cache-Control: max-age=3600, no-store=?0"),
		},
	},
	{
		Section: "RFC 9213 §2.1", Level: Ours,
		Rule: "Parameters are ignored, and unknown directives too.",
		Cases: []Case{
			reused("parameters of a CDN-Cache-Control directive are ignored", "CDN-Cache-Control: max-age=3600;foo=bar;no-store"),
			reused("an unknown CDN-Cache-Control directive is ignored", "CDN-Cache-Control: foo, max-age=3600, bar=(1 2), baz=:YQ==:"),
			notReused("the last of several CDN-Cache-Control values counts, as in every Dictionary", "CDN-Cache-Control: max-age=3600, max-age=0"),
		},
	},
	{
		Section: "RFC 9213 §2.1", Level: MustNot,
		Rule:          "Generate no value that its directive does not have.",
		NotObservable: "a targeted field of the cache's own making; it makes none",
	},
	{
		Section: "RFC 9213 §2.2", Level: MustNot,
		Rule: "Let no other targeted field change anything, and pass it through; the name's suffix means nothing.",
		Cases: []Case{
			notReused("another targeted field gives no freshness", "Example-CDN-Cache-Control: max-age=3600"),
			{Name: "another targeted field is passed through", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Example-Cache-Control: no-store").sees(0, "Example-Cache-Control: no-store"),
				get().reuses(0, "Example-Cache-Control: no-store"),
			}},
			notReused("Surrogate-Control gives no freshness", "Surrogate-Control: max-age=3600"),
		},
	},
	{
		Section: "RFC 9213 §3", Level: Ours,
		Rule: "CDN-Cache-Control is forwarded for the caches downstream.",
		Cases: []Case{
			{Name: "CDN-Cache-Control is forwarded", Steps: []Step{
				get().answered(200, "CDN-Cache-Control: max-age=3600", "Cache-Control: max-age=5").sees(0, "CDN-Cache-Control: max-age=3600", "Cache-Control: max-age=5"),
				get().reuses(0, "CDN-Cache-Control: max-age=3600", "Cache-Control: max-age=5"),
			}},
		},
	},
	{
		Section: "RFC 9213 §2.3", Level: Ours,
		Rule: "Age and Date tell the truth even where that makes the response stale downstream.",
		Cases: []Case{
			{Name: "Age may exceed the lifetime that is left for others", Steps: []Step{
				get().answered(200, "CDN-Cache-Control: max-age=3600", "Cache-Control: max-age=60", "Age: 100", "Date: {now-100}"),
				get().reuses(0, "Age: ~100", "Date: {now-100}"),
			}},
		},
	},
}
