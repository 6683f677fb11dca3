package memcache

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
)

// bodySizes are of an inline body and of one outside of the block.
var bodySizes = []int{inlineMax, 100_000}

// writerFunc is an io.Writer.
type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func lookup(t testing.TB, c *MemCache, key cirque.CacheKey) cirque.HitHandler {
	t.Helper()
	_, h, err := c.Lookup(context.Background(), key)
	require.NoError(t, err)
	return h
}

// patternOf returns n bytes that depend on seed.
func patternOf(n int, seed byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = seed + byte(i%251)
	}
	return b
}

// partialOn stores body and returns a hit that was made while it was written.
func partialOn(t testing.TB, c *MemCache, key cirque.CacheKey, body []byte) cirque.HitHandler {
	t.Helper()
	w, err := c.MissHandler(t.Context(), key, newMeta(), cirque.MissOptions{SizeHint: int64(len(body))})
	require.NoError(t, err)
	h, err := w.(cirque.StreamingMissHandler).NewReader(t.Context())
	require.NoError(t, err)
	_, err = w.Write(body)
	require.NoError(t, err)
	_, err = w.Finish()
	require.NoError(t, err)
	return h
}

// hitsOn are the ways to get a hit on a body.
var hitsOn = map[string]func(t testing.TB, c *MemCache, key cirque.CacheKey, body []byte) cirque.HitHandler{
	"stored": func(t testing.TB, c *MemCache, key cirque.CacheKey, body []byte) cirque.HitHandler {
		put(t, c, key, newMeta(), body)
		return lookup(t, c, key)
	},
	"under way": partialOn,
}

