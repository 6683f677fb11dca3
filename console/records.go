package console

import (
	"slices"
	"strings"

	"github.com/cirquecache/cirque/console/internal/sketch"
)

const (
	maxRows = 25 // of each list
	maxTail = 25 // requests in one view
)

// recorded is what is known of single requests.
type recorded struct {
	Since   int64            `json:"since"` // zero: nothing is recorded
	Every   int64            `json:"every"` // one of so many requests is recorded
	TopFrom int64            `json:"top_from"`
	Top     map[string][]top `json:"top"`
}

// top is a URL in a list.
type top struct {
	URL    string `json:"url"`
	Server string `json:"server,omitempty"`
	Whole  bool   `json:"whole"`
	Count  uint64 `json:"count"`
	Error  uint64 `json:"error,omitempty"` // Count may be so much too large
}

// uncached is a reason for which responses were not stored.
type uncached struct {
	Reason   string    `json:"reason"`
	Count    uint64    `json:"count"`
	Examples []example `json:"examples"`
}

// recorded returns the lists of URLs, and the reasons in counts with their examples.
func (s *source) recorded(counts map[string]uint64) (recorded, []uncached) {
	r := s.recorder
	all := recorded{Every: r.every.Load(), Top: make(map[string][]top)}
	reasons := make([]uncached, 0, len(counts))
	r.mu.Lock()
	defer r.mu.Unlock()
	for reason, n := range counts {
		reason, _ = plain(reason)
		reasons = append(reasons, uncached{Reason: reason, Count: n, Examples: append([]example{}, r.examples[reason]...)})
	}
	reasons = sortedByCount(reasons, func(u uncached) uint64 { return u.Count }, func(u uncached) string { return u.Reason })
	if r.began.IsZero() {
		return all, reasons
	}
	all.Since, all.TopFrom = r.began.UnixMilli(), r.before.UnixMilli()
	for k := range kinds {
		list := []top{}
		for _, item := range sketch.Merge(maxRows, r.now[k], r.earlier[k]) {
			url, server, _ := strings.Cut(item.Key, "\n")
			list = append(list, top{URL: url, Server: server, Whole: isWhole(url), Count: item.Count, Error: item.Error})
		}
		all.Top[kindNames[k]] = list
	}
	return all, reasons
}

// isWhole reports whether plain can have returned url unchanged. Of a URL that has a backslash or
// an ellipsis this is not known, so it counts as changed.
func isWhole(url string) bool { return !strings.ContainsAny(url, "\\…") }

// filter selects requests for the tail. The zero filter selects all.
type filter struct{ status, result, host, path string }

// matches reports whether one passes f.
func (f *filter) matches(one *record) bool {
	return (f.status == "" || statusMatches(f.status, one.Status)) &&
		(f.result == "" || f.result == one.Result.String()) &&
		strings.Contains(one.host, f.host) &&
		strings.HasPrefix(one.path, f.path)
}

// statusMatches reports whether status is wanted: "404", or "4xx" or "4" for its class.
func statusMatches(wanted string, status int) bool {
	digits := [3]byte{byte('0' + status/100%10), byte('0' + status/10%10), byte('0' + status%10)}
	return strings.HasPrefix(string(digits[:]), strings.TrimRight(strings.ToLower(wanted), "x"))
}

// tailSince returns the latest requests that f selects, the oldest first, among those after the one
// with the number from. missed is how many more there were, and next is the number for the next
// call.
func (r *recorder) tailSince(from uint64, f *filter) (tail []record, missed int, next uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	tail = []record{}
	if r.next > tailLength {
		from = max(from, r.next-tailLength)
	}
	for n := from; n < r.next; n++ {
		one := &r.tail[n%tailLength]
		if one.URL == "" || !f.matches(one) {
			continue
		}
		if len(tail) == maxTail {
			copy(tail, tail[1:])
			tail = tail[:maxTail-1]
			missed++
		}
		tail = append(tail, *one)
	}
	for i := range tail {
		tail[i].Steps = stepsOf(&tail[i].about)
	}
	return tail, missed, r.next
}

// sortedByCount sorts a list by counts, the largest first, and equal ones by name.
func sortedByCount[E any](list []E, count func(E) uint64, name func(E) string) []E {
	slices.SortFunc(list, func(a, b E) int {
		if x, y := count(a), count(b); x != y {
			if x > y {
				return -1
			}
			return 1
		}
		if name(a) < name(b) {
			return -1
		}
		return 1
	})
	return list
}
