package history

import "strings"

// known are the rules that the caches are known to break, by the beginnings of their names: TestHistories tells of them and does
// not fail. It should be empty.
var known = []string{
	ruleWhose, ruleUnvalidated, ruleVary, ruleCookie, ruleHead, ruleOrder, ruleSurroundings,
	purgeAll, purgeGroup, purgeField, purgeUpgrade,
	purgeURL + "/other", purgeRequest + "/other", purgeSoft + "/other", purgeUnsafe + "/other",
}

func isKnown(rule string) bool {
	for _, prefix := range known {
		if strings.HasPrefix(rule, prefix) {
			return true
		}
	}
	return false
}
