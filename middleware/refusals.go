package middleware

import (
	"encoding/binary"
	"sync"
	"time"

	"github.com/cirquecache/cirque"
)

// refusals remembers why the latest answers of the origin were not stored, for Cache.Explain. Its
// size is fixed: of keys that share a cell, it remembers the latest. The zero value is ready for
// use.
type refusals struct {
	mu    sync.Mutex
	cells *[512]refusal // nil until the first one
}

// refusal is one answer that was not stored.
type refusal struct {
	key    cirque.HashBinary // the primary one
	detail string            // as in Cache-Status
	custom cirque.NoCacheReason
	status int
	at     time.Time
}

// cell returns the cell of key. It is called with mu held.
func (r *refusals) cell(key cirque.HashBinary) *refusal {
	return &r.cells[binary.LittleEndian.Uint16(key[:])%uint16(len(r.cells))]
}

func (r *refusals) note(refused refusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cells == nil {
		r.cells = new([512]refusal)
	}
	*r.cell(refused.key) = refused
}

// of returns the latest refusal for key, if it is remembered.
func (r *refusals) of(key cirque.HashBinary) (refused refusal, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cells == nil {
		return refusal{}, false
	}
	refused = *r.cell(key)
	return refused, refused.key == key
}

// noteRefusal remembers that the answer with this status is not stored.
func (x *transaction) noteRefusal(status int) {
	key := x.hc.Key().PrimaryHash()
	if key.IsZero() || x.status.detail == "" {
		return
	}
	refused := refusal{key: key, detail: x.status.detail, status: status, at: x.now}
	if reason := x.hc.NoCacheReason(); reason.IsCustom() {
		refused.custom = reason
	}
	x.cache.refusals.note(refused)
}
