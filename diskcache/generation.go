package diskcache

import (
	"encoding/binary"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/cirquecache/cirque"
)

// generation is the file of an entry while somebody has it open, from when it came into its place
// until the last has closed it. All but check's own is guarded by the stripe.
type generation struct {
	refs  int
	owed  int64 // released with the last reference: the entry has left its place
	held  int64 // counted in Store.held
	stamp uint64
	check *verifier
}

// acquire returns the generation of the entry in place, of that weight, with a reference. Called
// with mu held.
func (st *stripe) acquire(hash cirque.HashBinary, weight int64) *generation {
	g := st.open[hash]
	if g == nil {
		g = new(generation)
		if st.open == nil {
			st.open = make(map[cirque.HashBinary]*generation)
		}
		st.open[hash] = g
		g.held = weight
		st.held.Add(weight)
	}
	g.refs++
	return g
}

// leave is for an entry of that weight that has left its place: it returns what can be released at
// once. Called with mu held.
func (st *stripe) leave(hash cirque.HashBinary, weight int64) int64 {
	g := st.open[hash]
	if g == nil {
		return weight
	}
	delete(st.open, hash)
	st.held.Add(-g.held)
	g.owed += weight
	return 0
}

// drop gives up a reference to g and returns what is to be released.
func (st *stripe) drop(hash cirque.HashBinary, g *generation) int64 {
	st.mu.Lock()
	defer st.mu.Unlock()
	if g.refs--; g.refs > 0 {
		return 0
	}
	if st.open[hash] == g {
		delete(st.open, hash)
		st.held.Add(-g.held)
	}
	return g.owed
}

// racy is how recently a file may have changed for the next change to bear the same time: the clock
// of some file systems ticks this slowly.
const racy = 20 * time.Millisecond

// makeStamp hashes what tells one state of a file from another. It is never zero.
func makeStamp(inode uint64, size int64, modified, changed time.Time) uint64 {
	var b [32]byte
	le := binary.LittleEndian
	le.PutUint64(b[0:], inode)
	le.PutUint64(b[8:], uint64(size))
	le.PutUint64(b[16:], uint64(modified.UnixNano()))
	le.PutUint64(b[24:], uint64(changed.UnixNano()))
	return max(xxhash.Sum64(b[:]), 1)
}

// verifier knows which chunks of a body have been compared with their checksums. Chunks are
// numbered from zero. It is safe for concurrent use.
type verifier struct {
	header header
	stable bool        // the file had not changed just before
	always bool        // nothing that was found intact counts the next time
	whole  atomic.Bool // all of them

	left atomic.Int64
	bits []atomic.Uint32

	mu    sync.Mutex
	table []byte // nil until needed
}

func newVerifier(h header, stable, always bool) *verifier {
	v := &verifier{header: h, stable: stable, always: always, bits: make([]atomic.Uint32, (h.chunks()+31)/32)}
	v.left.Store(h.chunks())
	return v
}

// intact returns how many bytes from pos up to end are known to be intact.
func (v *verifier) intact(pos, end int64) int64 {
	if v.whole.Load() {
		return end - pos
	}
	at := pos
	for at < end && v.bits[at>>chunkLog>>5].Load()&(1<<(at>>chunkLog&31)) != 0 {
		at = (at>>chunkLog + 1) << chunkLog
	}
	return max(min(at, end)-pos, 0)
}

// load reads chunk i of the body in f into buf, checks it, and returns its bytes. last is true for
// the one call that makes the body known to be intact as a whole.
func (v *verifier) load(f *os.File, i int64, buf *[chunkSize]byte) (chunk []byte, last bool, err error) {
	sum, err := v.sum(f, i)
	if err != nil {
		return nil, false, err
	}
	from := i << chunkLog
	chunk = buf[:min(chunkSize, v.header.bodyLen-from)]
	if err := readFull(f, chunk, bodyAt+from); err != nil {
		return nil, false, err
	}
	if xxhash.Sum64(chunk) != sum {
		return nil, false, damaged("body checksum")
	}
	return chunk, v.mark(i), nil
}

func (v *verifier) mark(i int64) (last bool) {
	bit := uint32(1) << (i & 31)
	if v.always || v.bits[i>>5].Or(bit)&bit != 0 || v.left.Add(-1) > 0 {
		return false
	}
	v.whole.Store(true)
	v.mu.Lock()
	v.table = nil
	v.mu.Unlock()
	return true
}

// sum returns the checksum of chunk i from the table in f.
func (v *verifier) sum(f *os.File, i int64) (uint64, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.table == nil {
		table := make([]byte, 8*v.header.chunks())
		if err := readFull(f, table, v.header.tableAt()); err != nil {
			return 0, err
		}
		if xxhash.Sum64(table) != v.header.tableSum {
			return 0, damaged("chunk table checksum")
		}
		v.table = table
	}
	return binary.LittleEndian.Uint64(v.table[8*i:]), nil
}
