package cirque

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
)

// PurgeEpoch counts the purges of everything and of groups that a Storage has seen. A fetch notes
// the epoch when it asks the origin, and the meta of the stored response carries it
// ([CacheMeta.PurgeEpoch]). A purge with a greater epoch came later, and voids the response. Clocks
// are not compared.
type PurgeEpoch uint64

// PurgeEvent is one purge of everything or of groups. Only one of All, EveryGroup and Groups is
// set. If none is, only the epoch changes.
type PurgeEvent struct {
	Epoch PurgeEpoch
	// All voids everything in the Storage, in all namespaces.
	All bool
	// EveryGroup voids every response in any group. It replaces purges whose groups were forgotten.
	EveryGroup bool
	// Groups voids every response in one of these groups. Each hash stands for the origin and the
	// name of a group.
	Groups []HashBinary
}

// PurgeJournal keeps purges beyond this process: on disk, or in a store that other processes use
// too. It keeps e durably and returns the epoch of the purge. That is e.Epoch, which is one more
// than the present epoch, or a greater one if other processes purge too. Calls for one PurgeState
// never overlap.
//
// With an error and a zero epoch, the purge has no effect. With an error and another epoch, it has
// effect in this process, and may be forgotten when the process ends.
type PurgeJournal func(ctx context.Context, e PurgeEvent) (PurgeEpoch, error)

// maxPurgedGroups is how many purged groups a PurgeState remembers, at up to 64 bytes each: at most
// 2 MiB. When there are more, the older half is forgotten, and every response in any group that was
// fetched before those purges counts as purged.
const maxPurgedGroups = 1 << 15

// PurgeState has the purges of one Storage, and is shared by all its users in one process
// ([Storage.Purges]): the purges of everything and of groups, the latest purges of keys, and the
// writes under way. So two caches on one Storage see each other's purges, and neither stores a
// response that it fetched before a purge by the other.
//
// The zero PurgeState is ready for use. If the entries of a Storage outlive the process, the
// Storage must call Restore first. A PurgeState must not be copied. It is safe for concurrent use.
type PurgeState struct {
	epoch atomic.Uint64            // of the latest purge
	all   atomic.Uint64            // of the latest purge of everything
	floor atomic.Uint64            // of the latest purge of every group
	keys  atomic.Pointer[purgeLog] // nil: no key was purged yet
	base  uint64                   // all at the end of Restore

	inFlight inFlight

	journal PurgeJournal
	mu      struct {
		sync.RWMutex
		turn         chan struct{} // has one place, which a purge holds while it runs
		newer, older purgedGroups
	}
}

// purgedGroups are the latest purges of some groups.
type purgedGroups struct {
	at     map[HashBinary]PurgeEpoch
	latest PurgeEpoch
}

// Restore sets the events that the Storage has kept, in any order, and the journal for later ones.
// A nil journal is none. Restore must be called before the PurgeState is used.
//
// If the journal was lost, or there never was one, everything that was stored before is void. Then
// pass one event, a purge of All. Its epoch must be the present time in Unix nanoseconds, so that
// epochs of one history are not taken for those of another.
func (s *PurgeState) Restore(journal PurgeJournal, events ...PurgeEvent) {
	s.journal = journal
	for _, e := range events {
		s.Apply(e)
	}
	s.base = s.all.Load()
}

// Epoch returns the epoch of the latest purge.
func (s *PurgeState) Epoch() PurgeEpoch { return PurgeEpoch(s.epoch.Load()) }

// PurgeAll voids everything that is stored, and every fetch under way. The entries leave when new
// responses need their room. An error means that the purge was not kept: see [PurgeJournal].
func (s *PurgeState) PurgeAll(ctx context.Context) error {
	return s.purge(ctx, PurgeEvent{All: true})
}

// PurgeGroups does the same as PurgeAll for the responses in the groups of origin with these names
// (RFC 9875 §2). origin is written as in "https://example.com".
func (s *PurgeState) PurgeGroups(ctx context.Context, origin string, names ...string) error {
	if len(names) == 0 {
		return nil
	}
	groups := make([]HashBinary, len(names))
	for i, name := range names {
		groups[i] = groupHash(origin, name)
	}
	return s.purge(ctx, PurgeEvent{Groups: groups})
}

var errNoEpoch = errors.New("cirque: the purge journal gave no epoch")

// purge keeps e and then applies it. Purges run one after the other.
func (s *PurgeState) purge(ctx context.Context, e PurgeEvent) error {
	s.mu.Lock()
	if s.mu.turn == nil {
		s.mu.turn = make(chan struct{}, 1)
	}
	turn := s.mu.turn
	s.mu.Unlock()
	select {
	case turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-turn }()
	e.Epoch = s.Epoch() + 1
	if s.journal == nil {
		s.Apply(e)
		return nil
	}
	epoch, err := s.journal(ctx, e)
	if epoch == 0 {
		if err == nil {
			err = errNoEpoch
		}
		return err
	}
	e.Epoch = epoch
	s.Apply(e)
	return err
}

// Apply applies a purge that is kept already: another process made it, and the Storage has read it
// from their journal. Events may be applied twice and in any order.
func (s *PurgeState) Apply(e PurgeEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case e.All:
		if e.Epoch >= s.Epoch() {
			s.mu.newer, s.mu.older = purgedGroups{}, purgedGroups{} // all that they void is void
		}
		raise(&s.all, e.Epoch)
	case e.EveryGroup:
		raise(&s.floor, e.Epoch)
	default:
		for _, group := range e.Groups {
			s.enter(group, e.Epoch)
		}
	}
	raise(&s.epoch, e.Epoch) // last: whoever sees the epoch sees the rest
}

