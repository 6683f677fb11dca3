package cirque_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/verify/faulty/faultystorage"
	"github.com/cirquecache/cirque/memcache"
	"github.com/cirquecache/cirque/storagetest"
)

// plainStore is a Storage that does only what it must: it shows a body when it is whole.
type plainStore struct {
	mu      sync.Mutex
	tags    cirque.Tag
	entries map[cirque.HashBinary]plainEntry
	voided  map[cirque.Tag]bool
	writes  map[cirque.Tag]cirque.CompactCacheKey // under way
	purges  cirque.PurgeState
}

func (s *plainStore) Purges() *cirque.PurgeState { return &s.purges }

type plainEntry struct {
	text string
	meta *cirque.CacheMeta
	body string
	tag  cirque.Tag
}

func newPlainStore() *plainStore {
	return &plainStore{
		entries: map[cirque.HashBinary]plainEntry{},
		voided:  map[cirque.Tag]bool{},
		writes:  map[cirque.Tag]cirque.CompactCacheKey{},
	}
}

func (s *plainStore) Lookup(_ context.Context, key cirque.CacheKey) (*cirque.CacheMeta, cirque.HitHandler, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.entries[key.Combined()]
	if !ok || e.text != string(key.AppendIdentity(nil)) {
		return nil, nil, cirque.ErrNotFound
	}
	return e.meta, &plainHit{entry: e, Reader: strings.NewReader(e.body)}, nil
}

func (s *plainStore) MissHandler(_ context.Context, key cirque.CacheKey, meta *cirque.CacheMeta, opts cirque.MissOptions) (cirque.MissHandler, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tags++
	s.writes[s.tags] = key.Compact()
	return &plainWrite{store: s, key: key, meta: meta, tag: s.tags, replaces: opts.Replaces}, nil
}

func (s *plainStore) Purge(_ context.Context, key cirque.CompactCacheKey, typ cirque.PurgeType) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if typ == cirque.PurgeInvalidation {
		for tag, k := range s.writes {
			if k.Primary == key.Primary && (key.IsPrimary() || k.Variance == key.Variance) {
				s.voided[tag] = true
			}
		}
	}
	if _, ok := s.entries[key.Combined()]; !ok {
		return cirque.ErrNotFound
	}
	delete(s.entries, key.Combined())
	return nil
}

func (s *plainStore) UpdateMeta(_ context.Context, key cirque.CacheKey, meta *cirque.CacheMeta, tag cirque.Tag) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[key.Combined()]
	if tag == 0 || e.tag != tag || e.text != string(key.AppendIdentity(nil)) {
		return cirque.ErrNotFound
	}
	e.meta = meta
	s.entries[key.Combined()] = e
	return nil
}

type plainWrite struct {
	store    *plainStore
	key      cirque.CacheKey
	meta     *cirque.CacheMeta
	tag      cirque.Tag
	replaces cirque.Tag
	body     bytes.Buffer
}

func (w *plainWrite) Tag() cirque.Tag { return w.tag }

func (w *plainWrite) Write(p []byte) (int, error) { return w.body.Write(p) }

func (w *plainWrite) Abort() {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	delete(w.store.writes, w.tag)
	delete(w.store.voided, w.tag)
}

func (w *plainWrite) Finish() (cirque.MissFinish, error) {
	defer w.Abort()
	s, key := w.store, w.key.Combined()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.voided[w.tag] || w.replaces != 0 && s.entries[key].tag != w.replaces {
		return cirque.MissFinish{}, cirque.ErrNotFound
	}
	e := plainEntry{text: string(w.key.AppendIdentity(nil)), meta: w.meta, body: w.body.String(), tag: w.tag}
	s.entries[key] = e
	return cirque.MissFinish{Size: e.weight()}, nil
}

func (e plainEntry) weight() int64 { return int64(len(e.text) + e.meta.MetaSize() + len(e.body)) }

type plainHit struct {
	*strings.Reader
	entry plainEntry
}

func (h *plainHit) Close() error                 { return nil }
func (h *plainHit) Size() (int64, bool)          { return int64(len(h.entry.body)), true }
func (h *plainHit) CanSeek() bool                { return false }
func (h *plainHit) SeekRange(int64, int64) error { return errors.ErrUnsupported }
func (h *plainHit) Tag() cirque.Tag              { return h.entry.tag }
func (h *plainHit) Weight() int64                { return h.entry.weight() }
func (h *plainHit) CountsAccess() bool           { return true }

func TestPlainStoreKeepsTheRulesOfStorage(t *testing.T) {
	storagetest.Run(t, func(testing.TB) cirque.Storage { return newPlainStore() }, storagetest.Features{})
}

