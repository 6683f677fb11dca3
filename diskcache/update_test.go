package diskcache

import (
	"bytes"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
)

// TestTornUpdateLeavesOldOrNewMeta cuts an update off at many places, as a crash might. The entry
// must have its old meta or its new one, and its body.
func TestTornUpdateLeavesOldOrNewMeta(t *testing.T) {
	s := openScanned(t, t.TempDir(), nil)
	key := testKey("a")
	body := testBody(1, 1000)
	tag := put(t, s, key, body)
	path := s.path(key.Combined())
	for round := range 3 { // so that each slot and each place of the meta is used
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
			check("the slot kept and the meta lost", append(bytes.Clone(b), before[bodyAt:]...))
		}
		check("nothing cut", after)
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

// TestFresheningDoesNotGrowTheFile updates an entry with metas of about one size. Then a large meta
// makes the file grow once, and the budget counts it.
func TestFresheningDoesNotGrowTheFile(t *testing.T) {
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

func TestUpdateWithoutRoomKeepsTheEntry(t *testing.T) {
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
