package middleware_test

import (
	"context"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/verify/faulty/faultystorage"
	"github.com/cirquecache/cirque/middleware"
	"github.com/cirquecache/cirque/rules"
)

// chaos is one cache with faults around it, drawn from a seeded source until calm is set.
type chaos struct {
	*bubble
	cfg   middleware.Config
	tally *faultystorage.Tally

	mu   sync.Mutex
	rng  *rand.Rand
	calm bool
}

// roll returns a number below n.
func (c *chaos) roll(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rng.Intn(n)
}

// happens reports, one time in n until calm is set, that a fault happens.
func (c *chaos) happens(n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.calm && c.rng.Intn(n) == 0
}

// upTo returns a duration of up to n milliseconds.
func (c *chaos) upTo(n int) time.Duration { return time.Duration(c.roll(n)) * time.Millisecond }

// page is the complete body of path; "/vary" depends on X-V.
func page(path, v string) string {
	if path != "/vary" {
		v = ""
	}
	return strings.Repeat(path+v+"-", 3000)
}

// newChaos builds a cache and draws the rest of its configuration at random.
func newChaos(t *testing.T, seed int64, door string, streams bool) *chaos {
	c := &chaos{rng: rand.New(rand.NewSource(seed))}
	store, manager := newStore(t, int64(60_000+c.roll(1<<20)))
	var base cirque.Storage = store
	if !streams {
		base = notStreaming{store}
	}
	c.cfg.Eviction = manager
	c.cfg.Storage, c.tally = faultystorage.Wrap(base, func(op faultystorage.Op, _ int) (f faultystorage.Fault) {
		switch op {
		case faultystorage.HitRead, faultystorage.HitWriteTo, faultystorage.HitSeekRange, faultystorage.HitClose:
			// A panic while the client reads is the client's to handle.
		default:
			if c.happens(200) {
				f.Panic = "storage broken"
			}
		}
		if c.happens(200) {
			f.Err = errDisk
		}
		return f
	})
	hook := func() {
		if c.happens(100) {
			panic("hook broken")
		}
	}
	c.cfg.MaxFills, c.cfg.MaxRevalidations = 1+c.roll(8), 1+c.roll(4)
	c.cfg.MaxObjectBytes = int64(1000 + c.roll(200_000))
	c.cfg.LockWait, c.cfg.LockAge = time.Second+c.upTo(5000), time.Second+c.upTo(5000)
	c.cfg.FillIdle, c.cfg.FillUnread = 2*time.Second, 10*time.Second
	c.cfg.Ranges, c.cfg.HeadAsGet = middleware.Ranges(c.roll(2)), c.roll(2) == 0
	c.cfg.HitFilter = func(*http.Request, *cirque.CacheMeta) rules.ForcedFreshness {
		hook()
		if c.happens(5) {
			return []rules.ForcedFreshness{rules.ForceMiss, rules.ForceExpired, rules.ForceFresh}[c.roll(3)]
		}
		return 0
	}
	c.cfg.ServeStale = func(*http.Request, *cirque.CacheMeta, int, error) bool { hook(); return c.roll(2) == 0 }
	c.cfg.ResponseFilter = func(*http.Request, int, http.Header) cirque.NoCacheReason { hook(); return "" }
	c.cfg.BackgroundContext = func(*http.Request) context.Context { hook(); return context.Background() }
	var front http.Handler
	c.cfg.Refresh = func(*http.Request) http.Handler { hook(); return front }
	cache := newCache(t, c.cfg)
	front = cache.Handler(http.HandlerFunc(c.origin))
	c.bubble = &bubble{t: t, cache: cache, door: cache.Transport(serving{http.HandlerFunc(c.origin)})}
	if door == "handler" {
		c.door = serving{front}
	}
	return c
}

