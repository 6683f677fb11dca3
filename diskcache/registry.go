package diskcache

import (
	"bytes"
	"context"
	"sync"

	"github.com/cirquecache/cirque"
)

// registry lists the writes under way by primary hash, so that a purge finds the writes of all
// variants.
type registry struct {
	shards [shardCount]registryShard
}

type registryShard struct {
	mu     sync.RWMutex
	writes map[cirque.HashBinary][]*write // the newest last
}

func (g *registry) shard(primary cirque.HashBinary) *registryShard { return &g.shards[primary[0]] }

// add lists w as the newest write of its key.
func (g *registry) add(w *write) {
	primary := w.key.PrimaryHash()
	s := g.shard(primary)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writes == nil {
		s.writes = make(map[cirque.HashBinary][]*write)
	}
	s.writes[primary] = append(s.writes[primary], w)
}

// remove takes w off the list, if it is still on it.
func (g *registry) remove(w *write) {
	s := g.shard(w.key.PrimaryHash())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.filter(w.key.PrimaryHash(), func(other *write) bool { return other != w })
}

// filter keeps the writes for which keep returns true. Called with mu held.
func (s *registryShard) filter(primary cirque.HashBinary, keep func(*write) bool) {
	var kept []*write
	for _, w := range s.writes[primary] {
		if keep(w) {
			kept = append(kept, w)
		}
	}
	if kept == nil {
		delete(s.writes, primary)
	} else {
		s.writes[primary] = kept
	}
}

// void voids the writes of key and takes them off the list. If key names a primary slot, it does so
// with the writes of the variants too. It reports whether one of these writes was linked.
func (g *registry) void(key cirque.CompactCacheKey) (linked bool) {
	s := g.shard(key.Primary)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.filter(key.Primary, func(w *write) bool {
		if !key.IsPrimary() && w.key.Variance() != key.Variance {
			return true
		}
		w.voided.Store(true)
		linked = linked || !w.buffer.Unlinked()
		return false
	})
	return linked
}

// overtake takes w, which has made an entry, off the list. It hides the other writes of w's key
// from plain lookups: they began before the entry was put in place.
func (g *registry) overtake(w *write) {
	s := g.shard(w.key.PrimaryHash())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.filter(w.key.PrimaryHash(), func(other *write) bool {
		if other.hash == w.hash {
			other.overtaken = true
		}
		return other != w
	})
}

// find returns the write of key with this tag, and a reader on it. identity is the text of key. If
// tag is zero, it returns the newest write that plain lookups may see. It returns nil if there is
// none.
func (g *registry) find(ctx context.Context, key *cirque.CacheKey, identity []byte, tag cirque.Tag) (*write, cirque.HitHandler) {
	s := g.shard(key.PrimaryHash())
	s.mu.RLock()
	defer s.mu.RUnlock()
	writes := s.writes[key.PrimaryHash()]
	for i := len(writes) - 1; i >= 0; i-- {
		w := writes[i]
		if tag == 0 && w.overtaken || tag != 0 && w.tag != tag || w.hash != key.Combined() || !bytes.Equal(w.identity, identity) {
			continue
		}
		if hit, err := w.reader(ctx); err == nil {
			return w, hit
		}
	}
	return nil, nil
}

// get returns the write of key with this tag, or nil.
func (g *registry) get(key *cirque.CacheKey, tag cirque.Tag) *write {
	s := g.shard(key.PrimaryHash())
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, w := range s.writes[key.PrimaryHash()] {
		if w.tag == tag && w.hash == key.Combined() {
			return w
		}
	}
	return nil
}
