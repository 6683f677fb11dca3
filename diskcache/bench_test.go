package diskcache

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
)

// hitHandler answers with hits on s only.
func hitHandler(s *Store, key cirque.CacheKey) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		meta, hit, err := s.Lookup(r.Context(), key)
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		defer hit.Close()
		s.Eviction().Access(key.Compact(), hit.Weight(), meta.FreshUntil())
		meta.Header().CopyTo(w.Header())
		n, _ := hit.Size()
		w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
		if _, err := io.Copy(w, hit); err != nil {
			panic(http.ErrAbortHandler)
		}
	}
}

// fileHandler answers with http.ServeContent.
func fileHandler(path string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		f, err := os.Open(path)
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Etag", `"first"`)
		http.ServeContent(w, r, path, info.ModTime(), f)
	}
}

// BenchmarkHit compares hits over loopback with http.ServeContent of the same bytes, in alternating
// requests. The metric "speed" is the ratio of their medians; above one, the store is faster.
func BenchmarkHit(b *testing.B) {
	for _, size := range []int{1 << 10, 100 << 10, 100 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			s := openScanned(b, b.TempDir(), nil)
			key := testKey("a")
			body := testBody(1, size)
			put(b, s, key, body)
			path := filepath.Join(b.TempDir(), "body")
			require.NoError(b, os.WriteFile(path, body, 0o600))
			time.Sleep(2 * racy)
			handlers := [2]http.Handler{hitHandler(s, key), fileHandler(path)}
			mux := http.NewServeMux()
			mux.Handle("/0", handlers[0])
			mux.Handle("/1", handlers[1])
			server := httptest.NewServer(mux)
			defer server.Close()
			client := server.Client()
			buf := make([]byte, 256<<10)
			fetch := func(i int) time.Duration {
				began := time.Now()
				resp, err := client.Get(server.URL + "/" + strconv.Itoa(i))
				require.NoError(b, err)
				defer resp.Body.Close()
				n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, resp.Body, buf)
				require.NoError(b, err)
				require.EqualValues(b, size, n)
				return time.Since(began)
			}
			fetch(0) // verifies the body
			fetch(1)

			var took [2][]time.Duration
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for round := 0; b.Loop(); round++ {
				for i := range took {
					which := (i + round) % 2
					took[which] = append(took[which], fetch(which))
				}
			}
			var median [2]time.Duration
			for i := range took {
				slices.Sort(took[i])
				median[i] = took[i][len(took[i])/2]
			}
			b.ReportMetric(float64(median[1])/float64(median[0]), "speed")
			b.ReportMetric(float64(median[0].Nanoseconds()), "store-ns")
			b.ReportMetric(float64(median[1].Nanoseconds()), "file-ns")
		})
	}
}

// BenchmarkLookup measures a hit without the network.
func BenchmarkLookup(b *testing.B) {
	for _, size := range []int{1 << 10, 32 << 10, 60 << 10, 100 << 10} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			s := openScanned(b, b.TempDir(), nil)
			key := testKey("a")
			put(b, s, key, testBody(1, size))
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				_, hit, err := s.Lookup(ctx, key)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, hit); err != nil {
					b.Fatal(err)
				}
				hit.Close()
			}
		})
	}
}

// BenchmarkFirstRead measures the read of a large body that must be verified, and the next read.
func BenchmarkFirstRead(b *testing.B) {
	const size = 64 << 20
	for name, first := range map[string]bool{"first": true, "next": false} {
		b.Run(name, func(b *testing.B) {
			s := openScanned(b, b.TempDir(), &Config{VerifyReads: first})
			key := testKey("a")
			put(b, s, key, testBody(1, size))
			time.Sleep(2 * racy)
			_, err := get(s, key, false)
			require.NoError(b, err)
			b.SetBytes(size)
			for b.Loop() {
				_, hit, err := s.Lookup(ctx, key)
				require.NoError(b, err)
				_, err = io.Copy(struct{ io.Writer }{io.Discard}, hit)
				require.NoError(b, err)
				hit.Close()
			}
		})
	}
}

func BenchmarkMiss(b *testing.B) {
	s := openScanned(b, b.TempDir(), nil)
	key := testKey("nowhere")
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := s.Lookup(ctx, key); err != cirque.ErrNotFound {
			b.Fatal(err)
		}
	}
}

func BenchmarkPut(b *testing.B) {
	for _, size := range []int{1 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			s := openScanned(b, b.TempDir(), &Config{MaxBytes: 256 << 20})
			body := testBody(1, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				put(b, s, testKey(name(i)), body)
			}
		})
	}
}

func BenchmarkUpdateMeta(b *testing.B) {
	s := openScanned(b, b.TempDir(), nil)
	key := testKey("a")
	tag := put(b, s, key, testBody(1, 1<<20))
	metas := []*cirque.CacheMeta{testMeta("one"), testMeta("two")}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := s.UpdateMeta(ctx, key, metas[i%2], tag); err != nil {
			b.Fatal(err)
		}
	}
}

