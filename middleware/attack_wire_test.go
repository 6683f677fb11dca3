package middleware_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/internal/verify/faulty"
	"github.com/cirquecache/cirque/middleware"
)

// Attacks by the bytes on the connection.

// The body of a client's request never becomes a request of its own, even if the cache answers
// without reading it (CVE-2025-4366).
func TestAttackUnreadBodyIsNotTakenForARequest(t *testing.T) {
	origin := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fresh(fmt.Sprintf("page %d", len(body)))(w, r)
	}
	eachDoor(t, middleware.Config{}, origin, func(t *testing.T, h *harness) {
		for _, warm := range []bool{true, false} {
			for _, behaviour := range []faulty.Behaviour{faulty.HiddenRequest, faulty.UnfinishedBody} {
				path := fmt.Sprintf("/%v/%v", warm, behaviour)
				if warm {
					h.get(path)
				}
				replies, _ := faulty.Client{Behaviour: behaviour}.Do(t.Context(), h.front.URL+path)
				require.Less(t, len(replies), 3)
				if behaviour == faulty.UnfinishedBody {
					require.Less(t, len(replies), 2)
				}
				if len(replies) > 0 {
					require.NotEqual(t, "page 0", string(replies[0].Body), "the origin must have read the body")
				}
				if len(replies) > 1 {
					require.Equal(t, "page 0", string(replies[1].Body))
				}
			}
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, r := range h.asked {
			require.NotEqual(t, faulty.HiddenTarget, r.RequestURI)
		}
	})
}

// A response that breaks off is not stored, and its client sees an error. It may be a short body, a
// broken chunk, or a reset stream.
func TestAttackTruncatedResponseIsNotStored(t *testing.T) {
	body := strings.Repeat("0123456789", 1000)
	kinds := slices.DeleteFunc(faulty.Kinds(), func(k faulty.Kind) bool {
		return !k.Breaks() || k == faulty.Refuse // A refused connection breaks no response off.
	})
	script := func(r *http.Request) faulty.Answer {
		a := faulty.Answer{Body: body, Header: http.Header{"Cache-Control": {"max-age=60"}}, Hold: closedChannel}
		if r.Header.Get("X-Break") != "" {
			a.Kind = kinds[len(kinds)-1]
			for _, k := range kinds {
				if "/"+k.String() == r.URL.Path {
					a.Kind = k
				}
			}
		}
		return a
	}
	test := func(t *testing.T, h *harness, kind faulty.Kind) {
		path := "/" + kind.String()
		got := h.try("GET", path, "X-Break", "1")
		if got.err == nil {
			require.Equal(t, http.StatusBadGateway, got.StatusCode, "the answer ended without an error after %d bytes", len(got.body))
		}
		require.True(t, strings.HasPrefix(body, got.body) || got.StatusCode >= 500)
		again := h.get(path)
		require.NoError(t, again.err)
		require.Equal(t, body, again.body)
		require.NotContains(t, again.status(), "; hit")
	}
	for _, door := range []string{"handler", "transport"} {
		t.Run(door+"/1.1", func(t *testing.T) {
			h, _ := newFaultyHarness(t, door, middleware.Config{}, script)
			for _, kind := range kinds {
				t.Run(kind.String(), func(t *testing.T) { test(t, h, kind) })
			}
		})
		t.Run(door+"/2", func(t *testing.T) {
			h, _ := newHTTP2Harness(t, door, middleware.Config{}, script)
			for _, kind := range kinds {
				if kind.HTTP2() {
					t.Run(kind.String(), func(t *testing.T) { test(t, h, kind) })
				}
			}
		})
	}
}

// closedChannel is closed so that faults which would stall happen at once.
var closedChannel = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// Hundreds of ranges cost no more than the whole body (CVE-2018-8005).
func TestAttackManyRangesCostNoMoreThanTheWhole(t *testing.T) {
	body := strings.Repeat("0123456789abcdef", 4<<10)
	for _, mode := range []middleware.Ranges{middleware.RangesWhole, middleware.RangesForward} {
		origin := func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Etag", `"e"`)
			w.Header().Set("Cache-Control", "max-age=60")
			http.ServeContent(w, r, "x.txt", time.Time{}, strings.NewReader(body))
		}
		eachDoor(t, middleware.Config{Ranges: mode}, origin, func(t *testing.T, h *harness) {
			h.get("/hot")
			for _, behaviour := range []faulty.Behaviour{faulty.ManyRanges, faulty.ManyBytes} {
				for _, count := range []int{17, 200, 5000} {
					replies, err := faulty.Client{Behaviour: behaviour, Count: count}.Do(t.Context(), h.front.URL+"/hot")
					require.NoError(t, err)
					require.LessOrEqual(t, len(replies[0].Body), len(body)+1<<10, "%v of %d ranges", behaviour, count)
				}
			}
			require.Equal(t, 1, h.requests())
		})
	}
	t.Run("overlapping ranges within the limit are joined", func(t *testing.T) {
		eachDoor(t, middleware.Config{}, fresh(body), func(t *testing.T, h *harness) {
			h.get("/")
			ranges := strings.TrimPrefix(faulty.OverlappingRanges(16), "Range: ")
			require.LessOrEqual(t, len(h.get("/", "Range", ranges).body), len(body)+1<<10)
		})
	})
}

