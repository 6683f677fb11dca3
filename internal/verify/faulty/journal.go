package faulty

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"
)

// Journal records the requests that an origin received. It is safe for concurrent use.
type Journal struct {
	mu     sync.Mutex
	total  int
	counts map[string]int // by request target
	faults map[Kind]int
	seen   []*Seen // the last maxSeen requests
}

// Seen is one request as it reached the origin.
type Seen struct {
	Method, URI, Host, Proto string

	Header http.Header
	Body   string // the first 4 KiB
}

const (
	maxSeen     = 256
	maxSeenBody = 4 << 10
)

// Total returns the number of requests.
func (j *Journal) Total() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.total
}

// Count returns the number of requests for uri, the request target as sent: path and query.
func (j *Journal) Count(uri string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.counts[uri]
}

// Requests returns the requests for uri, or all if uri is empty, oldest first. Only the last 256
// requests are kept; Count and Total count all.
func (j *Journal) Requests(uri string) []Seen {
	j.mu.Lock()
	defer j.mu.Unlock()
	var matching []Seen
	for _, seen := range j.seen {
		if uri == "" || seen.URI == uri {
			matching = append(matching, *seen)
		}
	}
	return matching
}

// Faults returns how often each Kind was played.
func (j *Journal) Faults() map[Kind]int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return maps.Clone(j.faults)
}

// Forget empties the journal. A test that keeps requesting new URLs must call it to bound the
// memory.
func (j *Journal) Forget() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.total, j.counts, j.faults, j.seen = 0, nil, nil, nil
}

// request records r at once and reads its body. It returns when the client has sent all of the
// body, and leaves in r.Body what the journal keeps.
func (j *Journal) request(r *http.Request) error {
	seen := &Seen{Method: r.Method, URI: r.RequestURI, Host: r.Host, Proto: r.Proto, Header: r.Header.Clone()}
	j.record(seen)

	kept, err := io.ReadAll(io.LimitReader(r.Body, maxSeenBody))
	if err == nil {
		_, err = io.Copy(io.Discard, r.Body)
	}
	r.Body = io.NopCloser(bytes.NewReader(kept))

	j.mu.Lock()
	defer j.mu.Unlock()
	seen.Body = string(kept)
	return err
}

func (j *Journal) record(seen *Seen) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.total++
	if j.counts == nil {
		j.counts = make(map[string]int)
	}
	j.counts[seen.URI]++
	if len(j.seen) == maxSeen {
		j.seen = slices.Delete(j.seen, 0, 1)
	}
	j.seen = append(j.seen, seen)
}

// fault records that kind is played, and returns how often it was played before.
func (j *Journal) fault(kind Kind) (before int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.faults == nil {
		j.faults = make(map[Kind]int)
	}
	before = j.faults[kind]
	j.faults[kind]++
	return before
}
