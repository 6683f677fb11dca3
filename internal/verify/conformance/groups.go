package conformance

import (
	"fmt"
	"strings"
)

// groupRules are about cache groups (RFC 9875). The names of groups contain the case's id, because
// all cases share one origin.
var groupRules = []Requirement{
	{
		Section: "RFC 9875 §3", Level: May,
		Rule: "Invalidate responses in the groups that Cache-Group-Invalidation names in the answer to an unsafe request.",
		Cases: []Case{
			{Name: "a group is invalidated", Steps: []Step{
				get().at("/a").answered(200, "Cache-Control: max-age=3600", `Cache-Groups: "{id}-x"`),
				get().at("/b").answered(200, "Cache-Control: max-age=3600", `Cache-Groups: "{id}-x", "{id}-y"`),
				get().at("/c").answered(200, "Cache-Control: max-age=3600", `Cache-Groups: "{id}-y"`),
				get().at("/d").answered(200, "Cache-Control: max-age=3600"),
				send("POST").at("/form").answered(200, `Cache-Group-Invalidation: "{id}-x"`),
				get().at("/a").answered(200, "Cache-Control: max-age=3600"),
				get().at("/b").answered(200, "Cache-Control: max-age=3600"),
				get().at("/c").reuses(2),
				get().at("/d").reuses(3),
			}},
			{Name: "several groups in several lines are invalidated", Steps: []Step{
				get().at("/a").answered(200, "Cache-Control: max-age=3600", `Cache-Groups: "{id}-x"`),
				get().at("/b").answered(200, "Cache-Control: max-age=3600", `Cache-Groups: "{id}-y"`),
				get().at("/c").answered(200, "Cache-Control: max-age=3600", `Cache-Groups: "q"`, `Cache-Groups: "{id}-z"`),
				send("DELETE").at("/form").answered(204, `Cache-Group-Invalidation: "{id}-x", "{id}-y"`, `Cache-Group-Invalidation: "{id}-z"`),
				get().at("/a").answered(200),
				get().at("/b").answered(200),
				get().at("/c").answered(200),
			}},
			{Name: "a response is stored again after its group was invalidated", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", `Cache-Groups: "{id}-x"`),
				send("POST").at("/form").answered(200, `Cache-Group-Invalidation: "{id}-x"`),
				get().answered(200, "Cache-Control: max-age=3600", `Cache-Groups: "{id}-x"`),
				get().reuses(2),
			}},
			{Name: "an unknown method can invalidate a group", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", `Cache-Groups: "{id}-x"`),
				send("FROBNICATE").at("/form").answered(200, `Cache-Group-Invalidation: "{id}-x"`),
				get().answered(200),
			}},
			{Name: "variants of a group are invalidated", Steps: []Step{
				get("X-A: 1").answered(200, "Cache-Control: max-age=3600", "Vary: X-A", `Cache-Groups: "{id}-x"`),
				get("X-A: 2").answered(200, "Cache-Control: max-age=3600", "Vary: X-A", `Cache-Groups: "{id}-x"`),
				send("POST").at("/form").answered(200, `Cache-Group-Invalidation: "{id}-x"`),
				get("X-A: 1").answered(200),
				get("X-A: 2").answered(200),
			}},
			{Name: "a response of an invalidated group is not served on an error", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600, stale-if-error=3600", `Cache-Groups: "{id}-x"`),
				send("POST").at("/form").answered(200, `Cache-Group-Invalidation: "{id}-x"`),
				get().answered(503),
			}},
		},
	},
	{
		Section: "RFC 9875 §3", Level: Must,
		Rule: "Ignore Cache-Group-Invalidation in the answer to a safe request.",
		Cases: append(ignoresInvalidation("GET", "HEAD", "OPTIONS"),
			Case{Name: "a failed request invalidates no group", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", `Cache-Groups: "{id}-x"`),
				send("POST").at("/form").answered(500, `Cache-Group-Invalidation: "{id}-x"`),
				get().reuses(0),
			}},
		),
	},
	{
		Section: "RFC 9875 §2.1", Level: Must,
		Rule: "Compare groups character by character and within one origin only.",
		Cases: []Case{
			invalidatesGroup("a group in other letter case is another group", `Cache-Groups: "{id}-X"`, `Cache-Group-Invalidation: "{id}-x"`, false),
			invalidatesGroup("a prefix of a group is another group", `Cache-Groups: "{id}-xy"`, `Cache-Group-Invalidation: "{id}-x"`, false),
			invalidatesGroup("a group with escaped characters is found", `Cache-Groups: "{id}-\"\\"`, `Cache-Group-Invalidation: "{id}-\"\\"`, true),
			{Name: "a group of another origin is another group", Steps: []Step{
				{Host: "other.example", Answer: &Answer{Header: Lines{"Cache-Control: max-age=3600", `Cache-Groups: "{id}-x"`}}},
				send("POST").at("/form").answered(200, `Cache-Group-Invalidation: "{id}-x"`),
				{Host: "other.example", Sees: Sees{from: 1}},
			}},
		},
	},
	{
		Section: "RFC 9875 §2, §3", Level: Must,
		Rule: "Ignore unknown parameters and the order of groups. Ignore a field that is not a List of Strings.",
		Cases: []Case{
			invalidatesGroup("parameters of groups are ignored", `Cache-Groups: "{id}-x";a=1;b`, `Cache-Group-Invalidation: "{id}-x";c`, true),
			invalidatesGroup("the order of groups is ignored", `Cache-Groups: "q", "{id}-x"`, `Cache-Group-Invalidation: "{id}-x", "r"`, true),
			invalidatesGroup("a Token is not a group", `Cache-Groups: {id}-x`, `Cache-Group-Invalidation: "{id}-x"`, false),
			invalidatesGroup("a Token invalidates nothing", `Cache-Groups: "{id}-x"`, `Cache-Group-Invalidation: {id}-x`, false),
			invalidatesGroup("a malformed List invalidates nothing", `Cache-Groups: "{id}-x"`, `Cache-Group-Invalidation: "{id}-x",`, false),
		},
	},
	{
		Section: "RFC 9875 §2, §3", Level: Must,
		Rule: "Support 32 groups of 32 characters.",
		Cases: []Case{
			invalidatesGroup("the last of 32 groups of 32 characters counts", "Cache-Groups: "+manyGroups(32, "{id}-x"), `Cache-Group-Invalidation: "`+padGroup("{id}-x")+`"`, true),
			invalidatesGroup("the last of 32 groups to invalidate counts", `Cache-Groups: "`+padGroup("{id}-x")+`"`, "Cache-Group-Invalidation: "+manyGroups(32, "{id}-x"), true),
		},
	},
	{
		Section: "RFC 9875 §2.2.1", Level: May,
		Rule:    "Invalidate responses that share a group with any invalidated response.",
		NotKept: "a POST to one page would then remove every page that shares a layout group. An origin that wants this can send Cache-Group-Invalidation",
	},
	{
		Section: "RFC 9875 §2.2.1", Level: Must,
		Rule: "A group invalidation does not cause another one.",
		Cases: []Case{
			{Name: "a group invalidation does not cascade", Steps: []Step{
				get().at("/a").answered(200, "Cache-Control: max-age=3600", `Cache-Groups: "{id}-x", "{id}-y"`),
				get().at("/b").answered(200, "Cache-Control: max-age=3600", `Cache-Groups: "{id}-y"`),
				send("POST").at("/form").answered(200, `Cache-Group-Invalidation: "{id}-x"`),
				get().at("/a").answered(200),
				get().at("/b").reuses(1),
			}},
		},
	},
}

