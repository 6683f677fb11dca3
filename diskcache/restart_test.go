package diskcache

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction"
)

// stored is an entry that a test has put into a store.
type stored struct {
	key  cirque.CacheKey
	body []byte
}

// fill stores n entries of several sizes, some of them variants.
func fill(t testing.TB, s *Store, n int) (all []stored) {
	t.Helper()
	for i := range n {
		key := testKey(name(i))
		if i%7 == 6 {
			key = key.WithVariance(cirque.HashBinary{1, byte(i)})
		}
		all = append(all, stored{key, testBody(uint64(i), []int{0, 100, 5000, 70_000}[i%4])})
		put(t, s, key, all[i].body)
	}
	return all
}

func wantAll(t testing.TB, s *Store, all []stored) {
	t.Helper()
	for _, b := range all {
		wantBody(t, s, b.key, b.body)
	}
}

// wantBalanced fails the test unless the budget counts exactly the weight of the files on disk, and
// the eviction manager tracks all of them.
func wantBalanced(t testing.TB, s *Store) {
	t.Helper()
	var weight int64
	for shard := range shardCount {
		for _, r := range s.index.collect(shard, func(*record) bool { return true }) {
			info, err := os.Stat(s.path(r.hash))
			require.NoError(t, err)
			require.Equal(t, blocksOf(info.Size()), r.blocks)
			weight += r.weight()
			e, _, err := s.inspect(r.hash)
			require.NoError(t, err)
			require.True(t, s.Eviction().Peek(e.compact()))
		}
	}
	require.Equal(t, weight, s.Budget().Used())
	_, temporary, err := diskUse(s.root.dir)
	require.NoError(t, err)
	require.Empty(t, temporary)
}

// crash gives up the lock and does nothing else of Close.
func crash(t testing.TB, s *Store) {
	t.Helper()
	<-s.Scanned()
	require.NoError(t, s.root.close())
}

func TestEntriesSurviveARestart(t *testing.T) {
	for how, end := range map[string]func(t testing.TB, s *Store){
		"closed":  func(t testing.TB, s *Store) { require.NoError(t, s.Close()) },
		"crashed": crash,
	} {
		t.Run(how, func(t *testing.T) {
			dir := t.TempDir()
			s := openScanned(t, dir, nil)
			all := fill(t, s, 60)
			used := s.Budget().Used()
			end(t, s)

			s = openTest(t, dir, nil)
			wantAll(t, s, all)
			<-s.Scanned()
			wantAll(t, s, all)
			require.Equal(t, used, s.Budget().Used())
			wantBalanced(t, s)
			require.Equal(t, len(all), s.Stats().Entries)
			require.Equal(t, len(all), s.Eviction().TotalItems())
			require.Equal(t, used, s.Eviction().TotalWeight())
			require.Positive(t, s.Stats().ScanTime)

			// After the scan, a lookup of an unknown key does not go to the disk.
			_, _, missing := s.index.get(testKey("nowhere").Combined())
			require.True(t, missing)
		})
	}
}

// TestEntriesWorkBeforeTheScan checks that an entry that the scan has not found yet can be used
// like any other.
func TestEntriesWorkBeforeTheScan(t *testing.T) {
	s := openScanned(t, t.TempDir(), nil)
	all := fill(t, s, 40)
	used := s.Budget().Used()
	for i := range s.index.shards {
		s.index.shards[i].table, s.index.shards[i].complete = table{}, false
	}
	s.ledger.unscanned.Store(used)

	wantAll(t, s, all)
	wantMiss(t, s, testKey("nowhere"))
	require.ErrorIs(t, s.Purge(ctx, testKey("nowhere").Compact(), cirque.PurgeInvalidation), cirque.ErrNotFound)
	updated, replaced, purged := all[0], all[5], all[10]
	require.NoError(t, s.UpdateMeta(ctx, updated.key, testMeta("updated"), tagOf(t, s, updated.key)))
	put(t, s, replaced.key, []byte("new"))
	all[5].body = []byte("new")
	require.NoError(t, s.Purge(ctx, purged.key.Compact(), cirque.PurgeInvalidation))
	s.Eviction().Remove(purged.key.Compact())
	wantMiss(t, s, purged.key)

	s.rescan(ctx)
	wantMiss(t, s, purged.key)
	wantAll(t, s, append(all[:10:10], all[11:]...))
	meta, hit, err := s.Lookup(ctx, updated.key)
	require.NoError(t, err)
	defer hit.Close()
	require.Equal(t, `"updated"`, meta.Header().Get("Etag"))
	wantBalanced(t, s)
}

// TestBadSavedIndexDoesNoHarm opens a store with a saved index that is damaged or out of date.
func TestBadSavedIndexDoesNoHarm(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, indexName)
	s := openScanned(t, dir, nil)
	all := fill(t, s, 40)
	require.NoError(t, s.Close())
	old, err := os.ReadFile(path)
	require.NoError(t, err)

	for name, harmed := range map[string][]byte{
		"flipped":   flipped(old, len(old)/2),
		"no magic":  flipped(old, 0),
		"truncated": old[:len(old)/3],
		"huge":      append([]byte(indexMagic), 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0),
		"empty":     {},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, os.WriteFile(path, harmed, 0o600))
			s := openScanned(t, dir, nil)
			wantAll(t, s, all)
			wantBalanced(t, s)
			require.NoError(t, s.Close())
		})
	}
	t.Run("stale", func(t *testing.T) {
		s := openScanned(t, dir, nil)
		put(t, s, all[0].key, testBody(99, 300_000)) // another size
		all[0].body = testBody(99, 300_000)
		require.NoError(t, s.Purge(ctx, all[1].key.Compact(), cirque.PurgeInvalidation))
		put(t, s, testKey("new"), []byte("new"))
		all = append(all, stored{testKey("new"), []byte("new")})
		require.NoError(t, s.Close())
		require.NoError(t, os.WriteFile(path, old, 0o600))

		s = openScanned(t, dir, nil)
		wantMiss(t, s, all[1].key)
		wantAll(t, s, append(all[:1:1], all[2:]...))
		used := s.Budget().Used()
		require.NoError(t, s.Close())
		s = openScanned(t, dir, nil)
		require.Equal(t, used, s.Budget().Used())
	})
}

