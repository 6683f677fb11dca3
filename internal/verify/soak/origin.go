package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cirquecache/cirque/internal/verify/faulty"
)

// requestField carries the number of the client's request to the origin.
const requestField = "X-Request"

// itemField carries the context value that the handler behind the cache found.
const itemField = "X-Item"

// cookiePrefix is the beginning of every cookie that an origin sets. cookieFor returns the cookie
// for one request.
const cookiePrefix = "session="

func cookieFor(request uint64) string { return fmt.Sprintf("%s%d", cookiePrefix, request) }

// How often the origin does this in a thousand requests.
const (
	faultRate  = 120 // plays a fault
	changeRate = 100 // changes the content
	refuseRate = 1   // refuses connections
)

// refuseEvery is the least time between refusals, because each is an outage for all resources.
const refuseEvery = 4 * time.Second

// origin returns the script of the world's origins.
func (w *world) origin(r *http.Request) faulty.Answer {
	res := w.byPath[r.URL.Path]
	if res == nil {
		return faulty.Answer{Status: http.StatusNotFound, Header: http.Header{"Cache-Control": {"no-store"}}}
	}
	number, _ := strconv.ParseUint(r.Header.Get(requestField), 10, 64)
	random := w.random(number<<8 + w.latest.Load()&0xff)
	kind := w.fault(random)
	if kind == faulty.Refuse {
		w.outage.Store(int64(w.now()))
	}
	var answer faulty.Answer
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		answer, kind = w.read(res, r, number, random, kind)
	} else {
		answer = w.change(res, r, number, random, kind)
	}
	answer.Kind = kind
	w.shape(&answer, random)
	if w.holds && res.class.lasting && kind == faulty.None && answer.Status == http.StatusOK && r.Method == http.MethodGet && random.IntN(4) == 0 {
		answer.Hold = holding(random)
	}
	return answer
}

// fault draws a Kind.
func (w *world) fault(random *rand.Rand) faulty.Kind {
	kinds := faulty.Kinds()
	switch n := random.IntN(1000); {
	case n < refuseRate && w.now()-time.Duration(w.outage.Load()) > refuseEvery:
		return faulty.Refuse
	case n < faultRate:
		for {
			if kind := kinds[1+random.IntN(len(kinds)-1)]; kind != faulty.Refuse {
				return kind
			}
		}
	}
	return faulty.None
}

// shape draws the framing and pace of an answer.
func (w *world) shape(a *faulty.Answer, random *rand.Rand) {
	switch n := random.IntN(20); {
	case n < 7:
		a.Framing = faulty.Chunked
	case n == 7:
		a.Framing = faulty.UntilClose
	}
	size := max(a.Length, int64(len(a.Body)))
	if size > 1 {
		a.At = 1 + random.Int64N(size)
	}
	slow := func() { a.Drip = faulty.Drip{Bytes: int(size/64) + 16, Every: time.Millisecond} }
	switch a.Kind {
	case faulty.SlowHeader, faulty.SlowBody:
		slow()
	case faulty.Hang, faulty.StallInHeader, faulty.StallAfterHeader, faulty.StallInBody:
		hold := make(chan struct{})
		time.AfterFunc(time.Duration(1+random.IntN(300))*time.Millisecond, func() { close(hold) })
		a.Hold = hold
	case faulty.None:
		switch random.IntN(20) {
		case 0:
			slow()
		case 1, 2:
			a.Delay = time.Duration(random.IntN(60)) * time.Millisecond
		}
	}
}

// holding returns a channel that closes after one to two seconds.
func holding(random *rand.Rand) <-chan struct{} {
	hold := make(chan struct{})
	time.AfterFunc(time.Duration(1000+random.IntN(1000))*time.Millisecond, func() { close(hold) })
	return hold
}

// read answers a GET or HEAD. It returns the fault to play, which is kind if that fits the answer.
func (w *world) read(res *resource, r *http.Request, number uint64, random *rand.Rand, kind faulty.Kind) (faulty.Answer, faulty.Kind) {
	h := make(http.Header)
	cacheControl, p := res.class.promise(random, h)
	res.mu.Lock()
	defer res.mu.Unlock()
	if random.IntN(1000) < changeRate {
		res.version++
	}
	if res.class.status == 0 && h["Expires"] == nil && random.IntN(2) == 0 && h["Last-Modified"] == nil && h["Date"] == nil {
		h["Date"] = nil // the answer has no Date
	}
	if kind == faulty.LengthAndChunked && r.Method == http.MethodHead {
		kind = faulty.None // in an answer to HEAD nothing overrides the wrong Content-Length
	}
	i := w.newIssue(res, r, number, p)
	i.kind = kind
	if h["Set-Cookie"] != nil {
		h.Set("Set-Cookie", cookieFor(number))
	}
	i.setFields(h, cacheControl)

	bytes := unit(res.path, i.representation())
	answer := faulty.Answer{Status: i.status, Header: h, Body: string(bytes), Length: i.size}
	switch {
	case kind == faulty.ServerError:
		i.fail(h, r, random)
	case i.current(r):
		answer = faulty.Answer{Status: http.StatusNotModified, Header: h}
		if random.IntN(4) == 0 && kind == faulty.None {
			kind = faulty.OddNotModified
		}
		return answer, kind
	case i.status == http.StatusOK && r.Method == http.MethodGet:
		i.answerRange(&answer, bytes, r)
	}
	if kind == faulty.OddNotModified {
		kind = faulty.None
	}
	return answer, kind
}

