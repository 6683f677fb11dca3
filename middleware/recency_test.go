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
	"github.com/cirquecache/cirque/middleware"
)

// slowFirstOrigin is an origin whose first body waits for hold. Versions count from 1.
type slowFirstOrigin struct {
	version atomic.Int32
	hold    chan struct{}
	header  func(version int32, h http.Header)
}

func (s *slowFirstOrigin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
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

// The first version's body is slow, and a reload stores the second version meanwhile. The first,
// complete at last, answers its own request and does not replace the second (RFC 9111 §4).
func TestOlderResponseThatCompletesLateIsNotStored(t *testing.T) {
	eachStorage(t, func(t *testing.T, open func(t *testing.T) cirque.Storage) {
		for name, header := range map[string]func(int32, http.Header){
			"neither varies": nil,
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
			"both vary":                    func(_ int32, h http.Header) { h.Set("Vary", "X-V") },
			"each varies on another field": func(v int32, h http.Header) { h.Set("Vary", fmt.Sprint("X-", v)) },
			"the older has the later Date": func(v int32, h http.Header) {
				h.Set("Date", time.Now().Add(time.Duration(2-v)*time.Hour).UTC().Format(http.TimeFormat))
			},
		} {
			t.Run(name, func(t *testing.T) {
				wait, release := gate(t)
				origin := &slowFirstOrigin{hold: wait, header: header}
				eachDoor(t, middleware.Config{Storage: open(t), LockAge: 10 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
					origin.ServeHTTP(w, r)
				}, func(t *testing.T, h *harness) {
					wait, release = gate(t)
					origin = &slowFirstOrigin{hold: wait, header: header}
					first := make(chan reply, 1)
					go func() { first <- h.try(http.MethodGet, "/") }()
					eventually(t, func() bool { return h.requests() == 1 }, "the first request reaches the origin")
					time.Sleep(20 * time.Millisecond) // Its header has come.
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

// Of two exchanges that overlap in time, the one with the later Date is the more recent, as far as
// its Date is not in the future. If the Dates are equal, the one requested later is (RFC 9111 §4).
func TestLaterDateWinsWhereExchangesOverlap(t *testing.T) {
	// The first is requested at 0 s and answered at 10 s, the second at 5 s and 6 s.
	for name, test := range map[string]struct {
		dates [2]time.Duration
		want  string
	}{
		"Dates in the order of the requests": {[2]time.Duration{time.Second, 5 * time.Second}, "v2"},
		"Dates in the opposite order":        {[2]time.Duration{9 * time.Second, 5 * time.Second}, "v1"},
		"equal Dates":                        {[2]time.Duration{5 * time.Second, 5 * time.Second}, "v2"},
		"the second an hour ahead":           {[2]time.Duration{9 * time.Second, time.Hour}, "v1"},
		"the first an hour ahead":            {[2]time.Duration{time.Hour, 5 * time.Second}, "v1"},
		"the first an hour behind":           {[2]time.Duration{-time.Hour, 5 * time.Second}, "v2"},
		"both an hour ahead, or more":        {[2]time.Duration{time.Hour, 2 * time.Hour}, "v1"},
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

// After an origin's clock was an hour ahead, its answers are stored as soon as the clock is right.
func TestDateAheadDoesNotBlockNewerResponses(t *testing.T) {
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

// Answers that bring no body to store have an order too. An older 304, an older answer to HEAD and
// an older answer that forbids storing, all of which come late, change nothing about a newer
// response.
func TestOlderAnswersThatComeLateChangeNothing(t *testing.T) {
	for name, test := range map[string]struct {
		method string
		answer func(w http.ResponseWriter, r *http.Request)
	}{
		"304": {http.MethodGet, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Etag", `"v1"`)
			w.Header().Set("Cache-Control", "max-age=5")
			w.WriteHeader(http.StatusNotModified)
		}},
		"304 that forbids storing": {http.MethodGet, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Etag", `"v1"`)
			w.Header().Set("Cache-Control", "no-store")
			w.WriteHeader(http.StatusNotModified)
		}},
		"HEAD": {http.MethodHead, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Etag", `"v0"`)
			w.Header().Set("Cache-Control", "max-age=5")
		}},
		"200 that forbids storing": {http.MethodGet, func(w http.ResponseWriter, r *http.Request) {
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
