// Package ledger counts what goes into a cache and what comes out of it, from outside, and compares
// that with what the cache counts itself (stats.Snapshot).
//
// A Ledger stands on both sides of a door: around it, where the requests and answers of clients
// pass, and behind it, where the origin is asked. Of each answer it knows the Cache-Status, from
// which it tells the result. It does not use the counters or hooks of the cache.
package ledger

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cirquecache/cirque/middleware"
	"github.com/cirquecache/cirque/stats"
)

// Ledger counts for one cache. The zero Ledger is ready for use. It is safe for concurrent use.
type Ledger struct {
	mu       sync.Mutex
	requests map[stats.Door]map[stats.Result]uint64
	timed    map[stats.Result]uint64 // those whose time is taken
	answered map[stats.Result]uint64 // of these, those that had a header
	bytes    map[stats.Result]uint64
	purges   map[string]uint64 // by stats.Purges field

	asked      atomic.Uint64 // requests to the origin
	fetched    atomic.Uint64 // bytes of their bodies
	unanswered atomic.Uint64 // without an answer, as a RoundTripper told
}

// Handler returns cache.Handler(next) with the Ledger on both sides.
func (l *Ledger) Handler(cache *middleware.Cache, next http.Handler) http.Handler {
	door := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.asked.Add(1)
		next.ServeHTTP(w, r)
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if middleware.IsRefresh(r.Context()) {
			door.ServeHTTP(w, r) // it is no client's
			return
		}
		seen := &answer{ResponseWriter: w}
		defer func() {
			if seen.status == 0 {
				seen.header = w.Header() // the server writes it, if anybody does
			}
			l.note(cache, stats.Handler, r, seen.status, seen.header, seen.bytes)
		}()
		door.ServeHTTP(seen, r)
	})
}

// Transport returns cache.Transport(base) with the Ledger on both sides.
func (l *Ledger) Transport(cache *middleware.Cache, base http.RoundTripper) http.RoundTripper {
	door := cache.Transport(roundTripper(func(r *http.Request) (*http.Response, error) {
		l.asked.Add(1)
		response, err := base.RoundTrip(r)
		if err != nil {
			l.unanswered.Add(1)
		} else if response.Body != nil {
			if _, upgraded := response.Body.(io.Writer); !upgraded {
				response.Body = &fetchedBody{response.Body, &l.fetched}
			}
		}
		return response, err
	}))
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		response, err := door.RoundTrip(r)
		if err != nil {
			l.note(cache, stats.Transport, r, 0, nil, 0)
			return response, err
		}
		header := response.Header.Clone()
		if _, upgraded := response.Body.(io.Writer); upgraded || response.Body == nil || response.Body == http.NoBody {
			l.note(cache, stats.Transport, r, response.StatusCode, header, 0)
			return response, err
		}
		status := response.StatusCode
		response.Body = &readBody{ReadCloser: response.Body, over: func(n uint64) {
			l.note(cache, stats.Transport, r, status, header, n)
		}}
		return response, err
	})
}

// note counts a request that is over.
func (l *Ledger) note(cache *middleware.Cache, door stats.Door, r *http.Request, status int, header http.Header, bytes uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.requests == nil {
		l.requests = make(map[stats.Door]map[stats.Result]uint64)
		l.timed, l.answered = make(map[stats.Result]uint64), make(map[stats.Result]uint64)
		l.bytes, l.purges = make(map[stats.Result]uint64), make(map[string]uint64)
	}
	if door == stats.Handler && r.Method == "PURGE" {
		switch status {
		case http.StatusOK:
			l.purges["done"]++
		case http.StatusNotFound:
			l.purges["not found"]++
		}
		return
	}
	if l.requests[door] == nil {
		l.requests[door] = make(map[stats.Result]uint64)
	}
	if keptOut(r) {
		l.requests[door][stats.Bypass]++
		return
	}
	outcome, said := cache.Outcome(header)
	result := resultOf(r.Method, outcome, said)
	l.requests[door][result]++
	l.timed[result]++
	if result != stats.Unanswered {
		l.answered[result]++
		if r.Method != http.MethodHead {
			l.bytes[result] += bytes
		}
	}
}

// keptOut reports whether the cache takes no part in r.
func keptOut(r *http.Request) bool {
	upgrade := strings.Join(r.Header["Upgrade"], ",")
	return r.Method == http.MethodConnect || upgrade != "" && !strings.EqualFold(upgrade, "h2c") &&
		strings.Contains(strings.ToLower(strings.Join(r.Header["Connection"], ",")), "upgrade")
}

// resultOf tells the result by what Cache-Status says of the answer to a request with this method.
func resultOf(method string, o middleware.Outcome, said bool) stats.Result {
	switch {
	case !said:
		return stats.Unanswered
	case o.Hit && o.Detail == "":
		return stats.Hit
	case o.Hit, o.Detail == "stale-if-error":
		return stats.Stale
	case o.Collapsed:
		return stats.Collapsed
	case o.FwdStatus == http.StatusNotModified && (o.Stored || o.Detail != "" && o.Detail != "status"):
		return stats.Revalidated // what was validated is stored anew, or the detail says why not
	case method == http.MethodHead && o.FwdStatus == http.StatusOK && o.HasTTL && !o.Stored:
		return stats.Revalidated // RFC 9111 §4.3.5
	case o.Stored:
		return stats.Miss
	case o.Fwd == "bypass", o.Fwd == "method":
		return stats.Bypass
	}
	return stats.Pass
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// fetchedBody counts what the cache reads from the origin.
type fetchedBody struct {
	io.ReadCloser
	n *atomic.Uint64
}

// Read implements io.Reader.
func (b *fetchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n.Add(uint64(n))
	return n, err
}

// readBody counts what the caller of a Transport reads.
type readBody struct {
	io.ReadCloser
	n    atomic.Uint64
	once sync.Once
	over func(n uint64)
}

// Read implements io.Reader.
func (b *readBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n.Add(uint64(n))
	if err != nil {
		b.once.Do(func() { b.over(b.n.Load()) })
	}
	return n, err
}

// Close implements io.Closer.
func (b *readBody) Close() error {
	err := b.ReadCloser.Close()
	b.once.Do(func() { b.over(b.n.Load()) })
	return err
}

// answer keeps what a handler door writes.
type answer struct {
	http.ResponseWriter
	status int
	header http.Header
	bytes  uint64
}

// Unwrap lets http.ResponseController reach the server's writer.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if status >= 200 && a.status == 0 {
		a.status, a.header = status, a.Header().Clone()
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write implements io.Writer. It counts the bytes that the server took.
func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.status, a.header = http.StatusOK, a.Header().Clone()
	}
	n, err := a.ResponseWriter.Write(p)
	a.bytes += uint64(n)
	return n, err
}
