package cirque_test

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/verify/faulty/faultystorage"
	"github.com/cirquecache/cirque/memcache"
)

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