// Requests for single bytes of a URL that is not stored share one fetch of the whole.
func TestAttackRangesOnAMissShareOneFetch(t *testing.T) {
	var hold chan struct{}
	origin := func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Range") != "" {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		<-hold
		fresh(strings.Repeat("0123456789", 100))(w, r)
	}
	eachDoor(t, middleware.Config{}, origin, func(t *testing.T, h *harness) {
		var release func()
		hold, release = gate(t)
		var done sync.WaitGroup
		for n := range 50 {
			done.Go(func() {
				got := h.try("GET", "/", "Range", fmt.Sprintf("bytes=%d-%d", n, n))
				if got.StatusCode != http.StatusPartialContent || got.body != fmt.Sprint(n%10) {
					t.Errorf("byte %d: got status %d, body %q", n, got.StatusCode, got.body)
				}
			})
		}
		eventually(t, func() bool { return h.requests() == 1 }, "the first client reaches the origin")
		// The others queue meanwhile, or come later and find the answer.
		time.Sleep(20 * time.Millisecond)
		release()
		done.Wait()
		require.Equal(t, 1, h.requests())
	})
}

// No response header makes the cache panic, or serves a hit that differs from the stored response
// (CVE-2021-28662).
func FuzzResponseHeader(f *testing.F) {
	for _, field := range []string{
		"Cache-Control", "Cdn-Cache-Control", "Vary", "Etag", "Last-Modified", "Expires", "Date", "Age", "Content-Length", "Content-Type",
		"Content-Range", "Content-Encoding", "Set-Cookie", "Trailer", "Transfer-Encoding", "Connection", "Cache-Groups", "Location", "",
	} {
		f.Add(200, field, "")
		f.Add(200, field, `max-age=60, "`)
		f.Add(404, field, "Thu, 01 Jan 1970 00:00:00 GMT, *")
		f.Add(206, field, "bytes 0-3/4")
		f.Add(304, field, "-1;=\x00\xff\"\\")
		f.Add(501, field, "99999999999999999999999999999999999999")
	}
	f.Fuzz(func(t *testing.T, status int, name, value string) {
		if status < 200 || status > 599 {
			t.Skip()
		}
		cache := newCache(t, middleware.Config{})
		defer func() { require.NoError(t, cache.Close(context.Background())) }()
		calls := 0
		door := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			calls++
			w.Header()["Cache-Control"] = []string{"max-age=60"}
			w.Header()[name] = append(w.Header()[name], value)
			w.WriteHeader(status)
			io.WriteString(w, "body")
		}))
		ask := func(header ...string) *http.Response {
			r := httptest.NewRequest("GET", "http://example.test/", nil)
			addFields(r.Header, header)
			w := httptest.NewRecorder()
			func() {
				defer func() {
					if p := recover(); p != nil && p != http.ErrAbortHandler {
						panic(p)
					}
				}()
				door.ServeHTTP(w, r)
			}()
			return w.Result()
		}
		first := ask()
		second := ask()
		if calls == 1 {
			require.Equal(t, first.StatusCode, second.StatusCode)
			a, _ := io.ReadAll(first.Body)
			b, _ := io.ReadAll(second.Body)
			require.Equal(t, string(a), string(b))
			switch http.CanonicalHeaderKey(name) {
			case "Content-Length": // The cache computes this field.
			case "Set-Cookie", "Set-Cookie2": // Only the first client gets a cookie.
				require.Empty(t, second.Header[http.CanonicalHeaderKey(name)])
			default:
				require.Equal(t, first.Header[name], second.Header[name])
			}
		}
		ask("Range", "bytes=1-2", "If-None-Match", value, "If-Modified-Since", value, "Accept-Language", value)
		ask("Cache-Control", value, "If-Range", value, "Range", value)
	})
}
