package stream

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRefusedSegmentUnlinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const window = 16 << 10
		a := &account{limit: 100_000}
		opts := a.options()
		opts.Window = window
		opts.Memory = mapped(t)
		b := New(t.Context(), opts)
		r := newReader(t, b)
		body := pattern(1 << 20)
		result := pump(b, body, 5000)

		synctest.Wait()
		require.True(t, b.Unlinked())
		_, err := b.NewReader(t.Context())
		require.ErrorIs(t, err, ErrUnlinked)
		held := b.Size()
		require.LessOrEqual(t, held, a.limit+window, "the writer waits for the reader")

		var got bytes.Buffer
		done := make(chan error, 1)
		go func() {
			_, err := r.WriteTo(&got)
			done <- err
		}()
		require.NoError(t, <-result)
		require.ErrorIs(t, b.Finish(), ErrUnlinked)
		require.NoError(t, <-done)
		require.True(t, bytes.Equal(body, got.Bytes()))
		size, known := r.Size()
		require.True(t, known)
		require.EqualValues(t, len(body), size)
		require.False(t, r.CanSeek())

		b.Close()
		r.Close()
		require.Zero(t, a.used.Load())
	})
}

func TestUnlinkedBufferKeepsNoMoreThanItsWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const window = 64 << 10
		a := &account{limit: 1 << 30}
		b := New(t.Context(), a.options())
		r := newReader(t, b)
		write(t, b, pattern(1<<20))
		go io.CopyN(io.Discard, r, 1<<20)
		synctest.Wait()
		b.Unlink()
		require.LessOrEqual(t, a.used.Load(), int64(maxSegment), "what all readers have read is released at once")

		result := pump(b, pattern(10<<20), 32<<10)
		io.CopyN(io.Discard, r, 5<<20)
		synctest.Wait()
		require.LessOrEqual(t, a.used.Load(), int64(window+window/4))
		io.CopyN(io.Discard, r, 5<<20)
		require.NoError(t, <-result)
		b.Abort(nil)
		r.Close()
		require.Zero(t, a.used.Load())
	})
}

func TestWindowIsAllocatedEvenIfAllIsRefused(t *testing.T) {
	a := &account{limit: 0}
	b := New(t.Context(), a.options())
	r := newReader(t, b)
	result := pump(b, pattern(1<<20), 10_000)
	require.True(t, bytes.Equal(pattern(1<<20), readFull(t, r, 1<<20)))
	require.NoError(t, <-result)
	require.Zero(t, a.peak.Load())
}

func TestWriteToUnlinkedBufferWithoutReadersFails(t *testing.T) {
	t.Run("no reader ever came", func(t *testing.T) {
		b := New(t.Context(), Options{})
		b.Unlink()
		_, err := b.Write([]byte("x"))
		require.ErrorIs(t, err, ErrNoReaders)
	})
	t.Run("the last reader leaves", func(t *testing.T) {
		b := New(t.Context(), Options{})
		r := newReader(t, b)
		b.Unlink()
		write(t, b, []byte("x"))
		r.Close()
		_, err := b.Write([]byte("y"))
		require.ErrorIs(t, err, ErrNoReaders)
		require.ErrorIs(t, b.Finish(), ErrNoReaders)
	})
	t.Run("the last reader leaves while the writer is blocked", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := New(t.Context(), Options{})
			r := newReader(t, b)
			b.Unlink()
			result := pump(b, pattern(1<<20), 1000)
			synctest.Wait()
			r.Close()
			require.ErrorIs(t, <-result, ErrNoReaders)
			b.Close()
		})
	})
}

func TestSlowestReaderPacesTheWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const window = 64 << 10
		b := New(t.Context(), Options{Window: window})
		fast, slow := newReader(t, b), newReader(t, b)
		b.Unlink()
		const size = 10 * window
		result := pump(b, pattern(size), 4096)
		var fastGot int64
		go func() {
			p := make([]byte, 4096)
			for {
				n, err := fast.Read(p)
				fastGot += int64(n)
				if err != nil {
					return
				}
			}
		}()
		var slowGot int64
		for slowGot < size {
			synctest.Wait()
			require.LessOrEqual(t, b.Size()-slowGot, int64(window+window/4))
			require.Equal(t, b.Size(), fastGot, "the fast reader has all that was written")
			n, err := io.CopyN(io.Discard, slow, min(window/4, size-slowGot))
			require.NoError(t, err)
			slowGot += n
			time.Sleep(29 * time.Second) // slow, but it reads on
		}
		require.NoError(t, <-result)
		require.ErrorIs(t, b.Finish(), ErrUnlinked)
		synctest.Wait()
	})
}

func TestStalledReaderIsDropped(t *testing.T) {
	for name, read := range map[string]func(r *Reader){
		"reads nothing": func(*Reader) {},
		"reads a byte a second": func(r *Reader) {
			for {
				time.Sleep(time.Second)
				if _, err := r.Read(make([]byte, 1)); err != nil {
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := New(t.Context(), Options{StallTimeout: 10 * time.Second})
				stalled, good := newReader(t, b), newReader(t, b)
				write(t, b, []byte("x"))
				readFull(t, stalled, 1)
				readFull(t, good, 1)
				b.Unlink()
				body := pattern(1 << 20)
				start := time.Now()
				result := pump(b, body, 4096)
				go read(stalled)
				require.True(t, bytes.Equal(body, readFull(t, good, len(body))))
				require.NoError(t, <-result)
				require.Equal(t, 10*time.Second, time.Since(start))
				require.Equal(t, 1, b.Readers())

				_, err := stalled.Read(make([]byte, 1))
				require.ErrorIs(t, err, ErrSlowReader)
				require.ErrorIs(t, b.Finish(), ErrUnlinked)
				_, err = good.Read(make([]byte, 1))
				require.Equal(t, io.EOF, err)
				b.Close()
				time.Sleep(2 * time.Second) // until the slow reader has seen its error
			})
		})
	}
}

// A reader that is detached during a write to its client still uses the segment that it holds. The
// segment must stay, and stay reserved, until that write returns.
func TestDetachedReaderKeepsTheSegmentItHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &account{limit: 1 << 20}
		opts := a.options()
		opts.StallTimeout = time.Second
		opts.Memory = mapped(t)
		b := New(t.Context(), opts)
		stuck, good := newReader(t, b), newReader(t, b)
		b.Unlink()
		body := pattern(1 << 20)
		resume, result := make(chan struct{}), make(chan error, 1)
		go func() {
			_, err := stuck.WriteTo(writerFunc(func(p []byte) (int, error) {
				<-resume
				if !bytes.HasPrefix(body, p) {
					return 0, errors.New("bytes were overwritten")
				}
				return len(p), nil
			}))
			result <- err
		}()
		written := pump(b, body, 4096)
		_, err := io.CopyN(io.Discard, good, int64(len(body)))
		require.NoError(t, err)
		require.NoError(t, <-written)
		b.Finish()
		b.Close()
		good.Close()
		require.EqualValues(t, b.windowSegment(), a.used.Load(), "only the segment in use is left")
		close(resume)
		require.ErrorIs(t, <-result, ErrSlowReader)
		require.Zero(t, a.used.Load())
	})
}
