package stream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

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
			synctest.Wait() // until the fast reader is blocked
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
	require.Equal(t, body[7:9], readAll(t, r), "a bad range does not change the position")
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

func TestCloseDuringWriteToKeepsTheSegmentUntilItReturns(t *testing.T) {
	a := &account{limit: 1 << 20}
	opts := a.options()
	opts.Memory = mapped(t)
	b := New(t.Context(), opts)
	r := newReader(t, b)
	body := pattern(10_000)
	write(t, b, body)
	started, resume, same := make(chan bool), make(chan bool), make(chan bool)
	go func() {
		_, _ = r.WriteTo(writerFunc(func(p []byte) (int, error) {
			started <- true
			<-resume
			same <- bytes.HasPrefix(body, p)
			return 0, io.ErrClosedPipe
		}))
		close(same)
	}()
	<-started
	r.Close()
	b.Abort(nil)
	require.NotZero(t, a.used.Load())
	close(resume)
	require.True(t, <-same)
	<-same
	require.Zero(t, a.used.Load())
}
