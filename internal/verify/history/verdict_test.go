package history

import (
	"fmt"
	"time"
)

// The names of the rules in findings and statistics. A rule about a purge has the name of the purge
// and these suffixes: "/other" if another cache was involved, "/missed" if the purge reported that
// it found nothing, "/restart" if a restart came between, "/ahead" if the entry's Date is in the
// future.
const (
	ruleWhose        = "whose"        // content made for another user, not validated
	ruleUnvalidated  = "unvalidated"  // content for this user, or for all, without the validation that it needs
	ruleVary         = "vary"         // a response for another value of the field in Vary
	ruleReserved     = "reserved"     // a response that is for one other request alone
	ruleAuth         = "auth"         // a response to another request's Authorization
	ruleCookie       = "cookie"       // the Set-Cookie of another request
	ruleLifetime     = "lifetime"     // a response that is too old
	ruleReload       = "reload"       // no validation, though the request demanded it
	ruleHead         = "head"         // an answer to HEAD that validates nothing extended the lifetime
	ruleHeadNewer    = "head-newer"   // content that an answer to HEAD with other validators has superseded
	rulePairing      = "pairing"      // the header of one response with the body of another
	ruleOrder        = "order"        // a response that is older than a stored one
	ruleOrderOther   = "order/other"  // the same, where another cache stored that one
	ruleSurroundings = "surroundings" // a response made without the values of the request's context
	ruleWhole        = "whole"        // a body that is not the whole one
	ruleStatus       = "cache-status" // a Cache-Status that is not true
	ruleAge          = "age"          // an Age that is not true
	ruleMadeUp       = "made-up"      // an answer that the origin never gave
	ruleFailed       = "failed"       // an error without a reason
	ruleAbandoned    = "abandoned"    // the origin still answers when all clients have left
)

// verdict is the result of judging one history.
type verdict struct {
	findings map[string]string // by rule: the first one
	order    []string          // the rules found broken, in the order of their findings
	chances  map[string]int    // how often a rule could have been broken
	counts   map[string]int    // answers of each kind
	report   string            // the history
}

// judgement holds the state while one history is judged.
type judgement struct {
	*verdict
	plan     *plan
	world    *world
	asks     []*step
	purges   []*purged
	restarts []*step
}

// purged is one successful purge or invalidation.
type purged struct {
	*step
	name       string
	begun, end time.Duration
	soft       bool
	hits       func(*resource) bool
	url        bool // it purges one URL; in a private cache, for one user alone
}

// found records a violation. Only the first of each rule is kept.
func (j *judgement) found(s *step, rule, format string, args ...any) {
	if _, ok := j.findings[rule]; ok {
		return
	}
	j.findings[rule] = fmt.Sprintf("step %d: %s", s.number, fmt.Sprintf(format, args...))
	j.order = append(j.order, rule)
}

// chance counts an opportunity to break rule.
func (j *judgement) chance(rule string) { j.chances[rule]++ }