// origin may answer late, in part, or not at all. What it sends is always correct.
func (c *chaos) origin(w http.ResponseWriter, r *http.Request) {
	late := func() (whole bool) {
		patience := c.upTo(200)
		if c.happens(100) {
			patience = 5 * time.Second // longer than FillIdle
		}
		select {
		case <-time.After(patience):
			return true
		case <-r.Context().Done():
			return false
		}
	}
	whole, tag := page(r.URL.Path, r.Header.Get("X-V")), fmt.Sprintf("%q", r.URL.Path)
	if r.URL.Path == "/vary" {
		tag = fmt.Sprintf("%q", r.URL.Path+r.Header.Get("X-V"))
		w.Header().Set("Vary", "X-V")
		if c.happens(50) {
			w.Header().Set("Vary", "X-V, X-W")
		}
	}
	switch {
	case !c.happens(1): // calm is set
	case !late() && c.roll(2) == 0, c.happens(12):
		panic(http.ErrAbortHandler)
	case c.happens(12):
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Etag", tag)
	w.Header().Set("Cache-Control", "max-age=60")
	if c.happens(2) {
		w.Header().Set("Cache-Control", []string{
			"max-age=1", "max-age=5, stale-while-revalidate=5", "max-age=0, stale-if-error=60", "no-store", "no-cache",
		}[c.roll(5)])
	}
	if strings.Contains(r.Header.Get("If-None-Match"), tag) || r.Header.Get("Range") != "" {
		http.ServeContent(w, r, "x.txt", time.Time{}, strings.NewReader(whole))
		return
	}
	if c.roll(2) == 0 {
		w.Header().Set("Content-Length", fmt.Sprint(len(whole)))
	}
	for rest := whole; rest != ""; {
		n := min(len(rest), 4096)
		io.WriteString(w, rest[:n])
		rest = rest[n:]
		switch {
		case c.happens(100):
			panic(http.ErrAbortHandler)
		case c.happens(8) && !late():
			return // A handler may do this when its context has ended.
		case c.roll(3) == 0:
			w.(http.Flusher).Flush()
		}
	}
}

// visit sends one request. The answer may be missing or cut off; it must not be wrong.
func (c *chaos) visit() {
	// A panic of the Storage or of a hook reaches the server or the caller.
	defer func() { _ = recover() }()
	ctx := c.t.Context()
	if c.roll(4) == 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.upTo(500))
		defer cancel()
	}
	path, v := []string{"/a", "/b", "/vary", "/vary"}[c.roll(4)], fmt.Sprint(c.roll(3))
	request, err := http.NewRequest(http.MethodGet, "http://example.com"+path, nil)
	require.NoError(c.t, err)
	switch c.roll(60) {
	case 0:
		_ = c.cache.Purge(ctx, request)
	case 1:
		_ = c.cache.SoftPurge(ctx, request)
	case 2:
		require.NoError(c.t, c.cache.PurgeAll(context.Background()))
	}
	start := c.roll(3000)
	wish := [][]string{
		{"Range", fmt.Sprintf("bytes=%d-%d", start, start+c.roll(3000))},
		{"Cache-Control", "no-cache"},
		{"If-None-Match", fmt.Sprintf("%q", path)},
		{"Authorization", "x"},
		nil, nil, nil, nil,
	}[c.roll(8)]
	method := []string{"GET", "GET", "GET", "GET", "GET", "HEAD", "POST"}[c.roll(7)]
	response, err := c.ask(ctx, method, path, append(wish, "X-V", v)...)
	if err != nil {
		return
	}
	defer response.Body.Close()
	if c.roll(8) == 0 { // The client stops reading, and closes late.
		_, _ = io.CopyN(io.Discard, response.Body, int64(c.roll(5000)))
		time.Sleep(c.upTo(3000))
		return
	}
	body, err := io.ReadAll(response.Body)
	if err != nil || ctx.Err() != nil || method != http.MethodGet {
		return
	}
	whole := page(path, v)
	switch response.StatusCode {
	case http.StatusOK:
		if string(body) != whole {
			c.t.Errorf("%s %v: got %d bytes, not the right %d; %s", path, wish, len(body), len(whole), response.Header.Get("Cache-Status"))
		}
	case http.StatusPartialContent:
		var first, last, size int
		_, err := fmt.Sscanf(response.Header.Get("Content-Range"), "bytes %d-%d/%d", &first, &last, &size)
		if err != nil || wish == nil || wish[0] != "Range" || string(body) != whole[first:last+1] {
			c.t.Errorf("%s %v: the body is not the requested range; %s", path, wish, response.Header.Get("Cache-Status"))
		}
	}
}

// Everything happens at once: clients come and go, the origin and the Storage fail, hooks panic,
// keys are purged. Nobody gets a wrong answer or waits for ever. Afterwards nothing is left open
// and the cache works. The same holds for a cache that is closed meanwhile.
func TestFaultsEverywhereNeverGiveAWrongAnswer(t *testing.T) {
	seeds := int64(2)
	if longTests() {
		seeds = 200
	}
	run := func(t *testing.T, c *chaos, closes bool) {
		var clients sync.WaitGroup
		for range 20 {
			clients.Go(func() {
				for range 20 {
					c.visit()
					time.Sleep(c.upTo(1000))
				}
			})
		}
		if closes {
			time.Sleep(c.upTo(15_000))
			patience := c.upTo(3000)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			start := time.Now()
			_ = c.cache.Close(ctx)
			require.LessOrEqual(t, time.Since(start), patience)
		}
		clients.Wait()
		c.mu.Lock()
		c.calm = true
		c.mu.Unlock()
		require.NoError(t, c.cache.Wait(t.Context()))
		synctest.Wait()
		require.Empty(t, c.tally.Open())
		for _, path := range []string{"/new", "/a", "/b", "/vary"} {
			start := time.Now()
			r := c.get(path, "Cache-Control", "no-cache", "X-V", "1") // an error may be stored
			require.NoError(t, r.err)
			require.True(t, page(path, "1") == r.body, path)
			require.Zero(t, time.Since(start), "the request must not wait")
			if path == "/new" && !closes && int64(len(r.body)) <= c.cfg.MaxObjectBytes {
				require.Contains(t, r.status(), "; stored", "a fill must be free")
			}
			require.NoError(t, c.cache.Wait(t.Context()))
		}
		require.NoError(t, c.cache.Close(t.Context()))
		synctest.Wait()
		require.Empty(t, c.tally.Open())
	}
	for seed := range seeds {
		for _, door := range []string{"handler", "transport"} {
			for _, streams := range []bool{true, false} {
				for _, closes := range []bool{true, false} {
					t.Run(fmt.Sprintf("%d/%s/streams=%v/closes=%v", seed, door, streams, closes), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) { run(t, newChaos(t, seed, door, streams), closes) })
					})
				}
			}
		}
	}
}
