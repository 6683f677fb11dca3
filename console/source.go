package console

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/middleware"
	"github.com/cirquecache/cirque/stats"
)

// maxPurges is how many purges the log keeps.
const maxPurges = 100

// source is one cache, and what the console remembers of it.
type source struct {
	name     string
	cache    *middleware.Cache
	history  history
	recorder *recorder

	end     func() // ends the recording; used by the goroutine of Console.run only
	unwatch func() // ends the log of purges

	mu     sync.Mutex
	purges []purge // the latest last
}

// purge is a line in the log of purges.
type purge struct {
	At     int64    `json:"at"` // Unix milliseconds
	Kind   string   `json:"kind"`
	Soft   bool     `json:"soft"`
	URL    string   `json:"url,omitempty"`
	Groups []string `json:"groups,omitempty"`
	Result string   `json:"result"`
	Times  int      `json:"times"` // in a row
}

// repeats reports whether q differs from p in its time only.
func (p *purge) repeats(q *purge) bool {
	return p.Kind == q.Kind && p.Soft == q.Soft && p.URL == q.URL && p.Result == q.Result && slices.Equal(p.Groups, q.Groups)
}

// source returns the source with that name; the first one if name is empty; nil if there is none.
func (c *Console) source(name string) *source {
	if name == "" {
		return c.sources[0]
	}
	for _, s := range c.sources {
		if s.name == name {
			return s
		}
	}
	return nil
}

// newSource begins the history of cache, and its log of purges.
func newSource(cache *middleware.Cache) *source {
	s := &source{cache: cache, recorder: newRecorder()}
	first := cache.Stats()
	s.name = first.Name
	s.history.add(&first)
	s.unwatch = cache.Watch(&stats.Watcher{Purged: s.purged})
	return s
}

// purged adds p to the log.
func (s *source) purged(p stats.Purge) {
	line := purge{At: p.At.UnixMilli(), Kind: p.Kind, Soft: p.Soft, Result: purgeResult(p.Err), Times: 1}
	line.URL, _ = plain(p.URL)
	for _, group := range p.Groups[:min(len(p.Groups), 4)] {
		group, _ = plain(group)
		line.Groups = append(line.Groups, group)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.purges); n > 0 && s.purges[n-1].repeats(&line) {
		line.Times += s.purges[n-1].Times
		s.purges = s.purges[:n-1]
	}
	if len(s.purges) == maxPurges {
		copy(s.purges, s.purges[1:])
		s.purges = s.purges[:maxPurges-1]
	}
	s.purges = append(s.purges, line)
}

// purgeResult says in a word how a purge ended.
func purgeResult(err error) string {
	switch {
	case err == nil:
		return "done"
	case errors.Is(err, cirque.ErrNotFound):
		return "nothing stored"
	}
	return "failed"
}

// latestPurges returns the log, the latest first.
func (s *source) latestPurges() []purge {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]purge, 0, len(s.purges))
	for i := len(s.purges) - 1; i >= 0; i-- {
		all = append(all, s.purges[i])
	}
	return all
}

// sample adds what has happened since the last call to the history.
func (s *source) sample() {
	now := s.cache.Stats()
	s.history.add(&now)
}

// record begins or ends the recording of requests.
func (s *source) record(on bool) {
	switch {
	case on && s.end == nil:
		stop, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			s.recorder.run(stop)
		}()
		unwatch := s.cache.Watch(s.recorder.watcher())
		s.end = func() {
			unwatch()
			close(stop)
			<-done
			s.recorder.forget()
		}
	case !on && s.end != nil:
		s.end()
		s.end = nil
	}
}

// close ends everything that newSource and record began.
func (s *source) close() {
	s.record(false)
	s.unwatch()
}

// recordingSince returns when the recording began; zero if it is off.
func (s *source) recordingSince() time.Time {
	s.recorder.mu.Lock()
	defer s.recorder.mu.Unlock()
	return s.recorder.began
}
