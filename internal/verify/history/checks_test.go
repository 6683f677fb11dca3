package history

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// mayFail reports whether an answer to s may be broken: its client leaves, or the origin or another
// client of res breaks off an exchange.
func (j *judgement) mayFail(s *step, res *resource) bool {
	if s.leave != 0 {
		return true
	}
	for _, i := range res.issues {
		if i.step.script.breaks || i.step.leave != 0 {
			return true
		}
	}
	return false
}

// count counts what kind of answer a is.
func (j *judgement) count(s *step, a *answer) {
	status := a.header.Get("Cache-Status")
	switch {
	case a.status == http.StatusNotModified:
		j.counts["304"]++
	case s.method == http.MethodHead:
		j.counts["head"]++
	}
	switch {
	case strings.Contains(status, "; collapsed"):
		j.counts["collapsed"]++
	case strings.Contains(status, "; hit") && strings.Contains(status, "ttl=-"):
		j.counts["stale hits"]++
	case strings.Contains(status, "; hit"):
		j.counts["hits"]++
	case strings.Contains(status, "; stored"):
		j.counts["stored"]++
	default:
		j.counts["passed"]++
	}
}

// pairing checks that the header h belongs to the body m, or to a response that validated that body
// (RFC 9111 §4.3.4, §4.3.5).
func (j *judgement) pairing(s *step, h, m *issue) {
	switch {
	case h == m:
	case h.method == http.MethodHead && (m.etag == "" && m.modified == ""):
		j.found(s, ruleHead, "the body of issue %d, version %d, as of issue %d, version %d, an answer to HEAD without validators",
			m.number, m.version, h.number, h.version)
	case h.etag != m.etag || h.modified != m.modified || h.method == http.MethodGet && h.status != http.StatusNotModified:
		rule := rulePairing
		if h.method == http.MethodHead {
			rule = ruleHead
		}
		j.found(s, rule, "the body of issue %d, version %d for %q, as of issue %d, version %d for %q", m.number, m.version, m.by, h.number, h.version, h.by)
	}
}

// refresh reports whether i was fetched in the background, after its step was answered from the
// cache.
func (i *issue) refresh() bool {
	a := i.step.answer
	return a != nil && strings.Contains(a.header.Get("Cache-Status"), "; hit") && a.header.Get(issueField) != strconv.Itoa(i.number)
}

// setCookie checks that a cookie goes only to the request that it was set for.
func (j *judgement) setCookie(s *step, a *answer) {
	for _, line := range a.header["Set-Cookie"] {
		_, number, _ := strings.Cut(line, "=")
		if i := j.world.issue(number); i == nil || i.step != s {
			j.found(s, ruleCookie, "%q, which was for another request", line)
		}
	}
}

// surroundings checks that the handler found the values of outer middleware in its context.
func (j *judgement) surroundings(s *step, h, m *issue) {
	if !j.world.handler {
		return
	}
	for _, i := range []*issue{h, m} {
		if i.refresh() {
			j.chance(ruleSurroundings)
		}
		if i.item != i.resource.path {
			j.found(s, ruleSurroundings, "issue %d was made at %q, want %q", i.number, i.item, i.resource.path)
		}
	}
}

// concerns reports whether p purges what s asks for.
func (j *judgement) concerns(p *purged, s *step) bool {
	return p.hits(j.world.resources[s.resource]) && (!p.url || !j.plan.private || p.sameUser(s))
}

// sameUser reports whether s and t have the same credentials. A purge without a client has none.
func (s *step) sameUser(t *step) bool {
	return s.field(cookieField) == t.field(cookieField) && s.field(authField) == t.field(authField)
}

// name returns the name of the rule that s breaks if its answer has the header of h, the body of m,
// and one of them is older than p.
func (j *judgement) name(p *purged, s *step, h, m *issue) string {
	name := p.name
	if p.cache != s.cache || p.cache != h.step.cache || p.cache != m.step.cache {
		name += "/other"
	}
	if p.missed {
		name += "/missed"
	}
	for _, r := range j.restarts {
		if r.end >= p.end && r.begun < s.begun {
			name += "/restart"
			break
		}
	}
	if m.date > m.header+time.Second {
		name += "/ahead"
	}
	return name
}

