package stream

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHintIsNotTrustedWithMemory(t *testing.T) {
	a := &account{limit: 1 << 40}
	opts := a.options()
	opts.SizeHint = 1 << 40
	b := New(t.Context(), opts)
	require.Zero(t, a.used.Load(), "nothing is reserved before the first byte")
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
