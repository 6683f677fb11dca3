package main

import (
	"fmt"
	"net/http"
)

// The operations of a revalidate rig.
const (
	revalidation = "revalidation"
	miss         = "miss"
)

// newRevalidateRig returns a rig that serves bodies of 1 MiB: one that must be validated each time
// and has not changed, and others that are not in the cache.
func newRevalidateRig([]string) (*rig, error) {
	origin := newBareHandler(1 << 20)
	origin.fields[0].Value = "public, no-cache"
	cache, err := newCache(256 << 20)
	if err != nil {
		return nil, err
	}
	h := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") != "" {
			w.Header().Set("Etag", r.Header.Get("If-None-Match"))
			w.WriteHeader(http.StatusNotModified)
			return
		}
		origin.ServeHTTP(w, r)
	}))
	w, r := &blankWriter{}, newRequest(hitPath, "")
	ask := func(path string) {
		r.URL.Path = path
		if w.serve(h, r); w.bytes != len(origin.body) {
			panic(fmt.Sprintf("a body of %d bytes", w.bytes))
		}
	}
	keys, missed := newPaths(100_000), 0
	return &rig{operations: map[string]func(int){
		revalidation: func(n int) {
			for range n {
				ask(hitPath)
			}
		},
		miss: func(n int) {
			for range n {
				ask(keys.at(missed % keys.count()))
				missed++
			}
		},
	}}, nil
}

// measureRevalidation returns the row about answers of 304.
func measureRevalidation(b *bench) ([]row, error) {
	p, err := b.startRig(setting{procs: 1}, "revalidate")
	if err != nil {
		return nil, err
	}
	samples, err := b.contest(p.contender(revalidation), p.contender(miss))
	if err != nil {
		return nil, err
	}
	bytes := figure(samples[0], sample.bytes).median
	return []row{{
		what:     "revalidation (304) of 1 MiB",
		against:  fmt.Sprintf("miss of 1 MiB: %s allocated, %.0f µs", size(figure(samples[1], sample.bytes).median), figure(samples[1], sample.cpu).median/1e3),
		measured: fmt.Sprintf("%s allocated, %.0f µs", size(bytes), figure(samples[0], sample.cpu).median/1e3),
		result:   times(ratio(samples[0], samples[1], sample.cpu)) + " times its cost",
		wanted:   "body never copied",
		verdict:  metIf(bytes < 64<<10),
	}}, nil
}
