package diskcache

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/stats"
)

func statsOf(s *Store) stats.Storage { return s.StorageStats()[0] }

func sum(b stats.StorageBytes) int64 { return b.Entries + b.Index + b.InFlight + b.Open }

func TestStorageStatsSayWhereTheBytesAre(t *testing.T) {
	s := openTest(t, t.TempDir(), &Config{MaxBytes: 100 << 20})
	<-s.Scanned()
	put(t, s, testKey("small"), make([]byte, 1000))
	put(t, s, testKey("large"), make([]byte, 1<<20))
	got := statsOf(s)
	require.Equal(t, "disk", got.Name)
	require.EqualValues(t, 2, got.Entries)
	require.EqualValues(t, 100<<20, got.Limit)
	require.Equal(t, stats.StorageBytes{Entries: s.Budget().Used() - 2*entryOverhead, Index: 2 * entryOverhead}, got.Bytes)
	require.Zero(t, got.Bytes.Entries%blockSize)

	_, hit, err := s.Lookup(ctx, testKey("large"))
	require.NoError(t, err)
	require.Zero(t, statsOf(s).Bytes.Open)
	weight := hit.Weight()
	require.NoError(t, s.Purge(ctx, testKey("large").Compact(), cirque.PurgeInvalidation))
	got = statsOf(s)
	require.EqualValues(t, 1, got.Entries)
	require.Equal(t, weight, got.Bytes.Open)
	require.Equal(t, s.Budget().Used(), sum(got.Bytes))
	require.NoError(t, hit.Close())
	require.Zero(t, statsOf(s).Bytes.Open)

	w, err := s.MissHandler(ctx, testKey("new"), testMeta("a"), cirque.MissOptions{SizeHint: -1})
	require.NoError(t, err)
	_, err = w.Write(make([]byte, 200_000))
	require.NoError(t, err)
	got = statsOf(s)
	require.EqualValues(t, 1, got.Entries)
	require.GreaterOrEqual(t, got.Bytes.InFlight, int64(200_000))
	require.Equal(t, s.Budget().Used(), sum(got.Bytes))
	_, err = w.Finish()
	require.NoError(t, err)
	require.EqualValues(t, 2, statsOf(s).Entries)
	require.Zero(t, statsOf(s).Bytes.InFlight)
}

func TestStorageStatsAfterARestart(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, nil)
	require.NoError(t, err)
	for _, name := range []string{"a", "b", "c"} {
		put(t, s, testKey(name), make([]byte, 10_000))
	}
	<-s.Scanned()
	before := statsOf(s)
	require.NoError(t, s.Close())

	s = openTest(t, dir, nil)
	<-s.Scanned()
	require.Equal(t, before.Entries, statsOf(s).Entries)
	require.Equal(t, before.Bytes, statsOf(s).Bytes)

	// The manager has loaded the entries, and does not know when they were stored.
	for _, key := range s.Eviction().Evict(1) {
		require.NoError(t, s.Purge(ctx, key, cirque.PurgeEviction))
	}
	e := s.Eviction().(stats.EvictionReporter).EvictionStats()
	require.EqualValues(t, 1, e.Evicted)
	require.Zero(t, e.Age.Count)
	require.Zero(t, e.Unused)
	require.EqualValues(t, 2, statsOf(s).Entries)
}

func TestStorageStatsCountRefusals(t *testing.T) {
	s := openTest(t, t.TempDir(), &Config{MaxBytes: 1 << 20})
	put(t, s, testKey("a"), make([]byte, 100_000))
	require.Zero(t, statsOf(s).Refused)
	_, err := tryPut(s, testKey("b"), make([]byte, 2<<20))
	require.ErrorIs(t, err, cirque.ErrNoReaders)
	require.EqualValues(t, 1, statsOf(s).Refused)
	require.Zero(t, statsOf(s).Operations["write"].Errors, "a lack of room is no error")
}

func TestStorageStatsCountOperations(t *testing.T) {
	s := openTest(t, t.TempDir(), nil)
	tag := put(t, s, testKey("a"), make([]byte, 200_000))
	put(t, s, testKey("b"), nil)
	require.NoError(t, s.UpdateMeta(ctx, testKey("a"), testMeta("b"), tag))
	require.ErrorIs(t, s.UpdateMeta(ctx, testKey("none"), testMeta("b"), tag), cirque.ErrNotFound)
	require.NoError(t, s.Purge(ctx, testKey("b").Compact(), cirque.PurgeEviction))
	require.ErrorIs(t, s.Purge(ctx, testKey("b").Compact(), cirque.PurgeInvalidation), cirque.ErrNotFound)
	const lookups = 64 * 500
	for range lookups {
		wantMiss(t, s, testKey("b"))
	}
	o := statsOf(s).Operations
	require.EqualValues(t, 2, o["write"].Time.Count)
	require.EqualValues(t, 2, o["update"].Time.Count)
	require.EqualValues(t, 2, o["purge"].Time.Count)
	require.InDelta(t, lookups/64, o["lookup"].Time.Count, 150)
	for name := range o {
		require.Zero(t, o[name].Errors, name)
		require.Positive(t, o[name].Time.Sum, name)
	}

	down := errors.New("the disk fails")
	s.reads.shut(down)
	s.updates.shut(down)
	_, _, err := s.Lookup(ctx, testKey("a"))
	require.ErrorIs(t, err, down)
	require.ErrorIs(t, s.UpdateMeta(ctx, testKey("a"), testMeta("c"), tag), down)
	_, err = s.MissHandler(ctx, testKey("c"), testMeta("a"), cirque.MissOptions{})
	require.ErrorIs(t, err, down)
	o = statsOf(s).Operations
	for name, errors := range map[string]int{"lookup": 1, "update": 1, "write": 1, "purge": 0} {
		require.EqualValues(t, errors, o[name].Errors, name)
	}
}

func TestStorageStatsCountAWriteThatTheDiskFails(t *testing.T) {
	s := openTest(t, t.TempDir(), nil)
	w, err := s.MissHandler(ctx, testKey("a"), testMeta("a"), cirque.MissOptions{SizeHint: -1})
	require.NoError(t, err)
	_, err = w.Write(make([]byte, 1000))
	require.NoError(t, err)
	require.NoError(t, w.(*write).file.f.Close()) // every later write to the file fails
	_, err = w.Finish()
	require.Error(t, err)
	o := statsOf(s).Operations["write"]
	require.EqualValues(t, 1, o.Errors)
	require.EqualValues(t, 1, o.Time.Count)
	require.Zero(t, sum(statsOf(s).Bytes))
}
