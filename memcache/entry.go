package memcache

import (
	"sync/atomic"
	"unsafe"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/stream"
)

const (
	// inlineMax is up to which size a body lives in its entry's block.
	inlineMax = 4 << 10

	// entryOverhead is what an entry weighs beyond its block and body: the struct, its share of the table
	// at the table's average load, and what the allocator rounds up.
	entryOverhead = 128

	// bodyOverhead and segmentOverhead are what a body outside of the block weighs beyond its bytes.
	bodyOverhead    = 64
	segmentOverhead = 24
)

// entry is one stored response. It never changes but for refs: a new meta makes a new entry.
//
// INVARIANT: while refs is above zero, charge() bytes of the budget are taken for the entry. The
// table has one reference, each open hit one.
type entry struct {
	block string // key text, encoded meta, and the body where body is nil
	body  *body
	tag   cirque.Tag
	refs  atomic.Int32

	identityEnd, metaEnd uint32 // in block
}

// body is a finished body outside of its entry's block. Entries that differ in meta share it.
//
// INVARIANT: while refs is above zero, charged bytes of the budget are taken for the body. Each
// entry has one reference, and one has the write it came from until its readers are gone.
type body struct {
	segments [][]byte // none empty
	size     int64
	charged  int64
	refs     atomic.Int32
}

// newEntry returns an entry with one reference, which takes over that of body, or of an inline body. It
// returns nil where the budget has no room; body keeps its reference then.
func (c *MemCache) newEntry(identity string, meta *cirque.CacheMeta, tag cirque.Tag, body *body, inline int, appendInline func([]byte) []byte) *entry {
	size := len(identity) + meta.MetaSize() + inline
	if !c.config.Budget.Reserve(entryOverhead + int64(size)) {
		return nil
	}
	e := &entry{body: body, tag: tag, identityEnd: uint32(len(identity))}
	block := append(make([]byte, 0, size), identity...)
	block, _ = meta.AppendBinary(block) // never fails
	e.metaEnd = uint32(len(block))
	if inline > 0 {
		block = appendInline(block)
	}
	// From here on nobody writes to the block.
	e.block = unsafe.String(unsafe.SliceData(block), len(block))
	e.refs.Store(1)
	return e
}

// takeBody takes the finished body over from b, with one reference, and reports whether the budget has room for
// its bookkeeping too.
func (c *MemCache) takeBody(b *stream.Buffer) (_ *body, ok bool) {
	segments, charged := b.Take()
	body := &body{segments: segments, size: b.Size(), charged: charged}
	body.refs.Store(1)
	overhead := int64(bodyOverhead + segmentOverhead*len(segments))
	if ok = c.config.Budget.Reserve(overhead); ok {
		body.charged += overhead
	}
	return body, ok
}

func (e *entry) identity() string { return e.block[:e.identityEnd] }
func (e *entry) meta() string     { return e.block[e.identityEnd:e.metaEnd] }
func (e *entry) inline() string   { return e.block[e.metaEnd:] }

// charge returns what is reserved for the entry without its body outside.
func (e *entry) charge() int64 { return entryOverhead + int64(len(e.block)) }

func (e *entry) weight() int64 {
	if e.body != nil {
		return e.charge() + e.body.charged
	}
	return e.charge()
}

func (e *entry) size() int64 {
	if e.body != nil {
		return e.body.size
	}
	return int64(len(e.inline()))
}

// release gives up one reference to e.
func (c *MemCache) release(e *entry) {
	if e.refs.Add(-1) > 0 {
		return
	}
	c.config.Budget.Release(e.charge())
	if e.body != nil {
		c.releaseBody(e.body)
	}
}

func (c *MemCache) releaseBody(b *body) {
	if b.refs.Add(-1) == 0 {
		c.config.Budget.Release(b.charged)
	}
}
