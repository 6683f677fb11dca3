package diskcache

import (
	"sync"
	"unsafe"

	"github.com/cirquecache/cirque"
)

// shardCount is the number of shards of the index, and of directories. Each shard indexes one
// directory.
const shardCount = 256

// index knows which entries are on disk and what they weigh. It is a copy of what the directories
// hold; where the two differ, the disk is right.
type index struct {
	shards [shardCount]indexShard
}

type indexShard struct {
	mu    sync.RWMutex
	table table

	counted int   // number of records that the budget counts
	weight  int64 // what they weigh

	// complete is true once the directory was scanned. Then an entry that is not in the table is
	// not on disk.
	complete bool
}

func (x *index) shard(hash *cirque.HashBinary) *indexShard { return &x.shards[hash[0]] }

// get returns the record of hash. If there is none, missing says whether that means a miss; if it
// is false, only the disk can tell.
func (x *index) get(hash cirque.HashBinary) (r record, ok, missing bool) {
	s := x.shard(&hash)
	s.mu.RLock()
	defer s.mu.RUnlock()
	if p := s.table.find(&hash); p != nil {
		return *p, true, false
	}
	return record{}, false, s.complete
}

// put sets the record of r.hash and returns the record before that, or the zero record if there was
// none.
func (x *index) put(r record) (before record) {
	s := x.shard(&r.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.table.find(&r.hash); p != nil {
		before, *p = *p, r
		s.changed(&before, &r)
		return before
	}
	s.insert(r)
	return record{}
}

// add adds r unless there is a record of r.hash, and reports whether it did.
func (x *index) add(r record) bool {
	s := x.shard(&r.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.table.find(&r.hash) != nil {
		return false
	}
	s.insert(r)
	return true
}

// insert adds r, of whose hash there must be no record. Called with mu held.
func (s *indexShard) insert(r record) {
	s.table.insert(r)
	s.changed(new(record), &r)
}

// changed takes note of what a record was and is. The zero record stands for none. Called with mu
// held.
func (s *indexShard) changed(before, after *record) {
	for _, change := range [...]struct {
		sign int
		of   *record
	}{{-1, before}, {1, after}} {
		if weight := change.of.weight(); weight > 0 {
			s.counted += change.sign
			s.weight += int64(change.sign) * weight
		}
	}
}

// update lets f change the record of hash and reports whether there is one. f must leave blocks
// above zero.
func (x *index) update(hash cirque.HashBinary, f func(*record)) bool {
	s := x.shard(&hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.table.find(&hash)
	if p != nil {
		before := *p
		f(p)
		s.changed(&before, p)
	}
	return p != nil
}

// remove removes the record of hash and returns it, or the zero record if there was none.
func (x *index) remove(hash cirque.HashBinary) (r record) {
	s := x.shard(&hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.table.find(&hash); p != nil {
		r = *p
		s.table.remove(p)
		s.changed(&r, new(record))
	}
	return r
}

// distrust marks every record as unconfirmed: the next scan has to confirm it.
func (x *index) distrust() {
	for i := range x.shards {
		s := &x.shards[i]
		s.mu.Lock()
		s.complete = false
		for j := range s.table.slots {
			s.table.slots[j].flags &^= flagSeen
		}
		s.mu.Unlock()
	}
}

// completed takes note that the directory of one shard was scanned.
func (x *index) completed(shard int) {
	s := &x.shards[shard]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.complete = true
}

// collect returns the records of one shard for which want returns true.
func (x *index) collect(shard int, want func(*record) bool) (records []record) {
	s := &x.shards[shard]
	s.mu.RLock()
	defer s.mu.RUnlock()
	for i := range s.table.slots {
		if r := &s.table.slots[i]; r.blocks != 0 && want(r) {
			records = append(records, *r)
		}
	}
	return records
}

// stats returns the number of entries and the memory of the tables in bytes.
func (x *index) stats() (entries int, bytes int64) {
	for i := range x.shards {
		s := &x.shards[i]
		s.mu.RLock()
		entries += s.table.used
		bytes += int64(len(s.table.slots)) * int64(unsafe.Sizeof(record{}))
		s.mu.RUnlock()
	}
	return entries, bytes
}

// weigh returns the number of records that the budget counts, and what they weigh together.
func (x *index) weigh() (counted int, weight int64) {
	for i := range x.shards {
		s := &x.shards[i]
		s.mu.RLock()
		counted += s.counted
		weight += s.weight
		s.mu.RUnlock()
	}
	return counted, weight
}
