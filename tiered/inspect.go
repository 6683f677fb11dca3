package tiered

import (
	"context"
	"errors"
	"strings"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/inspect"
)

var (
	_ inspect.PeekingStorage = (*tier)(nil)
	_ inspect.ListingStorage = (*tier)(nil)
)

// Peek implements [inspect.PeekingStorage]: neither does the upper manager hear of it, nor is an
// entry copied to the upper Storage.
func (t *tier) Peek(ctx context.Context, key cirque.CacheKey) (*cirque.CacheMeta, cirque.HitHandler, error) {
	if !t.stripe(key.PrimaryHash()).writesFor(&key) {
		meta, hit, err := inspect.Peek(ctx, t.upper, key)
		if err == nil {
			if hit, err := newUpperHit(hit); err == nil {
				if !hit.underWay() || hit.alone {
					return meta, hit, nil
				}
				hit.Close()
			}
		}
	}
	return inspect.Peek(ctx, t.lower, key)
}

// The cursors of a tier begin with the Storage for which they are.
const (
	listsLower = "lower "
	listsUpper = "upper "
)

var errBadCursor = errors.New("tiered: bad cursor")

// List implements [inspect.ListingStorage], if the lower Storage does. It lists that one, then what
// is in the upper one alone, if the upper Storage can list it.
func (t *tier) List(
	ctx context.Context, cursor string, look int, want func(cirque.CacheKey) bool, visit func(inspect.StoredEntry),
) (next string, err error) {
	if cursor == "" {
		cursor = listsLower
	}
	if rest, ok := strings.CutPrefix(cursor, listsLower); ok {
		next, err = inspect.List(ctx, t.lower, rest, look, want, visit)
		switch {
		case err != nil:
			return "", err
		case next == "":
			return listsUpper, nil
		}
		return listsLower + next, nil
	}
	rest, ok := strings.CutPrefix(cursor, listsUpper)
	if !ok {
		return "", errBadCursor
	}
	var keys []cirque.CacheKey
	next, err = inspect.List(ctx, t.upper, rest, look, want, func(e inspect.StoredEntry) { keys = append(keys, e.Key) })
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return "", nil
	case err != nil:
		return "", err
	case next != "":
		next = listsUpper + next
	}
	for _, key := range keys {
		if e, ok := t.inUpperAlone(ctx, key); ok {
			visit(e)
		}
	}
	return next, nil
}

// inUpperAlone returns the entry of key if the lower Storage does not have it.
func (t *tier) inUpperAlone(ctx context.Context, key cirque.CacheKey) (e inspect.StoredEntry, ok bool) {
	if _, hit, err := inspect.Peek(ctx, t.lower, key); err == nil {
		hit.Close()
		return e, false
	}
	meta, hit, err := t.Peek(ctx, key)
	if err != nil {
		return e, false
	}
	defer hit.Close()
	data, err := meta.AppendBinary(nil) // the meta may end with the hit
	if err != nil {
		return e, false
	}
	e = inspect.StoredEntry{Key: key, Meta: new(cirque.CacheMeta), Weight: hit.Weight()}
	if e.Size, ok = hit.Size(); !ok {
		e.Size = -1
	}
	return e, e.Meta.UnmarshalBinary(data) == nil
}
