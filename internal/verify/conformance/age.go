package conformance

import "time"

// ageRules are about how old a response is (RFC 9111 §4.2.3 and §5.1).
var ageRules = []Requirement{
	{
		Section: "RFC 9111 §4", Level: Must,
		Rule: "Send Age with a response that is reused without validation, and replace the received one.",
		Cases: []Case{
			{Name: "Age is generated", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600"),
				get().reuses(0, "Age: ~0"),
			}},
			{Name: "Age replaces the one of an upstream cache", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Age: 100"),
				get().reuses(0, "Age: ~100"),
			}},
			{Name: "Age grows with time", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Age: 100"),
				{After: 1100 * time.Millisecond, Sees: Sees{Body: "answer 0\n", Header: Lines{"Age: ~101"}}},
			}},
			{Name: "a 304 and a 206 made from a stored response have Age", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Age: 100", `ETag: "a"`).with("0123456789"),
				get(`If-None-Match: "a"`).sees(304, "Age: ~100"),
				get("Range: bytes=2-4").sees(206, "Age: ~100").seesBody("234"),
			}},
			{Name: "a response to HEAD has Age", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Age: 100"),
				head().reuses(0, "Age: ~100"),
			}},
		},
	},
	{
		Section: "RFC 9111 §4.2.3", Level: Must,
		Rule: "Count a received Age from the time when the request was sent.",
		Cases: []Case{
			{Name: "the delay of the response is part of its age", Steps: []Step{
				get().answer(Answer{Header: Lines{"Cache-Control: max-age=3600", "Age: 10"}, Delay: 1100 * time.Millisecond}),
				get().reuses(0, "Age: ~11"),
			}},
		},
	},
	{
		Section: "RFC 9111 §4.2.3", Level: Must,
		Rule: "The age is the received Age, or the time since Date if that is longer.",
		Cases: []Case{
			{Name: "a Date in the past makes a response old", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Date: {now-100}"),
				get().reuses(0, "Age: ~100"),
			}},
			notReused("a Date further back than the lifetime makes a response stale", "Cache-Control: max-age=3600", "Date: {now-7200}"),
			{Name: "a Date in the future does not make a response younger", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Date: {now+100}", "Age: 50"),
				get().reuses(0, "Age: ~50"),
			}},
			{Name: "the larger of Age and the time since Date is the age", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Date: {now-50}", "Age: 100"),
				get().reuses(0, "Age: ~100"),
			}},
		},
	},
	{
		Section: "RFC 9111 §5.1", Level: Should,
		Rule: "If there are several Age values, use the first.",
		Cases: []Case{
			notReused("the first of two Age values counts: old", "Cache-Control: max-age=3600", "Age: 7200, 0"),
			reused("the first of two Age values counts: young", "Cache-Control: max-age=3600", "Age: 0, 7200"),
			notReused("the first of two Age lines counts: old", "Cache-Control: max-age=3600", "Age: 7200", "Age: 0"),
			reused("the first of two Age lines counts: young", "Cache-Control: max-age=3600", "Age: 0", "Age: 7200"),
			notReused("a second Age that is not a number is ignored", "Cache-Control: max-age=3600", "Age: 7200, abc"),
		},
	},
	{
		Section: "RFC 9111 §5.1", Level: Should,
		Rule: "Ignore an Age that is not a whole non-negative number.",
		Cases: []Case{
			reused("an alphabetic Age is ignored", "Cache-Control: max-age=3600", "Age: abc"),
			reused("a negative Age is ignored", "Cache-Control: max-age=3600", "Age: -7200"),
			reused("a fractional Age is ignored", "Cache-Control: max-age=3600", "Age: 7200.0"),
			reused("an Age with letters before is ignored", "Cache-Control: max-age=3600", "Age: a7200"),
			reused("an Age with letters after is ignored", "Cache-Control: max-age=3600", "Age: 7200a"),
			reused("an Age with a parameter is ignored", "Cache-Control: max-age=3600", "Age: 7200;foo=bar"),
			reused("a quoted Age is ignored", "Cache-Control: max-age=3600", `Age: "7200"`),
			reused("an empty Age is ignored", "Cache-Control: max-age=3600", "Age:"),
			reused("if the first Age is not a number, all are ignored", "Cache-Control: max-age=3600", "Age: abc, 7200"),
			reused("if the first Age line is not a number, all are ignored", "Cache-Control: max-age=3600", "Age: abc", "Age: 7200"),
			{Name: "an Age that is ignored is replaced", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Age: abc"),
				get().reuses(0, "Age: ~0"),
			}},
			notReused("leading zeros in an Age are allowed", "Cache-Control: max-age=3600", "Age: 0007200"),
		},
	},
	{
		Section: "RFC 9111 §1.2.2, §5.1", Level: Must,
		Rule: "A huge Age means a stale response, not an overflow.",
		Cases: []Case{
			notReused("Age: 2147483648 is stale", "Cache-Control: max-age=3600", "Age: 2147483648"),
			notReused("Age: 2147483649 is stale", "Cache-Control: max-age=3600", "Age: 2147483649"),
			notReused("Age: 4294967297 is stale", "Cache-Control: max-age=3600", "Age: 4294967297"),
			notReused("an Age of thirty digits is stale", "Cache-Control: max-age=3600", "Age: 999999999999999999999999999999"),
			notReused("an Age of thirty digits uses up the largest lifetime", "Cache-Control: max-age=2147483648", "Age: 999999999999999999999999999999"),
		},
	},
	{
		Section: "RFC 9111 §4", Level: Must,
		Rule:          "Without a clock, validate at every use.",
		NotObservable: "a cache without a clock. Cirque has one",
	},
}
