package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// question is one check of one cache.
type question struct {
	url    string // of the cache
	path   string
	origin *origin
}

// client keeps no connections, because it outlives the caches.
var client = &http.Client{
	Timeout:   20 * time.Second,
	Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true},
}

// do sends a request through the cache and returns the answer.
func (q *question) do(method string, fields ...string) (status int, body string, err error) {
	req, err := http.NewRequestWithContext(context.Background(), method, q.url+q.path, nil)
	if err != nil {
		return 0, "", err
	}
	for i := 0; i < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(all), err
}

// checks are the lines of the table.
var checks = []struct {
	question string
	ask      func(*question) string
}{
	{"50 clients ask for a slow page at once: requests at the origin; clients with a first byte while it was still sending", askCrowd},
	{"A response is cut short: what the next client gets", askCutShort},
	{"A range of a stored response: requests at the origin", askRange},
	{"Two variants by Accept-Language, asked for in turns twice: requests at the origin", askVariants},
	{"A stale response with an ETag: how it is renewed", askConfirmation},
	{"stale-while-revalidate from the origin: what a client gets once the response is stale", askStaleWhileRevalidate},
	{"A POST to a stored URL: what the next GET gets", askInvalidation},
}

func askCrowd(q *question) string {
	const clients = 50
	var sentAll atomic.Int64
	q.origin.serve(q.path, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprint(w, "first")
		w.(http.Flusher).Flush()
		time.Sleep(1500 * time.Millisecond)
		sentAll.CompareAndSwap(0, time.Now().UnixNano())
		fmt.Fprint(w, "last")
	})
	var wg sync.WaitGroup
	var early atomic.Int32
	for range clients {
		wg.Go(func() {
			resp, err := client.Get(q.url + q.path)
			if err != nil {
				return
			}
			defer resp.Body.Close()
			if _, err := io.ReadFull(resp.Body, make([]byte, 1)); err == nil && sentAll.Load() == 0 {
				early.Add(1)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
		})
	}
	wg.Wait()
	asked, _ := q.origin.books(q.path)
	return fmt.Sprintf("%d; %d", asked, early.Load())
}

func askCutShort(q *question) string {
	body := strings.Repeat("x", 100_000)
	var times atomic.Int32
	q.origin.serve(q.path, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		if times.Add(1) > 1 {
			fmt.Fprint(w, body)
			return
		}
		fmt.Fprint(w, body[:50_000])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	_, _, _ = q.do(http.MethodGet)
	_, second, err := q.do(http.MethodGet)
	if second == body {
		return "all of it"
	}
	return fmt.Sprintf("%d of %d bytes (%v)", len(second), len(body), err)
}

func askRange(q *question) string {
	q.origin.serve(q.path, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Etag", `"x"`)
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader("0123456789"))
	})
	_, _, _ = q.do(http.MethodGet)
	status, part, _ := q.do(http.MethodGet, "Range", "bytes=2-4")
	asked, _ := q.origin.books(q.path)
	if status != http.StatusPartialContent || part != "234" {
		return fmt.Sprintf("%d, and a %d with %d bytes", asked, status, len(part))
	}
	return fmt.Sprint(asked)
}

func askVariants(q *question) string {
	q.origin.serve(q.path, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Vary", "Accept-Language")
		fmt.Fprint(w, r.Header.Get("Accept-Language"))
	})
	for range 2 {
		for _, language := range []string{"en", "de"} {
			if _, body, _ := q.do(http.MethodGet, "Accept-Language", language); body != language {
				return "the wrong variant"
			}
		}
	}
	asked, _ := q.origin.books(q.path)
	return fmt.Sprint(asked)
}

// pastFreshness is long enough for a response with max-age=2 to become stale, although its Date is
// cut to a second.
const pastFreshness = 3100 * time.Millisecond

func askConfirmation(q *question) string {
	q.origin.serve(q.path, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=2")
		w.Header().Set("Etag", `"x"`)
		if r.Header.Get("If-None-Match") == `"x"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		fmt.Fprint(w, "body")
	})
	_, _, _ = q.do(http.MethodGet)
	time.Sleep(pastFreshness)
	_, _, _ = q.do(http.MethodGet)
	time.Sleep(200 * time.Millisecond) // it may be renewed in the background
	_, _, _ = q.do(http.MethodGet)
	asked, confirmed := q.origin.books(q.path)
	switch {
	case asked == 2 && confirmed == 1:
		return "one 304, then hits"
	case asked == 2:
		return "fetched again"
	}
	return fmt.Sprintf("%d requests, %d conditional", asked, confirmed)
}

func askStaleWhileRevalidate(q *question) string {
	var times atomic.Int32
	q.origin.serve(q.path, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=2, stale-while-revalidate=60")
		fmt.Fprint(w, times.Add(1))
	})
	_, _, _ = q.do(http.MethodGet)
	time.Sleep(pastFreshness)
	_, stale, _ := q.do(http.MethodGet)
	time.Sleep(200 * time.Millisecond)
	_, next, _ := q.do(http.MethodGet)
	switch {
	case stale == "1" && next == "2":
		return "the stale one at once; the next one a new one"
	case stale == "2":
		return "waits for a new one"
	}
	return fmt.Sprintf("answer %s, then %s", stale, next)
}

func askInvalidation(q *question) string {
	q.origin.serve(q.path, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			w.Header().Set("Cache-Control", "max-age=60")
		}
		fmt.Fprint(w, "body")
	})
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodGet} {
		_, _, _ = q.do(method)
	}
	if asked, _ := q.origin.books(q.path); asked == 3 {
		return "a new one"
	}
	return "the old one"
}
