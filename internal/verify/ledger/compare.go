package ledger

import (
	"errors"
	"fmt"

	"github.com/cirquecache/cirque/stats"
)

// Compare returns an error that lists where s differs from what went in and out, or from itself.
// Nothing may be under way.
func (l *Ledger) Compare(s stats.Snapshot) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	same := func(what string, counted, seen uint64) {
		if counted != seen {
			errs = append(errs, fmt.Errorf("count: %s: %d counted, %d seen", what, counted, seen))
		}
	}
	for _, r := range stats.Results() {
		for _, d := range stats.Doors() {
			same(fmt.Sprintf("requests at the %s that were %s", d, r), s.Requests[d][r], l.requests[d][r])
		}
		same("bytes to clients, "+r.String(), s.Bytes[r], l.bytes[r])
		same("durations, "+r.String(), s.Duration[r].Count, l.timed[r])
		same("first bytes, "+r.String(), s.FirstByte[r].Count, l.answered[r])
	}
	same("requests to the origin", s.Origin.Requests, l.asked.Load())
	same("fills that began, and fills that ended", s.Fills.Started, sum(s.Fills.Done))
	for what, now := range map[string]int{
		"fills": s.Fills.InFlight, "readers of fills": s.Fills.Readers, "background revalidations": s.Revalidations.InFlight,
	} {
		same(what+" under way", uint64(now), 0)
	}
	same("what became of the requests to the origin", sumOf(s), s.Origin.Requests)
	if unanswered := l.unanswered.Load(); s.Origin.Failed < unanswered {
		errs = append(errs, fmt.Errorf("count: requests to the origin that failed: %d counted, at least %d seen", s.Origin.Failed, unanswered))
	}
	if fetched := l.fetched.Load(); fetched > 0 && s.Fills.Bytes > fetched {
		errs = append(errs, fmt.Errorf("count: bytes of fills: %d counted, %d came from the origin", s.Fills.Bytes, fetched))
	}
	for _, p := range s.Purges {
		if p.Kind == "key" && !p.Soft && (p.Done < l.purges["done"] || p.NotFound < l.purges["not found"]) {
			errs = append(errs, fmt.Errorf("count: purges: %+v counted, at least %v seen", p, l.purges))
		}
	}
	return errors.Join(errs...)
}

// sumOf returns the right side of the equation in the doc of stats.Origin.
func sumOf(s stats.Snapshot) uint64 {
	return s.Origin.Failed + s.Origin.Again + s.Origin.StoodIn + s.Revalidations.Foreground.NotModified +
		s.Revalidations.Background.NotModified + s.Fills.Started + sum(s.Uncached)
}

func sum(counts map[string]uint64) (total uint64) {
	for _, n := range counts {
		total += n
	}
	return total
}