func TestLookupStreamingFindsTheWriteByItsTag(t *testing.T) {
	h := inMemory(t)
	_, f := h.fill(keyA, freshMeta("a"))
	h.write(f, "half")
	meta, hit, err := cirque.LookupStreaming(t.Context(), h.Storage, keyA, f.Tag())
	require.NoError(t, err)
	require.Equal(t, "a", meta.Header().Get("Etag"))
	require.Equal(t, f.Tag(), hit.Tag())
	require.NoError(t, hit.Close())
	_, _, err = cirque.LookupStreaming(t.Context(), h.Storage, keyA, f.Tag()+1)
	require.ErrorIs(t, err, cirque.ErrNotFound)
	_, _, err = cirque.LookupStreaming(t.Context(), newPlainStore(), keyA, f.Tag())
	require.ErrorIs(t, err, errors.ErrUnsupported)
}

// spooled returns a house with a Storage that does not stream.
func spooled(t testing.TB, script faultystorage.Script) *house {
	t.Helper()
	return newHouse(t, newPlainStore(), script)
}

// The request that causes a fill reads along, while others wait until the fill ends.
func TestSpoolIsReadWhileItIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := spooled(t, nil)
		c, f := h.fill(keyA, freshMeta("a"))
		waiting := h.wait(keyA)
		for _, piece := range []string{"one", "two"} {
			h.write(f, piece)
			got := make([]byte, 3)
			_, err := io.ReadFull(c.Hit(), got)
			require.NoError(t, err)
			require.Equal(t, piece, string(got))
		}
		require.Equal(t, f.Tag(), c.Hit().Tag())
		require.False(t, c.Hit().CountsAccess())
		require.Zero(t, c.Hit().Weight())
		_, known := c.Hit().Size()
		require.False(t, known)
		require.Equal(t, 1, f.Readers())
		h.wantStored(keyA, "")

		synctest.Wait()
		require.Empty(t, waiting.status)
		require.NoError(t, f.Finish())
		require.Equal(t, cirque.LockDone, <-waiting.status)
		require.Empty(t, h.read(c), "all was read before")
		h.wantStored(keyA, "onetwo")
	})
}

// limit sets a budget for the spools of the house.
func (h *house) limitSpool(n int64) *cirque.Budget {
	h.Spool = cirque.NewBudget(n)
	h.t.Cleanup(func() { require.Zero(h.t, h.Spool.Used()) })
	return h.Spool
}

func TestSpoolTakesNoMemoryWithoutAReader(t *testing.T) {
	h := spooled(t, nil)
	budget := h.limitSpool(1 << 20)
	c, f := h.fill(keyA, freshMeta("a"))
	h.write(f, "one")
	require.Positive(t, budget.Used())
	require.NoError(t, c.FinishHit())
	h.write(f, "two")
	require.Zero(t, budget.Used())
	require.Zero(t, f.Readers())
	require.NoError(t, f.Finish())
	h.wantStored(keyA, "onetwo")

	unread := h.miss(keyB)
	unread.SetMeta(freshMeta("b"))
	f, err := unread.StartFill(t.Context(), cirque.FillOptions{})
	require.NoError(t, err)
	h.write(f, "body")
	require.Zero(t, budget.Used())
	require.NoError(t, f.Finish())
	h.wantStored(keyB, "body")
}

// readAll reads c's body in the background. The function that it returns waits for the result.
func readAll(c *cirque.HttpCache) func() (string, error) {
	hit := c.TakeHit()
	type result struct {
		body string
		err  error
	}
	done := make(chan result, 1)
	go func() {
		body, err := io.ReadAll(struct{ io.Reader }{hit})
		_ = hit.Close()
		done <- result{string(body), err}
	}()
	return func() (string, error) {
		r := <-done
		return r.body, r.err
	}
}

// When the memory for spools is used up, the reader paces its fill. Both the Storage and the reader
// get the whole body.
func TestSpoolWithoutRoomIsPacedByItsReader(t *testing.T) {
	body := strings.Repeat("0123456789", 100_000)
	h := spooled(t, nil)
	h.limitSpool(100_000)
	c, f := h.fill(keyA, freshMeta("a"))
	reading := readAll(c)
	for rest := body; rest != ""; rest = rest[10_000:] {
		h.write(f, rest[:10_000])
	}
	require.NoError(t, f.Finish())
	got, err := reading()
	require.NoError(t, err)
	require.Equal(t, body, got)
	h.wantStored(keyA, body)
}

