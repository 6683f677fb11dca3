package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/cirquecache/cirque/internal/verify/faulty"
)

// ask is one request of a client.
type ask struct {
	number        uint64
	resource      *resource
	method        string
	variant       variant
	user          string // Cookie
	authorization bool
	body          string // of a GET, or an unsafe request
	directive     string // Cache-Control
	etag          string // If-None-Match
	since         string // If-Modified-Since
	ranges        []section
	ifRange       string

	begun time.Duration
}

// section is a half-open range of bytes. The zero section stands for a range beyond every body.
type section struct{ from, to int64 }

// The values of the fields that responses vary on. Values that differ only in the number at their
// end select the same representation.
var (
	devices   = []string{"", "phone-1", "phone-2", "desk-1"}
	languages = []string{"en", "de", "fr-1", "fr-2", "en, de", "de, en"}

	// users are the values of Cookie. Some resources have content for each of them.
	users = []string{"ann", "bob", "cyd"}
)

// held is what a client keeps of an answer, to validate it later.
type held struct {
	resource       *resource
	variant        variant
	etag, modified string
}

// draw makes a random request for res. If known is of res, the request may validate it.
func draw(random *rand.Rand, number uint64, res *resource, known held) *ask {
	q := &ask{
		number: number, resource: res, method: http.MethodGet,
		variant: variant{devices[random.IntN(len(devices))], languages[random.IntN(len(languages))]},
	}
	if random.IntN(20) == 0 || res.class.by == authField && random.IntN(2) == 0 {
		q.authorization = true
	}
	if random.IntN(2) == 0 {
		q.user = users[random.IntN(len(users))]
	}
	switch n := random.IntN(100); {
	case n < 2 && (!res.class.lasting || random.IntN(20) == 0):
		q.method = []string{http.MethodPost, http.MethodPut, http.MethodDelete, "FROB"}[random.IntN(4)]
		q.body = "change=1"
		return q
	case n < 3:
		q.body = "fat=1"
	case n < 8, n < 20 && !res.class.validates():
		q.method = http.MethodHead
	}
	n := random.IntN(40)
	if res.class.lasting && n > 33 {
		n = 0
	}
	switch n {
	case 0:
		q.directive = "no-cache"
	case 1:
		q.directive = "max-age=0"
	case 2:
		q.directive = fmt.Sprintf("max-stale=%d", maxStale/time.Second)
	case 3:
		q.directive = "only-if-cached"
	case 4:
		q.directive = "no-store"
	}
	if random.IntN(8) == 0 && q.method == http.MethodGet {
		q.drawRanges(random)
	}
	if known.resource == res && random.IntN(3) == 0 {
		q.validate(random, known)
	}
	return q
}

// maxStale is the staleness that clients sometimes accept.
const maxStale = time.Second

func (q *ask) drawRanges(random *rand.Rand) {
	n := 1
	if random.IntN(4) == 0 {
		n = 2 + random.IntN(3)
	}
	if random.IntN(20) == 0 {
		q.ranges = []section{{}}
		return
	}
	// The ranges ascend and do not touch, so that the cache sends each as a part of its own.
	size := q.resource.size / int64(n)
	for i := range int64(n) {
		from := i*size + random.Int64N(max(1, size/3))
		q.ranges = append(q.ranges, section{from, from + 1 + random.Int64N(max(1, size/8))})
	}
}

func (q *ask) validate(random *rand.Rand, known held) {
	if random.IntN(4) > 0 {
		q.variant = known.variant
	}
	switch {
	case len(q.ranges) > 0:
		q.ifRange = known.etag
	case known.etag != "":
		q.etag = known.etag
	default:
		q.since = known.modified
	}
}

// wire returns the request as it is sent.
func (q *ask) wire() faulty.Request {
	fields := []string{fmt.Sprintf("%s: %d", requestField, q.number)}
	add := func(name, value string) {
		if value != "" {
			fields = append(fields, name+": "+value)
		}
	}
	add(deviceField, q.variant.device)
	add(languageField, q.variant.language)
	add(cookieField, q.user)
	add("Cache-Control", q.directive)
	add("If-None-Match", q.etag)
	add("If-Modified-Since", q.since)
	add("If-Range", q.ifRange)
	if q.authorization {
		add("Authorization", fmt.Sprintf("Bearer %d", q.number))
	}
	if len(q.ranges) > 0 {
		add("Range", q.rangeField())
	}
	return faulty.Request{Method: q.method, Target: q.resource.path, Fields: fields, Body: q.body}
}

func (q *ask) rangeField() string {
	var specs []string
	for _, s := range q.ranges {
		if s.to == 0 {
			specs = append(specs, fmt.Sprintf("%d-%d", int64(1)<<40, int64(1)<<41))
			continue
		}
		specs = append(specs, fmt.Sprintf("%d-%d", s.from, s.to-1))
	}
	return "bytes=" + strings.Join(specs, ",")
}

// unsafe reports whether the request changes something.
func (q *ask) unsafe() bool { return q.method != http.MethodGet && q.method != http.MethodHead }

// String describes the request for a report.
func (q *ask) String() string {
	w := q.wire()
	return fmt.Sprintf("%s %s [%s] body %q", w.Method, w.Target, strings.Join(w.Fields, "; "), w.Body)
}
