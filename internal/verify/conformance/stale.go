package conformance

import (
	"strconv"
	"time"
)

// Setups that configure a window for stale responses.
var (
	staleOnError       = Setup{StaleIfError: time.Hour}
	staleAndRevalidate = Setup{StaleWhileRevalidate: time.Hour}
)

// remoteOrigin lists the doors at which the origin can break its connection and the cache can still
// answer. A handler that aborts its response aborts that of the cache too.
var remoteOrigin = []string{InFrontOfProxy, BehindProxy, InClient}

// staleRules are about serving stale responses (RFC 9111 §4.2.4, RFC 5861).
var staleRules = []Requirement{
	{
		Section: "RFC 9111 §4.2.4", Level: MustNot,
		Rule:   "Do not serve a stale response if a directive forbids it.",
		KeptBy: []string{"a response with no-cache is not served on an error", "must-revalidate forbids stale on an error", "proxy-revalidate forbids stale on an error", "s-maxage forbids stale on an error"},
	},
	{
		Section: "RFC 9111 §4.2.4", Level: MustNot,
		Rule: "Do not serve a stale response unless the client, the origin or the configuration permits it, or the cache is disconnected.",
		Cases: []Case{
			{Name: "without permission nothing stale is served on a 503", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 61"),
				get().answered(503),
			}},
			{Name: "without permission nothing stale is served if the origin is unreachable", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 61"),
				get().dead().fails(),
			}},
			{Name: "the configuration permits stale on a 503", Setup: staleOnError, Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 61"),
				get().answered(503).reuses(0, "Age: ~61"),
			}},
			{Name: "the configuration permits stale if the origin is unreachable", Setup: staleOnError, Doors: remoteOrigin, Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 61"),
				get().dead().reuses(0, "Age: ~61"),
			}},
			{Name: "the configuration's permission ends", Setup: staleOnError, Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 3700"),
				get().answered(503),
			}},
			{Name: "the response's window overrides the configuration's", Setup: staleOnError, Steps: []Step{
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
		Rule: "Serve a response with stale-while-revalidate for that long after it becomes stale.",
		Cases: []Case{
			{Name: "stale-while-revalidate serves a stale response", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, stale-while-revalidate=3600", "Age: 61"),
				get().refreshes(200, "Cache-Control: max-age=3600").reuses(0, "Age: ~61").says("hit", "ttl=~-1", "-fwd"),
			}},
			{Name: "a heuristically fresh response can have stale-while-revalidate", Steps: []Step{
				get().answered(200, "Cache-Control: stale-while-revalidate=3600", "Last-Modified: {now-1000}", "Age: 150"),
				get().refreshes(304).reuses(0),
			}},
			{Name: "the first of several stale-while-revalidate directives counts", Steps: []Step{
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
			{Name: "a full answer to a background validation replaces the response", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, stale-while-revalidate=3600", "Age: 61", `ETag: "a"`),
				get().refreshes(200, "Cache-Control: max-age=60", `ETag: "b"`).asked(`If-None-Match: "a"`).reuses(0),
				get().reuses(1, `ETag: "b"`),
			}},
			{Name: "a background validation continues after its client has gone", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, stale-while-revalidate=3600", "Age: 61"),
				{Background: true, Answer: &Answer{Header: Lines{"Cache-Control: max-age=60"}, Delay: 100 * time.Millisecond}, Sees: Sees{from: 1}},
				get().reuses(1),
			}},
			{Name: "a failed background validation does not remove the response", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, stale-while-revalidate=3600", "Age: 61"),
				get().refreshes(503).reuses(0),
				get().refreshes(200, "Cache-Control: max-age=60").reuses(0),
				get().reuses(2),
			}},
			{Name: "a background validation sends neither the client's conditions nor its range", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, stale-while-revalidate=3600", "Age: 61", `ETag: "a"`).with("0123456789"),
				get("Range: bytes=2-4").refreshes(304, `ETag: "a"`).asked("-Range", `If-None-Match: "a"`).sees(206).seesBody("234"),
			}},
		},
	},
	{
		Section: "RFC 5861 §3", Level: ShouldNot,
		Rule: "Do not serve a stale response for longer than its stale-while-revalidate says.",
		Cases: []Case{
			{Name: "the window of stale-while-revalidate ends", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, stale-while-revalidate=60", "Age: 121", `ETag: "a"`),
				get().answered(304).asked(`If-None-Match: "a"`).reuses(0),
			}},
			{Name: "stale-while-revalidate=0 permits nothing", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, stale-while-revalidate=0", "Age: 60"),
				get().answered(200),
			}},
			{Name: "stale-while-revalidate permits nothing on an error after its window", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, stale-while-revalidate=60", "Age: 200"),
				get().answered(503),
			}},
		},
	},
	{
		Section: "RFC 5861 §4", Level: May,
		Rule: "On an error (500, 502, 503, 504, or a failure that would cause one), serve a stale response for as long as its stale-if-error says.",
		Cases: append(statuses(func(status int) Case {
			return Case{Name: "stale-if-error covers " + strconv.Itoa(status), Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, stale-if-error=3600", "Age: 100"),
				get().answered(status).reuses(0, "Age: ~100"),
			}}
		}, 500, 502, 503, 504),
			Case{Name: "stale-if-error covers an unreachable origin", Doors: remoteOrigin, Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, stale-if-error=3600", "Age: 100"),
				get().dead().reuses(0, "Age: ~100"),
			}},
			Case{Name: "stale-if-error covers a failed validation", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, stale-if-error=3600", "Age: 100", `ETag: "a"`),
				get().answered(503).asked(`If-None-Match: "a"`).reuses(0),
				get().answered(304).asked(`If-None-Match: "a"`).reuses(0),
			}},
			Case{Name: "an error with freshness of its own does not replace what stale-if-error covers", Steps: []Step{
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
		Rule: "Do not serve a stale response in place of an answer that is not such an error, or for longer than stale-if-error says.",
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
			Case{Name: "the window of stale-if-error ends for an unreachable origin too", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, stale-if-error=60", "Age: 121"),
				get().dead().fails(),
			}},
			Case{Name: "the window of a request's stale-if-error ends", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 200"),
				get("Cache-Control: stale-if-error=100").answered(503),
			}},
			Case{Name: "stale-if-error does not prevent validation", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, stale-if-error=3600", "Age: 100"),
				get().answered(200, "Cache-Control: max-age=60"),
			}},
		),
	},
	{
		Section: "RFC 5861 §3, §4", Level: Should,
		Rule:   "A client can see from Age that a response is stale.",
		KeptBy: []string{"stale-while-revalidate serves a stale response", "stale-if-error covers 503"},
	},
	{
		Section: "RFC 5861 §3, §4", Level: Should,
		Rule:    "Send Warning with a stale response.",
		NotKept: "RFC 9111 §5.5 made Warning obsolete; Age and the ttl of Cache-Status say the same",
	},
}