// afterPurge checks that no content from before a purge is served after it.
func (j *judgement) afterPurge(s *step, h, m *issue) {
	for _, p := range j.purges {
		if !p.soft && j.concerns(p, s) && p.end < s.begun && m.at < p.begun {
			j.found(s, j.name(p, s, h, m), "the content of issue %d, read %v, as of issue %d, after the %s of %v to %v", m.number, m.at, h.number, p.name, p.begun, p.end)
		}
	}
}

// whose checks whether an answer made for another request may be used for s without validation. It
// returns false if it found a violation. The method age checks the age.
func (j *judgement) whose(s *step, h, m *issue) bool {
	c := m.resource.class
	switch {
	case m.status >= 500:
		j.found(s, ruleReserved, "issue %d, an error that answered another request", m.number)
	case j.reserved(c) || j.plan.private && c.reserved && !m.step.sameUser(s):
		j.found(s, ruleReserved, "issue %d, %q, was for step %d alone", m.number, c.control, m.step.number)
	case m.auth && !c.shared && !(j.plan.private && m.step.sameUser(s)):
		j.found(s, ruleAuth, "issue %d was for step %d, which had Authorization", m.number, m.step.number)
	case c.vary && m.by != s.field(c.by):
		j.found(s, ruleVary, "issue %d was for %s %q, the request had %q", m.number, c.by, m.by, s.field(c.by))
	case c.validate:
		rule := ruleUnvalidated
		if m.by != s.field(c.by) {
			rule = ruleWhose
		}
		j.found(s, rule, "the content of issue %d for %q, as of issue %d for step %d, was not validated for this request", m.number, m.by, h.number, h.step.number)
	case j.plan.private && c.by != "" && m.by != s.field(c.by):
		j.found(s, ruleWhose, "the content of issue %d for %q, out of a private cache", m.number, m.by)
	default:
		return true
	}
	return false
}

// reserved reports whether answers of c are for one request alone.
func (j *judgement) reserved(c *class) bool {
	return c.reserved && (!j.plan.private || strings.Contains(c.control, "no-store"))
}

// age checks that an answer used without validation is fresh, or stale within what is allowed.
func (j *judgement) age(s *step, h *issue) {
	c := h.resource.class
	if h.at >= s.begun || s.waitedFor(h) {
		return // the origin answered while the request waited
	}
	fresh, rule := j.freshUntil(s, h)
	stale := c.swr
	if j.failing(s) {
		stale = max(stale, c.sie)
	}
	if s.directive != "" {
		// A stale entry may replace an error, unless the client said no-cache (RFC 9111 §4.2.4).
		if s.directive == "no-cache" || !j.failing(s) || s.begun >= fresh+c.sie {
			j.found(s, ruleReload, "issue %d of %v was not validated", h.number, h.at)
		}
		return
	}
	if s.begun >= fresh {
		j.counts["judged stale"]++
	}
	if s.begun >= fresh+stale {
		j.found(s, rule, "issue %d of %v was fresh until %v, and then usable for %v", h.number, h.at, fresh, stale)
	}
}

// waitedFor reports whether the header of h arrived while s waited for it.
func (s *step) waitedFor(h *issue) bool {
	return h.header >= s.begun && strings.Contains(s.answer.header.Get("Cache-Status"), "; collapsed")
}

// freshUntil returns the end of h's freshness as s must see it, and the rule that sets this end.
func (j *judgement) freshUntil(s *step, h *issue) (fresh time.Duration, rule string) {
	fresh, rule = h.at+h.resource.class.lifetime, ruleLifetime
	for _, p := range j.purges {
		if p.soft && j.concerns(p, s) && p.end < s.begun && h.at < p.begun && p.end < fresh {
			fresh, rule = p.end, j.name(p, s, h, h)
		}
	}
	return fresh, rule
}

// failing reports whether the origin failed for the resource of s while s was under way, with an
// error status or in the middle of a body (RFC 5861 §4).
func (j *judgement) failing(s *step) bool {
	for _, i := range j.world.resources[s.resource].issues {
		if (i.status >= 500 || i.step.script.breaks && !i.complete) && i.asked <= s.end && i.end >= s.begun {
			return true
		}
	}
	return false
}

