package middleware

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cirquecache/cirque"
)

// maxGroups bounds how many invalidations are remembered by name.
const maxGroups = 10_000

// groupLog remembers when cache groups were invalidated (RFC 9875). A stored response that names one of them, and is
// older, is not used any more. There is no index of members: a hit looks its own groups up, and only
// once something was invalidated.
type groupLog struct {
	used atomic.Bool
	mu   struct {
		sync.RWMutex
		at map[originGroup]time.Time
		// floor: invalidations up to here are forgotten by name, so every older response that is
		// in any group counts as invalidated.
		floor time.Time
	}
}

type originGroup struct{ origin, group string }

// invalidate notes that groups of origin were invalidated now.
func (l *groupLog) invalidate(origin string, groups []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.mu.at == nil || len(l.mu.at)+len(groups) > maxGroups {
		if l.mu.at != nil {
			l.mu.floor = now
		}
		l.mu.at = make(map[originGroup]time.Time)
	}
	for _, group := range groups {
		l.mu.at[originGroup{origin, group}] = now
	}
	l.used.Store(true)
}

// invalidatedSince reports whether a response to a request for asked is in a group that was
// invalidated at t or later.
func (l *groupLog) invalidatedSince(t time.Time, asked *target, meta *cirque.CacheMeta) bool {
	if !l.used.Load() {
		return false
	}
	lines := meta.Header().Values("Cache-Groups")
	if len(lines) == 0 {
		return false
	}
	origin := asked.origin()
	l.mu.RLock()
	defer l.mu.RUnlock()
	if !t.After(l.mu.floor) {
		return true
	}
	for _, group := range cirque.CacheGroups(http.Header{"Cache-Groups": lines}) {
		if at, ok := l.mu.at[originGroup{origin, group}]; ok && !t.After(at) {
			return true
		}
	}
	return false
}
