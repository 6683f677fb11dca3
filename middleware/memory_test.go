//go:build linux && !race

// The race detector needs several times the memory, and only Linux reports resident memory here.

package middleware_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/internal/verify/faulty"
)

// requireBoundedMemory runs load against a cache in a process of its own, at either door. The
// process must stay within 2.5 times the cache's limit plus 60 MiB of resident memory.
func requireBoundedMemory(t *testing.T, limit int64, script func(*http.Request) faulty.Answer, load func(t *testing.T, url string)) {
	t.Helper()
	for _, door := range []string{"handler", "transport"} {
		t.Run(door, func(t *testing.T) {
			origin := faulty.NewOrigin(t, script)
			pid, url := startCache(t, cacheTask{Origin: origin.URL, Door: door, MaxBytes: limit})
			load(t, url)
			most := peakResident(t, pid)
			t.Logf("at most %d MiB were resident; the cache's limit is %d MiB", most>>20, limit>>20)
			require.LessOrEqual(t, most, limit*5/2+60<<20)
		})
	}
}

// peakResident returns the most resident memory that the process has had.
func peakResident(t *testing.T, pid int) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	_, text, found := bytes.Cut(text, []byte("VmHWM:"))
	require.True(t, found)
	var kib int64
	_, err = fmt.Sscanf(string(text), "%d kB", &kib)
	require.NoError(t, err)
	return kib << 10
}

// atOnce runs count clients at the same time.
func atOnce(count int, client func(n int)) {
	var all sync.WaitGroup
	for n := range count {
		all.Go(func() { client(n) })
	}
	all.Wait()
}

var cacheable = http.Header{"Cache-Control": {"max-age=600"}}

// fetch reads n bytes of a body, or all of it if n is negative, and compares them with those of
// want.
func fetch(t *testing.T, client *http.Client, url string, want faulty.Answer, n int64) {
	resp, err := client.Get(url)
	if err != nil {
		t.Error(err)
		return
	}
	defer resp.Body.Close()
	if n < 0 {
		n = want.Length
	}
	if err := sameBytes(io.LimitReader(resp.Body, n), io.LimitReader(want.Content(), n)); err != nil {
		t.Errorf("%s: %v", url, err)
	}
}

func sameBytes(got, want io.Reader) error {
	a, b := make([]byte, 16<<10), make([]byte, 16<<10)
	for at := 0; ; {
		n, err := io.ReadFull(got, a)
		m, _ := io.ReadFull(want, b)
		if !bytes.Equal(a[:n], b[:m]) {
			return fmt.Errorf("after %d bytes, the next %d differ from the %d that were sent: %w", at, n, m, err)
		}
		if at += n; n < len(a) {
			return nil
		}
	}
}

// Many large misses at once, each for another URL, stay within the memory limit, and every client
// gets its bytes.
func TestMemoryIsBoundedForDistinctMisses(t *testing.T) {
	count, size, limit := 60, int64(2<<20), int64(32<<20)
	if longTests() {
		count, size, limit = 1000, 10<<20, 64<<20
	}
	page := faulty.Answer{Body: "0123456789abcdef\n", Length: size, Header: cacheable}
	requireBoundedMemory(t, limit, func(*http.Request) faulty.Answer { return page }, func(t *testing.T, url string) {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		atOnce(count, func(n int) { fetch(t, client, fmt.Sprintf("%s/%d", url, n), page, -1) })
	})
}

// Clients of one endless body share a window, even if some of them stall.
func TestMemoryIsBoundedForAnEndlessBody(t *testing.T) {
	count, each, limit := 100, int64(1<<20), int64(16<<20)
	if longTests() {
		count, each, limit = 1000, 32<<20, 64<<20
	}
	var hold atomic.Value // for the run under way
	endless := faulty.Answer{Length: faulty.Endless, Framing: faulty.Chunked, Header: cacheable}
	script := func(*http.Request) faulty.Answer {
		held := endless
		held.Hold, held.At = hold.Load().(chan struct{}), 1
		return held
	}
	requireBoundedMemory(t, limit, script, func(t *testing.T, url string) {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		wait, release := gate(t)
		hold.Store(wait)
		// Most clients have come; the others find the window, or fetch by themselves.
		time.AfterFunc(300*time.Millisecond, release)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var stalled sync.WaitGroup
		defer stalled.Wait()
		for range count / 200 {
			stalled.Go(func() {
				stalling := faulty.Client{Behaviour: faulty.StallReading, Stay: time.Minute}
				_, _ = stalling.Do(ctx, url+"/endless")
			})
		}
		atOnce(count, func(int) { fetch(t, client, url+"/endless", endless, each) })
		cancel()
	})
}

// A field with many values, and many URLs, stay within the memory limit.
func TestMemoryIsBoundedForManyKeys(t *testing.T) {
	values, urls, limit := 200, 1500, int64(1<<20)
	if longTests() {
		values, urls, limit = 100_000, 1_000_000, 64<<20
	}
	varying := http.Header{"Cache-Control": {"max-age=600"}, "Vary": {"X-V"}}
	script := func(r *http.Request) faulty.Answer {
		if r.URL.Path == "/vary" {
			return faulty.Answer{Body: r.Header.Get("X-V"), Header: varying}
		}
		return faulty.Answer{Body: r.URL.Path + strings.Repeat(" page", 200), Header: cacheable}
	}
	requireBoundedMemory(t, limit, script, func(t *testing.T, url string) {
		transport := &http.Transport{MaxIdleConnsPerHost: 16}
		defer transport.CloseIdleConnections()
		client := &http.Client{Transport: transport}
		var next atomic.Int64
		atOnce(16, func(int) {
			for !t.Failed() {
				n := next.Add(1)
				if n > int64(values+urls) {
					return
				}
				path, v := fmt.Sprintf("/%d", n), fmt.Sprint(n)
				want := path
				if n <= int64(values) {
					path, want = "/vary", v
				}
				r, _ := http.NewRequest("GET", url+path, nil)
				r.Header.Set("X-V", v)
				resp, err := client.Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || !strings.HasPrefix(string(body), want) {
					t.Errorf("%s: got %.50q, %v", path, body, err)
				}
			}
		})
	})
}
