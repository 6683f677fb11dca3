package stream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// readerFunc is an io.Reader.
type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestReadFromTakesTheWholeBody(t *testing.T) {
	readers := map[string]func(io.Reader) io.Reader{
		"unchanged":                  func(r io.Reader) io.Reader { return r },
		"in halves":                  iotest.HalfReader,
		"io.EOF with the last bytes": iotest.DataErrReader,
	}
	for _, size := range []int{0, 1, minSegment, 100_000, maxSegment, maxSegment + 100_000} {
		for _, hint := range []int64{-1, int64(size), int64(size / 2), 2 * int64(size), 1 << 40} {
			for name, as := range readers {
				body := pattern(size)
				a := &account{limit: 1 << 30}
				opts := a.options()
				opts.SizeHint = hint
				b := New(t.Context(), opts)
				r := newReader(t, b)
				n, err := b.ReadFrom(as(bytes.NewReader(body)))
				require.NoError(t, err)
				require.EqualValues(t, size, n)
				require.NoError(t, b.Finish())
				require.True(t, bytes.Equal(body, b.AppendTo(nil)), "%d bytes, SizeHint %d, reader %s", size, hint, name)
				require.True(t, bytes.Equal(body, readAll(t, r)))
				switch {
				case hint == int64(size):
					require.LessOrEqual(t, a.peak.Load(), max(hint, 0), "nothing is reserved for the end of the body")
				case hint < 0:
					require.LessOrEqual(t, a.peak.Load(), max(3*int64(size), minSegment*min(int64(size), 1)))
				}
				b.Close()
				r.Close()
				require.Zero(t, a.used.Load())
			}
		}
	}
}

func TestReadFromReadsIntoTheBuffersOwnMemory(t *testing.T) {
	body := pattern(300_000)
	a := &account{limit: 1 << 30}
	opts := a.options()
	opts.SizeHint = int64(len(body))
	b := New(t.Context(), opts)
	rest := body
	into := map[int]*byte{}
	_, err := b.ReadFrom(readerFunc(func(p []byte) (int, error) {
		if len(rest) == 0 {
			return 0, io.EOF
		}
		require.EqualValues(t, len(body)-len(rest), b.Size(), "each Read is published before the next")
		at := len(body) - len(rest)
		if at == 0 {
			require.Zero(t, a.used.Load(), "nothing is reserved before the first byte")
		} else {
			into[at] = &p[0]
		}
		n := copy(p[:min(len(p), 100_000)], rest)
		rest = rest[n:]
		return n, nil
	}))
	require.NoError(t, err)
	require.NoError(t, b.Finish())
	segments, _ := b.Take()
	require.Len(t, segments, 1)
	require.True(t, bytes.Equal(body, segments[0]))
	require.Len(t, into, 3)
	for at, p := range into {
		require.Same(t, &segments[0][at], p)
	}
}

func TestReadFromGoesOnWhenTheBackingFails(t *testing.T) {
	body := pattern(300_000)
	a := &account{limit: 0}
	opts := a.options()
	f := &file{limit: 200_000}
	opts.Backing = f
	b := New(t.Context(), opts)
	r := newReader(t, b)
	result := make(chan error, 1)
	go func() {
		_, err := b.ReadFrom(bytes.NewReader(body))
		result <- err
	}()
	require.Equal(t, body, readFull(t, r, len(body)), "the window passes on what the backing did not take")
	require.NoError(t, <-result)
	require.LessOrEqual(t, len(f.body), 200_000)
	require.ErrorIs(t, b.Finish(), ErrUnlinked)
	b.Close()
}

// A reader that counts the bytes may find during a Read that the body is too large.
func TestReadFromAReaderThatUnlinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := pattern(2 << 20)
		source := bytes.NewReader(body)
		b := New(t.Context(), Options{SizeHint: int64(len(body))})
		r := newReader(t, b)
		result := make(chan error, 1)
		go func() {
			_, err := b.ReadFrom(readerFunc(func(p []byte) (int, error) {
				n, err := source.Read(p[:min(len(p), 10_000)])
				if source.Len() < len(body)-100_000 {
					b.Unlink()
				}
				return n, err
			}))
			result <- err
		}()
		synctest.Wait()
		require.LessOrEqual(t, b.Size(), int64(maxSegment+DefaultWindow), "the writer waits for the reader")
		require.True(t, bytes.Equal(body, readFull(t, r, len(body))))
		require.NoError(t, <-result)
		require.ErrorIs(t, b.Finish(), ErrUnlinked)
		b.Close()
	})
}

