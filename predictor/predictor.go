// Package predictor remembers which resources turned out uncacheable, or to need validation before
// each use.
//
// Requests for one key wait for the first of them, which fetches the response. If the response
// cannot be shared, they have waited for nothing: each of them must fetch for itself in the end. A
// [Predictor] lets the next requests fetch without waiting. It has no other effect on caching: a
// response that proves cacheable is stored, and its key is forgotten at once.
//
// # Bounds
//
// A Predictor is a table of fixed size, 1 MiB by default, that is allocated when the first key is
// marked. Each key has a choice of eight places in it. When they are taken, the key marked longest
// ago is forgotten. Every mark is forgotten after a while. A forgotten key costs at most one more
// such wait.
package predictor

import (
	"encoding/binary"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/inspect"
)

// Config configures a Predictor. The zero value means the defaults.
type Config struct {
	// MaxKeys is the most keys that are remembered, 17 bytes each. It is rounded up to a power of
	// two and kept within [8, 2^24]. Zero or less means 65,536.
	MaxKeys int

	// Remember is how long a key counts as uncacheable after its last uncacheable response. Zero or
	// less means two minutes.
	Remember time.Duration

	// SkipCustom returns true for a custom reason that says nothing about the next response; the
	// Predictor ignores it. It may be called concurrently. If it is nil, every custom reason
	// counts.
	SkipCustom func(reason cirque.NoCacheReason) bool
}

const (
	defaultMaxKeys  = 1 << 16
	maxMaxKeys      = 1 << 24
	defaultRemember = 2 * time.Minute

	ways    = 8 // slots in a bucket: two cache lines
	stripes = 64
)

// Predictor is a [cirque.CacheablePredictor] over a table of fixed size. It knows a resource by
// [cirque.CacheKey.PrimaryHash]: only a response shows which variant a request selects.
//
// All methods are safe for concurrent use. They allocate nothing except the table. Predictions take
// no lock.
type Predictor struct {
	remember   time.Duration
	skipCustom func(cirque.NoCacheReason) bool
	start      time.Time

	size   int // of the table, in buckets
	taking sync.Once
	table  atomic.Pointer[[]bucket] // nil: nothing was ever marked
	why    []reasons                // of the slots, by bucket; set before table
	locks  [stripes]sync.Mutex      // bucket i changes under locks[i%stripes]
	names  names
}

var _ inspect.ExplainingPredictor = (*Predictor)(nil)

// bucket holds the keys whose hashes agree in the bits that choose the bucket, in any order.
//
// INVARIANT: no two slots in use have the same half.
type bucket [ways]slot

// slot is one key. Its parts are written under the bucket's lock and read without it. So a reader
// may see one part from before a change and one from after it. Then it may count a key as
// remembered that is just being forgotten or marked. That does no harm: a moment earlier or later
// the same answer is right.
type slot struct {
	half   atomic.Uint64 // the half of the key's hash that does not choose the bucket
	marked atomic.Int64  // when, in nanoseconds on the Predictor's clock; zero: the slot is free
}

// New returns an empty Predictor.
func New(cfg Config) *Predictor {
	keys := cfg.MaxKeys
	if keys <= 0 {
		keys = defaultMaxKeys
	}
	keys = min(max(keys, ways), maxMaxKeys)
	if cfg.Remember <= 0 {
		cfg.Remember = defaultRemember
	}
	return &Predictor{
		remember:   cfg.Remember,
		skipCustom: cfg.SkipCustom,
		start:      time.Now(),
		size:       (1 << bits.Len(uint(keys-1))) / ways,
	}
}

// CacheablePrediction implements [cirque.CacheablePredictor].
func (p *Predictor) CacheablePrediction(key cirque.CacheKey) bool {
	b, _, half := p.locate(key)
	if b == nil {
		return true
	}
	s := b.find(half)
	return s == nil || !p.remembers(s.marked.Load(), p.now())
}

// Marked implements [inspect.ExplainingPredictor].
func (p *Predictor) Marked(key cirque.CacheKey) (reason cirque.NoCacheReason, at time.Time, ok bool) {
	b, index, half := p.locate(key)
	if b == nil {
		return "", time.Time{}, false
	}
	lock := p.lock(index)
	defer lock.Unlock()
	s := b.find(half)
	if s == nil || !p.remembers(s.marked.Load(), p.now()) {
		return "", time.Time{}, false
	}
	return p.names.name(*p.why[index].of(b, s)), p.start.Add(time.Duration(s.marked.Load() - 1)), true
}

// MarkCacheable implements [cirque.CacheablePredictor]: it forgets key.
func (p *Predictor) MarkCacheable(key cirque.CacheKey) (changed bool) {
	b, index, half := p.locate(key)
	if b == nil || b.find(half) == nil {
		return false // nearly always the case; it needs no lock
	}
	lock := p.lock(index)
	defer lock.Unlock()
	s := b.find(half)
	return s != nil && p.remembers(s.marked.Swap(0), p.now())
}

// MarkUncacheable implements [cirque.CacheablePredictor]. If the key is remembered already, its
// time starts again.
func (p *Predictor) MarkUncacheable(key cirque.CacheKey, reason cirque.NoCacheReason) (changed bool) {
	if !p.counts(reason) {
		return false
	}
	p.taking.Do(func() {
		table := make([]bucket, p.size)
		p.why = make([]reasons, p.size)
		p.table.Store(&table)
	})
	b, index, half := p.locate(key)
	lock := p.lock(index)
	defer lock.Unlock()
	now := p.now()
	s := b.find(half)
	if s == nil {
		s = b.oldest()
		s.marked.Store(0)
		s.half.Store(half)
	}
	*p.why[index].of(b, s) = p.names.code(reason)
	return !p.remembers(s.marked.Swap(now), now)
}

// counts reports whether reason says something about the next response for the same key.
func (p *Predictor) counts(reason cirque.NoCacheReason) bool {
	switch {
	case reason == cirque.OriginNotCache, reason == cirque.ResponseTooLarge:
		return true
	case reason.IsCustom():
		return p.skipCustom == nil || !p.skipCustom(reason)
	}
	return false
}

// locate returns the bucket of key and its index, and the half of the key's hash that is kept
// there. The bucket is nil if there is no table yet.
func (p *Predictor) locate(key cirque.CacheKey) (b *bucket, index int, half uint64) {
	table := p.table.Load()
	if table == nil {
		return nil, 0, 0
	}
	hash := key.PrimaryHash()
	index = int(binary.LittleEndian.Uint64(hash[:8]) & uint64(p.size-1))
	return &(*table)[index], index, binary.LittleEndian.Uint64(hash[8:])
}

func (p *Predictor) lock(index int) *sync.Mutex {
	lock := &p.locks[index%stripes]
	lock.Lock()
	return lock
}

// now reads a clock that starts at one, so that a mark is never zero. Setting the time of day does
// not move the clock.
func (p *Predictor) now() int64 { return int64(time.Since(p.start)) + 1 }

func (p *Predictor) remembers(marked, now int64) bool {
	return marked != 0 && now-marked < int64(p.remember)
}

// find returns the slot in use that holds half, or nil.
func (b *bucket) find(half uint64) *slot {
	for i := range b {
		if s := &b[i]; s.half.Load() == half && s.marked.Load() != 0 {
			return s
		}
	}
	return nil
}

// oldest returns a free slot or, if there is none, the slot marked longest ago.
func (b *bucket) oldest() *slot {
	oldest := &b[0]
	for i := range b {
		if s := &b[i]; s.marked.Load() < oldest.marked.Load() {
			oldest = s
		}
	}
	return oldest
}
