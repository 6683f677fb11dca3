package history

import (
	"flag"
	"fmt"
	"io"
	"log"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	histories = flag.Int("histories", 0, "how many histories TestHistories runs; 0: as many as take a few seconds")
	firstSeed = flag.Uint64("seed", 1, "the seed of the first history; each of the others has the next number")
)

func TestMain(m *testing.M) {
	log.SetOutput(io.Discard)
	os.Exit(m.Run())
}

// ordinary is the number of histories that TestHistories runs without the flag.
var ordinary = 600

// scratch returns a new directory and a function that removes it.
func scratch(t *testing.T) (dir string, remove func()) {
	t.Helper()
	base := ""
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		base = "/dev/shm"
	}
	dir, err := os.MkdirTemp(base, "cirque-history-")
	if err != nil {
		t.Fatal(err)
	}
	return dir, func() { os.RemoveAll(dir) }
}

// total sums up the verdicts on many histories.
type total struct {
	histories       int
	answers         int
	counts, chances map[string]int
	found           map[string]int   // by rule: how many histories break it
	first           map[string]*plan // by rule: the first history that breaks it
}

func newTotal() *total {
	return &total{counts: make(map[string]int), chances: make(map[string]int), found: make(map[string]int), first: make(map[string]*plan)}
}

func (o *total) add(p *plan, v *verdict) {
	o.histories++
	for name, n := range v.counts {
		o.counts[name] += n
		o.answers += n
	}
	for name, n := range v.chances {
		o.chances[name] += n
	}
	for _, rule := range v.order {
		if o.found[rule]++; o.first[rule] == nil {
			o.first[rule] = p
		}
	}
}

// print prints the statistics.
func (o *total) print(t *testing.T, elapsed time.Duration) {
	t.Logf("%d histories in %v, %d answers judged: %s", o.histories, elapsed.Round(time.Millisecond), o.answers, list(o.counts))
	t.Logf("chances to break a rule: %s", list(o.chances))
}

func list(counts map[string]int) string {
	var items []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		items = append(items, fmt.Sprintf("%s %d", name, counts[name]))
	}
	return strings.Join(items, ", ")
}

// needed lists the rules that a run must exercise: the caches must have had a chance to break each
// of them.
var needed = []string{
	ruleWhose, ruleUnvalidated, ruleVary, ruleReserved, ruleAuth, ruleCookie, ruleLifetime, ruleReload, ruleHead, ruleHeadNewer,
	ruleOrder, ruleOrderOther, ruleSurroundings, ruleWhole, ruleStatus, ruleAge,
	purgeURL, purgeURL + "/other", purgeURL + "/restart",
	purgeSoft, purgeSoft + "/other", purgeSoft + "/restart",
	purgeRequest, purgeRequest + "/other", purgeRequest + "/restart",
	purgeAll, purgeAll + "/other", purgeAll + "/restart", purgeAll + "/ahead",
	purgeGroup, purgeGroup + "/other", purgeGroup + "/restart", purgeGroup + "/ahead",
	purgeField, purgeField + "/other", purgeField + "/restart",
	purgeUnsafe, purgeUnsafe + "/other", purgeUnsafe + "/restart",
	purgeUpgrade, purgeUpgrade + "/other",
}

func TestHistories(t *testing.T) {
	n := *histories
	switch {
	case n > 0:
	case testing.Short():
		n = min(200, ordinary)
	default:
		n = ordinary
	}
	began := time.Now()
	o := newTotal()
	for seed := *firstSeed; seed < *firstSeed+uint64(n); seed++ {
		p := draw(seed)
		o.add(p, runPlan(t, p, p.steps, ""))
	}
	o.print(t, time.Since(began))
	for _, rule := range slices.Sorted(maps.Keys(o.first)) {
		t.Errorf("%s is broken in %d histories", rule, o.found[rule])
		explain(t, o.first[rule], rule, "")
	}
	if n < 600 {
		return // too few for a chance at everything
	}
	for _, rule := range needed {
		require.NotZero(t, o.chances[rule], "the caches had no chance to break %s", rule)
	}
}

// Each broken cache must be caught by a history in which the sound cache does not break the same
// rule.
func TestBrokenCachesAreCaught(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(breakages)) {
		for _, rule := range breakages[name](nil).rules {
			t.Run(name+"/"+rule, func(t *testing.T) {
				const most = 3000
				for seed := *firstSeed; seed < *firstSeed+most; seed++ {
					p := draw(seed)
					if !p.allows(rule) {
						continue
					}
					v := runPlan(t, p, p.steps, name)
					if v.findings[rule] != "" && runPlan(t, p, p.steps, "").findings[rule] == "" {
						t.Logf("history %d: %s", seed-*firstSeed+1, v.findings[rule])
						return
					}
				}
				t.Errorf("the oracle found nothing in %d histories", most)
			})
		}
	}
}

// explain removes steps from p's history as long as the rest still breaks rule. It prints the rest.
func explain(t *testing.T, p *plan, rule, broken string) {
	steps, v := shrink(p, func(steps []*step) *verdict {
		if v := runPlan(t, p, steps, broken); v.findings[rule] != "" {
			return v
		}
		return nil
	})
	if v == nil {
		t.Logf("%s: seed %d broke it once, but not when it was run again", rule, p.seed)
		return
	}
	t.Logf("%s: seed %d, %d of %d steps: %s\n%s", rule, p.seed, len(steps), len(p.steps), v.findings[rule], v.report)
}

// shrink removes steps of p as long as shows still returns a verdict. Both results are nil if shows
// returns nil for all steps.
func shrink(p *plan, shows func([]*step) *verdict) (steps []*step, v *verdict) {
	steps = p.steps
	if v = shows(steps); v == nil {
		return nil, nil
	}
	for size := len(steps) / 2; size > 0; size /= 2 {
		for from := 0; from+size <= len(steps); {
			fewer := slices.Concat(steps[:from], steps[from+size:])
			if w := shows(fewer); w != nil {
				steps, v = fewer, w
			} else {
				from += size
			}
		}
	}
	return steps, v
}
