package conformance

// requestRules are about what a request may require of the cache (RFC 9111 §5.2.1 and §5.4).
var requestRules = []Requirement{
	{
		Section: "RFC 9111 §5.2.1.1", Level: May,
		Rule: "A request's max-age limits the age of the response. Without max-stale, the response must not be stale.",
		Cases: []Case{
			{Name: "a request's max-age=0 causes a validation", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", `ETag: "a"`),
				get("Cache-Control: max-age=0").answered(304).asked(`If-None-Match: "a"`).reuses(0),
			}},
			{Name: "a request's max-age below the age causes a validation", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Age: 1800", `ETag: "a"`),
				get("Cache-Control: max-age=600").answered(304).asked(`If-None-Match: "a"`).reuses(0),
			}},
			{Name: "a request's max-age above the age is a hit", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Age: 600"),
				get("Cache-Control: max-age=1800").reuses(0),
			}},
			{Name: "a request's max-age does not make a stale response fresh", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 61", `ETag: "a"`),
				get("Cache-Control: max-age=3600").answered(304).asked(`If-None-Match: "a"`).reuses(0),
			}},
			{Name: "a request's max-age and max-stale together accept a stale response", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 100", `ETag: "a"`),
				get("Cache-Control: max-age=3600, max-stale=600").reuses(0),
			}},
			{Name: "a request's max-age in double quotes is a number", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Age: 1800", `ETag: "a"`),
				get(`Cache-Control: max-age="600"`).answered(304).asked(`If-None-Match: "a"`).reuses(0),
			}},
			{Name: "a request's MAX-AGE is max-age", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Age: 1800", `ETag: "a"`),
				get("Cache-Control: x, MAX-AGE=600").answered(304).asked(`If-None-Match: "a"`).reuses(0),
			}},
			{Name: "a validation because of max-age refreshes the stored response", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Age: 1800", `ETag: "a"`),
				get("Cache-Control: max-age=600").answered(304, `ETag: "a"`).reuses(0),
				get("Cache-Control: max-age=600").reuses(0, "Age: ~0"),
			}},
		},
	},
	{
		Section: "RFC 9111 §5.2.1.2", Level: May,
		Rule: "max-stale accepts a response that has been stale for at most that long; without a value it accepts any.",
		Cases: []Case{
			{Name: "max-stale accepts any stale response", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 100000", `ETag: "a"`),
				get("Cache-Control: max-stale").reuses(0, "Age: ~100000"),
			}},
			{Name: "max-stale=n accepts a response that is stale for less", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 160", `ETag: "a"`),
				get("Cache-Control: max-stale=600").reuses(0, "Age: ~160"),
			}},
			{Name: "max-stale=n does not accept a response that is stale for more", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 700", `ETag: "a"`),
				get("Cache-Control: max-stale=600").answered(304).asked(`If-None-Match: "a"`).reuses(0),
			}},
			{Name: "an invalid max-stale accepts nothing stale", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 100", `ETag: "a"`),
				get("Cache-Control: max-stale=abc").answered(304).asked(`If-None-Match: "a"`).reuses(0),
			}},
		},
	},
	{
		Section: "RFC 9111 §5.2.1.3", Level: May,
		Rule: "min-fresh requires a response that stays fresh for that long.",
		Cases: []Case{
			{Name: "min-fresh accepts a response that stays fresh for longer", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600"),
				get("Cache-Control: min-fresh=600").reuses(0),
			}},
			{Name: "min-fresh causes a validation of a response that does not", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", `ETag: "a"`),
				get("Cache-Control: min-fresh=7200").answered(304).asked(`If-None-Match: "a"`).reuses(0),
			}},
			{Name: "min-fresh counts the age", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Age: 3000", `ETag: "a"`),
				get("Cache-Control: min-fresh=1200").answered(304).asked(`If-None-Match: "a"`).reuses(0),
			}},
			{Name: "min-fresh below the time left accepts the response", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Age: 3000"),
				get("Cache-Control: min-fresh=500").reuses(0),
			}},
		},
	},
	{
		Section: "RFC 9111 §5.2.1.4", Level: May,
		Rule: "A request's no-cache requires a validation.",
		Cases: []Case{
			{Name: "a request's no-cache causes a validation of a fresh response", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", `ETag: "a"`),
				get("Cache-Control: no-cache").answered(304).asked(`If-None-Match: "a"`).reuses(0),
			}},
			{Name: "a request's no-cache causes a validation by date", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Last-Modified: {now-1000}"),
				get("Cache-Control: no-cache").answered(304).asked("If-Modified-Since: {now-1000}").reuses(0),
			}},
			{Name: "a request's no-cache causes a new fetch if there is no validator", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600"),
				get("Cache-Control: no-cache").answered(200, "Cache-Control: max-age=3600"),
				get().reuses(1),
			}},
			{Name: "a request's No-Cache among others counts", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600"),
				get("Cache-Control: max-stale, No-Cache").answered(200),
			}},
		},
	},
	{
		Section: "RFC 9111 §5.2.1.7", Level: Should,
		Rule: "Answer only-if-cached with a suitable stored response, or with a 504.",
		Cases: []Case{
			{Name: "only-if-cached gets a stored response", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600"),
				get("Cache-Control: only-if-cached").reuses(0),
			}},
			{Name: "only-if-cached gets 504 if nothing is stored", Steps: []Step{
				get("Cache-Control: only-if-cached").sees(504),
			}},
			{Name: "only-if-cached gets 504 if the stored response is stale", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 61", `ETag: "a"`),
				get("Cache-Control: only-if-cached").sees(504),
			}},
			{Name: "only-if-cached with max-stale gets a stale response", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 61", `ETag: "a"`),
				get("Cache-Control: only-if-cached, max-stale").reuses(0),
			}},
			{Name: "only-if-cached with no-cache gets 504", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600"),
				get("Cache-Control: only-if-cached, no-cache").sees(504),
			}},
			{Name: "only-if-cached gets 504 for another variant", Steps: []Step{
				get("X-A: 1").answered(200, "Cache-Control: max-age=3600", "Vary: X-A"),
				get("X-A: 2", "Cache-Control: only-if-cached").sees(504),
				get("X-A: 1", "Cache-Control: only-if-cached").reuses(0),
			}},
		},
	},
	{
		Section: "RFC 9111 §5.4", Level: Ours,
		Rule: "A request's Pragma: no-cache means no-cache if there is no Cache-Control.",
		Cases: []Case{
			{Name: "a request's Pragma: no-cache alone causes a validation", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", `ETag: "a"`),
				get("Pragma: no-cache").answered(304).asked(`If-None-Match: "a"`).reuses(0),
			}},
			{Name: "a request's Pragma: No-Cache among others causes a validation", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", `ETag: "a"`),
				get("Pragma: x, No-Cache").answered(304).asked(`If-None-Match: "a"`).reuses(0),
			}},
			{Name: "a request's Pragma: no-cache next to Cache-Control is ignored", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600"),
				get("Pragma: no-cache", "Cache-Control: max-age=600").reuses(0),
			}},
			{Name: "another Pragma is ignored", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600"),
				get("Pragma: no-store").reuses(0),
			}},
		},
	},
	{
		Section: "RFC 9111 §5.2.1.1, §5.2.1.2, §5.2.1.3, §5.2.2.1, §5.2.2.10", Level: MustNot,
		Rule:          "Do not generate max-age, max-stale, min-fresh or s-maxage with quotes.",
		NotObservable: "a directive that the cache generates. It generates none",
	},
	{
		Section: "RFC 9111 §5.2.3", Level: Must,
		Rule: "Ignore directives of a request that are unknown or that are only defined for responses.",
		Cases: []Case{
			{Name: "an unknown directive of a request is ignored", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600"),
				get(`Cache-Control: foobar, x="no-cache, y"`).reuses(0),
			}},
			{Name: "a request's must-revalidate, private and immutable are ignored", Steps: []Step{
				get("Cache-Control: private, must-revalidate, s-maxage=0").answered(200, "Cache-Control: max-age=3600"),
				get("Cache-Control: private, must-revalidate, s-maxage=0, immutable").reuses(0),
			}},
		},
	},
}
