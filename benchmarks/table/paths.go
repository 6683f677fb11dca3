package main

import (
	"fmt"
	"math/rand/v2"
	"sort"
	"strings"
)

// paths are the paths of many resources in one string, so they cost the garbage collector nothing.
type paths struct{ text string }

const pathFormat, pathLength = "/articles/%09d.html", 24

func newPaths(n int) paths {
	var b strings.Builder
	b.Grow(n * pathLength)
	for i := range n {
		fmt.Fprintf(&b, pathFormat, i)
	}
	return paths{b.String()}
}

func (p paths) count() int { return len(p.text) / pathLength }

func (p paths) at(i int) string { return p.text[i*pathLength : (i+1)*pathLength] }

// sequenceLength is the number of requests in a precomputed sequence before it begins again.
const sequenceLength = 1 << 20

// zipf returns a sequence of numbers below n. The k-th most frequent number is k times as rare as
// the most frequent one. Frequent numbers are not neighbours.
func zipf(n int, seed uint64) []uint32 {
	random := rand.New(rand.NewPCG(seed, 1))
	sums, sum := make([]float64, n), 0.0
	for i := range sums {
		sum += 1 / float64(i+1)
		sums[i] = sum
	}
	// Whatever the seed, all sequences have the same favourites.
	scatter := rand.New(rand.NewPCG(1, 2)).Perm(n)
	sequence := make([]uint32, sequenceLength)
	for i := range sequence {
		sequence[i] = uint32(scatter[sort.SearchFloat64s(sums, random.Float64()*sum)])
	}
	return sequence
}

// uniform returns a sequence of numbers below n, all equally frequent.
func uniform(n int, seed uint64) []uint32 {
	random := rand.New(rand.NewPCG(seed, 1))
	sequence := make([]uint32, sequenceLength)
	for i := range sequence {
		sequence[i] = uint32(random.IntN(n))
	}
	return sequence
}
