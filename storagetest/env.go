package storagetest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/cirquecache/cirque"
)

// env holds the storage of a case and helper methods. The methods fail the test if the storage does
// not do what the case requires. They must be called by the goroutine of the test, except where
// their comment says otherwise.
type env struct {
	testing.TB
	ctx      context.Context
	rule     string
	features Features
	storage  cirque.Storage
	streams  cirque.StreamingStorage // storage, if it streams; else nil
}

func (e *env) use(s cirque.Storage) {
	e.storage = s
	if !e.features.Streaming {
		return
	}
	var ok bool
	if e.streams, ok = s.(cirque.StreamingStorage); !ok {
		e.Fatalf("Features.Streaming is declared, but %T is no cirque.StreamingStorage", s)
	}
}

// useBudget makes a storage with a budget of limit bytes.
func (e *env) useBudget(limit int64) *cirque.Budget {
	budget := cirque.NewBudget(limit)
	e.use(e.features.Budget(e.TB, budget))
	return budget
}

// broken fails the test.
func (e *env) broken(format string, args ...any) {
	e.Helper()
	e.Fatalf("%s\n\tthe rule: %s", fmt.Sprintf(format, args...), e.rule)
}

// noError fails the test if err is not nil.
func (e *env) noError(op string, err error) {
	e.Helper()
	if err != nil {
		e.broken("%s: %v", op, err)
	}
}

// wantError fails the test unless err is target.
func (e *env) wantError(op string, err, target error) {
	e.Helper()
	if !errors.Is(err, target) {
		e.broken("%s: got error %v, want %q", op, err, target)
	}
}

var (
	// day is the creation time of the metas that the cases store.
	day = time.Date(2026, 3, 4, 5, 6, 7, 8, time.UTC)

	varianceA = cirque.HashBinary{0: 0xa, 15: 1}
	varianceB = cirque.HashBinary{0: 0xb, 15: 1}
)

func key(name string) cirque.CacheKey {
	return cirque.NewCacheKey("storagetest", "https://example.com/"+name, "")
}

// meta returns a meta with this name; see nameOf.
func meta(name string) *cirque.CacheMeta {
	header := http.Header{"Content-Type": {"text/plain"}, "Etag": {`"` + name + `"`}}
	return cirque.NewCacheMeta(http.StatusOK, header, day, day.Add(time.Hour), 0, 0)
}

func nameOf(m *cirque.CacheMeta) string {
	etag := m.Header().Get("Etag")
	return etag[min(1, len(etag)):max(min(1, len(etag)), len(etag)-1)]
}

// pattern returns n bytes without a period, so that a comparison finds pieces that were shifted,
// swapped or repeated.
func pattern(n int) []byte {
	b := make([]byte, 0, n+8)
	for x := uint64(n) + 1; len(b) < n; {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b = binary.LittleEndian.AppendUint64(b, x)
	}
	return b[:n:n]
}

// begin begins a write. The end of the test aborts it if the case did not end it.
func (e *env) begin(k cirque.CacheKey, m *cirque.CacheMeta, opts cirque.MissOptions) cirque.MissHandler {
	e.Helper()
	w, err := e.storage.MissHandler(e.ctx, k, m, opts)
	e.noError("MissHandler", err)
	e.Cleanup(w.Abort)
	return w
}

// write begins a write of unknown size with meta name, and writes body.
func (e *env) write(k cirque.CacheKey, name, body string) cirque.MissHandler {
	e.Helper()
	w := e.begin(k, meta(name), cirque.MissOptions{SizeHint: -1})
	e.append(w, []byte(body))
	return w
}

func (e *env) append(w cirque.MissHandler, p []byte) {
	e.Helper()
	n, err := w.Write(p)
	if err != nil || n != len(p) {
		e.broken("Write of %d bytes: got %d, %v", len(p), n, err)
	}
}

func (e *env) finish(w cirque.MissHandler) cirque.MissFinish {
	e.Helper()
	f, err := w.Finish()
	e.noError("Finish", err)
	return f
}

// put stores an entry with meta name.
func (e *env) put(k cirque.CacheKey, name, body string) cirque.Tag {
	e.Helper()
	w := e.write(k, name, body)
	e.finish(w)
	return w.Tag()
}

// lookup returns the hit on k, which the end of the test closes. A case that closes the hit itself
// must use open, because Close may be called only once.
func (e *env) lookup(k cirque.CacheKey) (*cirque.CacheMeta, cirque.HitHandler) {
	e.Helper()
	m, h, err := e.storage.Lookup(e.ctx, k)
	e.noError("Lookup", err)
	e.closeAtEnd(h)
	return m, h
}

// open returns the hit on k. The case must close it.
func (e *env) open(k cirque.CacheKey) cirque.HitHandler {
	e.Helper()
	_, h, err := e.storage.Lookup(e.ctx, k)
	e.noError("Lookup", err)
	return h
}

func (e *env) closeAtEnd(h cirque.HitHandler) { e.Cleanup(func() { h.Close() }) }

// wantMiss fails the test if there is an entry for k.
func (e *env) wantMiss(k cirque.CacheKey) {
	e.Helper()
	_, h, err := e.storage.Lookup(e.ctx, k)
	if err == nil {
		h.Close()
		e.broken("Lookup: got a hit, want ErrNotFound")
	}
	e.wantError("Lookup", err, cirque.ErrNotFound)
}

// want fails the test unless the entry of k has meta name and this body.
func (e *env) want(k cirque.CacheKey, name, body string) {
	e.Helper()
	m, h, err := e.storage.Lookup(e.ctx, k)
	e.noError("Lookup", err)
	defer h.Close()
	if got := nameOf(m); got != name {
		e.broken("Lookup: got meta %q, want %q", got, name)
	}
	e.wantBody(h, []byte(body))
}

// wantBody fails the test unless h reads exactly body and then io.EOF.
func (e *env) wantBody(h io.Reader, body []byte) {
	e.Helper()
	got, err := io.ReadAll(onlyReader{h})
	e.noError("Read", err)
	e.same(got, body)
}

func (e *env) same(got, want []byte) {
	e.Helper()
	if bytes.Equal(got, want) {
		return
	}
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	e.broken("got a body of %d bytes that differs at byte %d, want %d bytes", len(got), at, len(want))
}

// onlyReader hides io.WriterTo.
type onlyReader struct{ io.Reader }

// purge purges k and expects an entry there.
func (e *env) purge(k cirque.CacheKey, typ cirque.PurgeType) {
	e.Helper()
	e.noError("Purge", e.storage.Purge(e.ctx, k.Compact(), typ))
}

// invalidate purges k whether or not there is an entry.
func (e *env) invalidate(k cirque.CacheKey) {
	e.Helper()
	if err := e.storage.Purge(e.ctx, k.Compact(), cirque.PurgeInvalidation); err != nil {
		e.wantError("Purge", err, cirque.ErrNotFound)
	}
}

// await receives from c, and fails the test if nothing comes.
func await[T any](e *env, what string, c <-chan T) T {
	e.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(deadline / 2):
		e.broken("%s: nothing happened for %v", what, deadline/2)
		panic("unreachable")
	}
}