// If a reader that paces a fill leaves, the fill goes on into the Storage.
func TestSpoolWithoutReaderIsStillStored(t *testing.T) {
	h := spooled(t, nil)
	h.limitSpool(8 << 10)
	c, f := h.fill(keyA, freshMeta("a"))
	h.write(f, "one")
	require.NoError(t, c.FinishHit())
	body := strings.Repeat("x", 1<<20)
	h.write(f, body)
	require.NoError(t, f.Finish())
	h.wantStored(keyA, "one"+body)
}

func TestSpoolIsReadToTheEndWhenTheStorageFails(t *testing.T) {
	h := spooled(t, faultystorage.Nth(faultystorage.MissWrite, 2, faultystorage.Fault{Err: errBroken, Partial: 1}))
	c, f := h.fill(keyA, freshMeta("a"))
	for _, piece := range []string{"one", "two", "three"} {
		h.write(f, piece)
	}
	require.ErrorIs(t, f.Finish(), errBroken)
	require.Equal(t, cirque.StorageError, f.NoCacheReason())
	require.Equal(t, "onetwothree", h.read(c))
	require.Equal(t, 2, h.tally.Calls(faultystorage.MissWrite), "nothing is written to it any more")
	require.Zero(t, h.tally.Calls(faultystorage.MissFinish))
	h.wantStored(keyA, "")
	require.True(t, h.begin(keyA).PredictCacheable())
}

// When the Storage has failed, the reader paces the fill, so that the memory for it is bounded.
func TestReaderPacesTheFillWhenTheStorageHasFailed(t *testing.T) {
	h := spooled(t, faultystorage.Nth(faultystorage.MissWrite, 2, faultystorage.Fault{Err: errBroken}))
	budget := h.limitSpool(1 << 30)
	c, f := h.fill(keyA, freshMeta("a"))
	reading := readAll(c)
	piece := strings.Repeat("0123456789", 1000)
	for range 100 {
		h.write(f, piece)
		require.LessOrEqual(t, budget.Used(), int64(100_000))
	}
	require.ErrorIs(t, f.Finish(), errBroken)
	got, err := reading()
	require.NoError(t, err)
	require.True(t, strings.Repeat(piece, 100) == got)
}

func TestStorageFailsAndNobodyReads(t *testing.T) {
	h := spooled(t, faultystorage.Nth(faultystorage.MissWrite, 1, faultystorage.Fault{Err: errBroken}))
	c, f := h.fill(keyA, freshMeta("a"))
	require.NoError(t, c.FinishHit())
	_, err := io.WriteString(f, "body")
	require.ErrorIs(t, err, cirque.ErrNoReaders)
	f.Abort(cirque.StorageError)
}

func TestStorageFailsAtFinish(t *testing.T) {
	h := spooled(t, faultystorage.Nth(faultystorage.MissFinish, 1, faultystorage.Fault{Err: errBroken}))
	c, f := h.fill(keyA, freshMeta("a"))
	h.write(f, "body")
	require.ErrorIs(t, f.Finish(), errBroken)
	require.Equal(t, cirque.StorageError, f.NoCacheReason())
	require.Equal(t, "body", h.read(c))
}

func TestAbortedSpoolFailsItsReader(t *testing.T) {
	h := spooled(t, nil)
	c, f := h.fill(keyA, freshMeta("a"))
	h.write(f, "half")
	f.Abort(cirque.UpstreamError)
	body, err := io.ReadAll(c.Hit())
	require.ErrorIs(t, err, cirque.ErrAborted)
	require.Equal(t, "half", string(body))
	h.wantStored(keyA, "")
}

// The end of the fill's context ends a write that waits for a stalled reader.
func TestSpoolEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := spooled(t, nil)
		h.limitSpool(8 << 10)
		ctx, cancel := context.WithCancel(t.Context())
		c := h.miss(keyA)
		c.SetMeta(freshMeta("a"))
		f, err := c.StartFill(ctx, cirque.FillOptions{Reader: t.Context()})
		require.NoError(t, err)
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		_, err = f.Write(make([]byte, 1<<20))
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, time.Second, time.Since(start))
		f.Abort(cirque.UpstreamError)
	})
}

// If a StreamingStorage returns a handler that does not stream, the body is spooled.
func TestStreamingStorageWithAPlainHandlerIsSpooled(t *testing.T) {
	h := newHouse(t, halfHearted{memcache.New(memcache.Config{})}, nil)
	h.put(keyA, freshMeta("a"), "body")
	h.wantStored(keyA, "body")
}

type halfHearted struct{ cirque.StreamingStorage }

func (s halfHearted) MissHandler(ctx context.Context, key cirque.CacheKey, meta *cirque.CacheMeta, opts cirque.MissOptions) (cirque.MissHandler, error) {
	w, err := s.StreamingStorage.MissHandler(ctx, key, meta, opts)
	return struct{ cirque.MissHandler }{w}, err
}
