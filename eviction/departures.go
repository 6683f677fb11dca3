package eviction

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/cirquecache/cirque/eviction/internal/table"
	"github.com/cirquecache/cirque/internal/metric"
	"github.com/cirquecache/cirque/stats"
)

// departures counts the entries that a manager returns as evicted: those that it tracked, and those
// that it declined.
type departures struct {
	start time.Time // of the manager

	items, bytes, unused    atomic.Int64 // of entries that were tracked
	declined, declinedBytes atomic.Int64
	ages                    metric.Histogram
}

// The upper 31 bits of Node.Stored count eighths of a second, which last for eight years.
const (
	tick    = time.Second / 8
	maxTick = math.MaxUint32 >> 1

	// storedBefore is the Node.Stored of an entry that was stored at an unknown time, because the
	// manager did not see its Admit. It counts as read.
	storedBefore = table.Read
)

// stored returns the Node.Stored of an entry that is stored at that time.
func (d *departures) stored(now time.Time) uint32 { return d.ticks(now) << 1 }

// ticks returns the ticks since the manager was made, beginning with one.
func (d *departures) ticks(now time.Time) uint32 {
	return uint32(min(max(now.Sub(d.start)/tick, 0)+1, maxTick))
}

// evicted counts an entry that was tracked, with its Node.Stored and the ticks at its eviction.
func (d *departures) evicted(weight int64, stored, now uint32) {
	d.items.Add(1)
	d.bytes.Add(weight)
	if stored&table.Read == 0 {
		d.unused.Add(1)
	}
	if since := stored >> 1; since > 0 {
		d.ages.Observe(time.Duration(max(now, since)-since) * tick)
	}
}

// ticks returns the time, as departures counts it, for an eviction that makes room for c.
func (m *manager) ticks(c *candidate) uint32 {
	if c.stored>>1 > 0 {
		return c.stored >> 1
	}
	return m.left.ticks(time.Now())
}

// decline counts an entry that was never tracked.
func (d *departures) decline(weight int64) {
	d.declined.Add(1)
	d.declinedBytes.Add(weight)
}

// EvictionStats implements [stats.EvictionReporter]. It is safe for concurrent use, and takes no
// lock.
//
// Evicted entries are those that were tracked and had to leave, for others or because they grew
// beyond the limit. Declined ones were never tracked; EvictedItems and EvictedWeight count both. An
// entry is unused if there was no Access between its last Admit and its eviction. Its age is the
// time since that Admit, to an eighth of a second. An entry that came by Load, or by an Access when
// it was unknown, has no age and is never unused.
func (m *manager) EvictionStats() stats.Eviction {
	e := stats.Eviction{Policy: m.name, Limit: m.ledger.limit.Load()}
	// An eviction is counted before its age is, so the ages are read first.
	m.left.ages.AddTo(&e.Age)
	e.Unused = uint64(m.left.unused.Load())
	e.Evicted = uint64(m.left.items.Load())
	e.EvictedBytes = uint64(m.left.bytes.Load())
	e.Declined = uint64(m.left.declined.Load())
	e.DeclinedBytes = uint64(m.left.declinedBytes.Load())
	e.Entries, e.Bytes = m.ledger.items.Load(), m.ledger.weight.Load()
	return e
}
