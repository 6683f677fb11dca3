package stream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

func TestReadersGetTheWholeBody(t *testing.T) {
	for _, size := range []int{0, 1, minSegment - 1, minSegment, minSegment + 1, 100_000, maxGuess, maxSegment, maxSegment + 100_000} {
		for _, hint := range []int64{-1, 0, int64(size), int64(size / 2), 2 * int64(size), 1 << 40} {
			for _, step := range []int{1000, 4096, 70_001} {
				body := pattern(size)
				a := &account{limit: 1 << 30}
				opts := a.options()
				opts.SizeHint = hint
				b := New(t.Context(), opts)
				early := newReader(t, b)
				for piece := range slices.Chunk(body, step) {
					write(t, b, piece)
				}
				late := newReader(t, b)
				require.NoError(t, b.Finish())
				require.Equal(t, body, b.AppendTo([]byte{}))

				segments, charged := b.Take()
				require.Equal(t, body, append([]byte{}, bytes.Join(segments, nil)...))
				if size <= maxGuess || size <= maxSegment && hint == int64(size) {
					require.LessOrEqual(t, len(segments), 1, "such a body is one piece")
				}
				require.LessOrEqual(t, charged-int64(size), int64(size/16), "slack is given back")
				require.Equal(t, charged, a.used.Load())

				require.Equal(t, body, append([]byte{}, readAll(t, early)...))
				var got bytes.Buffer
				n, err := late.WriteTo(&got)
				require.NoError(t, err)
				require.EqualValues(t, size, n)
				require.Equal(t, body, append([]byte{}, got.Bytes()...))

				b.Close()
				early.Close()
				late.Close()
				require.Equal(t, charged, a.used.Load(), "what was taken over is the owner's to release")
			}
		}
	}
}

func TestHintIsNotTrustedWithMemory(t *testing.T) {
	a := &account{limit: 1 << 40}
	opts := a.options()
	opts.SizeHint = 1 << 40
	b := New(t.Context(), opts)
	require.Zero(t, a.used.Load(), "nothing is taken before the first byte")
	write(t, b, []byte("x"))
	require.LessOrEqual(t, a.used.Load(), int64(maxSegment))
	b.Close()
	require.Zero(t, a.used.Load())
}

func TestExactHintMakesOneExactSegment(t *testing.T) {
	a := &account{limit: 10_000}
	opts := a.options()
	opts.SizeHint = 10_000
	b := New(t.Context(), opts)
	for piece := range slices.Chunk(pattern(10_000), 999) {
		write(t, b, piece)
	}
	require.NoError(t, b.Finish())
	segments, charged := b.Take()
	require.Len(t, segments, 1)
	require.EqualValues(t, 10_000, charged)
	require.EqualValues(t, 10_000, a.peak.Load(), "nothing was copied")
}

func TestWriterKeepsItsBuffer(t *testing.T) {
	b := New(t.Context(), Options{})
	p := []byte("first")
	write(t, b, p)
	copy(p, "XXXXX")
	write(t, b, p)
	require.NoError(t, b.Finish())
	require.Equal(t, "firstXXXXX", string(readAll(t, newReader(t, b))))
}

func TestReadersFollowAtTheirOwnPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(t.Context(), Options{})
		fast, slow := newReader(t, b), newReader(t, b)
		got := make(chan string)
		go func() {
			p := make([]byte, 100)
			for {
				n, err := fast.Read(p)
				if err != nil {
					close(got)
					return
				}
				got <- string(p[:n])
			}
		}()
		for _, piece := range []string{"one", "two", "three"} {
			synctest.Wait() // the fast one is blocked by now
			write(t, b, []byte(piece))
			require.Equal(t, piece, <-got)
		}
		synctest.Wait()
		require.NoError(t, b.Finish())
		_, more := <-got
		require.False(t, more)
		require.Equal(t, "onetwothree", string(readAll(t, slow)))
	})
}

func TestAbortEndsReadersWithAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &account{limit: 1 << 20}
		b := New(t.Context(), a.options())
		cause := errors.New("connection reset")
		blocked, behind := newReader(t, b), newReader(t, b)
		write(t, b, []byte("half"))
		result := make(chan error)
		go func() {
			_, err := io.Copy(io.Discard, blocked)
			result <- err
		}()
		synctest.Wait()
		b.Abort(cause)
		err := <-result
		require.ErrorIs(t, err, ErrAborted)
		require.ErrorIs(t, err, cause)

		body, err := io.ReadAll(behind)
		require.ErrorIs(t, err, ErrAborted)
		require.Equal(t, "half", string(body), "what was written can still be read")
		_, err = b.NewReader(t.Context())
		require.ErrorIs(t, err, ErrAborted)
		_, err = b.Write([]byte("more"))
		require.ErrorIs(t, err, ErrEnded)
		require.ErrorIs(t, b.Finish(), ErrEnded)

		require.NotZero(t, a.used.Load(), "readers still have it")
		blocked.Close()
		behind.Close()
		require.Zero(t, a.used.Load())
	})
}

func TestAbortAfterFinishDoesNothing(t *testing.T) {
	b := New(t.Context(), Options{})
	write(t, b, []byte("whole"))
	require.NoError(t, b.Finish())
	b.Abort(errors.New("too late"))
	b.Unlink()
	require.ErrorIs(t, b.Finish(), ErrEnded)
	require.Equal(t, "whole", string(readAll(t, newReader(t, b))))
}

func TestCloseKeepsWhatIsBeingRead(t *testing.T) {
	a := &account{limit: 1 << 20}
	b := New(t.Context(), a.options())
	r := newReader(t, b)
	write(t, b, pattern(10_000))
	require.NoError(t, b.Finish())
	b.Close()
	_, err := b.NewReader(t.Context())
	require.ErrorIs(t, err, ErrUnlinked)
	require.NotZero(t, a.used.Load())
	require.Equal(t, pattern(10_000), readAll(t, r))
	r.Close()
	r.Close()
	require.Zero(t, a.used.Load())
	_, err = r.Read(make([]byte, 1))
	require.ErrorIs(t, err, fs.ErrClosed)
}

func TestCancelledContextFailsABlockedRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(t.Context(), Options{})
		ctx, cancel := context.WithCancelCause(t.Context())
		r, err := b.NewReader(ctx)
		require.NoError(t, err)
		defer r.Close()
		result := make(chan error)
		go func() {
			_, err := r.Read(make([]byte, 1))
			result <- err
		}()
		synctest.Wait()
		gone := errors.New("client gone")
		cancel(gone)
		require.ErrorIs(t, <-result, gone)
		b.Close()
	})
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

func TestSeekRange(t *testing.T) {
	body := pattern(3 * maxSegment)
	b := New(t.Context(), Options{})
	r := newReader(t, b)
	write(t, b, body[:maxSegment])
	require.False(t, r.CanSeek())
	require.ErrorIs(t, r.SeekRange(0, 1), errors.ErrUnsupported)
	_, known := r.Size()
	require.False(t, known)
	write(t, b, body[maxSegment:])
	require.NoError(t, b.Finish())
	b.Take()

	require.True(t, r.CanSeek())
	size, known := r.Size()
	require.True(t, known)
	require.EqualValues(t, len(body), size)
	for _, rng := range [][2]int64{{0, 0}, {5, 6}, {maxSegment - 1, maxSegment + 1}, {size - 1, size}, {100, 2 * maxSegment}, {0, size}, {size, size}} {
		require.NoError(t, r.SeekRange(rng[0], rng[1]))
		require.Equal(t, body[rng[0]:rng[1]], append([]byte{}, readAll(t, r)...), rng)
	}
	require.NoError(t, r.SeekRange(7, 9))
	for _, rng := range [][2]int64{{-1, 2}, {3, 2}, {0, size + 1}, {size + 1, size + 2}} {
		require.ErrorIs(t, r.SeekRange(rng[0], rng[1]), ErrRange)
	}
	require.Equal(t, body[7:9], readAll(t, r), "a bad range leaves the position alone")
}

