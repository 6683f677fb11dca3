package history

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// class is a kind of resource: what its responses look like.
type class struct {
	name     string
	control  string // Cache-Control
	lifetime time.Duration
	swr, sie time.Duration // RFC 5861
	validate bool          // reuse without validation is forbidden
	shared   bool          // answers to Authorization may be reused (RFC 9111 §3.5)
	reserved bool          // answers are for one request alone
	by       string        // the request field that the content is made for; empty: the content is for all
	vary     bool          // the response has Vary: by
	etag     bool
	dated    bool // Last-Modified tells versions apart
	weak     bool // the entity tag is a weak one
	grouped  bool // in the cache group of its world
	ahead    bool // Date is an hour ahead
	cookie   bool // each answer sets a cookie of its own
}

const (
	cookieField   = "Cookie"
	authField     = "Authorization"
	languageField = "Accept-Language"
)

// Lifetimes. A brief one ends within a history; a long one does not.
const (
	briefly = 5 * time.Second
	long    = 10 * time.Minute
)

var classes = []*class{
	{name: "page", control: "max-age=5", lifetime: briefly, etag: true},
	{name: "bare", control: "max-age=5", lifetime: briefly},
	{name: "dated", control: "max-age=5", lifetime: briefly, dated: true},
	{name: "kept", control: "max-age=600", lifetime: long, etag: true, grouped: true},
	{name: "keptbare", control: "max-age=600", lifetime: long, grouped: true},
	{name: "ahead", control: "max-age=600", lifetime: long, etag: true, grouped: true, ahead: true},
	{name: "nocache", control: "no-cache", validate: true, by: cookieField, etag: true},
	{name: "weak", control: "max-age=5", lifetime: briefly, etag: true, weak: true},
	{name: "zero", control: "max-age=0, must-revalidate", validate: true, shared: true, by: cookieField, etag: true},
	{name: "szero", control: "s-maxage=0", validate: true, shared: true, by: cookieField, etag: true},
	{name: "silent", validate: true, by: cookieField, etag: true},
	{name: "authnocache", control: "public, no-cache", validate: true, shared: true, by: authField, etag: true},
	{name: "authzero", control: "public, max-age=0, must-revalidate", validate: true, shared: true, by: authField, etag: true},
	{name: "authplain", control: "max-age=600", lifetime: long, by: authField, etag: true},
	{name: "private", control: "private, max-age=600", lifetime: long, reserved: true, by: cookieField, etag: true},
	{name: "nostore", control: "no-store, max-age=600", reserved: true, by: cookieField},
	{name: "jar", control: "max-age=600", lifetime: long, etag: true, cookie: true},
	{name: "jarbare", control: "max-age=5", lifetime: briefly, cookie: true},
	{name: "language", control: "max-age=600", lifetime: long, by: languageField, vary: true, etag: true},
	{name: "varycookie", control: "max-age=600", lifetime: long, by: cookieField, vary: true, etag: true, grouped: true},
	{name: "varynocache", control: "no-cache", validate: true, by: cookieField, vary: true, etag: true},
	{name: "swr", control: "max-age=1, stale-while-revalidate=60", lifetime: time.Second, swr: time.Minute, etag: true},
	{name: "swrbare", control: "max-age=1, stale-while-revalidate=60", lifetime: time.Second, swr: time.Minute},
	{name: "sie", control: "max-age=1, stale-if-error=60", lifetime: time.Second, sie: time.Minute, etag: true},
}

// validates reports whether responses of the class have a validator.
func (c *class) validates() bool { return c.etag || c.dated }

// resource is one URL of a world.
type resource struct {
	id    int
	path  string
	class *class
	sized bool // Content-Length is declared
	equal bool // all versions have one length

	version int
	issues  []*issue
}

