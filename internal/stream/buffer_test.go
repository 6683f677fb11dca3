package stream

import (
	"bytes"
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
					require.LessOrEqual(t, len(segments), 1, "such a body is one segment")
				}
				require.LessOrEqual(t, charged-int64(size), int64(size/16), "unused memory is given back")
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
				require.Equal(t, charged, a.used.Load(), "the owner must release what it took over")
			}
		}
	}
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

func TestCloseKeepsTheBodyForItsReaders(t *testing.T) {
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

// Readers that read all, in pieces, or leave early get the bytes that were written, whether the
// write finishes, is aborted or becomes unlinked. In the end nothing is reserved.
func TestManyReadersOfEveryKind(t *testing.T) {
	body := pattern(300_000)
	for round := range 20 {
		a := &account{limit: 1 << 30}
		opts := a.options()
		opts.Memory = mapped(t)
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
		var segments [][]byte
		if round%5 == 4 {
			b.Abort(nil)
		} else if b.Finish() == nil {
			segments, taken = b.Take()
		}
		b.Close()
		wg.Wait()
		require.Equal(t, taken, a.used.Load())
		for _, segment := range segments {
			opts.Memory.Free(segment)
		}
		require.Zero(t, b.Readers())
	}
}
