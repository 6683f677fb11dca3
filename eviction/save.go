package eviction

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/cirquecache/cirque/eviction/internal/state"
)

// ErrDamaged is in the error of Load once for every part of a saved state that is damaged or
// missing.
var ErrDamaged = state.ErrDamaged

const (
	// partLength is the number of entries in a part, all of which are lost if the part is. Once
	// there are maxParts, the parts get larger instead. Every shard has a part of its own.
	partLength = 1 << 12
	maxParts   = 16

	// batch is the number of entries that are saved or loaded between two checks of the context.
	// While saving, it is also the number that is read under one hold of the lock.
	batch = 512
)

// Save implements [cirque.EvictionManager]. A shard's lock is held while its order is copied. The
// files are written beside those of an earlier save, and replace them when all are complete. Only
// their owner can read them. The use counts of evicted entries, which some policies keep, are not
// saved.
func (m *manager) Save(ctx context.Context, dir string) (err error) {
	m.saving.Lock()
	defer m.saving.Unlock()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := state.RemoveTemporary(dir); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, state.RemoveTemporary(dir))
		}
	}()

	var files []string
	snapshots := make([][]place, len(m.shards))
	header := state.Header{Policy: m.name}
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		snapshots[i] = s.order.snapshot()
		s.mu.Unlock()
		header.Parts += m.partsOf(len(snapshots[i]))
	}
	for i, places := range snapshots {
		n := m.partsOf(len(places))
		for p := range n {
			part := places[len(places)*p/n : len(places)*(p+1)/n]
			file, err := m.savePart(ctx, dir, header, &m.shards[i], part)
			if err != nil {
				return fmt.Errorf("eviction: saving to %s: %w", dir, err)
			}
			files = append(files, file)
		}
		snapshots[i] = nil
	}
	return state.Install(dir, files)
}

// partsOf returns the number of parts in which a shard of n entries is saved.
func (m *manager) partsOf(n int) int { return max(1, min(1+n/partLength, maxParts/len(m.shards))) }

func (m *manager) savePart(ctx context.Context, dir string, h state.Header, s *shard, places []place) (file string, err error) {
	w, err := state.Create(dir)
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			w.Discard()
		}
	}()
	if err := w.Begin(h); err != nil {
		return "", err
	}
	records := make([]state.Record, 0, batch)
	for len(places) > 0 {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		n := min(batch, len(places))
		records = m.describe(s, places[:n], records[:0])
		places = places[n:]
		for _, r := range records {
			if err := w.Write(r); err != nil {
				return "", err
			}
		}
	}
	return w.Close()
}

// describe appends the records of the nodes at the given places. Nodes that have left since are
// skipped. If a node has another entry by now, that entry is saved in its place; no other place is
// better for it.
func (m *manager) describe(s *shard, places []place, records []state.Record) []state.Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range places {
		n := s.table.At(p.id)
		if n.Weight == 0 {
			continue
		}
		r := state.Record{
			Key:        n.Key(),
			UserTag:    m.tags.text(s.table.Tag(p.id)),
			Weight:     n.Weight,
			FreshUntil: n.FreshUntil.Load(),
			Rank:       p.rank,
		}
		s.order.describe(n, p.id, &r)
		records = append(records, r)
	}
	return records
}

// Load implements [cirque.EvictionManager]. It also loads the state that another policy saved, and
// keeps the order in which that policy would have evicted. Entries that are already tracked stay as
// they are. If the policy has an order of time, loaded entries leave before them. If there is no
// more room, the rest is left out. When the loaded entries were stored, and whether they were read
// since, is not known: see EvictionStats.
func (m *manager) Load(ctx context.Context, dir string) error {
	saved, err := state.OpenAll(dir)
	if err != nil {
		return fmt.Errorf("eviction: %w", err)
	}
	defer saved.Close()
	for i := 0; ; i++ {
		if i%batch == 0 && ctx.Err() != nil {
			return errors.Join(ctx.Err(), saved.Err())
		}
		r, policy, err := saved.Next()
		if err == io.EOF || err == nil && !m.restore(&r, policy == m.name) {
			return saved.Err()
		}
	}
}

// restore tracks a saved entry and reports whether there was room.
func (m *manager) restore(r *state.Record, own bool) bool {
	c := candidate{key: r.Key, hash: r.Key.Hash(), weight: r.Weight, freshUntil: r.FreshUntil, stored: storedBefore}
	s := m.shard(c.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if n, _ := s.table.Find(c.hash, &c.key); n != nil || c.weight > m.ledger.limit.Load() {
		return true
	}
	if !m.ledger.reserve(room{weight: c.weight, items: 1}) {
		return false
	}
	n, id := m.track(s, &c, r.UserTag)
	s.order.restore(n, id, r, own)
	return true
}
