package diskcache

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"github.com/cirquecache/cirque"
	"github.com/stretchr/testify/require"
)

func TestFormatRoundTrip(t *testing.T) {
	h := header{
		tag: 7, primary: cirque.HashBinary{1}, variance: cirque.HashBinary{2}, bodyLen: 3, identityLen: 4, userTagLen: 5,
		metaArea: 6, tableSum: 8, keySum: 9,
	}
	b := h.append(nil)
	require.Len(t, b, fixedSize)
	var got header
	require.NoError(t, got.decode(b, h.end()))
	require.Equal(t, h, got)
	require.ErrorIs(t, got.decode(b, h.end()-1), errDamaged)
	for i := range b {
		require.ErrorIs(t, got.decode(flipped(b, i), h.end()), errDamaged, fmt.Sprint(i))
	}

	s := slot{number: 1, length: 2, offset: 3, metaSum: 4}
	sb := s.append(nil, 7)
	require.Len(t, sb, slotSize)
	var gotSlot slot
	require.True(t, gotSlot.decode(sb, 7))
	require.Equal(t, s, gotSlot)
	require.False(t, gotSlot.decode(sb, 8), "the slot of another entry is accepted")
	for i := range sb {
		require.False(t, gotSlot.decode(flipped(sb, i), 7))
	}
}

// FuzzEntry checks that no content of a file makes the reader panic, and that both ways of reading
// it agree.
func FuzzEntry(f *testing.F) {
	s := openScanned(f, f.TempDir(), nil)
	for _, size := range []int{0, 10, 5000} {
		put(f, s, testKey("a"), testBody(1, size))
		b, err := os.ReadFile(s.path(testKey("a").Combined()))
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var whole, parts entry
		wholeErr := whole.decode(b)
		_, partsErr := parts.read(bytes.NewReader(b), int64(len(b)), make([]byte, bodyAt+1))
		require.Equal(t, wholeErr == nil, partsErr == nil, "%v / %v", wholeErr, partsErr)
		if wholeErr == nil {
			require.Equal(t, whole.slot, parts.slot)
			require.Equal(t, string(whole.identity), string(parts.identity))
			whole.intactBody(b)
		}
	})
}
