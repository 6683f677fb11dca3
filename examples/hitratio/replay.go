package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cirquecache/cirque"
)

// result holds the counts of a replay.
type result struct {
	requests, hits  int64
	bytes, hitBytes int64
	evictions       int64 // of resident entries; declined new entries are not counted
	elapsed         time.Duration
}

func (r result) objectPercent() float64 { return 100 * float64(r.hits) / float64(r.requests) }
func (r result) bytePercent() float64   { return 100 * float64(r.hitBytes) / float64(r.bytes) }
func (r result) nsPerRequest() float64 {
	return float64(r.elapsed.Nanoseconds()) / float64(r.requests)
}

// replay sends the trace through m, whose limit is limit bytes. It keeps its own record of what is
// resident, and returns an error as soon as m disagrees or the limit is exceeded. It calls step
// with the number of requests since the last call.
func replay(t *trace, m cirque.EvictionManager, limit int64, evictFirst bool, step func(int)) (result, error) {
	books := books{sizes: make([]int64, t.keys)}
	var r result
	start := time.Now()
	const stepLength = 1 << 14
	for i, req := range t.requests {
		key := keyOf(req.key)
		r.requests++
		r.bytes += req.size
		// A key with another size is another version, so the resident one cannot be used.
		if books.sizes[req.key] == req.size {
			r.hits++
			r.hitBytes += req.size
			if !m.Access(key, req.size, time.Time{}) {
				return r, fmt.Errorf("request %d: key %d was never evicted, yet Access does not know it", i+1, req.key)
			}
		} else {
			if need := books.total - books.sizes[req.key] + req.size - limit; evictFirst && need > 0 && req.size <= limit {
				if err := books.evicted(m.Evict(need)); err != nil {
					return r, fmt.Errorf("request %d: %w", i+1, err)
				}
			}
			books.set(req.key, req.size)
			if err := books.evicted(m.Admit(key, req.size, time.Time{}, 0)); err != nil {
				return r, fmt.Errorf("request %d: %w", i+1, err)
			}
			if books.sizes[req.key] == 0 {
				books.evictions-- // declined
			}
		}
		if books.total > limit {
			return r, fmt.Errorf("request %d: %d bytes are resident; the capacity is %d", i+1, books.total, limit)
		}
		if weight := m.TotalWeight(); weight != books.total {
			return r, fmt.Errorf("request %d: the manager counts %d bytes; %d are resident", i+1, weight, books.total)
		}
		if (i+1)%stepLength == 0 {
			step(stepLength)
		}
	}
	step(len(t.requests) % stepLength)
	r.elapsed = time.Since(start)
	r.evictions = books.evictions
	return r, nil
}

// books records what is resident.
type books struct {
	sizes     []int64 // by key number; zero: not resident
	total     int64
	evictions int64
}

func (b *books) set(key uint32, size int64) {
	b.total += size - b.sizes[key]
	b.sizes[key] = size
}

var errStranger = errors.New("the manager evicted a key that was not resident")

func (b *books) evicted(keys []cirque.CompactCacheKey) error {
	for _, key := range keys {
		n := numberOf(key)
		if n >= uint32(len(b.sizes)) || b.sizes[n] == 0 {
			return errStranger
		}
		b.set(n, 0)
		b.evictions++
	}
	return nil
}

// keyOf returns the cache key of key number n. numberOf is its inverse.
func keyOf(n uint32) (key cirque.CompactCacheKey) {
	// The golden ratio spreads the numbers over all bits, as a hash would.
	binary.LittleEndian.PutUint64(key.Primary[:8], (uint64(n)+1)*0x9e3779b97f4a7c15)
	binary.LittleEndian.PutUint64(key.Primary[8:], uint64(n))
	return key
}

func numberOf(key cirque.CompactCacheKey) uint32 {
	return uint32(binary.LittleEndian.Uint64(key.Primary[8:]))
}
