package main

import "strings"

// known are the rules that the cache is known to break, by what the words of a violation begin with: they are counted and do not
// fail a run, unless -strict is set. It should be empty.
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
