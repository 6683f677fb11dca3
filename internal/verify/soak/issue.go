package main

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cirquecache/cirque/internal/verify/faulty"
)

// issue is one answer of the origin. The atomic times are in nanoseconds; zero means not yet.
type issue struct {
	number   uint64
	resource *resource
	at       time.Duration // when the request reached the origin
	asked    atomic.Int64  // when the cache sent the request
	received atomic.Int64  // when the cache received the header
	request  uint64        // number of the client's request that the cache sent it for
	version  int
	variant  variant  // of the request
	vary     []string // the fields in Vary
	status   int      // zero: some server error
	size     int64    // of the whole representation, in bytes
	who      string   // the value of the field that the content is made for
	item     string   // what the handler behind the cache found in the request's context
	head     bool     // the request was a HEAD
	etag     string
	modified string       // Last-Modified
	ended    atomic.Int64 // when the cache received the end of the body
	proven   atomic.Int64 // when a hit last proved that the issue is stored
	promise
	reserved string // why no other request may have it; empty if others may
	kind     faulty.Kind
}

// promise is what an issue allows caches to do with it.
type promise struct {
	lifetime   time.Duration // counts from the time when the request reached the origin
	aged       int           // the Age in the issue, in seconds
	swr, sie   time.Duration // stale-while-revalidate, stale-if-error (RFC 5861)
	neverStale bool          // it must not be used stale
	validate   bool          // it must not be used without validation
	personal   string        // why the issue and its body are for one request alone; empty: for all
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

// newer reports whether i is certainly more recent than old. Either the request for i followed the
// end of old, or it followed the header of old and i has a later Date.
func (i *issue) newer(old *issue) bool {
	asked, received, ended := i.asked.Load(), old.received.Load(), old.ended.Load()
	return ended != 0 && asked >= ended || received != 0 && asked >= received && i.at >= old.at+dateSlack
}

// representation names the content of the body of i. Issues with equal names have equal bodies.
func (i *issue) representation() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d", i.version)
	for _, name := range i.vary {
		// Values that differ only in their number select the same representation.
		kind, _, _ := strings.Cut(i.variant.field(name), "-")
		b.WriteString("." + kind)
	}
	if i.resource.class.by != "" {
		fmt.Fprintf(&b, ".by-%q", i.who)
	}
	if i.personal != "" {
		fmt.Fprintf(&b, ".for-%d", i.request)
	}
	return b.String()
}
