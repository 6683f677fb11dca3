package storagetest

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/inspect"
)

// List implements inspect.ListingStorage. The cursor is the hash of the next entry.
func (s *plain) List(
	_ context.Context, cursor string, look int, want func(cirque.CacheKey) bool, visit func(inspect.StoredEntry),
) (next string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*plainEntry, 0, len(s.entries)+len(s.listed))
	for _, e := range s.entries {
		all = append(all, e)
	}
	if s.has("lists what was purged") {
		all = append(all, s.listed...)
	}
	if s.has("lists writes under way") {
		for w := range s.writes {
			all = append(all, &plainEntry{key: w.key, meta: w.meta, body: w.body})
		}
	}
	hash := func(e *plainEntry) string { return e.key.Combined().String() }
	slices.SortFunc(all, func(a, b *plainEntry) int { return bytes.Compare([]byte(hash(a)), []byte(hash(b))) })
	if cursor != "" && len(cursor) != 32 && !s.has("takes any cursor") {
		return "", errors.New("bad cursor")
	}
	for i, e := range all {
		switch {
		case hash(e) < cursor:
			continue
		case look <= 0 && !s.has("lists all at once"):
			if s.has("loses an entry between two pages") && i+1 < len(all) {
				e = all[i+1]
			}
			return hash(e), nil
		}
		look--
		if want(e.key) || s.has("lists what nobody wants") {
			visit(inspect.StoredEntry{Key: e.key, Meta: e.meta, Size: int64(len(e.body)), Weight: e.weight()})
		}
	}
	return "", nil
}
