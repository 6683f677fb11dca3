package history

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The names of the rules in findings and statistics. A rule about a purge has the name of the purge
// and these suffixes: "/other" if another cache was involved, "/missed" if the purge reported that
// it found nothing, "/restart" if a restart came between, "/ahead" if the entry's Date is in the
// future.
const (
	ruleWhose        = "whose"        // another user's content without validation
	ruleUnvalidated  = "unvalidated"  // one's own content, or everybody's, without the validation it needs
	ruleVary         = "vary"         // for another value of the field
	ruleReserved     = "reserved"     // for one request alone
	ruleAuth         = "auth"         // for a request with Authorization alone
	ruleCookie       = "cookie"       // another's Set-Cookie
	ruleLifetime     = "lifetime"     // too old
	ruleReload       = "reload"       // not validated though the request said so
	ruleHead         = "head"         // kept alive by an answer to HEAD that validates nothing
	ruleHeadNewer    = "head-newer"   // older than an answer to HEAD that has other validators
	rulePairing      = "pairing"      // the header of one response and the body of another
	ruleOrder        = "order"        // older than what was stored
	ruleOrderOther   = "order/other"  // the same, of what another cache stored
	ruleSurroundings = "surroundings" // made without the values of the request's context
	ruleWhole        = "whole"
	ruleStatus       = "cache-status"
	ruleAge          = "age"
	ruleMadeUp       = "made-up"   // an answer that the origin never gave
	ruleFailed       = "failed"    // no answer, for no reason
	ruleAbandoned    = "abandoned" // the origin answers for nobody
)

// verdict is the result of judging one history.
type verdict struct {
	findings map[string]string // by rule: the first one
	order    []string          // the rules found, as they came
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
	url        bool // of one URL, so of one user alone in a private cache
}

var firstLine = regexp.MustCompile(`^issue (\d+): `)

// judge checks every answer of a finished history.
func judge(p *plan, w *world) *verdict {
	w.mu.Lock()
	defer w.mu.Unlock()
	v := &verdict{findings: make(map[string]string), chances: make(map[string]int), counts: make(map[string]int)}
	j := &judgement{verdict: v, plan: p, world: w}
	var report strings.Builder
	fmt.Fprintf(&report, "seed %d: door %s, storage %s, %d caches, private %v, HeadAsGet %v, MaxFills %d\n", p.seed, p.door, p.storage, p.caches, p.private, p.heads, p.fills)
	for _, res := range w.resources {
		fmt.Fprintf(&report, "  resource %d: %s, Cache-Control %q, by %q, sized %v, equal %v\n", res.id, res.class.name, res.class.control, res.class.by, res.sized, res.equal)
	}
	steps := make([]*step, 0, len(w.steps))
	for _, s := range w.steps {
		steps = append(steps, s)
	}
	slices.SortFunc(steps, func(a, b *step) int { return a.number - b.number })
	for _, s := range steps {
		fmt.Fprintf(&report, "%v\n", s)
		switch s.kind {
		case ask:
			j.asks = append(j.asks, s)
			j.noteUnsafe(s)
		case purge:
			j.notePurge(s)
		case restart:
			j.restarts = append(j.restarts, s)
		}
	}
	for _, i := range w.issues {
		fmt.Fprintf(&report, "  issue %d: %s resource %d for step %d (%d), status %d, version %d for %q, asked %v, content %v, header %v, end %v, complete %v, stored %v\n",
			i.number, i.method, i.resource.id, i.step.number, i.nth, i.status, i.version, i.by, i.asked, i.at, i.header, i.end, i.complete, i.claimed())
	}
	v.report = report.String()
	for _, i := range w.issues {
		i.stored = i.claimed()
	}
	for _, s := range j.asks {
		j.judge(s)
	}
	for _, s := range w.left {
		j.found(s, ruleAbandoned, "all clients and caches are gone, and the origin is still answering")
	}
	return v
}

// claimed reports whether the answer to the step of i says that i is stored.
func (i *issue) claimed() bool {
	a := i.step.answer
	return a != nil && a.err == nil && i.complete && a.header.Get(issueField) == strconv.Itoa(i.number) &&
		strings.Contains(a.header.Get("Cache-Status"), "; stored")
}

func (j *judgement) notePurge(s *step) {
	if s.err != nil {
		return
	}
	p := &purged{step: s, name: s.purge, begun: s.begun, end: s.end, soft: s.purge == purgeSoft}
	switch s.purge {
	case purgeAll:
		p.hits = func(*resource) bool { return true }
	case purgeGroup:
		p.hits = func(res *resource) bool { return res.class.grouped }
	default:
		p.hits, p.url = func(res *resource) bool { return res.id == s.resource }, true
	}
	j.purges = append(j.purges, p)
}

