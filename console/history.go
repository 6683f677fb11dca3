package console

import (
	"sync"
	"time"

	"github.com/cirquecache/cirque/stats"
)

const (
	historyFor = time.Hour
	fineFor    = 5 * time.Minute  // points stay as they came
	coarseStep = 10 * time.Second // older points are put together to about this length
)

// history has the points of the last hour, without gaps. It is safe for concurrent use.
//
// Its size is bounded by time: at one point a second there are 300 fine and 360 coarse ones.
type history struct {
	mu     sync.Mutex
	last   *stats.Snapshot
	coarse []point
	fine   []point
}

// add adds what happened until the snapshot s. s must not be changed any more.
func (h *history) add(s *stats.Snapshot) {
	h.mu.Lock()
	defer h.mu.Unlock()
	last := h.last
	h.last = s
	if last == nil || !s.At.After(last.At) {
		return
	}
	h.fine = append(h.fine, pointBetween(last, s))
	old := 0
	for old < len(h.fine) && s.At.Sub(h.fine[old].to) > fineFor {
		h.addCoarse(h.fine[old])
		old++
	}
	h.fine = dropFirst(h.fine, old)
	gone := 0
	for gone < len(h.coarse) && s.At.Sub(h.coarse[gone].to) > historyFor {
		gone++
	}
	h.coarse = dropFirst(h.coarse, gone)
}

func (h *history) addCoarse(p point) {
	if n := len(h.coarse); n > 0 && p.to.Sub(h.coarse[n-1].from) <= coarseStep {
		h.coarse[n-1] = h.coarse[n-1].then(p)
		return
	}
	h.coarse = append(h.coarse, p)
}

// dropFirst removes the first n points, so that nothing keeps their memory.
func dropFirst(points []point, n int) []point {
	if n == 0 {
		return points
	}
	left := copy(points, points[n:])
	clear(points[left:])
	return points[:left]
}

// since returns the points that end after t, in order, and the latest snapshot.
func (h *history) since(t time.Time) (points []point, last *stats.Snapshot) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, list := range [][]point{h.coarse, h.fine} {
		for _, p := range list {
			if p.to.After(t) {
				points = append(points, p)
			}
		}
	}
	return points, h.last
}
