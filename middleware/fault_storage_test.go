package middleware_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/faulty/faultystorage"
	"github.com/cirquecache/cirque/memcache"
	"github.com/cirquecache/cirque/middleware"
)

// plain hides that a storage streams, so that bodies are spooled beside it.
type plain struct{ cirque.Storage }

// storageScript answers by path: pages with and without variants, that are fresh, stale, or served while they are
// revalidated. A body names its path and variant, and is larger than an entry's block.
func storageScript(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Etag", `"e"`)
	w.Header().Set("Cache-Control", "max-age=60")
	switch r.URL.Path {
	case "/stale":
		aged(w, 100*time.Second)
	case "/swr":
		aged(w, 100*time.Second)
		w.Header().Set("Cache-Control", "max-age=60, stale-while-revalidate=600")
	case "/vary":
		w.Header().Set("Vary", "X-V")
	case "/uncacheable":
		w.Header().Set("Cache-Control", "no-store")
	}
	if r.Header.Get("If-None-Match") == `"e"` && r.URL.Path != "/swr" {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	io.WriteString(w, storedBody(r.URL.Path, r.Header.Get("X-V")))
}

func storedBody(path, variant string) string {
	return strings.Repeat(path+" "+variant+"\n", 8<<10/len(path))
}

// visit asks for everything there is, in every way. Answers may be missing, or break off; they must not be wrong.
func (h *house) visit(t *testing.T) {
	for range 2 {
		for _, path := range []string{"/fresh", "/stale", "/swr", "/vary", "/uncacheable"} {
			for _, v := range []string{"1", "2"} {
				if path != "/vary" {
					v = ""
				}
				want := storedBody(path, v)
				check := func(method, want string, status int, header ...string) {
					got := h.try(method, path, append(header, "X-V", v)...)
					if got.err != nil {
						require.True(t, strings.HasPrefix(want, got.body), "%s %s: wrong bytes before %v", method, path, got.err)
						return
					}
					if got.StatusCode == http.StatusBadGateway {
						return
					}
					require.Equal(t, want, got.body, "%s %s", method, path)
					require.Contains(t, []int{status, http.StatusOK}, got.StatusCode)
				}
				check("GET", want, 200)
				check("GET", want[100:200], 206, "Range", "bytes=100-199")
				check("HEAD", "", 200)
				check("GET", "", 304, "If-None-Match", `"e"`)
			}
			_ = h.cache.SoftPurge(t.Context(), h.keyed(path))
			h.try("GET", path)
		}
		for _, path := range []string{"/fresh", "/vary"} {
			_ = h.cache.Purge(t.Context(), h.keyed(path))
			h.try("POST", path)
		}
	}
}

var errDisk = errors.New("disk on fire")

// A storage that fails, delays or panics at any call of any method never makes the cache crash, hang or serve wrong
// bytes; nothing that it handed out stays open, and when the fault is over all is well again.
//
// It keeps: whoever begins a flight ends it, exactly once, on every path.
func TestFaultyStorage(t *testing.T) {
	faults := map[string]faultystorage.Fault{
		"fails":  {Err: errDisk},
		"delays": {Delay: 30 * time.Millisecond},
		"panics": {Panic: "storage broken"},
		"tears":  {Err: errDisk, Partial: 10},
	}
	for _, stores := range []string{"streaming", "plain"} {
		for name, fault := range faults {
			for _, op := range faultystorage.Ops() {
				if name == "tears" && op != faultystorage.HitRead && op != faultystorage.MissWrite && op != faultystorage.HitWriteTo {
					continue
				}
				t.Run(fmt.Sprintf("%s/%s/%v", stores, name, op), func(t *testing.T) {
					for _, door := range []string{"handler", "transport"} {
						for nth := range 4 {
							testFaultyStorage(t, door, stores, op, nth, fault)
						}
					}
				})
			}
		}
	}
}

func testFaultyStorage(t *testing.T, door, stores string, op faultystorage.Op, nth int, fault faultystorage.Fault) {
	t.Run(fmt.Sprintf("%s/%d", door, nth), func(t *testing.T) {
		var over atomic.Bool
		script := faultystorage.Nth(op, nth, fault)
		var base cirque.Storage = memcache.New(memcache.Config{})
		if stores == "plain" {
			base = plain{base}
		}
		store, tally := faultystorage.Wrap(base, func(op faultystorage.Op, call int) faultystorage.Fault {
			if over.Load() {
				return faultystorage.Fault{}
			}
			return script(op, call)
		})
		h := newHouse(t, door, middleware.Config{Storage: store, LockWait: time.Second}, storageScript)
		h.client.Timeout = 20 * time.Second
		h.visit(t)
		over.Store(true)
		for _, path := range []string{"/fresh", "/vary"} {
			for range 2 {
				require.Equal(t, storedBody(path, "1"), h.get(path, "X-V", "1").body)
			}
		}
		eventually(t, func() bool { return len(tally.Open()) == 0 }, fmt.Sprint("still open: ", tally.Open()))
	})
}
