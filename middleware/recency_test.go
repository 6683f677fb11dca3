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

// slowFirst is an origin whose first answer's body is held up until the gate opens. Versions count
// from 1.
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

// The body of the first version is slow; a reload stores the second one meanwhile. The first, when
// it is complete at last, is the answer of the one who asked for it, and does not take the place of
// the second (RFC 9111 §4).
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

// Where two exchanges overlap in time, the one with the later Date counts, as far as that is not in
// the future; where these are equal, the one asked for later (RFC 9111 §4).
func TestOverlappingExchangesGoByDate(t *testing.T) {
	// The first is asked for at 0 s and answered at 10 s, the second at 5 s and 6 s.
	for name, test := range map[string]struct {
		dates [2]time.Duration
		want  string
	}{
		"Dates as asked":              {[2]time.Duration{time.Second, 5 * time.Second}, "v2"},
		"Dates the other way":         {[2]time.Duration{9 * time.Second, 5 * time.Second}, "v1"},
		"equal":                       {[2]time.Duration{5 * time.Second, 5 * time.Second}, "v2"},
		"the second an hour ahead":    {[2]time.Duration{9 * time.Second, time.Hour}, "v1"},
		"the first an hour ahead":     {[2]time.Duration{time.Hour, 5 * time.Second}, "v1"},
		"the first an hour behind":    {[2]time.Duration{-time.Hour, 5 * time.Second}, "v2"},
		"both an hour ahead, or more": {[2]time.Duration{time.Hour, 2 * time.Hour}, "v1"},
	} {
		t.Run(name, func(t *testing.T) {
			var version atomic.Int32
			var start time.Time
			eachBubble(t, middleware.Config{LockAge: time.Second}, func(w http.ResponseWriter, r *http.Request) {
				v := version.Add(1)
				time.Sleep([]time.Duration{10 * time.Second, time.Second}[v-1])
				w.Header().Set("Cache-Control", "max-age=86400")
				w.Header().Set("Date", start.Add(test.dates[v-1]).UTC().Format(http.TimeFormat))
				fmt.Fprintf(w, "v%d", v)
			}, func(t *testing.T, b *bubble) {
				version.Store(0)
				start = time.Now()
				first := make(chan reply)
				go func() { first <- b.get("/") }()
				time.Sleep(5 * time.Second)
				second := b.get("/", "Cache-Control", "no-cache")
				require.Equal(t, "v2", second.body)
				require.Contains(t, second.status(), "stored")
				require.Equal(t, "v2", b.get("/").body)
				one := <-first
				require.Equal(t, "v1", one.body)
				require.NoError(t, b.cache.Wait(t.Context()))
				if test.want == "v2" {
					require.NotContains(t, one.status(), "stored")
					require.Contains(t, one.status(), "detail=superseded")
				} else {
					require.Contains(t, one.status(), "stored")
				}
				got := b.get("/")
				require.Equal(t, test.want, got.body)
				require.Contains(t, got.status(), "; hit")
				require.NoError(t, b.cache.Close(t.Context()))
			})
		})
	}
}

// An origin whose clock was an hour ahead, and is set right, is believed at once.
func TestADateAheadDoesNotBlockWhatIsNewer(t *testing.T) {
	var version atomic.Int32
	eachBubble(t, middleware.Config{}, func(w http.ResponseWriter, r *http.Request) {
		date := time.Now()
		if version.Add(1) == 1 {
			date = date.Add(time.Hour)
		}
		w.Header().Set("Cache-Control", "max-age=600")
		w.Header().Set("Date", date.UTC().Format(http.TimeFormat))
		fmt.Fprintf(w, "v%d", version.Load())
	}, func(t *testing.T, b *bubble) {
		version.Store(0)
		require.Equal(t, "v1", b.get("/").body)
		time.Sleep(time.Second)
		got := b.get("/", "Cache-Control", "no-cache")
		require.Equal(t, "v2", got.body)
		require.Contains(t, got.status(), "stored")
		require.NoError(t, b.cache.Wait(t.Context()))
		require.Equal(t, "v2", b.get("/").body)
		require.NoError(t, b.cache.Close(t.Context()))
	})
}

// Answers that are no responses to be stored have their place in the order too: an older 304, an
// older answer to HEAD and an older refusal, which all come late, change nothing about a newer
// response.
func TestOlderAnswersThatComeLate(t *testing.T) {
	for name, test := range map[string]struct {
		method string
		answer func(w http.ResponseWriter, r *http.Request)
	}{
		"not modified": {http.MethodGet, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Etag", `"v1"`)
			w.Header().Set("Cache-Control", "max-age=5")
			w.WriteHeader(http.StatusNotModified)
		}},
		"not modified, not to be stored": {http.MethodGet, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Etag", `"v1"`)
			w.Header().Set("Cache-Control", "no-store")
			w.WriteHeader(http.StatusNotModified)
		}},
		"head": {http.MethodHead, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Etag", `"v0"`)
			w.Header().Set("Cache-Control", "max-age=5")
		}},
		"not to be stored": {http.MethodGet, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "no-store")
			io.WriteString(w, "secret")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int32
			eachBubble(t, middleware.Config{LockAge: time.Second}, func(w http.ResponseWriter, r *http.Request) {
				n := asked.Add(1)
				if n == 2 {
					w.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
					time.Sleep(10 * time.Second)
					test.answer(w, r)
					return
				}
				w.Header().Set("Cache-Control", "max-age=600")
				w.Header().Set("Etag", fmt.Sprintf(`"v%d"`, n))
				fmt.Fprintf(w, "v%d", n)
			}, func(t *testing.T, b *bubble) {
				asked.Store(0)
				require.Equal(t, "v1", b.get("/").body)
				time.Sleep(700 * time.Second)
				late := make(chan struct{})
				go func() {
					defer close(late)
					response, err := b.ask(t.Context(), test.method, "/")
					require.NoError(t, err)
					_, _ = io.Copy(io.Discard, response.Body)
					_ = response.Body.Close()
				}()
				time.Sleep(5 * time.Second)
				require.Equal(t, "v3", b.get("/", "Cache-Control", "no-cache").body)
				<-late
				require.NoError(t, b.cache.Wait(t.Context()))
				time.Sleep(20 * time.Second)
				got := b.get("/")
				require.Equal(t, "v3", got.body)
				require.Contains(t, got.status(), "; hit")
				require.EqualValues(t, 3, asked.Load())
				require.NoError(t, b.cache.Close(t.Context()))
			})
		})
	}
}