// enter notes the purge of one group. It is called with mu held.
func (s *PurgeState) enter(group HashBinary, epoch PurgeEpoch) {
	if _, known := s.mu.newer.at[group]; !known && len(s.mu.newer.at) >= maxPurgedGroups/2 {
		raise(&s.floor, s.mu.older.latest)
		s.mu.older, s.mu.newer = s.mu.newer, purgedGroups{}
	}
	if s.mu.newer.at == nil {
		s.mu.newer.at = make(map[HashBinary]PurgeEpoch)
	}
	s.mu.newer.at[group] = max(s.mu.newer.at[group], epoch)
	s.mu.newer.latest = max(s.mu.newer.latest, epoch)
}

// raise sets v to epoch, unless v is greater already. Only one goroutine at a time may change v.
func raise(v *atomic.Uint64, epoch PurgeEpoch) { v.Store(max(v.Load(), uint64(epoch))) }

// Snapshot returns events from which Restore makes the same state. A journal is compacted by
// replacing its events with these.
func (s *PurgeState) Snapshot() []PurgeEvent {
	s.mu.RLock()
	defer s.mu.RUnlock()
	events := make([]PurgeEvent, 0, 3+len(s.mu.newer.at)+len(s.mu.older.at))
	if all := s.all.Load(); all != 0 {
		events = append(events, PurgeEvent{Epoch: PurgeEpoch(all), All: true})
	}
	if floor := s.floor.Load(); floor > s.all.Load() {
		events = append(events, PurgeEvent{Epoch: PurgeEpoch(floor), EveryGroup: true})
	}
	for _, groups := range []*purgedGroups{&s.mu.older, &s.mu.newer} { // older first, as they are forgotten first
		for group, epoch := range groups.at {
			events = append(events, PurgeEvent{Epoch: epoch, Groups: []HashBinary{group}})
		}
	}
	return append(events, PurgeEvent{Epoch: s.Epoch()}) // sets the epoch
}

// Voids reports whether the response of m was purged with everything or with a group. It is also
// true if m's epoch is yet to come, because then m is from another history. m must have been looked
// up before Voids is called.
func (s *PurgeState) Voids(m *CacheMeta) bool {
	now := s.epoch.Load()
	return m.purgeEpoch != now && s.voidsOlder(m, now) != notVoided
}

// VoidedBy returns what a purge was of for which Voids is true; its epoch is not set. ok is false
// where Voids is.
func (s *PurgeState) VoidedBy(m *CacheMeta) (e PurgeEvent, ok bool) {
	now := s.epoch.Load()
	if m.purgeEpoch == now {
		return PurgeEvent{}, false
	}
	switch s.voidsOlder(m, now) {
	case voidedByAll:
		return PurgeEvent{All: true}, true
	case voidedByEveryGroup:
		return PurgeEvent{EveryGroup: true}, true
	case voidedByGroup:
		return PurgeEvent{Groups: s.purgedGroupsOf(m)}, true
	}
	return PurgeEvent{}, false
}

// voidance says which kind of purge voids a response.
type voidance uint8

const (
	notVoided voidance = iota
	voidedByAll
	voidedByEveryGroup
	voidedByGroup
)

// voidsOlder is for an m from before the latest purge.
func (s *PurgeState) voidsOlder(m *CacheMeta, now uint64) voidance {
	if m.purgeEpoch > now || m.purgeEpoch < s.all.Load() {
		return voidedByAll
	}
	groups := m.groups()
	if groups == "" {
		return notVoided
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	// The lock must be held, because enter raises floor when it forgets groups.
	switch {
	case m.purgeEpoch < s.all.Load():
		return voidedByAll
	case m.purgeEpoch < s.floor.Load():
		return voidedByEveryGroup
	}
	var group HashBinary
	for ; len(groups) >= len(group); groups = groups[len(group):] {
		copy(group[:], groups)
		if s.groupPurgedAfter(group, m.PurgeEpoch()) {
			return voidedByGroup
		}
	}
	return notVoided
}

// purgedGroupsOf returns the groups of m that were purged after its epoch.
func (s *PurgeState) purgedGroupsOf(m *CacheMeta) (purged []HashBinary) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var group HashBinary
	for groups := m.groups(); len(groups) >= len(group); groups = groups[len(group):] {
		copy(group[:], groups)
		if s.groupPurgedAfter(group, m.PurgeEpoch()) {
			purged = append(purged, group)
		}
	}
	return purged
}

// groupPurgedAfter is called with mu held.
func (s *PurgeState) groupPurgedAfter(group HashBinary, epoch PurgeEpoch) bool {
	return max(s.mu.newer.at[group], s.mu.older.at[group]) > epoch
}

// log returns the log of purges of keys. It is large, so it is made for the first purge.
func (s *PurgeState) log() *purgeLog {
	if l := s.keys.Load(); l != nil {
		return l
	}
	s.keys.CompareAndSwap(nil, new(purgeLog))
	return s.keys.Load()
}

// mark returns the present point in the log of purges of keys.
func (s *PurgeState) mark(primary HashBinary) purgeMark {
	if l := s.keys.Load(); l != nil {
		return l.mark(primary)
	}
	return purgeMark{}
}

// purgedSince reports whether the key itself was purged after m, or is being purged.
func (s *PurgeState) purgedSince(primary HashBinary, m purgeMark) bool {
	l := s.keys.Load()
	return l != nil && l.purgedSince(primary, m)
}

// countSince counts the purges of the key itself since m.
func (s *PurgeState) countSince(primary HashBinary, m purgeMark) int {
	if l := s.keys.Load(); l != nil {
		return l.countSince(primary, m)
	}
	return 0
}

// generation returns a number that each purge of everything in this process changes.
func (s *PurgeState) generation() uint64 { return s.all.Load() - s.base }