// issue is one answer of the origin's.
type issue struct {
	number   int
	resource *resource
	step     *step // the step that caused the request
	nth      int   // counts the origin's answers for that step, from 0
	method   string
	status   int
	version  int
	by       string // the value of the request field that the class names in by
	auth     bool   // the request had Authorization
	item     string // what the handler found in the request's context
	body     string
	etag     string
	modified string

	asked    time.Duration // when the request arrived
	at       time.Duration // when the content was read
	header   time.Duration // when the header was sent
	end      time.Duration // when the body had been sent
	date     time.Duration // the response's Date
	complete bool          // the body was sent whole
	stored   bool          // the answer to the step says that it was stored
}

// claimed reports whether the answer to the step of i says that i is stored.
func (i *issue) claimed() bool {
	a := i.step.answer
	return a != nil && a.err == nil && i.complete && a.header.Get(issueField) == strconv.Itoa(i.number) &&
		strings.Contains(a.header.Get("Cache-Status"), "; stored")
}

// world is the origin and the record of all its answers. mu guards what changes.
type world struct {
	started   time.Time
	handler   bool // the origin runs behind the cache's Handler
	resources []*resource
	byPath    map[string]*resource

	mu     sync.Mutex
	steps  map[int]*step
	used   map[int]int // how often the origin was asked for a step
	issues []*issue    // by number - 1
	busy   []*step     // steps that the origin is answering
	left   []*step     // steps that it was still answering when the caches had been closed
}

func (w *world) now() time.Duration { return time.Since(w.started) }

// issue returns an issue by its number; nil if there is none.
func (w *world) issue(text string) *issue {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > len(w.issues) {
		return nil
	}
	return w.issues[n-1]
}

const (
	requestField = "X-Request"
	issueField   = "X-Issue"
	groupName    = "news"
)

// surroundings is a value that middleware around the cache puts into a request's context for the
// handler. As some routers do, the middleware reuses it for another request when ServeHTTP returns.
type surroundings struct{ item atomic.Pointer[string] }

type surroundingsKey struct{}

// outer is that middleware.
func outer(next http.Handler) http.Handler {
	pool := sync.Pool{New: func() any { return new(surroundings) }}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := pool.Get().(*surroundings)
		defer func() {
			recycled := "recycled"
			s.item.Store(&recycled)
			pool.Put(s)
		}()
		s.item.Store(&r.URL.Path)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), surroundingsKey{}, s)))
	})
}

// itemOf returns what outer left for r.
func itemOf(r *http.Request) string {
	s, _ := r.Context().Value(surroundingsKey{}).(*surroundings)
	if s == nil {
		return "nothing"
	}
	return *s.item.Load()
}

// ServeHTTP implements http.Handler: it is the origin.
func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	res := w.byPath[r.URL.Path]
	number, _ := strconv.Atoi(r.Header.Get(requestField))
	w.mu.Lock()
	s := w.steps[number]
	if res == nil || s == nil {
		w.mu.Unlock()
		rw.Header().Set("Cache-Control", "no-store")
		http.Error(rw, "no such resource", http.StatusNotFound)
		return
	}
	i := &issue{resource: res, step: s, nth: w.used[number], method: r.Method, asked: w.now()}
	script := s.script
	if i.nth > 0 {
		script = quick
	}
	w.used[number]++
	w.busy = append(w.busy, s)
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		at := slices.Index(w.busy, s)
		w.busy = slices.Delete(w.busy, at, at+1)
	}()
	if script.early {
		w.make(i, r, script)
	}
	w.mu.Unlock()
	if !sleep(r.Context(), script.delay) {
		panic(http.ErrAbortHandler)
	}
	w.mu.Lock()
	if !script.early {
		w.make(i, r, script)
	}
	i.header = w.now()
	w.mu.Unlock()
	w.answer(rw, r, i, script)
}

// sleep waits for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) bool {
	if d == 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// make sets the content of i. w.mu must be held.
