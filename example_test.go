package cirque_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/memcache"
	"github.com/cirquecache/cirque/rules"
)

// A proxy that does not use package middleware drives an HttpCache by hand: it makes the decisions
// of each request's walk and tells them to the HttpCache.
func ExampleHttpCache() {
	ctx := context.Background()
	opts := &cirque.CacheOptions{
		Storage:        memcache.New(memcache.Config{}),
		Lock:           cirque.NewCacheLock(0),
		MaxObjectBytes: 1 << 20,
	}
	var policy rules.Policy // the rules of a shared cache

	// origin plays the server behind the proxy.
	origin := func() (status int, header http.Header, body io.Reader) {
		return http.StatusOK, http.Header{"Cache-Control": {"max-age=60"}}, strings.NewReader("Hello")
	}

	serve := func(r *http.Request) (string, error) {
		var walk cirque.HttpCache
		defer walk.Release()
		walk.Enable(opts)
		walk.SetKey(cirque.NewCacheKey("", r.URL.String(), ""))

		meta, hit, err := walk.Lookup(ctx)
		switch {
		case err == nil && meta.IsFresh(time.Now()):
			walk.Found(meta, hit, cirque.HitFresh)
		case err == nil:
			walk.Found(meta, hit, cirque.HitForceMiss)
		case errors.Is(err, cirque.ErrNotFound):
			walk.Miss()
		default:
			return "", err
		}

		if walk.Phase() == cirque.PhaseMiss {
			asked := time.Now()
			status, header, body := origin()
			meta, refusal := policy.Store(&rules.Exchange{
				Request: r, Status: status, Header: header, RequestTime: asked, ResponseTime: time.Now(),
			})
			if refusal != nil {
				// A proxy would pass the response to the client.
				return "not stored: " + refusal.Detail, nil
			}
			walk.SetMeta(meta)
			fill, err := walk.StartFill(ctx, cirque.FillOptions{Reader: ctx, MissOptions: cirque.MissOptions{SizeHint: -1}})
			if err != nil {
				return "", err
			}
			defer fill.Abort(cirque.UpstreamError) // does nothing after Finish
			// A server would copy on another goroutine, so that a slow client does not delay the
			// fill.
			if _, err := io.Copy(fill, body); err != nil {
				return "", err
			}
			if err := fill.Finish(); err != nil {
				return "", err
			}
		}

		phase := walk.Phase()
		body, err := io.ReadAll(walk.Hit())
		return fmt.Sprintf("%s: %s", phase, body), err
	}

	request, _ := http.NewRequest(http.MethodGet, "http://example.com/", nil)
	for range 2 {
		fmt.Println(serve(request))
	}
	fmt.Println(opts.Purge(ctx, cirque.NewCacheKey("", "http://example.com/", "")))
	fmt.Println(serve(request))
	// Output:
	// Miss: Hello <nil>
	// Hit: Hello <nil>
	// <nil>
	// Miss: Hello <nil>
}

// The rules of RFC 9111 work without a cache.
func ExamplePolicy_Store() {
	request, _ := http.NewRequest(http.MethodGet, "http://example.com/", nil)
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for _, control := range []string{"max-age=60", "s-maxage=10, max-age=60", "private", "no-store"} {
		var shared rules.Policy
		meta, refusal := shared.Store(&rules.Exchange{
			Request: request, Status: http.StatusOK, Header: http.Header{"Cache-Control": {control}},
			RequestTime: now, ResponseTime: now,
		})
		if refusal != nil {
			fmt.Println(control, "- refused:", refusal.Detail)
			continue
		}
		fmt.Println(control, "- fresh for", meta.FreshUntil().Sub(now))
	}
	// Output:
	// max-age=60 - fresh for 1m0s
	// s-maxage=10, max-age=60 - fresh for 10s
	// private - refused: private
	// no-store - refused: no-store
}
