package cirque

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
)

// purgeLog remembers the purges of late, so that a fetch can tell at its end whether its key was purged since
// it began.
//
// INVARIANT: a purge is noted before it reaches the Storage. A fill looks after its MissHandler is open and
// its variant is in the vary record; from there on the purge finds the fill in the Storage and voids it.
type purgeLog struct {
	mu     sync.Mutex
	noted  atomic.Uint64          // how many purges there have been
	recent [1 << 14]atomic.Uint64 // whose, the nth at n modulo the length

	// counts tell who came before a purge of the key from who came after it: many keys to a counter, which is
	// good enough for telling locks apart.
	counts [1 << 12]atomic.Uint32
}

// purgeMark is a point in a purgeLog, as a walk saw it.
type purgeMark struct {
	noted uint64
	count uint32
}

func (l *purgeLog) count(primary HashBinary) *atomic.Uint32 {
	return &l.counts[(uint(primary[0])|uint(primary[1])<<8)%uint(len(l.counts))]
}

// note enters a purge of key.
func (l *purgeLog) note(key CacheKey) {
	primary := key.PrimaryHash()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count(primary).Add(1)
	n := l.noted.Load() + 1
	l.recent[n%uint64(len(l.recent))].Store(binary.LittleEndian.Uint64(primary[:]))
	l.noted.Store(n)
}

// mark returns the present point.
func (l *purgeLog) mark(key CacheKey) purgeMark {
	return purgeMark{l.noted.Load(), l.count(key.PrimaryHash()).Load()}
}

// purgedSince reports whether key was purged after m. It says so too where more purges came after m than are
// remembered.
func (l *purgeLog) purgedSince(key CacheKey, m purgeMark) bool {
	now := l.noted.Load()
	if now == m.noted {
		return false
	}
	primary := key.PrimaryHash()
	mine := binary.LittleEndian.Uint64(primary[:])
	for n := m.noted + 1; n <= now && now-m.noted <= uint64(len(l.recent)); n++ {
		if l.recent[n%uint64(len(l.recent))].Load() == mine {
			return true
		}
	}
	// What was overwritten while it was read was read in vain. The one being written now is counted in.
	return l.noted.Load()-m.noted >= uint64(len(l.recent))
}
