package diskcache

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/cirquecache/cirque"
)

const tempPrefix = "tmp-"

var errNoRoom = errors.New("diskcache: no room")

// bodyFile is the file of a write under way. It is the stream.Backing of the write's body. Readers
// call ReadAt; everything else is for the writer alone, until Drop.
type bodyFile struct {
	store    *Store
	hash     cirque.HashBinary
	tag      cirque.Tag
	sizeHint int64
	rest     int64 // bytes that the file needs beside header, body and chunk table

	f        *os.File // nil until created
	size     int64    // of the body
	sums     []uint64 // of whole chunks
	digest   xxhash.Digest
	reserved int64
	failure  error         // the disk's last error
	took     time.Duration // of all operations on the disk

	// placed is the generation that the file has become. It is nil while the file is temporary.
	placed *generation
}

// Append implements stream.Backing.
func (b *bodyFile) Append(p []byte) error {
	size := b.size + int64(len(p))
	if size > maxBody || !b.reserve(weightOf(blocksOf(fileSize(size, b.rest)))) {
		return errNoRoom
	}
	err := b.do(func() error {
		if err := b.prepare(); err != nil {
			return err
		}
		_, err := b.f.WriteAt(p, bodyAt+b.size)
		return err
	})
	if err == nil {
		b.sum(p)
	}
	return err
}

// do runs a write to the disk and handles its failure.
func (b *bodyFile) do(operation func() error) error {
	began, err := b.store.updates.enter()
	if err != nil {
		b.failure = err
		return err
	}
	err = operation()
	b.took += time.Duration(b.store.updates.now() - began.began)
	b.store.updates.leave(began, diskFailure(err))
	if err == nil || errors.Is(err, cirque.ErrNotFound) {
		return err
	}
	b.failure = err
	if isFull(err) {
		// The disk has less room than the budget says. Give up entries, so that the store does not
		// stay full until somebody else makes room.
		b.store.ledger.shrink(b.reserved)
	}
	return err
}

// reserve makes sure that weight bytes are reserved. It takes more in advance, so that not every
// Write needs a reservation.
func (b *bodyFile) reserve(weight int64) bool {
	need := weight - b.reserved
	if need <= 0 {
		return true
	}
	ahead := min(max(b.reserved, 64<<10), 4<<20)
	if whole := weightOf(blocksOf(fileSize(max(b.sizeHint, 0), b.rest))) - b.reserved; whole >= need {
		ahead = min(ahead, whole)
	}
	for _, n := range [...]int64{max(need, ahead), need} {
		if b.store.ledger.begin(n) {
			b.reserved += n
			return true
		}
	}
	b.store.ledger.refuse()
	b.store.trackAll()
	return false
}

// reserveExactly makes reserved equal to weight.
func (b *bodyFile) reserveExactly(weight int64) bool {
	if !b.reserve(weight) {
		return false
	}
	b.store.ledger.end(b.reserved - weight)
	b.reserved = weight
	return true
}

// prepare makes sure that the file exists and is not shorter than the body so far. A write beyond
// the end of a file that somebody truncated would leave zeros, and readers do not check these
// bytes.
func (b *bodyFile) prepare() error {
	if err := b.create(); err != nil || b.size == 0 {
		return err
	}
	size, _, err := stateOf(b.f)
	if err == nil && size < bodyAt+b.size {
		err = damaged("truncated")
	}
	return err
}

// create creates the file if it does not exist yet.
func (b *bodyFile) create() error {
	if b.f != nil {
		return nil
	}
	path := b.temp()
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if isMissing(err) {
		if err := b.store.root.check(); err != nil {
			return err
		}
		if err := makeDir(filepath.Dir(path)); err != nil {
			return err
		}
		if b.store.config.Sync {
			if err := syncDir(b.store.root.dir); err != nil {
				return err
			}
		}
		f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	}
	b.f = f
	return err
}

// temp returns the path of the temporary file. It is in the directory of the entry, because a
// rename within one directory is the cheapest and is atomic on every file system.
func (b *bodyFile) temp() string {
	return filepath.Join(filepath.Dir(b.store.path(b.hash)), fmt.Sprintf("%s%016x", tempPrefix, uint64(b.tag)))
}

// sum adds p to the body's size and checksums.
func (b *bodyFile) sum(p []byte) {
	for len(p) > 0 {
		n := min(int64(len(p)), chunkSize-b.size&(chunkSize-1))
		if b.size&(chunkSize-1) == 0 {
			b.digest.Reset()
		}
		_, _ = b.digest.Write(p[:n]) // never fails
		b.size += n
		p = p[n:]
		if b.size&(chunkSize-1) == 0 {
			b.sums = append(b.sums, b.digest.Sum64())
		}
	}
}

// appendTable appends the chunk table of the finished body.
func (b *bodyFile) appendTable(dst []byte) []byte {
	for _, sum := range b.sums {
		dst = binary.LittleEndian.AppendUint64(dst, sum)
	}
	if b.size&(chunkSize-1) != 0 {
		dst = binary.LittleEndian.AppendUint64(dst, b.digest.Sum64())
	}
	return dst
}

// ReadAt implements stream.Backing.
func (b *bodyFile) ReadAt(p []byte, off int64) (int, error) { return b.f.ReadAt(p, bodyAt+off) }

// Drop implements stream.Backing. Neither the writer nor a reader needs the file any more.
func (b *bodyFile) Drop() {
	if b.f != nil {
		b.f.Close()
	}
	if b.placed != nil {
		b.store.ledger.release(b.store.stripe(b.hash).drop(b.hash, b.placed))
		return
	}
	if b.f != nil {
		// If this fails, the next scan removes the file.
		_ = os.Remove(b.temp())
	}
	b.store.ledger.end(b.reserved)
}
