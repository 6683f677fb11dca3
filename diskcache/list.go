package diskcache

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"os"
	"slices"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/inspect"
)

var _ inspect.ListingStorage = (*Store)(nil)

var errBadCursor = errors.New("diskcache: bad cursor")

// List implements [inspect.ListingStorage]. It reads the head of each file that it looks at, in the
// order of their names. While the first scan runs, entries that it has not come to are missing. A
// file that cannot be read is left out.
func (s *Store) List(
	ctx context.Context, cursor string, look int, want func(cirque.CacheKey) bool, visit func(inspect.StoredEntry),
) (next string, err error) {
	var from cirque.HashBinary
	if cursor != "" {
		if n, err := hex.Decode(from[:], []byte(cursor)[:min(len(cursor), 2*len(from))]); err != nil || n != len(from) || len(cursor) != 2*len(from) {
			return "", errBadCursor
		}
	}
	buf := make([]byte, blockSize)
	look = max(look, 1)
	for shard := int(from[0]); shard < shardCount; shard++ {
		records := s.index.collect(shard, func(r *record) bool {
			return r.flags&flagPurged == 0 && bytes.Compare(r.hash[:], from[:]) >= 0
		})
		slices.SortFunc(records, func(a, b record) int { return bytes.Compare(a.hash[:], b.hash[:]) })
		for _, r := range records {
			switch {
			case s.closed.Load():
				return "", ErrClosed
			case ctx.Err() != nil:
				return "", ctx.Err()
			case look == 0:
				return r.hash.String(), nil
			}
			look--
			if e, ok := s.listed(r.hash, buf, want); ok {
				visit(e)
			}
		}
	}
	return "", nil
}

// listed reads the entry in the file of hash, if want accepts its key.
func (s *Store) listed(hash cirque.HashBinary, buf []byte, want func(cirque.CacheKey) bool) (listed inspect.StoredEntry, ok bool) {
	f, info, err := openRegular(s.path(hash), os.O_RDONLY)
	if err != nil {
		return listed, false
	}
	defer f.Close()
	var e entry
	if _, err := e.read(f, info.Size(), buf); err != nil {
		return listed, false // a lookup will deal with it
	}
	key, err := cirque.ParseIdentity(e.identity)
	if err != nil || e.combined() != hash || !want(key) {
		return listed, false
	}
	meta := e.meta
	return inspect.StoredEntry{Key: key, Meta: &meta, Size: e.bodyLen, Weight: weightOf(blocksOf(info.Size()))}, true
}
