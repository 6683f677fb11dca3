package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// remembered is how long the world keeps issues and invalidations. All promises are shorter.
const remembered = 20 * time.Second

// groupCount is the number of cache groups (RFC 9875) that the resources are in.
const groupCount = 32

// world is the state of the origins: the resources and what happened to them. The cache does not
// know it. Times count from the world's start. It is safe for concurrent use.
type world struct {
	started   time.Time
	seed      uint64
	holds     bool // some bodies are so slow that newer responses complete before them
	resources []*resource
	byPath    map[string]*resource
	groups    [groupCount]invalidations
	all       invalidations // of every resource
	outage    atomic.Int64  // when the origin last refused connections, in nanoseconds
	latest    atomic.Uint64 // number of the latest issue

	// overtakings counts requests that came after an older response had ended later than a newer
	// one.
	overtakings atomic.Int64
}

// resource is one URL. Its body is a function of path, version and variant.
type resource struct {
	id    int
	path  string
	class *class
	size  int64 // of the body of version 0
	group int

	invalidations
	trouble atomic.Int64 // when the origin last failed to answer for it, in nanoseconds

	mu      sync.Mutex
	version int
	issues  []*issue // oldest first
}

func newWorld(urls int, seed uint64) *world {
	w := &world{started: time.Now(), seed: seed, byPath: make(map[string]*resource)}
	for id := range urls {
		r := w.random(uint64(id))
		class := classes[id%len(classes)]
		origin := 0
		if id%3 == 2 {
			origin = 1
		}
		res := &resource{
			id: id, class: class, size: someSize(r),
			path:  fmt.Sprintf("/%d/%s/%d", 1+origin, class.name, id),
			group: id%(groupCount/2)*2 + origin, // groups belong to an origin
		}
		w.resources = append(w.resources, res)
		w.byPath[res.path] = res
	}
	return w
}

// someSize returns the size of a body in bytes: mostly small, sometimes large, rarely too large for
// the cache.
func someSize(r *rand.Rand) int64 {
	switch n := r.IntN(1000); {
	case n < 700:
		return 100 + r.Int64N(4<<10)
	case n < 960:
		return 4<<10 + r.Int64N(28<<10)
	case n < 995:
		return 32<<10 + r.Int64N(256<<10)
	}
	return 700<<10 + r.Int64N(1<<20)
}

// now returns the world's time.
func (w *world) now() time.Duration { return time.Since(w.started) }

// random returns a source of random numbers that depends on the seed and n alone.
func (w *world) random(n uint64) *rand.Rand { return rand.New(rand.NewPCG(w.seed, n)) }

// issueFor numbers i and adds it to the issues of res, which it returns. res.mu must be held.
func (w *world) issueFor(res *resource, i *issue) *issue {
	i.resource = res
	i.number = w.latest.Add(1)
	for len(res.issues) > 0 && i.at-res.issues[0].at > remembered {
		res.issues[0] = nil
		res.issues = res.issues[1:]
	}
	res.issues = append(res.issues, i)
	return i
}

// issue returns an issue of res by its number; nil if there is none, or if it is no longer kept.
func (res *resource) issue(number uint64) *issue {
	res.mu.Lock()
	defer res.mu.Unlock()
	for n := len(res.issues) - 1; n >= 0; n-- {
		if res.issues[n].number == number {
			return res.issues[n]
		}
	}
	return nil
}

// failed records a failure of the origin for res.
func (w *world) failed(res *resource) { res.trouble.Store(int64(w.now())) }

// troubled reports whether the origin failed for res since then, within troubleSlack.
func (w *world) troubled(res *resource, since time.Duration) bool {
	return max(res.trouble.Load(), w.outage.Load()) >= int64(since-troubleSlack)
}

// request returns a GET that names res to the cache.
func (res *resource) request(base, host string) *http.Request {
	r, err := http.NewRequest(http.MethodGet, base+res.path, nil)
	if err != nil {
		panic(err) // the paths are valid
	}
	r.Host = host
	return r
}