// TestManyEntriesOpenQuickly reopens a directory of many entries, with its saved index and without.
// CIRQUE_ENTRIES is how many. CIRQUE_ENTRIES_DIR is a directory that keeps them, so that they need
// not be written every time.
func TestManyEntriesOpenQuickly(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv("CIRQUE_ENTRIES"))
	if err != nil {
		t.Skip("CIRQUE_ENTRIES is not set")
	}
	dir := os.Getenv("CIRQUE_ENTRIES_DIR")
	if dir == "" {
		dir = t.TempDir()
	}
	config := &Config{MaxBytes: 1 << 40}
	s := openScanned(t, dir, config)
	if s.Stats().Entries < n {
		began := time.Now()
		var wg sync.WaitGroup
		for w := range 4 {
			wg.Go(func() {
				for i := w; i < n; i += 4 {
					if _, err := tryPut(s, testKey(name(i)), taleBody(uint32(i), 1, 1000)); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		t.Logf("%d entries written in %v", n, time.Since(began))
	}
	stats := s.Stats()
	t.Logf("%d entries, %.1f bytes of index each", stats.Entries, float64(stats.IndexBytes)/float64(stats.Entries))
	began := time.Now()
	require.NoError(t, s.Close())
	t.Logf("Close took %v", time.Since(began))

	for _, saved := range []bool{true, false} {
		if !saved {
			require.NoError(t, os.RemoveAll(filepath.Join(dir, indexName)))
			require.NoError(t, os.RemoveAll(filepath.Join(dir, evictionName)))
		}
		before := heap()
		began := time.Now()
		s, err := Open(dir, config)
		require.NoError(t, err)
		opened := time.Since(began)
		i := rand.IntN(n)
		body, err := get(s, testKey(name(i)), false)
		first := time.Since(began)
		require.NoError(t, err)
		require.NoError(t, checkTale(uint32(i), body))
		<-s.Scanned()
		scan := s.Stats().ScanTime
		t.Logf("saved index %v: Open took %v, the first hit came after %v, the scan ended after %v", saved, opened, first, time.Since(began))
		t.Logf("the scan took %v: %.0f entries a second", scan, float64(n)/scan.Seconds())
		t.Logf("the heap grew by %d bytes an entry, the eviction manager's included", (heap()-before)/int64(n))
		require.Less(t, first, 100*time.Millisecond)
		require.GreaterOrEqual(t, s.Stats().Entries, n)
		require.NoError(t, s.Close())
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestManyReadersTakeLittleMemory has a hundred clients follow the write of a large object, and
// then a hundred clients read the entry, which is not verified yet. The heap must stay small.
// CIRQUE_LONG makes the object a gigabyte.
func TestManyReadersTakeLittleMemory(t *testing.T) {
	pieces := 4
	if long {
		pieces = 1 << 10
	}
	s := openScanned(t, t.TempDir(), nil)
	key := testKey("large")
	server := httptest.NewServer(streamHandler(s, key))
	defer server.Close()
	before := heap()
	for _, name := range []string{"following the write", "reading the entry"} {
		var wg sync.WaitGroup
		if name == "following the write" {
			w, err := s.MissHandler(ctx, key, testMeta("a"), cirque.MissOptions{SizeHint: -1})
			require.NoError(t, err)
			defer w.Abort()
			wg.Go(func() {
				eventually(t, "some clients never attach to the write", func() bool { return w.(cirque.StreamingMissHandler).Readers() == 100 })
				piece := testBody(1, 1<<20)
				for range pieces {
					if _, err := w.Write(piece); err != nil {
						t.Error(err)
					}
				}
				if _, err := w.Finish(); err != nil {
					t.Error(err)
				}
			})
		}
		for range 100 {
			wg.Go(func() {
				if n, err := read(server.URL); err != nil || n != int64(pieces)<<20 {
					t.Errorf("%d bytes, %v", n, err)
				}
			})
		}
		done := make(chan struct{})
		go func() {
			wg.Wait()
			close(done)
		}()
		growth := int64(0)
		for ended := false; !ended; {
			select {
			case <-done:
				ended = true
			case <-time.After(10 * time.Millisecond):
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				growth = max(growth, int64(m.HeapAlloc)-before)
			}
		}
		t.Logf("%s: the heap grew by %d KiB", name, growth>>10)
		require.Less(t, growth, int64(64<<20))
	}
}

// streamHandler is a hitHandler for bodies whose size may not be known yet.
func streamHandler(s *Store, key cirque.CacheKey) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, hit, err := s.Lookup(r.Context(), key)
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		defer hit.Close()
		if n, known := hit.Size(); known {
			w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
		}
		if _, err := io.Copy(w, hit); err != nil {
			panic(http.ErrAbortHandler)
		}
	}
}

func read(url string) (int64, error) {
	resp, err := http.Get(url)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	return io.Copy(io.Discard, resp.Body)
}
