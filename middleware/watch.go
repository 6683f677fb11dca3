package middleware

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/stats"
)

// Watch adds the hooks of w to the cache, until stop is called. A hook may still be called by
// requests that were under way when stop was called. Requests that began before Watch do not report
// to w. w must not be changed while it is in use.
//
// It is for what somebody looks at now and then. While there is no watcher, a request pays for this
// with one atomic load.
func (c *Cache) Watch(w *stats.Watcher) (stop func()) {
	c.mustBeNew()
	c.watchers.change(func(all []*stats.Watcher) []*stats.Watcher { return append(all, w) })
	return sync.OnceFunc(func() {
		c.watchers.change(func(all []*stats.Watcher) []*stats.Watcher {
			i := slices.Index(all, w)
			return slices.Delete(all, i, i+1)
		})
	})
}

// Fills returns the fills that are under way, at most Config.MaxFills, in the order in which they
// began.
func (c *Cache) Fills() []stats.Fill {
	c.mustBeNew()
	return c.fills.list()
}

// watchers are the watchers of a cache.
type watchers struct {
	mu   sync.Mutex // held while list is replaced
	list atomic.Pointer[watcherList]
}

// watcherList is never changed. It is nil if there is no watcher.
type watcherList []*stats.Watcher

// change replaces the list by what edit makes of a copy.
func (ws *watchers) change(edit func([]*stats.Watcher) []*stats.Watcher) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	var all watcherList
	if old := ws.list.Load(); old != nil {
		all = slices.Clone(*old)
	}
	if all = edit(all); len(all) == 0 {
		ws.list.Store(nil)
		return
	}
	ws.list.Store(&all)
}

// reportTo returns a hook that calls first, and the RequestDone of the watchers that want to hear
// of a request that begins now. It returns first if there are none.
func (all watcherList) reportTo(first func(stats.Request)) func(stats.Request) {
	report := first
	for _, w := range all {
		if w.RequestDone == nil || w.Wants != nil && !w.Wants() {
			continue
		}
		if earlier := report; earlier != nil {
			report = func(r stats.Request) {
				earlier(r)
				w.RequestDone(r)
			}
		} else {
			report = w.RequestDone
		}
	}
	return report
}

// purged counts a purge, tells the watchers of it, and returns its error. url returns what was
// purged; nil: everything.
func (c *Cache) purged(kind purgeKind, soft bool, err error, url func() string, groups ...string) error {
	if all := c.watchers.list.Load(); all != nil {
		p := stats.Purge{At: time.Now(), Kind: purgeKindNames[kind], Soft: soft, Groups: groups, Err: err}
		for _, w := range *all {
			if w.Purged == nil {
				continue
			}
			if url != nil && p.URL == "" {
				p.URL = url()
			}
			w.Purged(p)
		}
	}
	return c.counters.purged(kind, soft, err)
}

// noHooks is the trace of a request that only a watcher hears of: with a trace, lookups are timed.
var noHooks = new(cirque.CacheTrace)

// trace returns the hooks for x's walk; nil if nobody hears of it.
func (x *transaction) trace() *cirque.CacheTrace {
	trace := x.cache.traceOf(x.client)
	if trace == nil && x.about != nil {
		return noHooks
	}
	return trace
}

// list returns the fills that have a place, the oldest first.
func (p *places) list() []stats.Fill {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]stats.Fill, 0, len(p.holders))
	for f, h := range p.holders {
		fill := f.fill.Load()
		if fill == nil {
			continue // it is about to begin
		}
		all = append(all, stats.Fill{
			URL: readableKey(h.primary), Began: h.begun, Status: h.status,
			Written: fill.Written(), Length: h.length, Readers: fill.Readers(), Background: !f.waited,
		})
	}
	slices.SortFunc(all, func(a, b stats.Fill) int { return a.Began.Compare(b.Began) })
	return all
}

// readableKey returns a primary key as a URL, if it is one of DefaultKey. Others stay as they are.
func readableKey(primary string) string {
	parts := strings.SplitN(primary, "\x00", 4)
	if len(parts) < 4 {
		return primary
	}
	return parts[0] + "://" + parts[1] + strings.TrimPrefix(parts[3], "\x00")
}
