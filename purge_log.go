package cirque

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
)

// purgeLog remembers the purges of late, so that a fetch can tell at its end whether its key was
// purged since it began. A walk that begins during a purge may have found what the purge was still
// to remove, and counts as one from before it.
//
// INVARIANT: a purge begins here before it reaches the Storage, and ends here after it has. A fill
// looks before its MissHandler is open. A purge that it does not see waits until that is open, and
// voids it (see inFlight).
type purgeLog struct {
	mu       sync.Mutex
	underWay map[HashBinary]int     // purges, by primary hash; guarded by mu, and the last of the pointers here
	running  atomic.Int64           // how many are under way
	noted    atomic.Uint64          // how many beginnings and ends of purges there have been
	recent   [1 << 14]atomic.Uint64 // of which keys, the nth at n modulo the length

	// latest are the keys purged of late, each in the set that its hash selects.
	latest [1 << 10]purgedSet
}

// purgedSet has the number of the latest purge of each of a few keys. Where a key gives way to
// another, or is read just then, its number is wrong for once: that is good enough for telling
// locks apart.
type purgedSet [4]struct{ key, number atomic.Uint64 }

// purgeMark is a point in a purgeLog, as a walk saw it.
type purgeMark struct {
	noted  uint64
	latest uint64 // number of the key's latest purge: who came before it has another one; zero where none is known

	epoch      PurgeEpoch // of the purges of everything and of groups
	asked      PurgeEpoch // the same, when the origin was asked
	generation uint64     // see PurgeState.generation
}

// short is what a key is known by in the log.
func short(primary HashBinary) uint64 { return binary.LittleEndian.Uint64(primary[:]) }

// set returns the set that may have the key.
func (l *purgeLog) set(primary HashBinary) *purgedSet {
	return &l.latest[binary.LittleEndian.Uint16(primary[8:])%uint16(len(l.latest))]
}

// number returns the number of the latest purge of the key, or zero.
func (s *purgedSet) number(key uint64) uint64 {
	for i := range s {
		if s[i].key.Load() == key {
			return s[i].number.Load()
		}
	}
	return 0
}

// enter notes the nth purge, in place of the key's one before, or of the oldest one.
func (s *purgedSet) enter(key, n uint64) {
	at := &s[0]
	for i := range s {
		if s[i].key.Load() == key {
			at = &s[i]
			break
		}
		if s[i].number.Load() < at.number.Load() {
			at = &s[i]
		}
	}
	at.key.Store(key)
	at.number.Store(n)
}

// begin enters a purge of key that is about to reach the Storage.
func (l *purgeLog) begin(primary HashBinary) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.underWay == nil {
		l.underWay = make(map[HashBinary]int)
	}
	l.underWay[primary]++
	l.running.Add(1)
	l.note(primary)
}

// end says that a purge of key that began is over.
func (l *purgeLog) end(primary HashBinary) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.note(primary) // first: there is no moment in between
	l.running.Add(-1)
	if l.underWay[primary]--; l.underWay[primary] == 0 {
		delete(l.underWay, primary)
	}
}

// note is called with mu held.
func (l *purgeLog) note(primary HashBinary) {
	n := l.noted.Load() + 1
	l.recent[n%uint64(len(l.recent))].Store(short(primary))
	l.set(primary).enter(short(primary), n)
	l.noted.Store(n)
}

// isUnderWay reports whether key is being purged.
func (l *purgeLog) isUnderWay(primary HashBinary) bool {
	if l.running.Load() == 0 {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.underWay[primary] > 0
}

// mark returns the present point.
func (l *purgeLog) mark(primary HashBinary) purgeMark {
	noted := l.noted.Load()
	if noted == 0 {
		return purgeMark{}
	}
	return purgeMark{noted: noted, latest: l.set(primary).number(short(primary))}
}

// purgedSince reports whether key was purged after m, or is being purged. It says so too where more
// purges came after m than are remembered.
func (l *purgeLog) purgedSince(primary HashBinary, m purgeMark) bool {
	return l.isUnderWay(primary) || l.notedSince(primary, m, 1) > 0
}

// countSince counts the purges of key that were under way at some time after m.
func (l *purgeLog) countSince(primary HashBinary, m purgeMark) int {
	l.mu.Lock() // so that each has its beginning and its end, or is under way
	defer l.mu.Unlock()
	noted := l.notedSince(primary, m, 2*len(l.recent))
	// Of one that is under way now or was at m, one of the two is missing.
	return (noted + l.underWay[primary] + 1) / 2
}

// notedSince counts the beginnings and ends of purges of key after m, up to limit. Where more came
// after m than are remembered, there is no telling, and it returns limit.
func (l *purgeLog) notedSince(primary HashBinary, m purgeMark, limit int) (count int) {
	now := l.noted.Load()
	if now == m.noted {
		return 0
	}
	mine := short(primary)
	for n := m.noted + 1; n <= now && now-m.noted <= uint64(len(l.recent)); n++ {
		if l.recent[n%uint64(len(l.recent))].Load() == mine {
			if count++; count == limit {
				return limit
			}
		}
	}
	// What was overwritten while it was read was read in vain. The one being written now is counted
	// in.
	if l.noted.Load()-m.noted >= uint64(len(l.recent)) {
		return limit
	}
	return count
}
