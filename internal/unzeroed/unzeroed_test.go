package unzeroed

import (
	"bytes"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSlicesHaveTheirOwnMemory(t *testing.T) {
	for _, n := range []int{1, 7, 1000, 32 << 10, 1 << 20} {
		a, b := Make(n), Make(n)
		require.Zero(t, len(a))
		require.Equal(t, n, cap(a))
		a, b = append(a, bytes.Repeat([]byte("a"), n)...), append(b, bytes.Repeat([]byte("b"), n)...)
		runtime.GC()
		c := append(Make(n), bytes.Repeat([]byte("c"), n)...)
		require.Equal(t, bytes.Repeat([]byte("a"), n), a, "two slices share memory")
		require.Equal(t, bytes.Repeat([]byte("b"), n), b)
		require.Equal(t, n, cap(c))
		require.Equal(t, 1.0, testing.AllocsPerRun(10, func() { Make(n) }))
	}
}

var sink []byte

func BenchmarkMake(b *testing.B) {
	b.Run("Unzeroed", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			sink = Make(1 << 20)
		}
	})
	b.Run("Zeroed", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			sink = make([]byte, 0, 1<<20)
		}
	})
}