func (w *world) make(i *issue, r *http.Request, script script) {
	res, c := i.resource, i.resource.class
	i.number = len(w.issues) + 1
	w.issues = append(w.issues, i)
	res.issues = append(res.issues, i)
	i.at = w.now()
	i.auth = r.Header.Get(authField) != ""
	if i.step.unsafe() {
		res.version++
		i.status, i.version = http.StatusNoContent, res.version
		return
	}
	i.version = res.version
	if c.by != "" {
		i.by = r.Header.Get(c.by)
	}
	i.item = res.path
	if w.handler {
		i.item = itemOf(r)
	}
	if script.fails {
		i.status = http.StatusServiceUnavailable
		i.body = fmt.Sprintf("issue %d: no service\n", i.number)
		return
	}
	i.status = http.StatusOK
	i.body = fmt.Sprintf("issue %d: %s version %d for %q at %s\n", i.number, res.path, i.version, i.by, i.item)
	size := 2000
	if !res.equal {
		size += i.version % 50
	}
	i.body += strings.Repeat(strconv.Itoa(i.number%10), size-len(i.body)-1) + "\n"
	if c.etag {
		i.etag = fmt.Sprintf("\"v%d-%x\"", i.version, i.by)
		if c.weak {
			i.etag = "W/" + i.etag
		}
	}
	if c.dated {
		i.modified = w.started.Add(-time.Hour + time.Duration(i.version)*time.Second).UTC().Format(http.TimeFormat)
	}
	switch {
	case i.etag != "" && r.Header.Get("If-None-Match") != "":
		if strings.Contains(r.Header.Get("If-None-Match"), i.etag) {
			i.status, i.body = http.StatusNotModified, ""
		}
	case i.modified != "" && r.Header.Get("If-Modified-Since") == i.modified:
		i.status, i.body = http.StatusNotModified, ""
	}
}

// answer sends i.
func (w *world) answer(rw http.ResponseWriter, r *http.Request, i *issue, script script) {
	c, h := i.resource.class, rw.Header()
	date := w.started.Add(i.at + script.skew)
	if c.ahead {
		date = date.Add(time.Hour)
	}
	i.date = date.Truncate(time.Second).Sub(w.started)
	h.Set("Date", date.UTC().Format(http.TimeFormat))
	h.Set(issueField, strconv.Itoa(i.number))
	defer func() {
		w.mu.Lock()
		i.end = w.now()
		w.mu.Unlock()
	}()
	if i.step.unsafe() {
		if i.step.groups {
			h.Set("Cache-Group-Invalidation", strconv.Quote(groupName))
		}
		rw.WriteHeader(i.status)
		i.complete = true
		return
	}
	h.Set("Content-Type", "text/plain")
	switch {
	case i.status >= 500:
		h.Set("Cache-Control", "no-store")
	default:
		set := func(name, value string) {
			if value != "" {
				h.Set(name, value)
			}
		}
		set("Cache-Control", c.control)
		set("Etag", i.etag)
		set("Last-Modified", i.modified)
		if c.vary {
			h.Set("Vary", c.by)
		}
		if c.by == languageField {
			h.Set("Content-Language", "en")
		}
		if c.grouped {
			h.Set("Cache-Groups", strconv.Quote(groupName))
		}
		if c.cookie {
			h.Set("Set-Cookie", "session="+strconv.Itoa(i.number))
		}
	}
	if i.resource.sized && i.body != "" {
		h.Set("Content-Length", strconv.Itoa(len(i.body)))
	}
	rw.WriteHeader(i.status)
	if r.Method == http.MethodHead || i.body == "" {
		i.complete = true
		return
	}
	half := len(i.body) / 2
	if _, err := rw.Write([]byte(i.body[:half])); err != nil {
		return
	}
	if f, ok := rw.(http.Flusher); ok {
		f.Flush()
	}
	if !sleep(r.Context(), script.body) || script.breaks {
		panic(http.ErrAbortHandler)
	}
	if _, err := rw.Write([]byte(i.body[half:])); err == nil {
		i.complete = true
	}
}
