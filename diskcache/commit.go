package diskcache

import (
	"path/filepath"

	"github.com/cespare/xxhash/v2"

	"github.com/cirquecache/cirque"
)

// commit makes the finished write the entry of its key.
func (w *write) commit() (cirque.MissFinish, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.voided.Load() {
		return cirque.MissFinish{}, cirque.ErrNotFound
	}
	head, tail := w.encode()
	blocks := blocksOf(bodyAt + w.file.size + int64(len(tail)))
	if len(tail) > maxTail || !w.file.reserveExactly(weightOf(blocks)) {
		return cirque.MissFinish{}, cirque.ErrUnlinked
	}
	var release int64
	err := w.file.do(func() (err error) {
		if err = w.file.complete(head, tail); err == nil {
			release, err = w.place(blocks)
		}
		return err
	})
	w.store.ledger.release(release)
	if err != nil {
		return cirque.MissFinish{}, err
	}
	w.sealed = true
	w.store.writes.overtake(w)
	return cirque.MissFinish{Size: weightOf(blocks)}, nil
}

// encode returns the parts of the file before and after the body.
func (w *write) encode() (head, tail []byte) {
	key := w.key.Compact()
	h := header{
		tag:         w.tag,
		primary:     key.Primary,
		variance:    key.Variance,
		bodyLen:     w.file.size,
		identityLen: uint32(len(w.identity)),
		userTagLen:  uint32(len(key.UserTag)),
	}
	tail = w.file.appendTable(nil)
	h.tableSum = xxhash.Sum64(tail)
	keyFrom := len(tail)
	tail = append(tail, w.identity...)
	tail = append(tail, key.UserTag...)
	h.keySum = xxhash.Sum64(tail[keyFrom:])
	metaFrom := len(tail)
	tail, _ = w.meta.Load().AppendBinary(tail) // never fails
	meta := tail[metaFrom:]
	h.metaArea = uint32(metaAreaFor(len(meta)))
	current := slot{number: 1, length: uint32(len(meta)), offset: h.metaAt(), metaSum: xxhash.Sum64(meta)}
	tail = append(tail, make([]byte, int(h.metaArea)-len(meta))...)

	head = h.append(make([]byte, 0, bodyAt))
	head = current.append(head, h.tag)
	return append(head, make([]byte, slotSize)...), tail
}

// complete writes the parts before and after the body.
func (b *bodyFile) complete(head, tail []byte) error {
	if err := b.prepare(); err != nil {
		return err
	}
	if _, err := b.f.WriteAt(tail, bodyAt+b.size); err != nil {
		return err
	}
	if _, err := b.f.WriteAt(head, 0); err != nil {
		return err
	}
	if b.store.config.Sync {
		return b.f.Sync()
	}
	return nil
}

// place renames the file to its entry's name. It returns the bytes to release for the entry that
// the file replaced.
func (w *write) place(blocks uint32) (release int64, err error) {
	s := w.store
	st := s.stripe(w.hash)
	if release, err = w.placeLocked(st, blocks); err != nil || !s.config.Sync {
		return release, err
	}
	if err := syncDir(filepath.Dir(s.path(w.hash))); err != nil {
		_ = s.remove(w.hash) // Finish fails, so the entry must not be there
		return release, err
	}
	return release, nil
}

func (w *write) placeLocked(st *stripe, blocks uint32) (release int64, err error) {
	s := w.store
	st.mu.Lock()
	defer st.mu.Unlock()
	if s.closed.Load() {
		return 0, ErrClosed
	}
	if w.voided.Load() {
		return 0, cirque.ErrNotFound
	}
	if w.replaces != 0 {
		if tag, err := s.tagInPlace(w.hash); err != nil {
			return 0, err
		} else if tag != w.replaces {
			return 0, cirque.ErrNotFound
		}
	}
	if err := rename(w.file.temp(), s.path(w.hash)); err != nil {
		return 0, err
	}
	s.ledger.settle(w.file.reserved)
	before := s.index.put(record{hash: w.hash, blocks: blocks, flags: flagSeen})
	if before.blocks != 0 {
		release = st.vacate(w.hash, before.weight())
	}
	w.file.placed = st.acquire(w.hash, weightOf(blocks))
	return release, nil
}
