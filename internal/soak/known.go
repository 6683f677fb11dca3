package main

import "strings"

// known lists rules that the cache is known to break, as prefixes of violations. Such violations
// are counted, and fail a run only with -strict. The list should be empty.
var known = []string{
	"whose:", "vary:", "cookie:", "head:", "order:", "surroundings:",
	"from before an invalidation of its group", "from before a purge of everything", "from before an invalidation of the URL",
	"too old after a soft purge",
}

func isKnown(wrong string) bool {
	for _, prefix := range known {
		if strings.HasPrefix(wrong, prefix) {
			return true
		}
	}
	return false
}
