package tiered_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/memcache"
	"github.com/cirquecache/cirque/stats"
	"github.com/cirquecache/cirque/tiered"
)

func TestStatsAreOfBothStorages(t *testing.T) {
	memory, budget, manager := newMemory(8 << 20)
	disk := newDisk(t)
	s := tiered.New(memory, disk, tiered.Config{UpperEviction: manager, MaxUpperBytes: 10_000})
	put(t, s, key("small"), "small")
	put(t, s, key("large"), string(make([]byte, 20_000)))
	all := s.(stats.StorageReporter).StorageStats()
	require.Len(t, all, 2)
	require.Equal(t, "memory", all[0].Name)
	require.EqualValues(t, 1, all[0].Entries)
	require.Equal(t, budget.Used(), all[0].Bytes.Entries+all[0].Bytes.Index)
	require.Equal(t, "disk", all[1].Name)
	require.EqualValues(t, 2, all[1].Entries)
	require.Equal(t, disk.Budget().Used(), all[1].Bytes.Entries+all[1].Bytes.Index)
}

func TestStatsNameEachStorageOnce(t *testing.T) {
	inner := tiered.New(memcache.New(memcache.Config{}), memcache.New(memcache.Config{}), tiered.Config{})
	s := tiered.New(memcache.New(memcache.Config{}), inner, tiered.Config{})
	var names []string
	for _, part := range s.(stats.StorageReporter).StorageStats() {
		names = append(names, part.Name)
	}
	require.Equal(t, []string{"memory", "lower-memory", "lower-lower-memory"}, names)
}

func TestStatsLeaveOutAStorageThatReportsNothing(t *testing.T) {
	memory, _, _ := newMemory(8 << 20)
	for name, storage := range map[string]cirque.Storage{
		"upper": tiered.New(newPlain(), memory, tiered.Config{}),
		"lower": tiered.New(memory, newPlain(), tiered.Config{}),
	} {
		all := storage.(stats.StorageReporter).StorageStats()
		require.Len(t, all, 1, name)
		require.Equal(t, "memory", all[0].Name)
	}
	require.Empty(t, tiered.New(newPlain(), newPlain(), tiered.Config{}).(stats.StorageReporter).StorageStats())
}
