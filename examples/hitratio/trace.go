package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"sort"
	"strconv"
)

// trace is a sequence of requests.
type trace struct {
	requests []request
	keys     int

	// distinctBytes is the sum of the sizes of all keys, each with its latest size.
	distinctBytes int64
}

type request struct {
	key  uint32 // numbered from zero in order of first appearance
	size int64
}

// maxSize bounds a request's size, so that no sum overflows.
const maxSize = 1 << 50

// openTrace reads the trace in file. "-" means standard input, "" a Zipf trace made here.
func openTrace(file string) (*trace, error) {
	switch file {
	case "":
		return zipfTrace(500_000, 100_000), nil
	case "-":
		return readTrace(os.Stdin, "standard input")
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readTrace(f, file)
}

// readTrace reads lines "key,size", gzipped or not. Its errors name the source and the line.
func readTrace(r io.Reader, name string) (*trace, error) {
	in := bufio.NewReader(r)
	if magic, _ := in.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		in = bufio.NewReader(z)
	}
	t := new(trace)
	numbers := make(map[string]uint32)
	var sizes []int64 // the latest, by key number
	lines := bufio.NewScanner(in)
	line := 0
	for lines.Scan() {
		line++
		key, size, err := parseLine(lines.Bytes())
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, line, err)
		}
		n, ok := numbers[string(key)]
		if !ok {
			n = uint32(len(numbers))
			numbers[string(key)] = n
			sizes = append(sizes, 0)
		}
		t.distinctBytes += size - sizes[n]
		sizes[n] = size
		t.requests = append(t.requests, request{n, size})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s:%d: %w", name, line+1, err)
	}
	if len(t.requests) == 0 {
		return nil, fmt.Errorf("%s: no requests", name)
	}
	t.keys = len(numbers)
	return t, nil
}

func parseLine(line []byte) (key []byte, size int64, err error) {
	key, number, ok := bytes.Cut(line, []byte(","))
	if !ok || len(key) == 0 {
		return nil, 0, fmt.Errorf("%.40q is not \"key,size\"", line)
	}
	size, err = strconv.ParseInt(string(bytes.TrimSpace(number)), 10, 64)
	if err != nil {
		return nil, 0, fmt.Errorf("%.40q is not a size in bytes", number)
	}
	if size < 0 || size > maxSize {
		return nil, 0, errors.New("a size must be between 0 and 2^50 bytes")
	}
	return key, max(size, 1), nil // an entry takes at least one byte
}

// zipfTrace makes the same trace every time: keys with Zipf's exponent 0.9, sizes log-normal around
// 8 KB.
func zipfTrace(requests, keys int) *trace {
	rnd := rand.New(rand.NewPCG(1, 1))
	sums := make([]float64, keys)
	var sum float64
	for i := range sums {
		sum += math.Pow(float64(i+1), -0.9)
		sums[i] = sum
	}
	t := new(trace)
	numbers := make(map[int]uint32)
	var sizes []int64
	for range requests {
		rank := sort.SearchFloat64s(sums, rnd.Float64()*sum)
		n, ok := numbers[rank]
		if !ok {
			n = uint32(len(numbers))
			numbers[rank] = n
			size := int64(max(math.Exp(9+1.5*rnd.NormFloat64()), 1))
			sizes = append(sizes, size)
			t.distinctBytes += size
		}
		t.requests = append(t.requests, request{n, sizes[n]})
	}
	t.keys = len(numbers)
	return t
}
