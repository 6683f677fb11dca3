package stream

import (
	"context"
	"io"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/internal/offheap"
)

// pattern returns n pseudorandom bytes, so that a shifted or repeated piece shows.
func pattern(n int) []byte {
	b := make([]byte, n)
	x := uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

// account is a budget that also knows the most that was ever reserved.
type account struct {
	limit      int64
	used, peak atomic.Int64
}

func (a *account) reserve(n int64) bool {
	for {
		used := a.used.Load()
		if used+n > a.limit {
			return false
		}
		if a.used.CompareAndSwap(used, used+n) {
			a.peak.Store(max(a.peak.Load(), used+n))
			return true
		}
	}
}

func (a *account) release(n int64) { a.used.Add(-n) }

func (a *account) options() Options { return Options{Reserve: a.reserve, Release: a.release} }

// mapped returns a Memory outside of the heap, and checks at the end of the test that all of it is
// free.
func mapped(t testing.TB) *offheap.Memory {
	m := offheap.New(false)
	t.Cleanup(func() { require.Zero(t, m.Stats().Used, "memory is left") })
	return m
}

func newReader(t testing.TB, b *Buffer) *Reader {
	t.Helper()
	r, err := b.NewReader(context.Background())
	require.NoError(t, err)
	t.Cleanup(func() { r.Close() })
	return r
}

func write(t testing.TB, b *Buffer, p []byte) {
	t.Helper()
	n, err := b.Write(p)
	require.NoError(t, err)
	require.Equal(t, len(p), n)
}

// writerFunc is an io.Writer.
type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func readAll(t testing.TB, r io.Reader) []byte {
	t.Helper()
	body, err := io.ReadAll(r)
	require.NoError(t, err)
	return body
}

func readFull(t testing.TB, r io.Reader, n int) []byte {
	t.Helper()
	p := make([]byte, n)
	_, err := io.ReadFull(r, p)
	require.NoError(t, err)
	return p
}

// pump writes body in pieces until it is done or fails, and sends the error.
func pump(b *Buffer, body []byte, piece int) <-chan error {
	result := make(chan error, 1)
	go func() {
		for len(body) > 0 {
			n, err := b.Write(body[:min(piece, len(body))])
			if err != nil {
				result <- err
				return
			}
			body = body[n:]
		}
		result <- nil
	}()
	return result
}
