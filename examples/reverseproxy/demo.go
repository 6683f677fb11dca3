package main

import (
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// This file has pages of the demo website that show what a cache meets, and the visitors that -demo
// sends there.

// addDemoPages adds the pages to mux. think is about how long the website thinks about a page.
func addDemoPages(mux *http.ServeMux, think time.Duration) {
	page := func(pattern, cacheControl string, write func(w http.ResponseWriter, r *http.Request)) {
		mux.HandleFunc("GET "+pattern, func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-time.After(think/2 + time.Duration(rand.Int64N(int64(think)+1))):
			case <-r.Context().Done():
			}
			w.Header().Set("Cache-Control", cacheControl)
			write(w, r)
		})
	}
	filler := strings.Repeat("All work and no play makes a dull page. ", 8<<10)
	sized := func(w http.ResponseWriter, r *http.Request, least, most int) {
		h := fnv.New32a()
		_, _ = io.WriteString(h, r.URL.Path)
		n := least + int(h.Sum32()%uint32(most-least))
		w.Header().Set("Content-Length", fmt.Sprint(n))
		_, _ = io.WriteString(w, filler[:n])
	}
	page("/article/{n}", "max-age=120, stale-while-revalidate=60", func(w http.ResponseWriter, r *http.Request) { sized(w, r, 2<<10, 40<<10) })
	page("/image/{n}", "max-age=3600", func(w http.ResponseWriter, r *http.Request) { sized(w, r, 8<<10, 250<<10) })
	page("/welcome", "max-age=60", func(w http.ResponseWriter, r *http.Request) { // in the language of the visitor
		w.Header().Set("Vary", "Accept-Language")
		language := r.Header.Get("Accept-Language")
		w.Header().Set("Content-Language", language)
		fmt.Fprintf(w, "%s\n", map[string]string{"de": "Willkommen", "fr": "Bienvenue", "en": "Welcome"}[language])
	})
	page("/news", "max-age=2, stale-while-revalidate=30", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Groups", `"news"`)
		fmt.Fprintln(w, "News of", time.Now().Format(time.TimeOnly))
	})
	page("/prices", "max-age=3", func(w http.ResponseWriter, r *http.Request) { // has a validator: a 304 confirms it
		w.Header().Set("ETag", `"1"`)
		http.ServeContent(w, r, "prices.txt", time.Time{}, strings.NewReader("apples 2, pears 3\n"))
	})
	page("/account", "private, no-store", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "for you alone") })
	page("/search", "no-cache", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "found nothing") })
	page("/broken", "no-store", func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "this page is broken", http.StatusInternalServerError)
	})
	page("/missing", "max-age=10", func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "there is no such page", http.StatusNotFound)
	})
	// Every third answer is an error; the stored response may be served in its place.
	var asked atomic.Int64
	page("/flaky", "max-age=1, stale-if-error=60", func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1)%3 == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		fmt.Fprintln(w, "it works, most of the time")
	})
	mux.HandleFunc("POST /welcome", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "thank you") })
}

// visitors are clients of the demo website; none, until they come.
type visitors struct {
	stop context.CancelFunc
	all  sync.WaitGroup
}

// visitorCount is how many visitors there are. Each asks for a few pages a second.
const visitorCount = 12

// come sends visitors to the website at this URL, until leave is called.
func (v *visitors) come(url string) {
	ctx, stop := context.WithCancel(context.Background())
	v.stop = stop
	transport := &http.Transport{MaxIdleConnsPerHost: visitorCount}
	context.AfterFunc(ctx, transport.CloseIdleConnections)
	client := &http.Client{Transport: transport, Timeout: 30 * time.Second}
	for n := range uint64(visitorCount) {
		v.all.Go(func() { visit(ctx, client, url, rand.New(rand.NewPCG(1, n))) })
	}
}

func (v *visitors) leave() {
	if v.stop != nil {
		v.stop()
		v.all.Wait()
	}
}

// visit asks for one page after the other until ctx ends.
func visit(ctx context.Context, client *http.Client, url string, random *rand.Rand) {
	articles, images := rand.NewZipf(random, 1.3, 3, 3000), rand.NewZipf(random, 1.25, 4, 1000)
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Duration(random.ExpFloat64() * float64(120*time.Millisecond))):
		}
		method, path := http.MethodGet, ""
		switch n := random.IntN(1000); {
		case n < 420:
			path = fmt.Sprint("/article/", articles.Uint64())
		case n < 780:
			path = fmt.Sprint("/image/", images.Uint64())
		case n < 830:
			path = "/welcome"
		case n < 870:
			path = "/news"
		case n < 900:
			path = "/prices"
		case n < 930:
			path = "/account"
		case n < 945:
			path = fmt.Sprint("/search?q=", random.IntN(1000))
		case n < 960:
			path = "/flaky"
		case n < 970:
			path = "/missing"
		case n < 975:
			path = "/broken"
		case n < 985:
			path = "/slow"
		case n < 987:
			method, path = http.MethodPost, "/welcome"
		default:
			path = "/"
		}
		r, err := http.NewRequestWithContext(ctx, method, url+path, nil)
		if err != nil {
			return
		}
		r.Header.Set("Accept-Language", []string{"en", "de", "fr"}[random.IntN(3)])
		response, err := client.Do(r)
		if err != nil {
			continue // the website is about to close, or the answer broke off
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
	}
}