// ignoresInvalidation shows for each method that its answer invalidates no group.
func ignoresInvalidation(methods ...string) []Case {
	var all []Case
	for _, m := range methods {
		all = append(all, Case{Name: m + " invalidates no group", Steps: []Step{
			get().answered(200, "Cache-Control: max-age=3600", `Cache-Groups: "{id}-x"`),
			send(m).at("/form").answered(200, `Cache-Group-Invalidation: "{id}-x"`),
			get().reuses(0),
		}})
	}
	return all
}

// invalidatesGroup shows whether the field invalidation invalidates a response with the field
// groups.
func invalidatesGroup(name, groups, invalidation string, invalidates bool) Case {
	again := get().reuses(0)
	if invalidates {
		again = get().answered(200)
	}
	return Case{Name: name, Steps: []Step{
		get().answered(200, "Cache-Control: max-age=3600", groups),
		send("POST").at("/form").answered(200, invalidation),
		again,
	}}
}

// manyGroups returns a list of n groups of at least 32 characters. The last one is padGroup(last).
func manyGroups(n int, last string) string {
	var list []string
	for i := range n - 1 {
		list = append(list, fmt.Sprintf("%q", padGroup(fmt.Sprintf("g%d", i))))
	}
	return strings.Join(append(list, `"`+padGroup(last)+`"`), ", ")
}

// padGroup returns name, filled up to 32 characters. Replacing a placeholder makes it longer.
func padGroup(name string) string { return name + strings.Repeat("-", 32-len(name)) }
