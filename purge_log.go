package cirque

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
)

// purgeLog remembers the latest purges of keys, so that a fetch can check at its end whether its
// key was purged since it began. A walk that begins during a purge counts as one from before the
// purge, because it may have found an entry that the purge had not removed yet.
//
// INVARIANT: A purge begins here before it reaches the Storage, and ends here afterwards. A fill
// checks the log before it opens its MissHandler. A purge that the fill does not see waits until
// the MissHandler is open, and then voids the write (see inFlight).
type purgeLog struct {
	mu       sync.Mutex
	underWay map[HashBinary]int     // purges under way, by primary hash; guarded by mu
	running  atomic.Int64           // the number of purges under way
	noted    atomic.Uint64          // the number of beginnings and ends of purges so far
	recent   [1 << 14]atomic.Uint64 // the keys of the latest ones, the nth at n modulo the length

	// latest holds the keys that were purged last, each in the set that its hash selects.
	latest [1 << 10]purgedSet
}

// purgedSet has the number of the latest purge of each of a few keys. The number of a key can be
// wrong once, when another key takes its place, or while it is written. Such a number only selects
// another lock: requests that could wait for one fetch then make two.
type purgedSet [4]struct{ key, number atomic.Uint64 }

// purgeMark is a point in a purgeLog, as a walk saw it.
type purgeMark struct {
	noted  uint64
	latest uint64 // number of the key's latest purge; zero: none is known

	epoch      PurgeEpoch // of the latest purge of everything or of groups
	askedEpoch PurgeEpoch // the same, at the time when the origin was asked
	generation uint64     // see PurgeState.generation
}

// short returns the part of a hash that stands for the key in the log.
func short(primary HashBinary) uint64 { return binary.LittleEndian.Uint64(primary[:]) }

// set returns the set for the key.
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

// enter notes the nth purge. It replaces the key's purge before, else the oldest one in the set.
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

// begin notes a purge of the key that is about to reach the Storage.
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

// end notes that a purge of the key is over.
func (l *purgeLog) end(primary HashBinary) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.note(primary) // before the purge counts as over, so that it is always seen
	l.running.Add(-1)
	if l.underWay[primary]--; l.underWay[primary] == 0 {
		delete(l.underWay, primary)
	}
}

// note notes the beginning or end of a purge. It is called with mu held.
func (l *purgeLog) note(primary HashBinary) {
	n := l.noted.Load() + 1
	l.recent[n%uint64(len(l.recent))].Store(short(primary))
	l.set(primary).enter(short(primary), n)
	l.noted.Store(n)
}

// isUnderWay reports whether the key is being purged.
func (l *purgeLog) isUnderWay(primary HashBinary) bool {
	if l.running.Load() == 0 {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.underWay[primary] > 0
}

// mark returns the present point for the key.
func (l *purgeLog) mark(primary HashBinary) purgeMark {
	noted := l.noted.Load()
	if noted == 0 {
		return purgeMark{}
	}
	return purgeMark{noted: noted, latest: l.set(primary).number(short(primary))}
}

// purgedSince reports whether the key was purged after m, or is being purged. If more purges came
// after m than are remembered, it is true.
func (l *purgeLog) purgedSince(primary HashBinary, m purgeMark) bool {
	return l.isUnderWay(primary) || l.notedSince(primary, m, 1) > 0
}

// countSince counts the purges of the key that were under way at some time after m.
func (l *purgeLog) countSince(primary HashBinary, m purgeMark) int {
	l.mu.Lock() // so that each purge has a beginning and an end, or is under way
	defer l.mu.Unlock()
	noted := l.notedSince(primary, m, 2*len(l.recent))
	// A purge that is under way now, or was at m, has only one of the two.
	return (noted + l.underWay[primary] + 1) / 2
}

// notedSince counts the beginnings and ends of purges of the key after m, up to limit. If more came
// after m than are remembered, it returns limit.
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
	// If the ring was overwritten meanwhile, the count cannot be trusted. The entry that may be
	// being written now counts as overwritten.
	if l.noted.Load()-m.noted >= uint64(len(l.recent)) {
		return limit
	}
	return count
}
