package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction"
	"github.com/cirquecache/cirque/memcache"
)

// The names of the contenders at raw lookups.
const (
	memCache  = "memcache"
	otterName = "otter"
)

// newLookupRig returns a rig that finds one of many entries by the text of its key, and tells the
// eviction policy. Its argument is the name of the contender. The rest of a hit (rules, header,
// body) is left out, because a cache of objects has none of it.
func newLookupRig(args []string) (*rig, error) {
	entries, err := strconv.Atoi(args[1])
	if err != nil {
		return nil, err
	}
	keys, order := newPaths(entries), zipf(entries, 1)
	var look func(key string) bool
	switch args[0] {
	case memCache:
		look, err = fillMemCache(keys)
	case otterName:
		look, err = fillOtter(keys)
	}
	if err != nil {
		return nil, err
	}
	next := 0
	return &rig{operations: map[string]func(int){args[0]: func(n int) {
		for range n {
			if !look(keys.at(int(order[next%len(order)]))) {
				panic("a key that was stored is missing")
			}
			next++
		}
	}}}, nil
}

func fillMemCache(keys paths) (look func(string) bool, err error) {
	ctx, body := context.Background(), bodyOf(1<<10)
	header := make(http.Header)
	for _, f := range fieldsFor(len(body)) {
		header.Set(f.Name, f.Value)
	}
	freshUntil := time.Now().Add(time.Hour)
	meta := cirque.NewCacheMeta(http.StatusOK, header, time.Now(), freshUntil, 0, 0)
	store := memcache.New(memcache.Config{})
	manager, err := eviction.New(eviction.Default, ample)
	if err != nil {
		return nil, err
	}
	for i := range keys.count() {
		key := cirque.NewCacheKey("", keys.at(i), "")
		w, err := store.MissHandler(ctx, key, meta, cirque.MissOptions{SizeHint: int64(len(body))})
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(body); err != nil {
			return nil, err
		}
		finish, err := w.Finish()
		if err != nil {
			return nil, err
		}
		manager.Admit(key.Compact(), finish.Size, freshUntil, 0)
	}
	return func(path string) bool {
		key := cirque.NewCacheKey("", path, "")
		meta, hit, err := store.Lookup(ctx, key)
		if err != nil {
			return false
		}
		manager.Access(key.Compact(), hit.Weight(), meta.FreshUntil())
		return hit.Close() == nil
	}, nil
}

func fillOtter(keys paths) (look func(string) bool, err error) {
	type value struct {
		fields []field
		body   []byte
	}
	cache, err := otter.New(&otter.Options[string, *value]{
		MaximumWeight: ample, Weigher: func(_ string, v *value) uint32 { return uint32(len(v.body)) },
	})
	if err != nil {
		return nil, err
	}
	for i := range keys.count() {
		cache.Set(keys.at(i), &value{fieldsFor(1 << 10), bodyOf(1 << 10)})
	}
	cache.CleanUp()
	return func(path string) bool {
		_, ok := cache.GetIfPresent(path)
		return ok
	}, nil
}

// measureLookups returns the row about raw lookups.
func measureLookups(b *bench) ([]row, error) {
	entries := strconv.Itoa(b.entries / 10)
	var contenders []contender
	for _, name := range []string{memCache, otterName} {
		p, err := b.startRig(setting{procs: 1}, "lookup", name, entries)
		if err != nil {
			return nil, err
		}
		contenders = append(contenders, p.contender(name))
	}
	samples, err := b.contest(contenders...)
	if err != nil {
		return nil, err
	}
	return []row{{
		what:     fmt.Sprintf("raw lookup by key text, Zipf over %s keys", number(b.entries/10)),
		against:  "otter: " + cost(samples[1]),
		measured: cost(samples[0]),
		result:   times(ratio(samples[0], samples[1], sample.cpu)) + " times its cost",
	}}, nil
}
