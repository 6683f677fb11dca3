package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/middleware"
	"github.com/cirquecache/cirque/stats"
)

// logAccess writes one line for each request of a client to w, after next has served it. Requests
// of the cache itself, which revalidate in the background, are not logged.
func logAccess(next http.Handler, format string, w io.Writer) http.Handler {
	var mu sync.Mutex // one line at a time
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if middleware.IsRefresh(r.Context()) {
			next.ServeHTTP(rw, r)
			return
		}
		a := access{at: time.Now(), request: r}
		rec := &recorder{ResponseWriter: rw}
		var word word
		defer func() {
			a.took, a.status, a.bytes = time.Since(a.at), cmp.Or(rec.status, http.StatusOK), rec.bytes
			a.cache, a.detail, a.origin = word.get()
			line := a.combined()
			if format == logJSON {
				line = a.json()
			}
			mu.Lock()
			defer mu.Unlock()
			_, _ = w.Write(line)
		}()
		next.ServeHTTP(rec, r.WithContext(cirque.WithCacheTrace(r.Context(), &cirque.CacheTrace{RequestDone: word.set})))
	})
}

// word is what the cache says about a request. A revalidation in the background, which the request
// caused, reports to the same hook, perhaps after the request is over.
type word struct {
	mu     sync.Mutex
	said   bool
	result stats.Result
	detail string
	origin time.Duration
}

func (s *word) set(r stats.Request) {
	if r.Background {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said, s.result, s.detail, s.origin = true, r.Result, r.Detail, r.Origin
}

// get returns the result as the cache counts it, or "none" if the cache took no part.
func (s *word) get() (result, detail string, origin time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.said {
		return "none", "", 0
	}
	return s.result.String(), s.detail, s.origin
}

// access is a line of the access log.
type access struct {
	at      time.Time
	took    time.Duration
	request *http.Request
	status  int
	bytes   int64
	cache   string // the result, as the cache counts it; "none" for purges, upgrades and what is answered before it
	detail  string
	origin  time.Duration // from asking the origin to its header; zero if it was not asked
}

// client returns the address of the client, without the port.
func (a *access) client() string {
	if host, _, err := net.SplitHostPort(a.request.RemoteAddr); err == nil {
		return host
	}
	return "-"
}

// combined returns the line in the Combined Log Format of Apache, and the result of the cache in
// quotes at its end.
func (a *access) combined() []byte {
	r := a.request
	return fmt.Appendf(nil, "%s - - [%s] \"%s %s %s\" %d %d \"%s\" \"%s\" \"%s\"\n",
		a.client(), a.at.Format("02/Jan/2006:15:04:05 -0700"),
		escaped(r.Method), escaped(r.RequestURI), escaped(r.Proto), a.status, a.bytes,
		cmp.Or(escaped(r.Referer()), "-"), cmp.Or(escaped(r.UserAgent()), "-"), a.cache)
}

// escaped returns s so that it cannot end a quoted part or a line of the log.
func escaped(s string) string {
	clean := true
	for i := range len(s) {
		clean = clean && s[i] >= ' ' && s[i] < 0x7f && s[i] != '"' && s[i] != '\\'
	}
	if clean {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c >= 0x7f:
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// json returns the line as a JSON object. Durations are in seconds.
func (a *access) json() []byte {
	r := a.request
	line, _ := json.Marshal(struct { // it has only texts and numbers
		Time      string  `json:"time"`
		Client    string  `json:"client"`
		Method    string  `json:"method"`
		Host      string  `json:"host"`
		URI       string  `json:"uri"`
		Proto     string  `json:"proto"`
		Status    int     `json:"status"`
		Bytes     int64   `json:"bytes"`
		Duration  float64 `json:"duration"`
		Cache     string  `json:"cache"`
		Detail    string  `json:"cache_detail,omitempty"`
		Origin    float64 `json:"origin_duration,omitempty"`
		Referer   string  `json:"referer,omitempty"`
		UserAgent string  `json:"user_agent,omitempty"`
	}{
		a.at.Format(time.RFC3339Nano), a.client(), r.Method, r.Host, r.RequestURI, r.Proto, a.status, a.bytes,
		a.took.Seconds(), a.cache, a.detail, a.origin.Seconds(), r.Referer(), r.UserAgent(),
	})
	return append(line, '\n')
}
