package history

import "net/http"

// opportunities counts a chance for each rule that the cache could have broken with its answer to
// s.
func (j *judgement) opportunities(s *step, res *resource) {
	c := res.class
	for _, i := range res.issues {
		if i.step == s || i.status >= 500 || j.plan.private && !i.step.sameUser(s) {
			continue
		}
		if i.method == http.MethodGet && i.end < s.begun && i.step.script.breaks && i.nth == 0 {
			j.chance(ruleWhole)
		}
		before, beside := i.complete && i.end < s.begun, i.asked <= s.begun && i.header >= s.begun
		if c.validate && beside && i.method == http.MethodGet {
			if c.by != "" && i.by != s.field(c.by) {
				j.chance(ruleWhose)
			} else {
				j.chance(ruleUnvalidated)
			}
		}
		if !before || i.method != http.MethodGet {
			continue
		}
		switch {
		case c.reserved:
			j.chance(ruleReserved)
		case i.auth && !c.shared:
			j.chance(ruleAuth)
		case c.vary && i.by != s.field(c.by):
			j.chance(ruleVary)
		case c.cookie && i.stored:
			j.chance(ruleCookie)
		}
		if !i.stored {
			continue
		}
		if s.begun >= i.at+c.lifetime {
			j.chance(ruleLifetime)
		} else if s.directive != "" {
			j.chance(ruleReload)
		} else {
			j.orderOpportunity(s, i)
		}
		j.headOpportunity(s, i)
		for _, p := range j.purges {
			if j.concerns(p, s) && i.end < p.begun && p.end < s.begun && s.begun < i.at+c.lifetime {
				j.chance(j.name(p, s, i, i))
			}
		}
	}
}

// orderOpportunity counts a chance if an older response was still in flight when n was stored.
func (j *judgement) orderOpportunity(s *step, n *issue) {
	for _, old := range n.resource.issues {
		if old.method != http.MethodGet || old.status != http.StatusOK || !old.complete || !newer(n, old) || old.version == n.version {
			continue
		}
		if old.asked < n.asked && old.end > n.end && old.end < s.begun && s.begun < old.at+old.resource.class.lifetime {
			if old.step.cache != n.step.cache {
				j.chance(ruleOrderOther)
			} else {
				j.chance(ruleOrder)
			}
		}
	}
}

// headOpportunity counts a chance if a HEAD response about another version followed i.
func (j *judgement) headOpportunity(s *step, i *issue) {
	c := i.resource.class
	for _, n := range i.resource.issues {
		switch {
		case n.method != http.MethodHead || n.status != http.StatusOK || n.asked < i.end || n.end > s.begun || n.version == i.version:
		case !c.validates() && s.begun < n.at+c.lifetime:
			j.chance(ruleHead)
		case c.etag && n.by == i.by && s.begun < i.at+c.lifetime:
			j.chance(ruleHeadNewer)
		}
	}
}