func TestHitIsOneAllocation(t *testing.T) {
	if checksUse {
		t.Skip("the race detector, and the checks of use, allocate too")
	}
	c := New(Config{Budget: cirque.NewBudget(1 << 20)})
	key := keyOf(1)
	put(t, c, key, newMeta(), make([]byte, 1024))
	require.Equal(t, 1.0, testing.AllocsPerRun(100, func() {
		_, h, err := c.Lookup(context.Background(), key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.(io.WriterTo).WriteTo(io.Discard); err != nil {
			t.Fatal(err)
		}
		h.Close()
	}))
}

func TestUseAfterCloseFails(t *testing.T) {
	for name, open := range hitsOn {
		for _, size := range bodySizes {
			t.Run(name, func(t *testing.T) {
				c := New(Config{})
				h := open(t, c, keyOf(1), make([]byte, size))
				require.NoError(t, h.Close())
				require.NoError(t, h.Close())
				require.NoError(t, c.Purge(t.Context(), keyOf(1).Compact(), cirque.PurgeEviction))
				_, err := h.Read(make([]byte, 1))
				require.ErrorIs(t, err, fs.ErrClosed)
				_, err = h.(io.WriterTo).WriteTo(io.Discard)
				require.ErrorIs(t, err, fs.ErrClosed)
				require.Error(t, h.SeekRange(0, 1))
			})
		}
	}
}

// Close may come while another goroutine writes the body to a slow client.
func TestCloseDuringWriteToKeepsTheBodyUntilItReturns(t *testing.T) {
	for name, open := range hitsOn {
		for _, size := range bodySizes {
			t.Run(name, func(t *testing.T) {
				budget := cirque.NewBudget(10 << 20)
				c, body := New(Config{Budget: budget}), patternOf(size, 1)
				h := open(t, c, keyOf(1), body)
				started, resume, same := make(chan bool), make(chan bool), make(chan bool)
				go func() {
					_, _ = h.(io.WriterTo).WriteTo(writerFunc(func(p []byte) (int, error) {
						started <- true
						<-resume
						same <- bytes.HasPrefix(body, p)
						return 0, io.ErrClosedPipe
					}))
					close(same)
				}()
				<-started
				require.NoError(t, h.Close())
				require.NoError(t, c.Purge(t.Context(), keyOf(1).Compact(), cirque.PurgeInvalidation))
				if size > inlineMax {
					require.GreaterOrEqual(t, budget.Used(), int64(size))
				}
				for i := range 20 { // they would take the place of what was freed
					put(t, c, keyOf(2+i), newMeta(), patternOf(size, 99))
					lookup(t, c, keyOf(2+i)).Close()
				}
				close(resume)
				require.True(t, <-same, "the writer got bytes of another entry")
				<-same
				for i := range 20 {
					require.NoError(t, c.Purge(t.Context(), keyOf(2+i).Compact(), cirque.PurgeEviction))
				}
				require.Zero(t, budget.Used())
			})
		}
	}
}

func TestPanicDuringWriteToLeavesNothingReferenced(t *testing.T) {
	for name, open := range hitsOn {
		t.Run(name, func(t *testing.T) {
			budget := cirque.NewBudget(10 << 20)
			c := New(Config{Budget: budget})
			h := open(t, c, keyOf(1), make([]byte, 100_000))
			require.Panics(t, func() {
				defer h.Close()
				_, _ = h.(io.WriterTo).WriteTo(writerFunc(func([]byte) (int, error) { panic("handler aborted") }))
			})
			require.NoError(t, c.Purge(t.Context(), keyOf(1).Compact(), cirque.PurgeEviction))
			require.Zero(t, budget.Used())
		})
	}
}

// A header string can be kept after its entry has left and its memory has another use.
func TestHeaderStringsOutliveTheHit(t *testing.T) {
	c := New(Config{})
	put(t, c, keyOf(1), newMeta(), patternOf(1000, 1))
	meta, h, err := c.Lookup(t.Context(), keyOf(1))
	require.NoError(t, err)
	require.NoError(t, h.Close())
	require.NoError(t, c.Purge(t.Context(), keyOf(1).Compact(), cirque.PurgeEviction))
	for i := range 100 {
		put(t, c, keyOf(2+i), newMeta(), patternOf(1000, 99))
	}
	require.Equal(t, tenFields(), meta.Header().Header())
	require.Equal(t, newMeta(), meta)
}

func TestForgottenHitIsFoundAndReportedOnce(t *testing.T) {
	for name, open := range hitsOn {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			budget := cirque.NewBudget(10 << 20)
			c := New(Config{Budget: budget, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			for i := range 3 {
				open(t, c, keyOf(i), make([]byte, 100_000))
			}
			for deadline := time.Now().Add(10 * time.Second); c.Forgotten() < 3; {
				require.True(t, time.Now().Before(deadline), "%d of 3 were found", c.Forgotten())
				runtime.GC()
			}
			for i := range 3 {
				require.NoError(t, c.Purge(t.Context(), keyOf(i).Compact(), cirque.PurgeEviction))
			}
			for deadline := time.Now().Add(10 * time.Second); budget.Used() > 0; { // the last may still be at it
				require.True(t, time.Now().Before(deadline), "%d bytes are left", budget.Used())
				runtime.Gosched()
			}
			require.Equal(t, 1, bytes.Count(log.Bytes(), []byte("\n")))
			require.Contains(t, log.String(), "not closed")
		})
	}
}

func TestClosedHitIsNotReported(t *testing.T) {
	c := New(Config{})
	for i := range 10 {
		for _, open := range hitsOn {
			require.NoError(t, open(t, c, keyOf(i), make([]byte, 100_000)).Close())
		}
	}
	for range 3 {
		runtime.GC()
	}
	require.Zero(t, c.Forgotten())
}

func TestReleasingAReferenceTwicePanics(t *testing.T) {
	c := New(Config{})
	put(t, c, keyOf(1), newMeta(), make([]byte, 100_000))
	h := lookup(t, c, keyOf(1)).(*hit)
	b := h.body
	require.NoError(t, h.Close())
	require.Panics(t, b.letGo)
	b.refs.Add(1)
	h = lookup(t, c, keyOf(1)).(*hit)
	require.NoError(t, c.Purge(t.Context(), keyOf(1).Compact(), cirque.PurgeEviction))
	require.NoError(t, h.Close())
	require.Panics(t, b.letGo)
}

// With every entry that was replaced or purged, all of its memory becomes free.
func TestNothingIsLeftOfPurgedEntries(t *testing.T) {
	budget := cirque.NewBudget(1 << 30)
	c := New(Config{Budget: budget})
	for round := range 3 {
		for i := range 300 {
			for _, open := range hitsOn {
				require.NoError(t, open(t, c, keyOf(i), make([]byte, 1+i*round*997%300_000)).Close())
			}
		}
		w, err := c.MissHandler(t.Context(), keyOf(1), newMeta(), cirque.MissOptions{SizeHint: -1})
		require.NoError(t, err)
		_, err = w.Write(make([]byte, 500_000))
		require.NoError(t, err)
		w.Abort()
	}
	for i := range 300 {
		require.NoError(t, c.Purge(t.Context(), keyOf(i).Compact(), cirque.PurgeInvalidation))
	}
	require.Zero(t, budget.Used())
	left := 0 // the table does not shrink
	for i := range c.shards {
		s := &c.shards[i]
		if n := c.memory.Size(cap(s.index.slots)); n > inlineMax {
			left += n
		}
		left += len(s.records.chunks) * c.memory.Size(chunkSize)
	}
	require.LessOrEqual(t, c.memory.Stats().Used, int64(2*left+1<<20), "with the free slots of slabs")
	require.Less(t, int64(2*left), budget.Limit()/100)
}