// newIssue enters the issue that answers r, a GET or HEAD for res. res.mu must be held.
func (w *world) newIssue(res *resource, r *http.Request, number uint64, p promise) *issue {
	i := &issue{
		at: w.now(), request: number, version: res.version, promise: p,
		vary: res.class.varyOf(res.version), status: max(res.class.status, http.StatusOK),
		variant: variant{r.Header.Get(deviceField), r.Header.Get(languageField)},
		size:    res.size + int64(res.version%61),
		head:    r.Method == http.MethodHead,
		item:    r.Header.Get(itemField),
	}
	if res.class.by != "" {
		i.who = r.Header.Get(res.class.by)
	}
	i.reserved = reserved(res.class, i, r)
	return w.issueFor(res, i)
}

// setFields adds the fields of i to h, and sets the validators of i.
func (i *issue) setFields(h http.Header, cacheControl string) {
	res := i.resource
	h.Set("Cache-Control", strings.TrimPrefix(fmt.Sprintf("%s, issue=%d", cacheControl, i.number), ", "))
	h.Set("X-Version", strconv.Itoa(i.version))
	h.Set("Cache-Groups", fmt.Sprintf("%q", groupName(res.group)))
	if res.class.star {
		h.Set("Vary", "*")
	} else if len(i.vary) > 0 {
		h.Set("Vary", strings.Join(i.vary, ", "))
	}
	if res.class.etag {
		i.etag = `"` + strings.NewReplacer(`"`, "'", " ", "_", ",", "+").Replace(i.representation()) + `"`
		h.Set("Etag", i.etag)
	}
	if i.head && !res.class.validates() {
		// In the class "heuristic", Last-Modified does not tell apart the versions of one second.
		delete(h, "Last-Modified")
	}
	if res.class.dated {
		i.modified = epoch.Add(seconds(i.version)).Format(http.TimeFormat)
		h.Set("Last-Modified", i.modified)
	}
}

// reserved returns the reason why an answer to r is for that request alone; empty if it is not.
func reserved(c *class, i *issue, r *http.Request) string {
	switch {
	case i.personal != "":
		return i.personal
	case r.Header.Get("Authorization") != "" && !c.shared:
		return "Authorization"
	}
	return reservedBy(r)
}

// reservedBy returns the reason in r itself why the answer is for that request alone.
func reservedBy(r *http.Request) string {
	switch {
	case strings.Contains(r.Header.Get("Cache-Control"), "no-store"):
		return "the request said no-store"
	case r.ContentLength > 0:
		return "the request had a body"
	}
	return ""
}

// fail turns i into a server error, which has promises of its own.
func (i *issue) fail(h http.Header, r *http.Request, random *rand.Rand) {
	for _, name := range []string{"Age", "Cdn-Cache-Control", "Content-Language", "Etag", "Expires", "Last-Modified", "Set-Cookie"} {
		h.Del(name)
	}
	i.status, i.etag, i.modified = 0, "", ""
	i.promise = promise{lifetime: seconds(1), personal: i.personal}
	i.reserved = reservedBy(r)
	cacheControl := "max-age=1"
	switch {
	case random.IntN(2) == 0:
		cacheControl, i.reserved = "no-store", "no-store"
	case i.resource.class.star:
		i.reserved = "Vary: *"
	case r.Header.Get("Authorization") != "":
		i.reserved = "Authorization"
	}
	if i.resource.class.name == "ahead" {
		h.Del("Date")
	}
	h.Set("Cache-Control", fmt.Sprintf("%s, issue=%d", cacheControl, i.number))
}

// current reports whether the preconditions of r say that the client's response is current, so that
// the answer is a 304.
func (i *issue) current(r *http.Request) bool {
	if tags := r.Header.Get("If-None-Match"); tags != "" {
		return i.etag != "" && slices.Contains(strings.Split(tags, ", "), i.etag)
	}
	return i.modified != "" && r.Header.Get("If-Modified-Since") == i.modified
}

// answerRange turns answer into a 206 or 416 if r requests a range.
func (i *issue) answerRange(answer *faulty.Answer, unit []byte, r *http.Request) {
	var from, to int64
	if n, _ := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to); n != 2 || strings.Contains(r.Header.Get("Range"), ",") {
		return
	}
	if held := r.Header.Get("If-Range"); held != "" && held != i.etag && held != i.modified {
		return
	}
	if from >= i.size {
		answer.Status, answer.Body, answer.Length = http.StatusRequestedRangeNotSatisfiable, "", 0
		answer.Header.Set("Content-Range", fmt.Sprintf("bytes */%d", i.size))
		return
	}
	to = min(to, i.size-1)
	answer.Status = http.StatusPartialContent
	answer.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, i.size))
	answer.Body, answer.Length = rotated(unit, from), to-from+1
}

func groupName(group int) string { return fmt.Sprintf("g%d", group) }

// change answers an unsafe request: the content of res changes. Some answers also invalidate the
// URL in Location, or a cache group (RFC 9875).
func (w *world) change(res *resource, r *http.Request, number uint64, random *rand.Rand, kind faulty.Kind) faulty.Answer {
	h := http.Header{}
	res.mu.Lock()
	i := w.issueFor(res, &issue{
		at: w.now(), request: number, version: res.version, status: http.StatusNoContent, reserved: "the answer to " + r.Method,
	})
	if kind != faulty.ServerError {
		res.version++
	}
	res.mu.Unlock()
	h.Set("Cache-Control", fmt.Sprintf("issue=%d", i.number))
	switch random.IntN(4) {
	case 0:
		if next := res.id + 3*len(classes); next < len(w.resources) { // of the same class and origin
			h.Set("Location", w.resources[next].path)
		}
	case 1:
		h.Set("Cache-Group-Invalidation", fmt.Sprintf("%q", groupName(res.group)))
	}
	return faulty.Answer{Status: http.StatusNoContent, Header: h}
}
