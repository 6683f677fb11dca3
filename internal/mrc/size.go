package mrc

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction"
)

// size is a small cache that stands for one of a certain size. It has that cache's limit, and each
// of its entries weighs as much as all those that it stands for. So when the rate falls, the
// weights rise, and the manager keeps what it knows. Estimator.mu guards it.
//
// Large entries are sampled at a higher rate, so that none weighs more than a small part of the
// limit unless it does so in the cache.
type size struct {
	limit int64
	rate  float64 // share of the keys that are in the sample, of small entries
	parts float64 // the heaviest entry that stands for others weighs limit/parts

	manager  cirque.EvictionManager
	gdsf     bool
	resident map[uint64]entry // the keys in the small cache
	full     bool             // something had to leave

	// Each request counts as many times as the rate of its time says.
	sample counts
	missed amount // by the small cache
}

// entry is what a small cache knows of a key beside its manager.
type entry struct {
	weight     float32 // as the cache has it
	freshUntil uint32  // Unix seconds; zero: unknown
}

func newSize(policy string, limit int64, parts float64) (*size, error) {
	if policy == "" {
		policy = eviction.Default
	}
	s := &size{limit: limit, rate: 1, parts: parts, gdsf: policy == "gdsf", resident: make(map[uint64]entry)}
	var err error
	if s.gdsf {
		// CostWeight lets store correct the worth of entries.
		s.manager, err = eviction.NewGDSF(eviction.GDSFConfig{Config: eviction.Config{Limit: limit}, CostWeight: 1})
	} else {
		s.manager, err = eviction.New(policy, limit)
	}
	if err != nil {
		return nil, fmt.Errorf("mrc: %w", err)
	}
	return s, nil
}

// rateOf returns the share of the keys that are in the sample, of entries of that weight.
func (s *size) rateOf(weight float64) float64 {
	return min(max(s.rate, s.parts*weight/float64(s.limit)), 1)
}

// samples reports whether a key with an entry of that weight is in the sample, at that rate.
func samples(hash uint64, rate float64) bool { return float64(hash) < rate*(1<<64) }

// request looks the key up in the small cache, and stores it there if it is missing.
func (s *size) request(hash uint64, r *Request, now time.Time) {
	requests, bytes := 1/s.rateOf(float64(r.Weight)), float64(r.Bytes)
	s.sample.all.add(requests, bytes)
	if r.Outcome >= Missed {
		s.sample.missed.add(requests, bytes)
	}
	fresh := seconds(r.FreshUntil)
	if s.hit(hash, r, fresh, uint32(now.Unix())) {
		return
	}
	s.missed.add(requests, bytes)
	s.store(hash, r, fresh)
}

// hit reports whether the small cache can answer the request.
func (s *size) hit(hash uint64, r *Request, fresh, now uint32) bool {
	e, known := s.resident[hash]
	switch {
	case r.Outcome == Replaced:
		return false
	case !known:
		if r.Outcome == Missed || s.full {
			return false
		}
		// The cache was not empty when the estimate began.
		s.store(hash, r, fresh)
		return true
	case r.Outcome == Revalidated:
		e.freshUntil = fresh
		s.resident[hash] = e
	case stale(e.freshUntil, now) && !stale(fresh, now):
		return false // the cache has fetched it since
	}
	s.manager.Access(keyOf(hash), s.scaled(hash, float64(r.Weight)), time.Time{})
	return true
}

// store admits the key to the small cache.
func (s *size) store(hash uint64, r *Request, fresh uint32) {
	s.resident[hash] = entry{weight: float32(r.Weight), freshUntil: fresh}
	s.drop(s.manager.Admit(keyOf(hash), s.scaled(hash, float64(r.Weight)), r.FreshUntil, s.cost(float64(r.Weight))))
}

// scaled returns what an entry weighs in the small cache. It rounds some keys up and others down,
// so that the sum is right where entries weigh little.
func (s *size) scaled(hash uint64, weight float64) int64 {
	const fraction = 1 << 20
	return int64(weight/s.rateOf(weight) + float64(hash%fraction)/fraction)
}

// cost returns the cost that lets GDSF think of an entry as if it were sampled as small ones are: a
// use is worth less by alpha, 0.35 by default.
func (s *size) cost(weight float64) time.Duration {
	if !s.gdsf {
		return 0
	}
	return time.Duration(math.Pow(s.rate/s.rateOf(weight), 0.35) * float64(100*time.Millisecond))
}

// drop forgets keys that the manager has given up.
func (s *size) drop(keys []cirque.CompactCacheKey) {
	for _, key := range keys {
		delete(s.resident, hashOf(key))
		s.full = true
	}
}

// rescale sets the rates of small entries and of large ones. Keys that are no longer in the sample
// leave the small cache, and the others weigh more. If the rates rise, keys come into the sample
// that the cache may have, and so the small cache is as one that begins.
func (s *size) rescale(rate, parts float64) {
	before := *s
	s.rate, s.parts = rate, parts
	for hash, e := range s.resident {
		if !samples(hash, s.rateOf(float64(e.weight))) {
			delete(s.resident, hash)
			s.manager.Remove(keyOf(hash))
		}
	}
	for hash, e := range s.resident {
		more := s.scaled(hash, float64(e.weight)) - before.scaled(hash, float64(e.weight))
		s.drop(s.manager.IncrementWeight(keyOf(hash), more, 0))
	}
	s.full = s.full && rate <= before.rate
}

func stale(freshUntil, now uint32) bool { return freshUntil != 0 && freshUntil <= now }

func seconds(t time.Time) uint32 {
	if t.IsZero() {
		return 0
	}
	return uint32(min(max(t.Unix(), 1), math.MaxUint32))
}

// keyOf returns the key that stands for a hash in the small caches. hashOf is its inverse.
func keyOf(hash uint64) (key cirque.CompactCacheKey) {
	binary.LittleEndian.PutUint64(key.Primary[:8], hash)
	return key
}

func hashOf(key cirque.CompactCacheKey) uint64 { return binary.LittleEndian.Uint64(key.Primary[:8]) }
