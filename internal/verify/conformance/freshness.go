package conformance

import "fmt"

// freshnessRules are about how long a response is fresh (RFC 9111 §4.2.1 and §4.2.2, and the syntax
// of §5.2).
var freshnessRules = []Requirement{
	{
		Section: "RFC 9111 §4.2", Level: Must,
		Rule: "A response is fresh while its lifetime is greater than its age.",
		Cases: []Case{
			reused("max-age in the future is fresh", "Cache-Control: max-age=3600"),
			notReused("max-age=0 is stale", "Cache-Control: max-age=0"),
			notReused("an age equal to max-age is stale", "Cache-Control: max-age=60", "Age: 60"),
			notReused("an age above max-age is stale", "Cache-Control: max-age=60", "Age: 61"),
			reused("an age below max-age is fresh", "Cache-Control: max-age=60", "Age: 25"),
			notReused("a response without any freshness field is not fresh"),
			notReused("an entity tag gives no freshness", `ETag: "a"`),
		},
	},
	{
		Section: "RFC 9111 §4.2.1, §5.2.2.10", Level: Must,
		Rule: "In a shared cache s-maxage overrides max-age and Expires.",
		Cases: []Case{
			reused("s-maxage longer than max-age is used", "Cache-Control: max-age=60, s-maxage=3600", "Age: 120"),
			notReused("s-maxage shorter than max-age is used", "Cache-Control: max-age=3600, s-maxage=60", "Age: 120"),
			reused("s-maxage is used before max-age too", "Cache-Control: s-maxage=3600, max-age=60", "Age: 120"),
			reused("s-maxage in a second line is used", "Cache-Control: max-age=60", "Cache-Control: s-maxage=3600", "Age: 120"),
			reused("s-maxage is used with Expires in the past", "Cache-Control: s-maxage=3600", "Expires: {now-3600}"),
			notReused("s-maxage=0 is used with Expires in the future", "Cache-Control: s-maxage=0", "Expires: {now+3600}"),
			reused("S-MaxAge is s-maxage", "Cache-Control: max-age=0, S-MaxAge=3600"),
			notReused("an invalid s-maxage is stale", "Cache-Control: s-maxage=abc, max-age=3600"),
		},
	},
	{
		Section: "RFC 9111 §4.2.1, §5.3", Level: Must,
		Rule: "max-age overrides Expires.",
		Cases: []Case{
			reused("max-age is used with Expires in the past", "Cache-Control: max-age=3600", "Expires: {now-3600}"),
			reused("max-age is used with an invalid Expires", "Cache-Control: max-age=3600", "Expires: 0"),
			notReused("max-age=0 is used with Expires in the future", "Cache-Control: max-age=0", "Expires: {now+3600}"),
			notReused("max-age is used with a later Expires", "Cache-Control: max-age=60", "Age: 61", "Expires: {now+3600}"),
			notReused("an invalid max-age is stale with Expires in the future", "Cache-Control: max-age=abc", "Expires: {now+3600}"),
		},
	},
	{
		Section: "RFC 9111 §4.2.1", Level: Must,
		Rule: "Expires counts from Date, or from the time of receipt without Date.",
		Cases: []Case{
			reused("Expires after Date is fresh", "Expires: {now+3600}", "Date: {now}"),
			reused("Expires without Date counts from the time of receipt", "Expires: {now+3600}", "-Date"),
			notReused("Expires equal to Date is stale", "Expires: {now}", "Date: {now}"),
			notReused("Expires before Date is stale", "Expires: {now+60}", "Date: {now+120}"),
			notReused("Expires in the past is stale", "Expires: {now-3600}"),
			reused("Expires of an origin with a fast clock counts from its Date", "Expires: {now+3700}", "Date: {now+100}"),
			notReused("Expires is used up by Age", "Expires: {now+60}", "Date: {now}", "Age: 61"),
			reused("Age uses up only a part of Expires", "Expires: {now+3600}", "Date: {now}", "Age: 60"),
		},
	},
	{
		Section: "RFC 9111 §1.2.2", Level: Must,
		Rule: "A number that is too large, or overflows in a calculation, means 2^31.",
		Cases: []Case{
			reused("max-age=2147483647 is fresh", "Cache-Control: max-age=2147483647"),
			reused("max-age=2147483648 is fresh", "Cache-Control: max-age=2147483648"),
			reused("max-age=2147483649 is fresh", "Cache-Control: max-age=2147483649"),
			reused("max-age=4294967296 is fresh", "Cache-Control: max-age=4294967296"),
			reused("max-age=9223372036854775808 is fresh", "Cache-Control: max-age=9223372036854775808"),
			reused("max-age of thirty digits is fresh", "Cache-Control: max-age=999999999999999999999999999999"),
			reused("s-maxage of thirty digits is fresh", "Cache-Control: s-maxage=999999999999999999999999999999"),
			{Name: "a lifetime above 2^31 is 2^31", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=99999999999"),
				get().reuses(0).says("hit", "ttl=~2147483648"),
			}},
			{Name: "max-stale of thirty digits accepts anything", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 100000", `ETag: "a"`),
				get("Cache-Control: max-stale=999999999999999999999999999999").reuses(0),
			}},
		},
	},
	{
		Section: "RFC 9111 §1.2.2, §4.2.1", Level: Encouraged,
		Rule: "A lifetime that is not a whole non-negative number means stale.",
		Cases: []Case{
			reused("leading zeros in a max-age are allowed", "Cache-Control: max-age=0003600"),
			notReused("a negative max-age is stale", "Cache-Control: max-age=-3600"),
			notReused("a signed max-age is stale", "Cache-Control: max-age=+3600"),
			notReused("a fractional max-age is stale", "Cache-Control: max-age=3600.5"),
			notReused("a max-age with a zero fraction is stale", "Cache-Control: max-age=3600.0"),
			notReused("an alphabetic max-age is stale", "Cache-Control: max-age=abc"),
			notReused("a max-age with a letter before is stale", "Cache-Control: max-age=a3600"),
			notReused("a max-age with a letter after is stale", "Cache-Control: max-age=3600a"),
			notReused("a max-age in single quotes is stale", "Cache-Control: max-age='3600'"),
			notReused("a hexadecimal max-age is stale", "Cache-Control: max-age=0xfff"),
			notReused("a max-age with a separator is stale", "Cache-Control: max-age=3_600"),
			notReused("a max-age with an exponent is stale", "Cache-Control: max-age=1e5"),
			notReused("an empty max-age is stale", "Cache-Control: max-age="),
			notReused("a bare max-age is stale", "Cache-Control: max-age"),
			notReused("an invalid max-age does not allow a heuristic", "Cache-Control: max-age=abc", "Last-Modified: {now-1000000}"),
		},
	},
	{
		Section: "RFC 9111 §5.2", Level: Encouraged,
		Rule:  "Accept a directive's argument with and without quotes.",
		Cases: []Case{reused("max-age in double quotes is a number", `Cache-Control: max-age="3600"`)},
	},
	{
		Section: "RFC 9111 §5.2, RFC 9110 §5.6", Level: Must,
		Rule: "Parse Cache-Control as a list of directives with tokens or quoted strings, compared without regard to case.",
		Cases: []Case{
			reused("Max-Age is max-age", "Cache-Control: Max-Age=3600"),
			reused("MAX-AGE is max-age", "Cache-Control: MAX-AGE=3600"),
			reused("directives need no space between them", "Cache-Control: public,max-age=3600"),
			reused("spaces and tabs around commas are ignored", "Cache-Control: public \t ,\t max-age=3600 "),
			reused("empty members are ignored", "Cache-Control: ,, max-age=3600,,"),
			reused("lines are combined", "Cache-Control: public", "Cache-Control: max-age=3600"),
			notReused("a max-age inside a quoted string is not a directive", `Cache-Control: ext="max-age=3600"`),
			notReused("a max-age inside a quoted string does not hide the real one after it", `Cache-Control: ext="a, max-age=3600", max-age=0`),
			notReused("a max-age inside a quoted string does not hide the real one before it", `Cache-Control: max-age=0, ext="a, max-age=3600"`),
			reused("an escaped quote does not end a quoted string", `Cache-Control: ext="\", no-store, \"", max-age=3600`),
			notReused("a name with a prefix is a different directive", "Cache-Control: x-max-age=3600"),
			notReused("a name with a suffix is a different directive", "Cache-Control: max-ages=3600"),
			notReused("a space before the equals sign is not a max-age", "Cache-Control: max-age =3600"),
			notReused("a space after the equals sign makes the value invalid", "Cache-Control: max-age= 3600"),
		},
	},
	{
		Section: "RFC 9111 §5.2.3", Level: Must,
		Rule: "Ignore unknown directives.",
		Cases: []Case{
			reused("an unknown directive is ignored", "Cache-Control: foobar, max-age=3600"),
			reused("an unknown directive with an argument is ignored", "Cache-Control: foo=bar, max-age=3600, baz=\"q, r\""),
			reused("a malformed member is ignored", "Cache-Control: max-age=3600, =, \"x"),
			notReused("an unknown directive gives no freshness", "Cache-Control: foobar"),
		},
	},
	{
		Section: "RFC 9111 §4.2.1", Level: Encouraged,
		Rule: "If a directive or Expires has several values, use the first, or treat the response as stale. If directives conflict, use the most restrictive.",
		Cases: []Case{
			notReused("a short max-age before a long one counts", "Cache-Control: max-age=60, max-age=3600", "Age: 120"),
			reused("a long max-age before a short one counts", "Cache-Control: max-age=3600, max-age=60", "Age: 120"),
			notReused("a short max-age in the first of two lines counts", "Cache-Control: max-age=60", "Cache-Control: max-age=3600", "Age: 120"),
			notReused("a short s-maxage before a long one counts", "Cache-Control: s-maxage=60, s-maxage=3600", "Age: 120"),
			notReused("several Expires lines mean stale", "Expires: {now+3600}", "Expires: {now+3600}"),
			notReused("a past and then a future Expires line mean stale", "Expires: {now-3600}", "Expires: {now+3600}"),
			notReused("two dates in one Expires mean stale", "Expires: {now+3600}, {now+3600}"),
			validated("no-cache overrides max-age", "Cache-Control: max-age=3600, no-cache"),
		},
	},
	{
		Section: "RFC 9111 §4.2.2", Level: MustNot,
		Rule: "Do not use a heuristic if there is an explicit expiration time.",
		Cases: []Case{
			notReused("an expired Expires does not allow a heuristic", "Expires: {now-10}", "Last-Modified: {now-1000000}"),
			notReused("an invalid Expires does not allow a heuristic", "Expires: 0", "Last-Modified: {now-1000000}"),
			notReused("max-age=0 does not allow a heuristic", "Cache-Control: max-age=0", "Last-Modified: {now-1000000}"),
			notReused("a used-up max-age does not allow a heuristic", "Cache-Control: max-age=60", "Age: 100", "Last-Modified: {now-1000000}"),
		},
	},
	{
		Section: "RFC 9111 §4.2.2, RFC 9110 §15.1", Level: May,
		Rule: "Give a response a heuristic lifetime from Last-Modified, if its status allows that.",
		Cases: append(statuses(func(status int) Case {
			return Case{Name: fmt.Sprintf("%d is heuristically fresh", status), Setup: Setup{StoreServerErrors: status >= 500}, Steps: []Step{
				get().answered(status, "Last-Modified: {now-100000}", "Location: /x"),
				get().reuses(0),
			}}
		}, 200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501),
			reused("a response with Last-Modified is heuristically fresh", "Last-Modified: {now-100000}"),
			Case{Name: "a URL with a query is heuristically fresh", Steps: []Step{
				get().at("?a=b").answered(200, "Last-Modified: {now-100000}"),
				get().at("?a=b").reuses(0),
			}},
		),
	},
	{
		Section: "RFC 9111 §4.2.2", Level: Encouraged,
		Rule: "A heuristic lifetime is at most a tenth of the time since Last-Modified, and at most a day.",
		Cases: []Case{
			{Name: "a tenth of the time since Last-Modified is fresh", Steps: []Step{
				get().answered(200, "Last-Modified: {now-10000}", "Date: {now}"),
				get().reuses(0).says("hit", "ttl=~1000"),
			}},
			{Name: "the time since Last-Modified ends at Date", Steps: []Step{
				get().answered(200, "Last-Modified: {now-20000}", "Date: {now-10000}"),
				get().answered(200),
			}},
			{Name: "a heuristic lifetime is at most a day", Steps: []Step{
				get().answered(200, "Last-Modified: {now-100000000}", "Date: {now}"),
				get().reuses(0).says("hit", "ttl=~86400"),
			}},
			notReused("Age uses up a heuristic lifetime", "Last-Modified: {now-10000}", "Age: 1001"),
			notReused("a Last-Modified in the future gives no lifetime", "Last-Modified: {now+10000}"),
			notReused("a Last-Modified equal to Date gives no lifetime", "Last-Modified: {now}", "Date: {now}"),
			notReused("an invalid Last-Modified gives no lifetime", "Last-Modified: yesterday"),
			notReused("public without Last-Modified gives no lifetime", "Cache-Control: public"),
		},
	},
	{
		Section: "RFC 9111 §5.4", Level: Ours,
		Rule: "Ignore Pragma in a response.",
		Cases: []Case{
			reused("Pragma: no-cache in a response is ignored", "Cache-Control: max-age=3600", "Pragma: no-cache"),
			// A client of net/http turns it into Cache-Control: no-cache. Behind such a client the
			// cache never sees it alone.
			{Name: "Pragma: no-cache in a response does not forbid a heuristic", Doors: []string{InFrontOfService}, Steps: []Step{
				get().answered(200, "Last-Modified: {now-100000}", "Pragma: no-cache"),
				get().reuses(0),
			}},
			notReused("Pragma: max-age gives no lifetime", "Pragma: max-age=3600"),
		},
	},
}
