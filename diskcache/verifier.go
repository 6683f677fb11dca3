package diskcache

import (
	"encoding/binary"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"
)

// racy is the age below which a changed file could change again without getting another time: the
// clock of some file systems ticks this slowly.
const racy = 20 * time.Millisecond

// verifier knows which chunks of a body match their checksums. Chunks are numbered from zero. It is
// safe for concurrent use.
type verifier struct {
	header header
	stable bool        // the file was older than racy, so what is found intact may be remembered
	always bool        // check every time: remember nothing
	whole  atomic.Bool // all chunks match

	left atomic.Int64    // number of chunks not yet found intact
	bits []atomic.Uint32 // one for each chunk: it was found intact

	mu    sync.Mutex
	table []byte // the chunk table; nil until needed and when whole
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
// the one call after which the whole body is known to be intact.
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

// mark notes that chunk i is intact. last is as in load.
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
