package console

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cirquecache/cirque/console/internal/sketch"
	"github.com/cirquecache/cirque/stats"
)

const (
	queueLength  = 2048 // requests that wait to be recorded
	tailLength   = 1024 // requests that are kept for the tail
	sketchLength = 256  // counters of each list of URLs
	generation   = 5 * time.Minute
	maxRate      = 4000 // requests a second that are recorded; of more, a sample is
	maxReasons   = 64
	maxExamples  = 3
)

// kind is what a list of URLs is sorted by.
type kind int

const (
	byHits kind = iota
	byBytes
	byMisses
	byOrigin // microseconds spent waiting for the origin
	kinds
)

var kindNames = [kinds]string{"hits", "bytes", "misses", "origin"}

// recorder keeps what the page shows of single requests. It hears of them only while it runs.
//
// A request that is over leaves a record in the queue, or nothing if that is full: requests never
// wait. One goroutine takes them from there.
type recorder struct {
	every atomic.Int64 // one of so many requests is recorded
	lost  atomic.Int64 // records for which the queue was full
	queue chan glimpse

	mu       sync.Mutex
	began    time.Time // when recording began; zero: it does not run
	tail     [tailLength]record
	next     uint64 // the number of the next record of the tail
	now      [kinds]*sketch.Top
	earlier  [kinds]*sketch.Top // of the generation before
	turned   time.Time          // when the generation began
	before   time.Time          // when the earlier one began
	examples map[string][]example
}

// example is a request that was not stored.
type example struct {
	URL    string `json:"url"`
	Server string `json:"server,omitempty"`
	Whole  bool   `json:"whole"`
	Method string `json:"method"`
	Status int    `json:"status"`
}

// newRecorder returns a recorder that does not run.
func newRecorder() *recorder {
	r := &recorder{queue: make(chan glimpse, queueLength)}
	r.every.Store(1)
	return r
}

// watcher returns the hooks through which r hears of requests.
func (r *recorder) watcher() *stats.Watcher {
	return &stats.Watcher{
		Wants: func() bool {
			every := r.every.Load()
			return every <= 1 || rand.Int64N(every) == 0
		},
		RequestDone: func(request stats.Request) {
			select {
			case r.queue <- newGlimpse(request, uint64(r.every.Load())):
			default:
				r.lost.Add(1)
			}
		},
	}
}

// run records what comes in until stop is closed.
func (r *recorder) run(stop <-chan struct{}) {
	r.start(time.Now())
	second := time.NewTicker(time.Second)
	defer second.Stop()
	recorded := int64(0)
	for {
		select {
		case <-stop:
			return
		case <-second.C:
			r.adapt(recorded)
			recorded = 0
			r.turn(time.Now())
		case one := <-r.queue:
			recorded++
			rec := one.record()
			r.record(&rec)
		}
	}
}

// adapt changes the share of the requests that are recorded, as so many were in the last second.
func (r *recorder) adapt(recorded int64) {
	every := r.every.Load()
	switch offered := recorded + r.lost.Swap(0); {
	case offered > maxRate:
		r.every.Store(min(every*2, 1<<20))
	case offered < maxRate/4 && every > 1:
		r.every.Store(every / 2)
	}
}

func (r *recorder) start(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.began, r.turned, r.before = now, now, now
	r.now, r.earlier = newTops(), newTops()
	r.examples = make(map[string][]example)
	for len(r.queue) > 0 { // from the run before
		<-r.queue
	}
}

// forget forgets everything. The caller has ended run.
func (r *recorder) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.began, r.examples = time.Time{}, nil
	r.now, r.earlier = [kinds]*sketch.Top{}, [kinds]*sketch.Top{}
	r.tail = [tailLength]record{}
}

func newTops() (tops [kinds]*sketch.Top) {
	for i := range tops {
		tops[i] = sketch.New(sketchLength)
	}
	return tops
}

// turn begins a new generation if the current one is old enough, so that the lists are of the last
// five to ten minutes.
func (r *recorder) turn(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.turned) >= generation {
		r.earlier, r.now = r.now, newTops()
		r.before, r.turned = r.turned, now
	}
}

func (r *recorder) record(one *record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tail[r.next%tailLength] = *one
	r.next++
	key := one.URL
	if one.Server != "" {
		key += "\n" + one.Server
	}
	if one.Background {
		r.now[byOrigin].Add(key, one.weight*uint64(one.about.Origin.Microseconds()))
		return
	}
	switch one.Result {
	case stats.Miss, stats.Pass:
		r.now[byMisses].Add(key, one.weight)
	case stats.Hit, stats.Stale, stats.Revalidated, stats.Collapsed:
		r.now[byHits].Add(key, one.weight)
	}
	r.now[byBytes].Add(key, one.weight*uint64(max(one.Bytes, 0)))
	r.now[byOrigin].Add(key, one.weight*uint64(one.about.Origin.Microseconds()))
	if one.Result == stats.Pass {
		r.addExample(one)
	}
}

// addExample remembers the latest requests whose responses were not stored, by the reason. The
// caller holds mu.
func (r *recorder) addExample(one *record) {
	list := r.examples[one.reason]
	for _, known := range list {
		if known.URL == one.URL && known.Server == one.Server {
			return
		}
	}
	if len(list) == 0 && len(r.examples) >= maxReasons {
		return
	}
	if len(list) >= maxExamples {
		list = list[1:]
	}
	r.examples[one.reason] = append(list[:len(list):len(list)],
		example{URL: one.URL, Server: one.Server, Whole: one.Whole, Method: one.Method, Status: one.Status})
}
