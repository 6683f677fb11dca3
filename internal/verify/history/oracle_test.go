package history

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

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
		j.found(s, ruleAbandoned, "the origin is still answering after all clients left and all caches were closed")
	}
	return v
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

var firstLine = regexp.MustCompile(`^issue (\d+): `)

// judge judges the answer to s. In this and the methods that it calls, h is the issue that the
// header names, and m the issue that the body names.
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
		j.counts["304"]++ // a 304 need not have other fields (RFC 9110 §15.4.5)
		return
	}
	if h == nil || h.resource != res {
		j.found(s, ruleMadeUp, "status %d, X-Issue %q, which is no issue of this resource", a.status, a.header.Get(issueField))
		return
	}
	if s.unsafe() {
		j.counts["unsafe"]++
		if h.step != s {
			j.found(s, ruleReserved, "the answer to another request")
		}
		return
	}
	m := h // an answer without a body has only h
	if s.method == http.MethodGet && a.status != http.StatusNotModified {
		match := firstLine.FindStringSubmatch(a.body)
		if match == nil {
			j.found(s, ruleWhole, "a body without its first line: %.40q", a.body)
			return
		}
		m = j.world.issue(match[1])
		if m == nil || m.resource != res {
			j.found(s, ruleMadeUp, "a body of issue %s, which is no issue of this resource", match[1])
			return
		}
		whole := m.body
		if a.status == http.StatusPartialContent && s.until != 0 {
			whole = whole[:min(len(whole), s.until+1)]
			if got, want := a.header.Get("Content-Range"), fmt.Sprintf("bytes 0-%d/%d", len(whole)-1, len(m.body)); got != want {
				j.found(s, ruleWhole, "got Content-Range %q, want %q", got, want)
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