// noteUnsafe records what an unsafe request invalidated (RFC 9111 §4.4, RFC 9875 §3).
func (j *judgement) noteUnsafe(s *step) {
	if !s.unsafe() || s.answer == nil || s.answer.status != http.StatusNoContent {
		return
	}
	i := j.world.issue(s.answer.header.Get(issueField))
	if i == nil || i.step != s {
		return
	}
	name := purgeUnsafe
	if s.upgrade {
		name = purgeUpgrade
	}
	j.purges = append(j.purges, &purged{
		step: s, name: name, begun: i.at, end: s.end, hits: func(res *resource) bool { return res.id == s.resource }, url: true,
	})
	if s.groups {
		field := purgeField
		if s.upgrade {
			field = purgeUpgrade + "-" + purgeField
		}
		j.purges = append(j.purges, &purged{
			step: s, name: field, begun: i.at, end: s.end, hits: func(res *resource) bool { return res.class.grouped },
		})
	}
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

// field returns the value of a request field.
func (s *step) field(name string) string {
	switch {
	case name == cookieField && s.user != "":
		return "user=" + s.user
	case name == authField && s.auth:
		return "Bearer " + s.user
	case name == languageField:
		return s.language
	}
	return ""
}

// judge judges the answer to one step.
func (j *judgement) judge(s *step) {
	res := j.world.resources[s.resource]
	if s.answer == nil || s.answer.err != nil {
		j.counts["errors"]++
		if !j.mayFail(s, res) {
			err := s.err
			if s.answer != nil {
				err = s.answer.err
			}
			j.found(s, ruleFailed, "%v", err)
		}
		return
	}
	a := s.answer
	h := j.world.issue(a.header.Get(issueField))
	if h == nil && a.status == http.StatusNotModified && s.etag != "" && s.etag == a.header.Get("Etag") {
		j.counts["304"]++ // it need not have other fields (RFC 9110 §15.4.5)
		return
	}
	if h == nil || h.resource != res {
		j.found(s, ruleMadeUp, "status %d, X-Issue %q, which is none of this resource", a.status, a.header.Get(issueField))
		return
	}
	if s.unsafe() {
		j.counts["unsafe"]++
		if h.step != s {
			j.found(s, ruleReserved, "the answer to another request")
		}
		return
	}
	m := h // without a body, the header is all there is
	if s.method == http.MethodGet && a.status != http.StatusNotModified {
		match := firstLine.FindStringSubmatch(a.body)
		if match == nil {
			j.found(s, ruleWhole, "a body without a beginning: %.40q", a.body)
			return
		}
		m = j.world.issue(match[1])
		if m == nil || m.resource != res {
			j.found(s, ruleMadeUp, "a body of issue %s, which is none of this resource", match[1])
			return
		}
		whole := m.body
		if a.status == http.StatusPartialContent && s.until != 0 {
			whole = whole[:min(len(whole), s.until+1)]
			if got, want := a.header.Get("Content-Range"), fmt.Sprintf("bytes 0-%d/%d", len(whole)-1, len(m.body)); got != want {
				j.found(s, ruleWhole, "Content-Range %q in place of %q", got, want)
			}
		}
		if a.body != whole {
			j.found(s, ruleWhole, "%d bytes of body are not the %d of issue %d", len(a.body), len(m.body), m.number)
		}
	}
	j.count(s, a)
	j.pairing(s, h, m)
	own := m.step == s || h.step == s && h.status == http.StatusNotModified
	j.setCookie(s, a)
	j.surroundings(s, h, m)
	j.afterPurge(s, h, m)
	j.statusAndAge(s, a, h, m)
	if !own {
		if j.whose(s, h, m) {
			j.age(s, h)
		}
		j.mostRecent(s, h, m)
	}
	j.opportunities(s, res)
}

// mayFail reports whether the origin, or the client, gave a reason for a broken answer.
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

// pairing checks that the header belongs to the body, or to a response that validated it (RFC 9111
// §4.3.4, §4.3.5).
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
			j.found(s, ruleSurroundings, "issue %d was made at %q, in place of %q", i.number, i.item, i.resource.path)
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

// whose checks whether an answer made for another request may be used for s without validation. Its
// age is checked elsewhere.
func (j *judgement) whose(s *step, h, m *issue) bool {
	c := m.resource.class
	switch {
	case m.status >= 500:
		j.found(s, ruleReserved, "the error that issue %d is to another request", m.number)
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
		j.found(s, rule, "the content of issue %d for %q, as of issue %d for step %d, which nobody validated for this request", m.number, m.by, h.number, h.step.number)
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

// age checks that an answer used without validation is fresh, or is allowed to be stale.
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
			n.etag != "" && m.etag != "" && n.by == m.by && !j.hidden(n) {
			if n.etag != m.etag {
				j.found(s, ruleHeadNewer, "the content of issue %d, though HEAD had found issue %d", m.number, n.number)
			}
		}
	}
}

// hidden reports whether a write was under way while the origin answered n, in a Storage that shows
// neither it nor the entry in its place: there was nothing that n could be compared with.
func (j *judgement) hidden(n *issue) bool {
	return j.plan.storage == "plain" && slices.ContainsFunc(n.resource.issues, func(f *issue) bool {
		return f.method == http.MethodGet && f.asked < n.header && f.end > n.asked
	})
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
		j.found(s, ruleStatus, "%q, and the origin was asked for this request", line)
	case fwd && !collapsed && h.step != s && !slices.Contains(parts, "detail=stale-if-error"):
		j.found(s, ruleStatus, "%q, and issue %d was for step %d", line, h.number, h.step.number)
	case slices.Contains(parts, "stored") && j.reserved(m.resource.class):
		j.found(s, ruleStatus, "%q of what must not be", line)
	}
	if _, after, ok := strings.Cut(line, "; ttl="); ok && hit {
		digits, _, _ := strings.Cut(after, ";")
		ttl, err := strconv.Atoi(digits)
		fresh := h.at + h.resource.class.lifetime // what a soft purge says to this is another rule's
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
