package middleware_test

import (
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/diskcache"
	"github.com/cirquecache/cirque/memcache"
	"github.com/cirquecache/cirque/middleware"
	"github.com/cirquecache/cirque/tiered"
)

// eachStorage runs test with a cache over each kind of Storage.
func eachStorage(t *testing.T, test func(t *testing.T, open func(t *testing.T) cirque.Storage)) {
	openDisk := func(t *testing.T) *diskcache.Store {
		disk, err := diskcache.Open(t.TempDir(), nil)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, disk.Close()) })
		return disk
	}
	for name, open := range map[string]func(t *testing.T) cirque.Storage{
		"memory": func(*testing.T) cirque.Storage { return memcache.New(memcache.Config{}) },
		"disk":   func(t *testing.T) cirque.Storage { return openDisk(t) },
		"plain":  func(*testing.T) cirque.Storage { return plain{memcache.New(memcache.Config{})} },
		"tiered": func(t *testing.T) cirque.Storage {
			return tiered.New(memcache.New(memcache.Config{}), openDisk(t), tiered.Config{})
		},
	} {
		t.Run(name, func(t *testing.T) { test(t, open) })
	}
}

// slowFirst is an origin whose first answer's body is held up until the gate opens. Versions count from 1.
type slowFirst struct {
	version atomic.Int32
	hold    chan struct{}
	header  func(version int32, h http.Header)
}

func (s *slowFirst) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v := s.version.Add(1)
	w.Header().Set("Cache-Control", "max-age=600")
	w.Header().Set("Etag", fmt.Sprintf(`"v%d"`, v))
	if s.header != nil {
		s.header(v, w.Header())
	}
	fmt.Fprintf(w, "v%d ", v)
	if v == 1 {
		http.NewResponseController(w).Flush()
		<-s.hold
	}
	io.WriteString(w, "end")
}

// The body of the first version is slow; a reload stores the second one meanwhile. The first, when it is complete at last,
// is the answer of the one who asked for it, and does not take the place of the second (RFC 9111 §4).
func TestAnOlderResponseThatCompletesLateIsNotStored(t *testing.T) {
	eachStorage(t, func(t *testing.T, open func(t *testing.T) cirque.Storage) {
		for name, header := range map[string]func(int32, http.Header){
			"plain": nil,
			"one varies": func(v int32, h http.Header) {
				if v == 1 {
					h.Set("Vary", "X-V")
				}
			},
			"two varies": func(v int32, h http.Header) {
				if v == 2 {
					h.Set("Vary", "X-V")
				}
			},
			"both vary":   func(_ int32, h http.Header) { h.Set("Vary", "X-V") },
			"others vary": func(v int32, h http.Header) { h.Set("Vary", fmt.Sprint("X-", v)) },
			"wrong clocks": func(v int32, h http.Header) {
				h.Set("Date", time.Now().Add(time.Duration(2-v)*time.Hour).UTC().Format(http.TimeFormat))
			},
		} {
			t.Run(name, func(t *testing.T) {
				wait, release := gate(t)
				origin := &slowFirst{hold: wait, header: header}
				eachDoor(t, middleware.Config{Storage: open(t), LockAge: 10 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
					origin.ServeHTTP(w, r)
				}, func(t *testing.T, h *house) {
					wait, release = gate(t)
					origin = &slowFirst{hold: wait, header: header}
					first := make(chan reply, 1)
					go func() { first <- h.try(http.MethodGet, "/") }()
					eventually(t, func() bool { return h.requests() == 1 }, "the first request")
					time.Sleep(20 * time.Millisecond) // its header is there
					require.Equal(t, "v2 end", h.get("/", "Cache-Control", "no-cache").body)
					require.Equal(t, "v2 end", h.get("/").body)
					release()
					require.Equal(t, "v1 end", (<-first).body)
					require.NoError(t, h.cache.Wait(t.Context()))
					got := h.get("/")
					require.Equal(t, "v2 end", got.body)
					require.Contains(t, got.status(), "; hit")
				})
			})
		}
	})
}
