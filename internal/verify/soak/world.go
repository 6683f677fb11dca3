package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cirquecache/cirque/internal/verify/faulty"
)

// remembered is how long the world knows what was said and done. No promise lasts as long.
const remembered = 20 * time.Second

// groupCount is the number of cache groups (RFC 9875) that the resources are in.
const groupCount = 32

// world is what the cache does not know: the resources as they are at the origin, and all that has
// happened to them. Times are counted from its start.
type world struct {
	started   time.Time
	seed      uint64
	holds     bool // some bodies are so slow that newer responses complete before them
	resources []*resource
	byPath    map[string]*resource
	groups    [groupCount]invalidations
	all       invalidations // what concerns every resource
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

// issue is one answer of the origin's.
type issue struct {
	number   uint64
	resource *resource
	at       time.Duration // when the origin was asked
	asked    atomic.Int64  // when the cache set out to ask it, in nanoseconds; zero: not known yet
	received atomic.Int64  // when the cache had the header, in nanoseconds; zero: not yet
	request  uint64        // which of the clients' requests the cache was asking for
	version  int
	variant  variant  // what the request selected by
	vary     []string // the fields that count
	status   int      // zero: some server error
	size     int64    // of the whole representation
	who      string   // the value of the field that the content is made for
	item     string   // what the handler behind the cache found in the request's context
	head     bool     // the answer to HEAD
	etag     string
	modified string       // Last-Modified
	ended    atomic.Int64 // when the cache had all of it, in nanoseconds; zero: not yet
	proven   atomic.Int64 // when a client had it out of the cache, in nanoseconds; zero: never
	promise
	reserved string // why nobody else may have it; empty where others may
	kind     faulty.Kind
}

// promise is what an issue allows caches to do with it.
type promise struct {
	lifetime   time.Duration // counted from when the origin was asked
	aged       int           // the Age it came with
	swr, sie   time.Duration
	neverStale bool   // nobody may have it stale
	validate   bool   // nobody may have it without validation
	personal   string // why it is for one request alone, as is its body; empty where it is for all
}

// variant holds the request fields that a resource can vary on.
type variant struct{ device, language string }

const (
	deviceField   = "X-Device"
	languageField = "Accept-Language"
	cookieField   = "Cookie"
	authField     = "Authorization"
)

func (v variant) field(name string) string {
	if name == deviceField {
		return v.device
	}
	return v.language
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

// someSize returns a body's size: mostly small, sometimes large, now and then too large for the
// cache.
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

// now is the world's time.
func (w *world) now() time.Duration { return time.Since(w.started) }

// random returns random numbers that depend on the seed and n alone.
func (w *world) random(n uint64) *rand.Rand { return rand.New(rand.NewPCG(w.seed, n)) }

// issueFor enters an issue for res. The resource's version must not change in between, so res.mu is
// held.
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

// issue returns an issue of res by its number; nil where there is none, or none any more.
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

// describes reports whether i, or another issue of the same representation, was given to a request
// that selects like v (RFC 9111 §4.1). A 304 to one request can validate what was stored for
// another.
func (i *issue) describes(v variant) bool {
	if i.selects(v) {
		return true
	}
	res := i.resource
	res.mu.Lock()
	defer res.mu.Unlock()
	for _, other := range res.issues {
		if other.representation() == i.representation() && other.selects(v) {
			return true
		}
	}
	return false
}

func (i *issue) selects(v variant) bool {
	for _, name := range i.vary {
		if i.variant.field(name) != v.field(name) {
			return false
		}
	}
	return true
}

// failed notes that the origin did not answer for res as it should.
func (w *world) failed(res *resource) { res.trouble.Store(int64(w.now())) }

// troubled reports whether the origin failed for res since then.
func (w *world) troubled(res *resource, since time.Duration) bool {
	return max(res.trouble.Load(), w.outage.Load()) >= int64(since-troubleSlack)
}

// span is the time that an invalidation took.
type span struct{ begin, end time.Duration }

// invalidations are the hard and soft ones of one or more resources, oldest first.
type invalidations struct {
	lock sync.Mutex
	hard []span
	soft []span
}

func (v *invalidations) add(s span, soft bool) {
	v.lock.Lock()
	defer v.lock.Unlock()
	list := &v.hard
	if soft {
		list = &v.soft
	}
	for len(*list) > 0 && s.end-(*list)[0].end > remembered {
		*list = (*list)[1:]
	}
	*list = append(*list, s)
}

// between returns the first invalidation, hard or soft, that began after `said` and was over before
// `asked`.
func (v *invalidations) between(said, asked time.Duration, soft bool) (span, bool) {
	v.lock.Lock()
	defer v.lock.Unlock()
	list := v.hard
	if soft {
		list = v.soft
	}
	for _, s := range list {
		if s.begin > said && s.end < asked {
			return s, true
		}
	}
	return span{}, false
}

// request names a resource as the cache knows it.
func (res *resource) request(base, host string) *http.Request {
	r, err := http.NewRequest(http.MethodGet, base+res.path, nil)
	if err != nil {
		panic(err) // our own paths
	}
	r.Host = host
	return r
}
