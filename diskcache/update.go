package diskcache

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/cirquecache/cirque"
)

var (
	errNoRoomForMeta = fmt.Errorf("diskcache: no room for the new meta: %w", cirque.ErrUnlinked)
	errMetaTooLarge  = errors.New("diskcache: the meta is too large")
)

// UpdateMeta implements [cirque.Storage]. If the budget has no room for a larger meta, the error
// wraps ErrUnlinked and the entry stays as it is.
func (s *Store) UpdateMeta(_ context.Context, key cirque.CacheKey, meta *cirque.CacheMeta, tag cirque.Tag) (err error) {
	defer s.measure(&s.operations.Update, time.Now(), &err)
	if s.closed.Load() {
		return ErrClosed
	}
	if w := s.writes.get(&key, tag); w != nil && w.updateMeta(meta) {
		return nil
	}
	u := update{store: s, key: &key, tag: tag}
	u.encoded, _ = meta.AppendBinary(nil) // never fails
	defer func() { s.ledger.end(u.held) }()
	for {
		began, err := s.updates.enter()
		if err != nil {
			return err
		}
		lacking, err := u.try()
		s.updates.leave(began, diskFailure(err))
		if err != nil || lacking == 0 {
			return err
		}
		// The stripe is not locked here, because a reservation may call Purge.
		if !s.ledger.begin(lacking) {
			s.ledger.refuse()
			return errNoRoomForMeta
		}
		u.held += lacking
	}
}

// update replaces the meta in an entry file.
type update struct {
	store   *Store
	key     *cirque.CacheKey
	encoded []byte
	tag     cirque.Tag
	held    int64 // bytes reserved for the growth of the file
}

// try replaces the meta. If more must be reserved for that, it changes nothing and returns how
// much.
func (u *update) try() (lacking int64, err error) {
	s, hash := u.store, u.key.Combined()
	st := s.stripe(hash)
	st.mu.Lock()
	defer st.mu.Unlock()
	rec, known, missing := s.index.get(hash)
	if s.closed.Load() {
		return 0, ErrClosed
	}
	if missing || rec.flags&flagPurged != 0 {
		return 0, cirque.ErrNotFound
	}

	f, info, err := openRegular(s.path(hash), os.O_RDWR)
	if errors.Is(err, errDamaged) {
		return 0, cirque.ErrNotFound // the next lookup removes it
	} else if err != nil {
		return 0, s.notFound(err)
	}
	defer f.Close()
	buf := getBuffer(blockSize)
	defer putBuffer(buf)
	var e entry
	if _, err := e.read(f, info.Size(), *buf); errors.Is(err, errDamaged) {
		return 0, cirque.ErrNotFound // the next lookup removes it
	} else if err != nil {
		return 0, err
	}
	if e.tag != u.tag || e.combined() != hash || !e.is(u.key.AppendIdentity(nil)) {
		return 0, cirque.ErrNotFound
	}

	next := e.slot.following(&e.header, u.encoded)
	end := next.offset + int64(next.length)
	if end-e.keyAt() > maxTail {
		return 0, errMetaTooLarge
	}
	blocks := max(rec.blocks, blocksOf(end))
	growth := int64(0)
	if known && rec.flags&flagUncounted == 0 {
		if growth = weightOf(blocks) - rec.weight(); growth > u.held {
			return growth - u.held, nil
		}
	}
	if err := u.write(f, &e, next); err != nil {
		return 0, err
	}
	u.held -= growth
	s.ledger.settle(growth)
	return 0, s.updated(st, hash, f, info, blocks)
}

// write writes the meta to f, and then the slot that makes the meta count.
func (u *update) write(f *os.File, e *entry, next slot) error {
	if _, err := f.WriteAt(u.encoded, next.offset); err != nil {
		return err
	}
	if u.store.config.Sync {
		if err := f.Sync(); err != nil {
			return err
		}
	}
	if _, err := f.WriteAt(next.append(nil, e.tag), fixedSize+int64(1-e.slotAt)*slotSize); err != nil {
		return err
	}
	if u.store.config.Sync {
		return f.Sync()
	}
	return nil
}

// updated takes note that f has a new meta. before describes f as it was. The body is the same, so
// what is known about the body stays valid.
func (s *Store) updated(st *stripe, hash cirque.HashBinary, f *os.File, before os.FileInfo, blocks uint32) error {
	after, err := f.Stat()
	if err != nil {
		return err
	}
	old, _ := stampOf(before)
	stamp, _ := stampOf(after)
	if g := st.open[hash]; g != nil && g.stamp == old {
		g.stamp = stamp
	}
	s.index.update(hash, func(r *record) {
		r.blocks = blocks
		if r.stamp == old {
			r.stamp = stamp
		}
	})
	return nil
}

// tagInPlace returns the tag of the entry of hash, or zero if there is none. Called with the stripe
// locked.
func (s *Store) tagInPlace(hash cirque.HashBinary) (cirque.Tag, error) {
	rec, _, missing := s.index.get(hash)
	if missing || rec.flags&flagPurged != 0 {
		return 0, nil
	}
	var b [fixedSize]byte
	n, err := readFile(s.path(hash), b[:])
	if isMissing(err) || errors.Is(err, errDamaged) {
		return 0, nil
	}
	var h header
	if err != nil || h.decode(b[:n], maxBody+maxTail) != nil {
		return 0, err
	}
	return h.tag, nil
}

// updateMeta replaces the meta of the entry that w will make. It returns false if it is too late
// for that.
func (w *write) updateMeta(meta *cirque.CacheMeta) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sealed || w.buffer.Unlinked() {
		return false
	}
	w.meta.Store(meta)
	return true
}
