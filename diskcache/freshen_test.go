package diskcache

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
)

// TestTornUpdate: wherever a crash cuts an update off, the entry has its old meta or its new one,
// and its body.
func TestTornUpdate(t *testing.T) {
	s := openScanned(t, t.TempDir(), nil)
	key := testKey("a")
	body := testBody(1, 1000)
	tag := put(t, s, key, body)
	path := s.path(key.Combined())
	for round := range 3 { // with each slot and each place of the meta
		before, err := os.ReadFile(path)
		require.NoError(t, err)
		old := etagOf(t, s, key)
		require.NoError(t, s.UpdateMeta(ctx, key, testMeta(name(round)), tag))
		after, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Len(t, after, len(before))
		meta, slots := bodyAt+len(body), fixedSize

		seen := map[string]int{}
		check := func(what string, b []byte) {
			overwrite(t, path, b)
			wantBody(t, s, key, body)
			etag := etagOf(t, s, key)
			require.Contains(t, []string{old, `"` + name(round) + `"`}, etag, what)
			seen[etag]++
		}
		for cut := meta; cut <= len(after); cut += 3 {
			check("cut within the meta", append(bytes.Clone(before[:meta]), append(bytes.Clone(after[meta:cut]), before[cut:]...)...))
		}
		for cut := slots; cut <= bodyAt; cut++ {
			b := append(bytes.Clone(before[:slots]), append(bytes.Clone(after[slots:cut]), before[cut:bodyAt]...)...)
			check("cut within the slots", append(bytes.Clone(b), after[bodyAt:]...))
			check("the meta lost, the slot kept", append(bytes.Clone(b), before[bodyAt:]...))
		}
		check("all of it", after)
		require.Len(t, seen, 2)
		require.Zero(t, s.Stats().Damaged)
	}
}

func etagOf(t *testing.T, s *Store, key cirque.CacheKey) string {
	t.Helper()
	meta, hit, err := s.Lookup(ctx, key)
	require.NoError(t, err)
	defer hit.Close()
	return meta.Header().Get("Etag")
}

// TestFresheningForEver: metas of about one size don't make the file grow; a large one does, once,
// and is paid for.
func TestFresheningForEver(t *testing.T) {
	s := openScanned(t, t.TempDir(), nil)
	key := testKey("a")
	tag := put(t, s, key, testBody(1, 100_000))
	size := func() int64 {
		info, err := os.Stat(s.path(key.Combined()))
		require.NoError(t, err)
		return info.Size()
	}
	first := size()
	for i := range 200 {
		require.NoError(t, s.UpdateMeta(ctx, key, testMeta(strings.Repeat("e", i%20)), tag))
	}
	require.Equal(t, first, size())

	large := func(i int) *cirque.CacheMeta {
		return cirque.NewCacheMeta(200, http.Header{"X": {strings.Repeat("x", 9000+i)}}, time.Now(), time.Now(), 0, 0)
	}
	for i := range 100 {
		require.NoError(t, s.UpdateMeta(ctx, key, large(i), tag))
		require.NoError(t, s.UpdateMeta(ctx, key, testMeta("small"), tag))
	}
	require.Less(t, size(), first+3*10_000)
	require.Equal(t, weightOf(blocksOf(size())), s.Budget().Used())
	require.ErrorIs(t, s.UpdateMeta(ctx, key, large(maxTail), tag), errMetaTooLarge)
	wantBody(t, s, key, testBody(1, 100_000))
}

func TestUpdateWithoutRoom(t *testing.T) {
	budget := cirque.NewBudget(20_000)
	s, err := open(t.TempDir(), nil, budget)
	require.NoError(t, err)
	defer s.Close()
	key := testKey("a")
	tag := put(t, s, key, []byte("body"))
	used := budget.Used()
	large := cirque.NewCacheMeta(200, http.Header{"X": {strings.Repeat("x", 30_000)}}, time.Now(), time.Now(), 0, 0)
	require.ErrorIs(t, s.UpdateMeta(ctx, key, large, tag), cirque.ErrUnlinked)
	require.Equal(t, used, budget.Used())
	require.Equal(t, `"first"`, etagOf(t, s, key))
	wantBody(t, s, key, []byte("body"))
}

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
	require.False(t, gotSlot.decode(sb, 8), "a slot of another entry")
	for i := range sb {
		require.False(t, gotSlot.decode(flipped(sb, i), 7))
	}
}

// FuzzEntry: no file makes the reader do anything but return an error.
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
