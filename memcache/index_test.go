package memcache

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/offheap"
)

func TestIndexAgreesWithAMap(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	memory := offheap.New(false)
	x, r := index{memory: memory}, records{memory: memory}
	want := map[cirque.HashBinary]uint32{}
	for step := range 50_000 {
		var hash cirque.HashBinary
		hash[random.IntN(16)] = byte(random.IntN(64))
		hash[random.IntN(16)] = byte(random.IntN(8))
		found, number := x.find(&hash, &r)
		known, ok := want[hash]
		require.Equal(t, ok, found != nil)
		switch {
		case !ok && step%10_000 < 5000: // the index grows, then shrinks
			number = r.take()
			r.at(number).hash = hash
			x.insert(number, &r)
			want[hash] = number
		case ok:
			require.Equal(t, known, number)
			require.Same(t, r.at(known), found)
			if random.IntN(2) == 0 {
				removed, number := x.remove(&hash, &r)
				require.Same(t, found, removed)
				require.Equal(t, known, number)
				r.put(number)
				delete(want, hash)
			}
		default:
			removed, _ := x.remove(&hash, &r)
			require.Nil(t, removed)
		}
		require.Equal(t, len(want), x.count)
	}
	for hash, number := range want {
		_, got := x.find(&hash, &r)
		require.Equal(t, number, got)
	}
	require.LessOrEqual(t, 5*x.count, 4*len(x.marks))
}
