package conformance

import (
	"strconv"
	"time"
)

// Setups with a serve-stale window of their own.
var (
	staleOnError       = Setup{StaleIfError: time.Hour}
	staleAndRevalidate = Setup{StaleWhileRevalidate: time.Hour}
)

// remoteOrigin are the doors at which the origin can die apart from the cache: a handler that
// aborts its response aborts the cache's too.
var remoteOrigin = []string{InFrontOfProxy, BehindProxy, InClient}

// staleRules: serving stale responses (RFC 9111 §4.2.4, RFC 5861).
var staleRules = []Requirement{
	{
		Section: "RFC 9111 §4.2.4", Level: MustNot,
		Rule:   "Serve nothing stale that a directive forbids to be.",
		KeptBy: []string{"no-cache is not served in place of an error", "must-revalidate forbids stale on an error", "proxy-revalidate forbids stale on an error", "s-maxage forbids stale on an error"},
	},
	{
		Section: "RFC 9111 §4.2.4", Level: MustNot,
		Rule: "Serve nothing stale unless disconnected, or the client, the origin or the configuration permits it.",
		Cases: []Case{
			{Name: "nobody permits stale on a 503", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 61"),
				get().answered(503),
			}},
			{Name: "nobody permits stale on a dead origin", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 61"),
				get().dead().fails(),
			}},
			{Name: "the configuration permits stale on a 503", Setup: staleOnError, Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 61"),
				get().answered(503).reuses(0, "Age: ~61"),
			}},
			{Name: "the configuration permits stale on a dead origin", Setup: staleOnError, Doors: remoteOrigin, Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 61"),
				get().dead().reuses(0, "Age: ~61"),
			}},
			{Name: "the configuration's permission ends", Setup: staleOnError, Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 3700"),
				get().answered(503),
			}},
			{Name: "the response's window goes before the configuration's", Setup: staleOnError, Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, stale-if-error=10", "Age: 100"),
				get().answered(503),
			}},
			{Name: "the configuration permits stale while revalidating", Setup: staleAndRevalidate, Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 61", `ETag: "a"`),
				get().refreshes(304, `ETag: "a"`).reuses(0, "Age: ~61"),
			}},
		},
	},
	{
		Section: "RFC 5861 §3", Level: May,
		Rule: "Serve a response with stale-while-revalidate for that long after it became stale.",
		Cases: []Case{
			{Name: "stale-while-revalidate serves stale", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, stale-while-revalidate=3600", "Age: 61"),
				get().refreshes(200, "Cache-Control: max-age=3600").reuses(0, "Age: ~61").says("hit", "ttl=~-1", "-fwd"),
			}},
			{Name: "a heuristically fresh response can have stale-while-revalidate", Steps: []Step{
				get().answered(200, "Cache-Control: stale-while-revalidate=3600", "Last-Modified: {now-1000}", "Age: 150"),
				get().refreshes(304).reuses(0),
			}},
			{Name: "several stale-while-revalidate directives: the first", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, stale-while-revalidate=10, stale-while-revalidate=3600", "Age: 100"),
				get().answered(200),
			}},
			{Name: "an invalid stale-while-revalidate permits nothing", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, stale-while-revalidate=abc", "Age: 61"),
				get().answered(200),
			}},
		},
	},
	{
		Section: "RFC 5861 §3", Level: Should,
		Rule: "Revalidate without making the client wait.",
		Cases: []Case{
			{Name: "a background validation refreshes with a 304", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, stale-while-revalidate=3600", "Age: 61", `ETag: "a"`),
				get().refreshes(304, "Cache-Control: max-age=60", `ETag: "a"`).asked(`If-None-Match: "a"`).reuses(0),
				get().reuses(0, "Age: ~0").says("hit", "ttl=~60"),
			}},
			{Name: "a background validation replaces with a full answer", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, stale-while-revalidate=3600", "Age: 61", `ETag: "a"`),
				get().refreshes(200, "Cache-Control: max-age=60", `ETag: "b"`).asked(`If-None-Match: "a"`).reuses(0),
				get().reuses(1, `ETag: "b"`),
			}},
			{Name: "a background validation answers to a client that is gone", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, stale-while-revalidate=3600", "Age: 61"),
				{Background: true, Answer: &Answer{Header: Lines{"Cache-Control: max-age=60"}, Delay: 100 * time.Millisecond}, Sees: Sees{from: 1}},
				get().reuses(1),
			}},
			{Name: "a background validation that fails leaves the response", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, stale-while-revalidate=3600", "Age: 61"),
				get().refreshes(503).reuses(0),
				get().refreshes(200, "Cache-Control: max-age=60").reuses(0),
				get().reuses(2),
			}},
			{Name: "a background validation asks without the client's conditions and range", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, stale-while-revalidate=3600", "Age: 61", `ETag: "a"`).with("0123456789"),
				get("Range: bytes=2-4").refreshes(304, `ETag: "a"`).asked("-Range", `If-None-Match: "a"`).sees(206).seesBody("234"),
			}},
		},
	},
	{
		Section: "RFC 5861 §3", Level: ShouldNot,
		Rule: "Serve no response for longer than its stale-while-revalidate says.",
		Cases: []Case{
			{Name: "the window of stale-while-revalidate ends", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, stale-while-revalidate=60", "Age: 121", `ETag: "a"`),
				get().answered(304).asked(`If-None-Match: "a"`).reuses(0),
			}},
			{Name: "stale-while-revalidate=0 permits nothing", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, stale-while-revalidate=0", "Age: 60"),
				get().answered(200),
			}},
			{Name: "stale-while-revalidate does not help where the origin answers an error", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, stale-while-revalidate=60", "Age: 200"),
				get().answered(503),
			}},
		},
	},
	{
		Section: "RFC 5861 §4", Level: May,
		Rule: "On an error, which is a 500, 502, 503, 504 or what would cause one, serve a response for as long as its stale-if-error says.",
		Cases: append(statuses(func(status int) Case {
			return Case{Name: "stale-if-error covers " + strconv.Itoa(status), Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, stale-if-error=3600", "Age: 100"),
				get().answered(status).reuses(0, "Age: ~100"),
			}}
		}, 500, 502, 503, 504),
			Case{Name: "stale-if-error covers a dead origin", Doors: remoteOrigin, Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, stale-if-error=3600", "Age: 100"),
				get().dead().reuses(0, "Age: ~100"),
			}},
			Case{Name: "stale-if-error covers a failed validation", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, stale-if-error=3600", "Age: 100", `ETag: "a"`),
				get().answered(503).asked(`If-None-Match: "a"`).reuses(0),
				get().answered(304).asked(`If-None-Match: "a"`).reuses(0),
			}},
			Case{Name: "an error with freshness of its own does not end what stale-if-error covers", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, stale-if-error=3600", "Age: 100"),
				get().answered(503, "Cache-Control: max-age=3600").reuses(0),
			}},
			Case{Name: "a request's stale-if-error counts", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 100", `ETag: "a"`),
				get("Cache-Control: stale-if-error=3600").answered(503).reuses(0),
			}},
			Case{Name: "a request's stale-if-error does not overrule must-revalidate", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, must-revalidate", "Age: 100"),
				get("Cache-Control: stale-if-error=3600").answered(503),
			}},
		),
	},
	{
		Section: "RFC 5861 §4", Level: ShouldNot,
		Rule: "Serve nothing in place of what is no error, nor for longer than stale-if-error says.",
		Cases: append(statuses(func(status int) Case {
			return Case{Name: "stale-if-error does not cover " + strconv.Itoa(status), Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, stale-if-error=3600", "Age: 100"),
				get().answered(status),
			}}
		}, 404, 410, 429, 501, 505, 599),
			Case{Name: "the window of stale-if-error ends", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, stale-if-error=60", "Age: 121"),
				get().answered(503),
			}},
			Case{Name: "the window of stale-if-error ends on a dead origin too", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, stale-if-error=60", "Age: 121"),
				get().dead().fails(),
			}},
			Case{Name: "the window of a request's stale-if-error ends", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 200"),
				get("Cache-Control: stale-if-error=100").answered(503),
			}},
			Case{Name: "stale-if-error keeps no client from a validation", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, stale-if-error=3600", "Age: 100"),
				get().answered(200, "Cache-Control: max-age=60"),
			}},
		),
	},
	{
		Section: "RFC 5861 §3, §4", Level: Should,
		Rule:   "A stale response that is served is visibly stale by its Age.",
		KeptBy: []string{"stale-while-revalidate serves stale", "stale-if-error covers 503"},
	},
	{
		Section: "RFC 5861 §3, §4", Level: Should,
		Rule:    "A stale response that is served carries a Warning.",
		NotKept: "RFC 9111 §5.5 made Warning obsolete; Age and the ttl of Cache-Status say the same",
	},
}
