package middleware_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/verify/faulty/faultystorage"
	"github.com/cirquecache/cirque/memcache"
	"github.com/cirquecache/cirque/middleware"
	"github.com/cirquecache/cirque/rules"
)

// panickingHooks has a Config for each hook; every hook calls panics first.
func panickingHooks(panics func()) map[string]middleware.Config {
	return map[string]middleware.Config{
		"Key":           {Key: func(r *http.Request) (string, bool) { panics(); return middleware.DefaultKey(r) }},
		"UserTag":       {UserTag: func(*http.Request) string { panics(); return "" }},
		"RequestFilter": {RequestFilter: func(*http.Request) bool { panics(); return true }},
		"HitFilter": {HitFilter: func(*http.Request, *cirque.CacheMeta) rules.ForcedFreshness {
			panics()
			return 0
		}},
		"ResponseFilter": {ResponseFilter: func(*http.Request, int, http.Header) cirque.NoCacheReason {
			panics()
			return ""
		}},
		"Variance": {Variance: func(*http.Request, *cirque.VarianceBuilder) { panics() }},
		"ServeStale": {ServeStale: func(*http.Request, *cirque.CacheMeta, int, error) bool {
			panics()
			return true
		}},
		"NotModified":    {NotModified: func(*http.Request, *cirque.CacheMeta) bool { panics(); return false }},
		"TrustForwarded": {TrustForwarded: func(*http.Request) bool { panics(); return true }},
		"AuthorizePurge": {AuthorizePurge: func(*http.Request) bool { panics(); return false }},
		"BackgroundContext": {BackgroundContext: func(*http.Request) context.Context {
			panics()
			return context.Background()
		}},
		"Refresh": {Refresh: func(r *http.Request) http.Handler {
			panics()
			return r.Context().Value(http.ServerContextKey).(*http.Server).Handler
		}},
	}
}

// A hook that panics fails the request that called it and no other. No body stays open, no place
// for a fill is lost, and no waiter is left waiting.
func TestPanickingHookFailsItsRequestOnly(t *testing.T) {
	var armed atomic.Int32 // The nth call from now panics.
	var version atomic.Int32
	origin := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		switch r.URL.Path {
		case "/stale":
			aged(w, 100*time.Second)
			w.Header().Set("Cache-Control", "max-age=60, stale-if-error=600")
			if armed.Load() > 0 {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
		case "/swr":
			aged(w, 100*time.Second)
			w.Header().Set("Cache-Control", "max-age=60, stale-while-revalidate=600")
		}
		w.Header().Set("Etag", `"e"`)
		if r.Header.Get("If-None-Match") != "" {
			w.Header().Set("X-Version", fmt.Sprint(version.Add(1)))
			w.WriteHeader(http.StatusNotModified)
			return
		}
		io.WriteString(w, r.URL.Path)
	}
	for name, cfg := range panickingHooks(func() {
		if armed.Add(-1) == 0 {
			panic("broken hook")
		}
	}) {
		t.Run(name, func(t *testing.T) {
			store, tally := faultystorage.Wrap(memcache.New(memcache.Config{}), nil)
			cfg.Storage, cfg.MaxFills, cfg.MaxRevalidations = store, 1, 1
			cfg.LockWait, cfg.LockAge = time.Minute, time.Hour
			eachDoor(t, cfg, origin, func(t *testing.T, h *harness) {
				h.client.Timeout = 30 * time.Second // less than LockWait
				settled := func() { require.NoError(t, h.cache.Wait(t.Context())) }
				for _, path := range []string{"/fresh", "/stale", "/swr"} {
					armed.Store(0)
					h.get(path)
					settled()
					for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, "PURGE"} {
						for nth := int32(1); nth <= 4; nth++ {
							armed.Store(nth)
							h.try(method, path, "If-None-Match", `"other"`)
							h.try(method, "/absent")
							settled()
							armed.Store(0)
							require.Equal(t, path, h.get(path).body)
							settled()
						}
					}
				}
				h.get("/swr") // This causes a revalidation.
				settled()
				before := version.Load()
				h.get("/swr")
				settled()
				require.Equal(t, before+1, version.Load(), "stale-while-revalidate must go on")
				require.Contains(t, h.get("/new").status(), "; stored")
				settled()
				eventually(t, func() bool { return len(tally.Open()) == 0 }, "all bodies are closed")
			})
		})
	}
}

// A hook that panics while bytes are added to a stored part leaves that part closed.
func TestPanickingHookLeavesNoPartOpen(t *testing.T) {
	var armed atomic.Int32
	store, tally := faultystorage.Wrap(memcache.New(memcache.Config{}), nil)
	cfg := middleware.Config{
		Storage: store, Ranges: middleware.RangesForward,
		Variance: func(*http.Request, *cirque.VarianceBuilder) {
			if armed.Add(-1) == 0 {
				panic("broken hook")
			}
		},
	}
	origin := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Etag", `"e"`)
		http.ServeContent(w, r, "x.txt", time.Time{}, strings.NewReader(numbers))
	}
	eachDoor(t, cfg, origin, func(t *testing.T, h *harness) {
		armed.Store(0)
		h.get("/", "Range", "bytes=0-9")
		for nth := int32(1); nth < 8; nth++ {
			// On a new connection the client does not retry by itself.
			h.client.CloseIdleConnections()
			armed.Store(nth)
			h.try(http.MethodGet, "/", "Range", "bytes=10-19")
			require.NoError(t, h.cache.Wait(t.Context()))
		}
		armed.Store(0)
		require.Equal(t, numbers[:20], h.get("/", "Range", "bytes=0-19").body)
		eventually(t, func() bool { return len(tally.Open()) == 0 }, "all bodies are closed")
	})
}
