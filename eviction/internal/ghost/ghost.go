// Package ghost remembers how often evicted entries were used, in about five bytes for each.
package ghost

// Ghost maps hashes of evicted keys to small use counts and forgets the oldest. It may mistake one
// key for another, about once in ten thousand look-ups at a million entries.
//
// A Ghost is not safe for concurrent use.
type Ghost struct {
	perResident int
	segments    []segment // each grows on its own, so that no growth takes long
}

// New returns an empty Ghost. It has room for at least perResident keys for every resident one, and
// up to half as many again.
func New(perResident int) *Ghost {
	return &Ghost{perResident: perResident, segments: make([]segment, segmentCount)}
}

const (
	segmentCount = 64
	bucketSize   = 12
)

// segment is an array of buckets; a key belongs to one of them. The bucket's number grows with the
// hash, so the buckets can be split in any proportion.
type segment []bucket

// bucket is a cache line: the hashes of up to twelve keys and their uses, newest first. A use count
// of zero marks the end.
type bucket struct {
	hash [bucketSize]uint32
	uses [bucketSize]uint8
	_    [4]byte
}

func (g *Ghost) segment(hash uint64) *segment { return &g.segments[hash>>16%segmentCount] }

func (s segment) bucket(hash uint32) *bucket {
	return &s[uint64(hash)*uint64(len(s))>>32]
}

func (b *bucket) find(hash uint32) int {
	for i, h := range b.hash {
		if h == hash && b.uses[i] > 0 {
			return i
		}
	}
	return -1
}

// remove removes entry i and closes the gap.
func (b *bucket) remove(i int) {
	copy(b.hash[i:], b.hash[i+1:])
	copy(b.uses[i:], b.uses[i+1:])
	b.uses[bucketSize-1] = 0
}

func (b *bucket) push(hash uint32, uses uint8) {
	copy(b.hash[1:], b.hash[:])
	copy(b.uses[1:], b.uses[:])
	b.hash[0], b.uses[0] = hash, uses
}

// Uses returns the uses remembered for hash, or zero if there are none.
func (g *Ghost) Uses(hash uint64) uint8 {
	if s := *g.segment(hash); len(s) > 0 {
		b := s.bucket(uint32(hash >> 32))
		if i := b.find(uint32(hash >> 32)); i >= 0 {
			return b.uses[i]
		}
	}
	return 0
}

// Take returns the uses remembered for hash, or zero, and forgets them.
func (g *Ghost) Take(hash uint64) uint8 {
	s := *g.segment(hash)
	if len(s) == 0 {
		return 0
	}
	b := s.bucket(uint32(hash >> 32))
	i := b.find(uint32(hash >> 32))
	if i < 0 {
		return 0
	}
	uses := b.uses[i]
	b.remove(i)
	return uses
}

// Put remembers uses for hash; uses must be positive. residents is the current number of resident
// entries.
func (g *Ghost) Put(hash uint64, uses uint8, residents int) {
	s := g.segment(hash)
	for len(*s)*bucketSize*segmentCount < residents*g.perResident || len(*s) == 0 {
		*s = s.grown()
	}
	h := uint32(hash >> 32)
	b := s.bucket(h)
	if i := b.find(h); i >= 0 {
		b.remove(i)
	}
	b.push(h, uses)
}

func (s segment) grown() segment {
	larger := make(segment, len(s)+len(s)/2+1)
	for i := range s {
		for j := bucketSize - 1; j >= 0; j-- { // oldest first
			if uses := s[i].uses[j]; uses > 0 {
				larger.bucket(s[i].hash[j]).push(s[i].hash[j], uses)
			}
		}
	}
	return larger
}
