package diskcache

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cespare/xxhash/v2"

	"github.com/cirquecache/cirque"
)

// The format of the saved index: a magic, and for each shard the number of its records, the
// checksum of the records, and the records: hash and blocks. The file is removed when it is read,
// so it is never older than the last Close. The scan confirms each record, so the file may be
// wrong.
const (
	indexMagic      = "cirqueIX\x01"
	savedRecordSize = 16 + 4
	savedHeaderSize = 4 + 8
)

// saveIndex writes the index, atomically.
func (s *Store) saveIndex() (err error) {
	path := filepath.Join(s.root.dir, indexName)
	temp := path + ".tmp"
	f, err := createNew(temp)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 256<<10)
	_, _ = w.WriteString(indexMagic) // Flush returns any error
	var b []byte
	for shard := range shardCount {
		b = append(b[:0], make([]byte, savedHeaderSize)...)
		records := s.index.collect(shard, func(r *record) bool { return r.flags&flagPurged == 0 })
		for _, r := range records {
			b = append(b, r.hash[:]...)
			b = binary.LittleEndian.AppendUint32(b, r.blocks)
		}
		binary.LittleEndian.PutUint32(b, uint32(len(records)))
		binary.LittleEndian.PutUint64(b[4:], xxhash.Sum64(b[savedHeaderSize:]))
		_, _ = w.Write(b)
	}
	if err = errors.Join(w.Flush(), f.Close()); err == nil {
		err = rename(temp, path)
	}
	if err != nil {
		_ = os.Remove(temp)
	}
	return err
}

// loadIndex puts the saved index into the index, as far as it can be read.
func (s *Store) loadIndex() {
	path := filepath.Join(s.root.dir, indexName)
	_ = removeFile(path + ".tmp")
	f, _, err := openRegular(path, os.O_RDONLY)
	if errors.Is(err, errDamaged) {
		_ = removeFile(path)
	}
	if err != nil {
		return
	}
	defer os.Remove(path)
	defer f.Close()
	r := bufio.NewReaderSize(f, 256<<10)
	head := make([]byte, len(indexMagic))
	if _, err := io.ReadFull(r, head); err != nil || string(head) != indexMagic {
		return
	}
	for shard := range shardCount {
		if !s.loadShard(r, byte(shard)) {
			return
		}
	}
}

// loadShard reads the records of one shard and reports whether they are undamaged.
func (s *Store) loadShard(r io.Reader, shard byte) bool {
	var head [savedHeaderSize]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return false
	}
	n, sum := binary.LittleEndian.Uint32(head[:]), binary.LittleEndian.Uint64(head[4:])
	// A damaged header must not cause a large allocation, so read as much as there is.
	b, err := io.ReadAll(io.LimitReader(r, int64(n)*savedRecordSize))
	if err != nil || int64(len(b)) != int64(n)*savedRecordSize || xxhash.Sum64(b) != sum {
		return false
	}
	for ; len(b) > 0; b = b[savedRecordSize:] {
		rec := record{hash: cirque.HashBinary(b[:16]), blocks: binary.LittleEndian.Uint32(b[16:])}
		if rec.hash[0] != shard || rec.blocks == 0 || !s.ledger.found(rec.weight()) {
			continue
		}
		if !s.index.add(rec) {
			s.ledger.release(rec.weight())
		}
	}
	return true
}

// saveEviction saves the eviction manager's state.
func (s *Store) saveEviction() error {
	dir := filepath.Join(s.root.dir, evictionName)
	if !isDir(dir) {
		_ = removeFile(dir)
	}
	err := s.ledger.eviction.Save(context.Background(), dir)
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

// loadEviction loads the eviction manager's state, and reports whether all of it was there. The
// saved state is removed, as is the index: after a crash it would name entries that are long gone.
func (s *Store) loadEviction(ctx context.Context) bool {
	dir := filepath.Join(s.root.dir, evictionName)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return false
	}
	err := s.ledger.eviction.Load(ctx, dir)
	_ = os.RemoveAll(dir)
	return err == nil
}