func TestWriteToHandsOutTheBuffersOwnMemory(t *testing.T) {
	b := New(t.Context(), Options{SizeHint: 100})
	write(t, b, pattern(100))
	require.NoError(t, b.Finish())
	segments, _ := b.Take()
	calls := 0
	_, err := newReader(t, b).WriteTo(writerFunc(func(p []byte) (int, error) {
		calls++
		require.Same(t, &segments[0][0], &p[0])
		require.EqualValues(t, 100, b.Size(), "no lock is held")
		return len(p), nil
	}))
	require.NoError(t, err)
	require.Equal(t, 1, calls)
}

func TestWriteToReportsWhatTheWriterDoes(t *testing.T) {
	b := New(t.Context(), Options{})
	write(t, b, []byte("abcdef"))
	require.NoError(t, b.Finish())
	r := newReader(t, b)

	broken := errors.New("broken pipe")
	n, err := r.WriteTo(writerFunc(func(p []byte) (int, error) { return 2, broken }))
	require.ErrorIs(t, err, broken)
	require.EqualValues(t, 2, n)
	n, err = r.WriteTo(writerFunc(func(p []byte) (int, error) { return 1, nil }))
	require.ErrorIs(t, err, io.ErrShortWrite)
	require.EqualValues(t, 1, n)
	require.Equal(t, "def", string(readAll(t, r)))
}

func TestPanicInWriteToLeavesNothingHeld(t *testing.T) {
	a := &account{limit: 1 << 20}
	b := New(t.Context(), a.options())
	r := newReader(t, b)
	write(t, b, []byte("abc"))
	require.Panics(t, func() {
		defer r.Close()
		r.WriteTo(writerFunc(func([]byte) (int, error) { panic("handler aborted") }))
	})
	b.Close()
	require.Zero(t, a.used.Load())
}

func TestWriteWithoutWaitersDoesNotAllocate(t *testing.T) {
	b := New(t.Context(), Options{SizeHint: maxSegment})
	newReader(t, b)
	p := pattern(100)
	write(t, b, p)
	require.Zero(t, testing.AllocsPerRun(1000, func() { b.Write(p) }))
}

// Readers of every pace and fate, on linked writes that end every way, with a budget that must come
// out at zero.
func TestStress(t *testing.T) {
	body := pattern(300_000)
	for round := range 20 {
		a := &account{limit: 1 << 30}
		opts := a.options()
		if round%2 == 0 {
			opts.SizeHint = int64(len(body))
		}
		if round%3 == 0 {
			a.limit, opts.Window = 100_000, 16<<10 // it will be unlinked on the way
		}
		b := New(t.Context(), opts)
		var wg sync.WaitGroup
		for i := range 8 {
			r, err := b.NewReader(t.Context())
			require.NoError(t, err)
			wg.Go(func() {
				defer r.Close()
				var got bytes.Buffer
				var err error
				switch i % 4 {
				case 0:
					_, err = r.WriteTo(&got)
				case 1:
					_, err = io.CopyBuffer(&got, struct{ io.Reader }{r}, make([]byte, 777))
				case 2:
					_, err = io.CopyN(&got, struct{ io.Reader }{r}, int64(10_000*i)) // leaves early
				case 3:
					_, err = io.CopyBuffer(&got, struct{ io.Reader }{r}, make([]byte, 50_000))
				}
				if !bytes.HasPrefix(body, got.Bytes()) {
					t.Error("reader got other bytes than were written")
				}
				if err == nil && i%4 != 2 && got.Len() != len(body) {
					t.Error("clean end of half a body")
				}
				if err != nil && !errors.Is(err, ErrAborted) {
					t.Error(err)
				}
			})
		}
		for piece := range slices.Chunk(body, 10_007) {
			write(t, b, piece)
		}
		var taken int64
		if round%5 == 4 {
			b.Abort(nil)
		} else if b.Finish() == nil {
			_, taken = b.Take()
		}
		b.Close()
		wg.Wait()
		require.Equal(t, taken, a.used.Load())
		require.Zero(t, b.Readers())
	}
}

// Reserve evicts, which runs code of others: what panics there leaves the buffer as it was.
func TestReservePanics(t *testing.T) {
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
	require.EqualValues(t, minSegment, b.Size(), "what there was room for")
	b.Abort(nil)
	_, err = io.ReadAll(r)
	require.ErrorIs(t, err, ErrAborted)
}
