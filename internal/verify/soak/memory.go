package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"time"
)

// sample is the memory use at one moment.
type sample struct {
	at         time.Duration
	live       uint64 // bytes of the heap that are in use after a collection
	resident   uint64 // bytes; zero if the system does not report it
	goroutines int
}

func takeSample(at time.Duration) sample {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return sample{at, m.HeapAlloc, resident(), runtime.NumGoroutine()}
}

// resident returns the process's resident set in bytes, or zero if the system does not report it.
func resident() uint64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(b)
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseUint(string(fields[1]), 10, 64)
	return pages * uint64(os.Getpagesize())
}

func (s sample) print(out io.Writer, requests uint64, violations int) {
	fmt.Fprintf(out, "%8v  %8d requests  %6.1f MiB live  %6.1f MiB resident  %5d goroutines  %d violations\n",
		s.at.Round(time.Second), requests, mib(s.live), mib(s.resident), s.goroutines, violations)
}

func mib(bytes uint64) float64 { return float64(bytes) / (1 << 20) }

// grows reports whether the live heap grew in the second half of a run by more than a quarter and 8
// MiB. The cache is full by then. from and to are the lowest samples of the two quarters.
func grows(samples []sample) (from, to uint64, grows bool) {
	if len(samples) < 8 {
		return 0, 0, false
	}
	half := samples[len(samples)/2:]
	quarter := len(half) / 2
	from, to = lowest(half[:quarter]), lowest(half[quarter:])
	return from, to, to > from+from/4+8<<20
}

func lowest(samples []sample) uint64 {
	least := samples[0].live
	for _, s := range samples {
		least = min(least, s.live)
	}
	return least
}