func flipped(b []byte, at int) []byte {
	c := append([]byte(nil), b...)
	c[at] ^= 1
	return c
}

// TestScanRemovesLeftovers checks that the scan removes the files of unfinished writes and entries
// in the wrong directory, and leaves other files alone.
func TestScanRemovesLeftovers(t *testing.T) {
	dir := t.TempDir()
	s := openScanned(t, dir, nil)
	all := fill(t, s, 4)
	require.NoError(t, s.Close())

	home := filepath.Dir(s.path(all[0].key.Combined()))
	other := filepath.Join(dir, "00")
	if home == other {
		other = filepath.Join(dir, "01")
	}
	require.NoError(t, os.MkdirAll(other, 0o700))
	write := func(parts ...string) string {
		path := filepath.Join(parts...)
		require.NoError(t, os.WriteFile(path, []byte("something"), 0o600))
		return path
	}
	gone := []string{
		write(home, tempPrefix+"00000000000000ff"),
		write(other, all[0].key.Combined().String()),
	}
	stay := []string{write(dir, "README"), write(home, "notes.txt"), write(home, tempPrefix+"x")}

	s = openTest(t, dir, nil)
	w, err := s.MissHandler(ctx, testKey("w"), testMeta("w"), cirque.MissOptions{SizeHint: -1})
	require.NoError(t, err)
	defer w.Abort()
	_, err = w.Write([]byte("under way during the scan"))
	require.NoError(t, err)
	<-s.Scanned()
	for _, path := range gone {
		require.NoFileExists(t, path)
	}
	for _, path := range stay {
		require.FileExists(t, path)
	}
	_, err = w.Finish()
	require.NoError(t, err, "the scan removed the file of a write under way")
	wantAll(t, s, all)
}

// TestCrashKeepsTheBudget checks that the lock file has enough bytes recorded: what the scan has
// not found yet must not be given out again.
func TestCrashKeepsTheBudget(t *testing.T) {
	const limit = 4 << 20
	dir := t.TempDir()
	s := openScanned(t, dir, &Config{MaxBytes: limit})
	for i := range 60 {
		put(t, s, testKey(name(i)), testBody(uint64(i), 60_000))
	}
	used := s.Budget().Used()
	crash(t, s)

	s = &Store{root: root{dir: dir}}
	recorded, err := s.root.attach()
	require.NoError(t, err)
	require.NoError(t, s.root.close())
	require.GreaterOrEqual(t, recorded, used)
	require.LessOrEqual(t, recorded, int64(limit))
}

func TestSmallerBudgetEvictsAtOpen(t *testing.T) {
	dir := t.TempDir()
	s := openScanned(t, dir, nil)
	fill(t, s, 100)
	require.NoError(t, s.Close())
	const limit = 400_000
	s = openScanned(t, dir, &Config{MaxBytes: limit})
	n, _, err := diskUse(dir)
	require.NoError(t, err)
	require.LessOrEqual(t, n, int64(limit+blockSize), "apart from the lock file, the files exceed the limit")
	require.Positive(t, s.Stats().Entries)
	wantBalanced(t, s)
}

// TestEvictionOrderSurvivesARestart checks that the entry that was used last before Close is the
// last to leave after Open.
func TestEvictionOrderSurvivesARestart(t *testing.T) {
	newManager := func() cirque.EvictionManager {
		m, err := eviction.NewSimpleLRU(eviction.Config{Limit: 10 << 20})
		require.NoError(t, err)
		return m
	}
	dir := t.TempDir()
	s := openScanned(t, dir, &Config{MaxBytes: 10 << 20, Eviction: newManager()})
	for i := range 20 {
		put(t, s, testKey(name(i)), []byte("body"))
	}
	s.Eviction().Access(testKey(name(0)).Compact(), 1, time.Time{})
	s = reopen(t, s, &Config{MaxBytes: 10 << 20, Eviction: newManager()})
	victims := s.Eviction().Evict(1)
	require.Equal(t, testKey(name(1)).Compact().Primary, victims[0].Primary)
	require.Equal(t, "somebody", victims[0].UserTag)
}

// TestStoreWorksIfItsManagerIsToldNothing fills a store whose eviction manager hears of nothing:
// the store still evicts and stores.
func TestStoreWorksIfItsManagerIsToldNothing(t *testing.T) {
	s := openScanned(t, t.TempDir(), &Config{MaxBytes: 1 << 20})
	stored := func(i int) bool {
		w, err := s.MissHandler(ctx, testKey(name(i)), testMeta("a"), cirque.MissOptions{SizeHint: -1})
		require.NoError(t, err)
		defer w.Abort()
		if _, err := w.Write(testBody(uint64(i), 50_000)); err != nil {
			require.ErrorIs(t, err, cirque.ErrNoReaders)
			return false
		}
		_, err = w.Finish()
		return err == nil
	}
	i := 0
	for ; stored(i); i++ {
		require.Less(t, i, 100, "the budget is never full")
	}
	eventually(t, "the full store stores nothing new", func() bool { return stored(i) })
	wantBody(t, s, testKey(name(i)), testBody(uint64(i), 50_000))
}