func TestReadFromFails(t *testing.T) {
	broken := errors.New("connection reset")
	t.Run("reader", func(t *testing.T) {
		b := New(t.Context(), Options{SizeHint: 100})
		n, err := b.ReadFrom(io.MultiReader(bytes.NewReader(pattern(50)), iotest.ErrReader(broken)))
		require.ErrorIs(t, err, broken)
		require.EqualValues(t, 50, n)
		write(t, b, []byte("more"))
		require.NoError(t, b.Finish(), "only the caller knows whether the body is whole")
		require.EqualValues(t, 54, b.Size())
	})
	for name, n := range map[string]int{"negative count": -1, "count beyond the buffer": 1 << 30} {
		for _, hint := range []int64{-1, 100} {
			t.Run(name, func(t *testing.T) {
				b := New(t.Context(), Options{SizeHint: hint})
				defer b.Close()
				_, err := b.ReadFrom(readerFunc(func([]byte) (int, error) { return n, nil }))
				require.ErrorIs(t, err, errBadCount)
				require.Zero(t, b.Size())
			})
		}
	}
	t.Run("unlinked without readers", func(t *testing.T) {
		b := New(t.Context(), Options{SizeHint: 100})
		defer b.Close()
		b.Unlink()
		_, err := b.ReadFrom(bytes.NewReader(pattern(50)))
		require.ErrorIs(t, err, ErrNoReaders)
		require.ErrorIs(t, b.Finish(), ErrNoReaders)
	})
	t.Run("ended", func(t *testing.T) {
		b := New(t.Context(), Options{})
		require.NoError(t, b.Finish())
		_, err := b.ReadFrom(bytes.NewReader(pattern(50)))
		require.ErrorIs(t, err, ErrEnded)
	})
}

func TestWriteCopiesItsArgument(t *testing.T) {
	b := New(t.Context(), Options{})
	p := []byte("first")
	write(t, b, p)
	copy(p, "XXXXX")
	write(t, b, p)
	require.NoError(t, b.Finish())
	require.Equal(t, "firstXXXXX", string(readAll(t, newReader(t, b))))
}

func TestCancelledContextFailsWrite(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	b := New(ctx, Options{})
	write(t, b, []byte("x"))
	cancel()
	_, err := b.Write([]byte("y"))
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, b.Finish(), context.Canceled, "a body with a hole must not become whole")
	_, err = b.NewReader(t.Context())
	require.ErrorIs(t, err, ErrAborted)
}

func TestWriteWithoutWaitersDoesNotAllocate(t *testing.T) {
	b := New(t.Context(), Options{SizeHint: maxSegment})
	newReader(t, b)
	p := pattern(100)
	write(t, b, p)
	require.Zero(t, testing.AllocsPerRun(1000, func() { b.Write(p) }))
}

// Reserve may evict, which runs code of others that may panic.
func TestPanicInReserveLeavesTheBufferAsItWas(t *testing.T) {
	panics := false
	b := New(t.Context(), Options{
		Reserve: func(int64) bool {
			if panics {
				panic("evicting")
			}
			return true
		},
		Release: func(int64) {},
	})
	_, err := b.Write([]byte("body"))
	require.NoError(t, err)
	r, err := b.NewReader(t.Context())
	require.NoError(t, err)
	defer r.Close()
	panics = true
	require.PanicsWithValue(t, "evicting", func() { _, _ = b.Write(make([]byte, 2*minSegment)) })
	require.EqualValues(t, minSegment, b.Size(), "the bytes that there was room for")
	b.Abort(nil)
	_, err = io.ReadAll(r)
	require.ErrorIs(t, err, ErrAborted)
}

func TestCancelledContextFailsABlockedWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		b := New(ctx, Options{})
		newReader(t, b)
		b.Unlink()
		result := pump(b, pattern(1<<20), 1000)
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-result, context.Canceled)
		b.Close()
	})
}

// The fill may be aborted by another goroutine while the origin's bytes are still read into the
// memory of the Buffer.
func TestAbortDuringReadFromKeepsTheMemoryUntilTheReadReturns(t *testing.T) {
	a := &account{limit: 1 << 20}
	opts := a.options()
	opts.Memory, opts.SizeHint = mapped(t), 100_000
	b := New(t.Context(), opts)
	write(t, b, pattern(10))
	reading, resume, result := make(chan bool), make(chan bool), make(chan error)
	go func() {
		_, err := b.ReadFrom(readerFunc(func(p []byte) (int, error) {
			reading <- true
			<-resume
			return copy(p, pattern(len(p))), nil
		}))
		result <- err
	}()
	<-reading
	b.Abort(nil)
	require.NotZero(t, a.used.Load())
	others := opts.Memory.Alloc(100_000)[:100_000] // would take the place of what was freed
	copy(others, make([]byte, len(others)))
	close(resume)
	require.ErrorIs(t, <-result, ErrEnded)
	require.Zero(t, a.used.Load())
	require.Equal(t, make([]byte, len(others)), others)
	opts.Memory.Free(others)
}

func TestPanicInReadFromLeavesNothingHeld(t *testing.T) {
	a := &account{limit: 1 << 20}
	opts := a.options()
	opts.Memory, opts.SizeHint = mapped(t), 100_000
	b := New(t.Context(), opts)
	write(t, b, pattern(10))
	require.Panics(t, func() {
		_, _ = b.ReadFrom(readerFunc(func([]byte) (int, error) { panic("origin") }))
	})
	b.Abort(nil)
	require.Zero(t, a.used.Load())
}
