package diskcache

import (
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
)

func randomHash(r *rand.Rand) (h cirque.HashBinary) {
	for i := range h {
		h[i] = byte(r.Uint32())
	}
	return h
}

// TestTableAgainstMap does the same random operations on a table and a map. There are few keys, so
// runs of full slots are long and wrap around the end.
func TestTableAgainstMap(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	keys := make([]cirque.HashBinary, 300)
	for i := range keys {
		keys[i] = randomHash(r)
		if i%3 == 0 { // with the same home at the end of the table
			copy(keys[i][8:], []byte{255, 255, 255, 255, 255})
		}
	}
	var tab table
	model := map[cirque.HashBinary]uint32{}
	for range 20_000 {
		key := keys[r.IntN(len(keys))]
		found := tab.find(&key)
		want, ok := model[key]
		if ok != (found != nil) || tab.used != len(model) {
			t.Fatalf("the table has %d records, the model %d", tab.used, len(model))
		}
		switch {
		case !ok:
			blocks := 1 + r.Uint32N(100)
			tab.insert(record{hash: key, blocks: blocks})
			model[key] = blocks
		case r.IntN(2) == 0:
			if found.blocks != want {
				t.Fatalf("got %d, want %d", found.blocks, want)
			}
			tab.remove(found)
			delete(model, key)
		}
	}
	for key, blocks := range model {
		require.Equal(t, blocks, tab.find(&key).blocks)
	}
}

// TestTableSize checks the bytes per entry that the documentation promises.
func TestTableSize(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var tab table
	for n := 1; n <= 40_000; n++ {
		tab.insert(record{hash: randomHash(r), blocks: 1})
		if n >= 1000 {
			perEntry := float64(len(tab.slots)) * float64(unsafe.Sizeof(record{})) / float64(n)
			if perEntry > 48 {
				t.Fatalf("%.1f bytes an entry at %d entries", perEntry, n)
			}
		}
	}
}