// newer reports whether a is certainly more recent than b (RFC 9111 §4). If the exchanges do not
// overlap, the later request wins. If they overlap, the later Date wins, capped at the time of
// receipt. An exchange may be taken to end with its header or with its body; newer is true only if
// both readings agree. Dates must differ by a second, because they have no fractions.
func newer(a, b *issue) bool {
	if a.asked >= b.end {
		return true
	}
	if b.asked >= a.header {
		return false
	}
	return min(a.date, a.header) >= min(b.date, b.header)+time.Second
}

// mostRecent checks that no older response is served after a more recent one was stored.
func (j *judgement) mostRecent(s *step, h, m *issue) {
	c := h.resource.class
	if s.waitedFor(h) {
		return
	}
	for _, n := range h.resource.issues {
		if !n.complete || n.end >= s.begun || n == h || c.vary && n.by != s.field(c.by) || j.plan.private && !n.step.sameUser(s) {
			continue
		}
		if n.stored && newer(n, h) {
			rule := ruleOrder
			if n.step.cache != h.step.cache || s.cache != n.step.cache {
				rule = ruleOrderOther
			}
			j.found(s, rule, "issue %d (version %d, asked %v, header %v, complete %v), though issue %d (version %d, asked %v, header %v, complete %v) was stored",
				h.number, h.version, h.asked, h.header, h.end, n.number, n.version, n.asked, n.header, n.end)
		}
		if n.method == http.MethodHead && n.status == http.StatusOK && !n.step.auth && h.stored && n.asked > h.end && newer(n, h) &&
			n.etag != "" && m.etag != "" && n.by == m.by {
			if n.etag != m.etag {
				j.found(s, ruleHeadNewer, "the content of issue %d, though HEAD had found issue %d", m.number, n.number)
			}
		}
	}
}

// statusAndAge checks that Cache-Status and Age are true.
func (j *judgement) statusAndAge(s *step, a *answer, h, m *issue) {
	line := a.header.Get("Cache-Status")
	parts := strings.Split(line, "; ")
	hit, collapsed := slices.Contains(parts, "hit"), slices.Contains(parts, "collapsed")
	fwd := strings.Contains(line, "; fwd=")
	j.chance(ruleStatus)
	switch {
	case len(a.header["Cache-Status"]) != 1 || hit == fwd:
		j.found(s, ruleStatus, "%q", a.header["Cache-Status"])
	case hit && (m.step == s && s.method == http.MethodGet):
		j.found(s, ruleStatus, "%q, but the origin made the body for this request", line)
	case fwd && !collapsed && h.step != s && !slices.Contains(parts, "detail=stale-if-error"):
		j.found(s, ruleStatus, "%q, but issue %d was for step %d", line, h.number, h.step.number)
	case slices.Contains(parts, "stored") && j.reserved(m.resource.class):
		j.found(s, ruleStatus, "%q of a response that must not be stored", line)
	}
	if _, after, ok := strings.Cut(line, "; ttl="); ok && hit {
		digits, _, _ := strings.Cut(after, ";")
		ttl, err := strconv.Atoi(digits)
		fresh := h.at + h.resource.class.lifetime // soft purges are checked by the method age
		if err != nil || ttl >= 0 && time.Duration(ttl)*time.Second > fresh-s.begun {
			j.found(s, ruleStatus, "%q of issue %d, which was fresh until %v", line, h.number, fresh)
		}
	}
	text := a.header.Get("Age")
	if text == "" {
		if hit {
			j.found(s, ruleAge, "a hit without Age")
		}
		return
	}
	j.chance(ruleAge)
	age, err := strconv.Atoi(text)
	least := (s.begun - h.at) / time.Second * time.Second
	most := s.end - min(h.asked, h.date) + time.Second
	if got := time.Duration(age) * time.Second; err != nil || got < least || got > most {
		j.found(s, ruleAge, "Age %s of issue %d is not within %v and %v", text, h.number, least, most)
	}
}
