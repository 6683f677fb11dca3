package conformance

import "strings"

// supersedingRules are about which of several responses is used (RFC 9111 §4 and §4.3.3).
var supersedingRules = []Requirement{
	{
		Section: "RFC 9111 §4", Level: Must,
		Rule: "If several stored responses are suitable, use the most recent.",
		Cases: []Case{
			{Name: "a newer response replaces an older one", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600"),
				get("Cache-Control: no-cache").answered(200, "Cache-Control: max-age=3600"),
				get().reuses(1),
			}},
			{Name: "a newer response that is stale replaces a fresh one", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600"),
				get("Cache-Control: no-cache").answered(200, "Cache-Control: max-age=0", `ETag: "b"`),
				get().answered(200, "Cache-Control: max-age=3600").asked(`If-None-Match: "b"`),
			}},
			{Name: "a newer response without freshness replaces a fresh one", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600"),
				get("Cache-Control: no-cache").answered(200),
				get().answered(200, "Cache-Control: max-age=3600"),
			}},
			{Name: "a newer redirect replaces a page", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600"),
				get("Cache-Control: no-cache").answered(301, "Cache-Control: max-age=3600", "Location: /x"),
				get().reuses(1, "Location: /x"),
			}},
		},
	},
	{
		Section: "RFC 9111 §4, §5.2.2.5", Level: Ours,
		Rule: "If a newer response may not be stored, remove the stored one that it replaces.",
		Cases: []Case{
			{Name: "a newer response with no-store removes the stored one", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600"),
				get("Cache-Control: no-cache").answered(200, "Cache-Control: no-store"),
				get().answered(200, "Cache-Control: max-age=3600"),
			}},
			{Name: "a newer response with private removes the stored one", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", `ETag: "a"`),
				get("Cache-Control: no-cache").answered(200, "Cache-Control: private, max-age=3600"),
				get().answered(200, "Cache-Control: max-age=3600").asked("-If-None-Match"),
			}},
			{Name: "a response with no-store to a validation removes the stale one", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 61", `ETag: "a"`),
				get().answered(200, "Cache-Control: no-store").asked(`If-None-Match: "a"`),
				get().answered(200).asked("-If-None-Match"),
			}},
			{Name: "a redirect without freshness removes a stored page", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600"),
				get("Cache-Control: no-cache").answered(302, "Location: /x"),
				get().answered(200, "Cache-Control: max-age=3600"),
			}},
			{Name: "a 404 without freshness removes a stale page", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, stale-if-error=3600", "Age: 61"),
				get().answered(404),
				get().answered(503),
			}},
			{Name: "a response with Vary: * removes the stored one", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600"),
				get("Cache-Control: no-cache").answered(200, "Cache-Control: max-age=3600", "Vary: *"),
				get().answered(200, "Cache-Control: max-age=3600"),
			}},
			{Name: "a response with a header too large to store removes the stored one", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600"),
				get("Cache-Control: no-cache").answered(200, "Cache-Control: max-age=3600", "X-Long: "+strings.Repeat("x", 70_000)),
				get().answered(200, "Cache-Control: max-age=3600"),
			}},
			{Name: "an error without freshness does not remove a stored page", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600"),
				get("Cache-Control: no-cache").answered(503),
				get().reuses(0),
			}},
		},
	},
}
