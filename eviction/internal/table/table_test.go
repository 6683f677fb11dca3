package table

import (
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
)

func TestKeyRoundTrip(t *testing.T) {
	key := cirque.NewCacheKey("ns", "/a", "ann").WithVariance(cirque.HashBinary{1, 2, 3}).Compact()
	k := MakeKey(&key)
	require.Equal(t, key, k.Compact("ann"))

	other := key
	other.Variance[15]++
	require.NotEqual(t, k, MakeKey(&other))
	require.NotEqual(t, k.Hash(), Key{k[0], k[1], k[2], k[3] + 1}.Hash())
}

// TestTableAgainstMap inserts and deletes at random and compares with a map.
func TestTableAgainstMap(t *testing.T) {
	for _, segments := range []int{1, 8} {
		var table Table
		table.Init(segments)
		want := map[Key]uint32{}
		rnd := rand.New(rand.NewPCG(1, uint64(segments)))
		for range 15_000 {
			key := Key{uint64(rnd.IntN(1000)), 7, uint64(rnd.IntN(2)), 0}
			id, there := want[key]
			n, found := table.Find(key.Hash(), &key)
			require.Equal(t, id, found)
			switch {
			case !there && rnd.IntN(3) > 0:
				n, id := table.Insert(key.Hash(), &key)
				require.NotZero(t, id)
				require.Zero(t, n.Weight)
				require.Zero(t, n.Mark.Load())
				require.Zero(t, n.FreshUntil.Load())
				require.Zero(t, n.Stored.Load())
				require.Zero(t, table.Tag(id))
				require.Zero(t, n.Aux)
				require.Same(t, n, table.At(id))
				n.Weight, n.Aux = 1, [2]uint32{3, 4}
				table.SetTag(id, uint32(rnd.IntN(3)))
				n.Mark.Store(5)
				n.FreshUntil.Store(6)
				n.Stored.Store(7)
				want[key] = id
			case there:
				require.Equal(t, key, n.Key())
				table.Delete(id)
				require.Zero(t, n.Weight)
				table.Release(id)
				delete(want, key)
			}
			require.Equal(t, len(want), table.Len())
		}
		ids := map[uint32]bool{}
		for key, id := range want {
			_, found := table.Find(key.Hash(), &key)
			require.Equal(t, id, found)
			require.False(t, ids[id], "one number for two keys")
			require.LessOrEqual(t, id, table.Cap())
			ids[id] = true
		}
	}
}

// TestCollisions makes all keys begin their search at the same slot.
func TestCollisions(t *testing.T) {
	var table Table
	table.Init(1)
	const hash = 0xffffffff_00000000 // the last slot, so the search goes round
	ids := map[Key]uint32{}
	for i := range uint64(50) {
		key := Key{i, 0, 0, 0}
		_, ids[key] = table.Insert(hash, &key)
	}
	for key, id := range ids {
		_, found := table.Find(hash, &key)
		require.Equal(t, id, found)
	}
	unknown := Key{99, 0, 0, 0}
	n, id := table.Find(hash, &unknown)
	require.Nil(t, n)
	require.Zero(t, id)
}

// TestFindBesideWrites looks up keys without a lock while other keys come and go. It must find the
// right node. With the race detector it also checks that every read is atomic or guarded.
func TestFindBesideWrites(t *testing.T) {
	var table Table
	table.Init(2)
	stay := func(i int) Key { return Key{uint64(i), 1, 0, 0} }
	for i := range 100 {
		key := stay(i)
		table.Insert(key.Hash(), &key)
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				key := stay(i % 100)
				if n, id := table.Find(key.Hash(), &key); n != nil {
					if n.Key() != key || n != table.At(id) {
						t.Error("found a node of another key")
						return
					}
				}
			}
		})
	}
	var passing []uint32
	for i := range uint64(5000) {
		key := Key{i, 2, 0, 0}
		_, id := table.Insert(key.Hash(), &key)
		if passing = append(passing, id); len(passing) > 300 {
			table.Delete(passing[0])
			table.Release(passing[0])
			passing = passing[1:]
		}
	}
	close(done)
	wg.Wait()
	for i := range 100 {
		key := stay(i)
		n, _ := table.Find(key.Hash(), &key)
		require.NotNil(t, n)
	}
}

func BenchmarkFind(b *testing.B) {
	var table Table
	table.Init(64)
	keys := make([]Key, 1<<16)
	for i := range keys {
		keys[i] = Key{rand.Uint64(), rand.Uint64(), 0, 0}
		table.Insert(keys[i].Hash(), &keys[i])
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		key := &keys[i%len(keys)]
		table.Find(key.Hash(), key)
		i++
	}
}
