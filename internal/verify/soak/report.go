package main

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cirquecache/cirque/internal/verify/faulty"
)

// shown is the number of violations to print, and shownAlike the number of each rule.
const (
	shown      = 20
	shownAlike = 3
)

// tally counts answers, faults and violations. It is safe for concurrent use.
type tally struct {
	mu         sync.Mutex
	counts     map[string]int
	behaviours map[faulty.Behaviour]int
	bytes      int64
	violations int
	alike      map[string]int // by rule
	told       []string       // the violations to print
}

func newTally() *tally {
	return &tally{counts: make(map[string]int), behaviours: make(map[faulty.Behaviour]int), alike: make(map[string]int)}
}

func (t *tally) count(what string, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[what] += n
}

func (t *tally) behaved(b faulty.Behaviour) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.behaviours[b]++
}

func (t *tally) left(n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts["left in the body"]++
	t.bytes += n
}

// The names of counts of answers with which the cache could have broken a rule.
const (
	chanceWhose  = "with content for one user that needs validation"
	chanceHead   = "HEAD without validators that reached the origin"
	chanceOrder  = "after an older response ended later"
	chanceCookie = "with a response that set a cookie"
)

// answered counts an answer without a violation.
func (t *tally) answered(q *ask, resp *http.Response, v verdict, bytes int64) {
	status := parseCacheStatus(resp.Header["Cache-Status"])
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts["answered"]++
	t.counts[fmt.Sprintf("status %d", resp.StatusCode)]++
	t.bytes += bytes
	if i := v.issue; i != nil {
		for what, is := range map[string]bool{
			chanceWhose:  i.validate && i.resource.class.by != "",
			chanceHead:   i.head && i.request == q.number && !i.resource.class.validates(),
			chanceCookie: i.resource.class.name == "jar",
		} {
			if is {
				t.counts[what]++
			}
		}
	}
	switch {
	case v.issue == nil:
		t.counts["errors of the origin"]++
	case q.unsafe():
		t.counts["unsafe"]++
	case status.hit && status.detail != "":
		t.counts["stale hits"]++
	case status.hit:
		t.counts["hits"]++
	case status.collapsed:
		t.counts["coalesced"]++
	default:
		t.counts["misses"]++
	}
}

// tell counts a violation of rule. It keeps what, the description, if it is one of the first.
func (t *tally) tell(rule, what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.violations++
	if t.alike[rule]++; len(t.told) < shown && t.alike[rule] <= shownAlike {
		t.told = append(t.told, what)
	}
}

// ruleOf returns the name of the rule that a violation's text begins with.
func ruleOf(wrong string) string {
	rule, _, _ := strings.Cut(wrong, ":")
	rule, _, _ = strings.Cut(rule, " (")
	return rule
}

// describe returns the description of a violation: the request, the answer, its issue and the
// recent issues of the resource.
func (w *world) describe(q *ask, resp *http.Response, v verdict, wrong string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "at %v: %s\n  request %d, begun %v: %s\n", w.now(), wrong, q.number, q.begun, q)
	if resp != nil {
		fmt.Fprintf(&b, "  answer %s\n", resp.Status)
		for _, name := range slices.Sorted(maps.Keys(resp.Header)) {
			fmt.Fprintf(&b, "    %s: %.100q\n", name, resp.Header[name])
		}
	}
	if i := v.issue; i != nil {
		fmt.Fprintf(&b, "  issue %d for request %d at %v, header received %v, status %d, variant %+v, representation %s, size %d\n",
			i.number, i.request, i.at, time.Duration(i.received.Load()), i.status, i.variant, i.representation(), i.size)
		fmt.Fprintf(&b, "    promise %+v, reserved %q\n", i.promise, i.reserved)
	}
	res := q.resource
	res.mu.Lock()
	for _, i := range res.issues[max(0, len(res.issues)-6):] {
		fmt.Fprintf(&b, "  recent issue %d for request %d at %v, received %v, version %d, fault %v\n",
			i.number, i.request, i.at, time.Duration(i.received.Load()), i.version, i.kind)
	}
	res.mu.Unlock()
	fmt.Fprintf(&b, "  trouble last at %v, outage last at %v\n",
		time.Duration(q.resource.trouble.Load()), time.Duration(w.outage.Load()))
	return b.String()
}

// print writes the report.
func (t *tally) print(out io.Writer, s *soak, elapsed time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	requests := s.requests.Load()
	fmt.Fprintf(out, "requests   %d in %v, %.0f a second; %d MiB of body checked\n",
		requests, elapsed.Round(time.Millisecond), float64(requests)/elapsed.Seconds(), t.bytes>>20)
	printCounts(out, "answers", t.counts)
	printCounts(out, "clients", names(t.behaviours))
	faults := s.plain.Faults()
	for kind, n := range s.h2.Faults() {
		faults[kind] += n
	}
	asked := faults[faulty.None]
	delete(faults, faulty.None)
	for _, n := range faults {
		asked += n
	}
	fmt.Fprintf(out, "origin     asked %d times\n", asked)
	printCounts(out, "faults", names(faults))
	for n, what := range t.told {
		fmt.Fprintf(out, "violation %d %s", n+1, what)
	}
	fmt.Fprintf(out, "violations %d\n", t.violations)
	if t.violations > 0 {
		printCounts(out, "by rule", t.alike)
	}
}

func names[K interface {
	comparable
	fmt.Stringer
}](counts map[K]int) map[string]int {
	named := make(map[string]int)
	for k, n := range counts {
		named[k.String()] = n
	}
	return named
}

func printCounts(out io.Writer, title string, counts map[string]int) {
	var items []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		items = append(items, fmt.Sprintf("%s %d", name, counts[name]))
	}
	fmt.Fprintf(out, "%-10s %s\n", title, strings.Join(items, ", "))
}
