package table

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"

	"github.com/cirquecache/cirque"
)

// Key is the identity of an entry as four words: its primary hash and its variance hash. The user
// tag is not part of it, as it is not part of the key's hash.
type Key [4]uint64

// MakeKey returns the identity of key.
func MakeKey(key *cirque.CompactCacheKey) Key {
	return Key{
		binary.LittleEndian.Uint64(key.Primary[:8]),
		binary.LittleEndian.Uint64(key.Primary[8:]),
		binary.LittleEndian.Uint64(key.Variance[:8]),
		binary.LittleEndian.Uint64(key.Variance[8:]),
	}
}

// Compact is the inverse of [MakeKey]: it returns the cache key of identity k with the given user
// tag.
func (k Key) Compact(userTag string) cirque.CompactCacheKey {
	key := cirque.CompactCacheKey{UserTag: userTag}
	binary.LittleEndian.PutUint64(key.Primary[:8], k[0])
	binary.LittleEndian.PutUint64(key.Primary[8:], k[1])
	binary.LittleEndian.PutUint64(key.Variance[:8], k[2])
	binary.LittleEndian.PutUint64(key.Variance[8:], k[3])
	return key
}

// seeds make Hash differ between processes. Somebody who chooses URLs can choose the key's bits,
// but must not be able to choose its place in a table.
var seeds = [2]uint64{rand.Uint64() | 1, rand.Uint64() | 1}

// Hash returns the hash of k within this process. All its bits are equally good: the low ones
// choose a shard and a segment, the high ones a slot.
func (k Key) Hash() uint64 {
	hi, lo := bits.Mul64(k[0]^bits.RotateLeft64(k[3], 32)^seeds[0], k[1]^k[2]^seeds[1])
	return hi ^ lo
}
