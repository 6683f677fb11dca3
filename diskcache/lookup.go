package diskcache

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/metric"
)

const (
	// smallBlocks is the size up to which a file is read whole, and its body served from that
	// memory.
	smallBlocks = 16
	smallMax    = smallBlocks * blockSize
)

// Lookup implements [cirque.Storage]. A linked write under way comes before the entry in place, if
// it began after that entry was finished. A small body is read and checked at once. In a larger
// body, what is not known to be intact is checked as it is read; a read that finds damage fails,
// and removes the entry.
//
// Hits on entries implement io.WriterTo. If the file of a body above 64 KiB was truncated or
// rewritten since it was opened, the hit does not hand out its last bytes: the read fails.
func (s *Store) Lookup(ctx context.Context, key cirque.CacheKey) (*cirque.CacheMeta, cirque.HitHandler, error) {
	var began time.Time
	if metric.Sampled() {
		began = time.Now()
	}
	meta, hit, err := s.lookup(ctx, &key, 0)
	s.measure(&s.operations.Lookup, began, &err)
	return meta, hit, err
}

// LookupStreaming implements [cirque.StreamingStorage].
func (s *Store) LookupStreaming(ctx context.Context, key cirque.CacheKey, tag cirque.Tag) (*cirque.CacheMeta, cirque.HitHandler, error) {
	if tag == 0 {
		return nil, nil, cirque.ErrNotFound
	}
	return s.lookup(ctx, &key, tag)
}

// lookup looks for the write or entry with that tag. A zero tag means the best that there is.
func (s *Store) lookup(ctx context.Context, key *cirque.CacheKey, tag cirque.Tag) (*cirque.CacheMeta, cirque.HitHandler, error) {
	if s.closed.Load() {
		return nil, nil, ErrClosed
	}
	var stack [256]byte
	q := query{key: key, identity: key.AppendIdentity(stack[:0]), hash: key.Combined(), tag: tag}
	if w, hit := s.writes.find(ctx, key, q.identity, tag); w != nil {
		return w.meta.Load(), hit, nil
	}
	rec, _, missing := s.index.get(q.hash)
	if missing || rec.flags&flagPurged != 0 {
		return nil, nil, cirque.ErrNotFound
	}
	began, err := s.reads.enter()
	if err != nil {
		return nil, nil, err
	}
	meta, hit, err := s.find(&q, rec.blocks)
	s.reads.leave(began, diskFailure(err))
	return meta, hit, err
}

// query is what a lookup looks for.
type query struct {
	key      *cirque.CacheKey
	identity []byte // the key's text
	hash     cirque.HashBinary
	tag      cirque.Tag // zero: any
}

// matches reports whether e is what q looks for. An error means that the file of e is where another
// entry's file belongs.
func (q *query) matches(e *entry) (bool, error) {
	if e.combined() != q.hash {
		return false, damaged("entry of another key")
	}
	return e.is(q.identity) && (q.tag == 0 || e.tag == q.tag), nil
}

// find opens the entry in place. blocks is the size of its file as the index knows it, or zero.
func (s *Store) find(q *query, blocks uint32) (*cirque.CacheMeta, cirque.HitHandler, error) {
	if blocks > 0 && blocks <= smallBlocks {
		hit, err := s.readSmall(q, blocks)
		switch {
		case err == nil:
			return &hit.meta, hit, nil
		case !errors.Is(err, errDamaged) && !isMissing(err):
			return nil, nil, err
		}
		// The file may have changed during the read. With the stripe locked it does not.
	}
	st := s.stripe(q.hash)
	st.mu.Lock()
	meta, hit, err := s.openLocked(st, q)
	var release int64
	gone := errors.Is(err, errDamaged) || isMissing(err)
	if gone {
		release, err = s.discard(st, q.hash, err)
	}
	st.mu.Unlock()
	if gone {
		s.ledger.release(release)
		s.ledger.eviction.Remove(q.key.Compact())
	}
	return meta, hit, err
}

// readSmall reads an entry file of a few blocks at once.
func (s *Store) readSmall(q *query, blocks uint32) (*smallHit, error) {
	h := &smallHit{buf: getBuffer(int(blocks) * blockSize)}
	n, err := readFile(s.path(q.hash), *h.buf)
	if err == nil {
		err = h.decodeFor(q, (*h.buf)[:n])
	}
	if err != nil {
		putBuffer(h.buf)
		return nil, err
	}
	return h, nil
}

// decodeFor makes h the hit on the entry in whole, the content of a file, if q looks for that
// entry.
func (h *smallHit) decodeFor(q *query, whole []byte) error {
	if err := h.decode(whole); err != nil {
		return err
	}
	if ok, err := q.matches(&h.entry); err != nil {
		return err
	} else if !ok {
		return cirque.ErrNotFound
	}
	if h.body = h.intactBody(whole); h.body == nil {
		return damaged("body checksum")
	}
	h.identity = nil
	h.reset(h.bodyLen)
	h.weight = weightOf(blocksOf(int64(len(whole))))
	return nil
}

// openLocked opens the entry file of q, whatever its size. Called with the stripe locked.
func (s *Store) openLocked(st *stripe, q *query) (*cirque.CacheMeta, cirque.HitHandler, error) {
	f, info, err := openRegular(s.path(q.hash), os.O_RDONLY)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if f != nil {
			f.Close()
		}
	}()
	if info.Size() <= smallMax {
		h := &smallHit{buf: getBuffer(int(info.Size()))}
		whole := (*h.buf)[:info.Size()]
		if err = readFull(f, whole, 0); err == nil {
			err = h.decodeFor(q, whole)
		}
		if err != nil {
			putBuffer(h.buf)
			return nil, nil, err
		}
		return &h.meta, h, nil
	}

	h := &fileHit{store: s, hash: q.hash, weight: weightOf(blocksOf(info.Size()))}
	buf := getBuffer(blockSize)
	defer putBuffer(buf)
	if _, err := h.read(f, info.Size(), *buf); err != nil {
		return nil, nil, err
	}
	if ok, err := q.matches(&h.entry); err != nil {
		return nil, nil, err
	} else if !ok {
		return nil, nil, cirque.ErrNotFound
	}
	h.identity = nil
	if s.open.Add(1) > int64(s.config.MaxOpenFiles) {
		s.open.Add(-1)
		s.reads.turned.Add(1)
		return nil, nil, errBusy
	}
	h.reset(h.bodyLen)
	h.gen = st.acquire(q.hash, h.weight)
	h.check = s.verifierFor(h.gen, &h.entry, info, q.hash)
	h.fileSize, h.modified = info.Size(), info.ModTime().UnixNano()
	h.f, f = f, nil
	return &h.meta, h, nil
}

// verifierFor returns the verifier of the body in the file that info describes. Called with the
// stripe locked.
func (s *Store) verifierFor(g *generation, e *entry, info os.FileInfo, hash cirque.HashBinary) *verifier {
	stamp, changed := stampOf(info)
	if g.check == nil || !g.check.stable || g.stamp != stamp {
		g.stamp = stamp
		g.check = newVerifier(e.header, time.Since(changed) > racy, s.config.VerifyReads)
		if rec, _, _ := s.index.get(hash); rec.stamp == stamp && !s.config.VerifyReads {
			g.check.whole.Store(true)
		}
	}
	return g.check
}
