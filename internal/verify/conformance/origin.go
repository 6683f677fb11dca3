package conformance

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// origin is the server behind the cache. It serves all running cases at once: the first segment of
// the path names the case, and the case's present step has the answer.
type origin struct {
	running sync.Map // id → *exchange
}

// ask is one request that reached the origin.
type ask struct {
	method, host, uri, body string
	header                  http.Header
}

func (o *origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, _, _ := strings.Cut(r.URL.Path[1:], "/")
	e, ok := o.running.Load(id)
	if !ok {
		// A background request that outlived its case.
		http.Error(w, "no such case", http.StatusGone)
		return
	}
	e.(*exchange).serve(w, r)
}

// exchange is one run of one case.
type exchange struct {
	scope

	mu    sync.Mutex
	index int // of the step under way
	step  *Step
	asks  []ask         // of the step under way
	hold  chan struct{} // answers wait until it is closed; nil: they do not wait
}

// begin sets the present step.
func (e *exchange) begin(index int, step *Step, hold chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.index, e.step, e.hold, e.asks = index, step, hold, nil
}

// asked returns the requests since begin.
func (e *exchange) asked() []ask {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]ask(nil), e.asks...)
}

// unexpected is the answer to a request that should not have been made. It cannot be stored, so it
// does not change the state of the cache.
var unexpected = Answer{Status: 200, Header: Lines{"Cache-Control: no-store"}, Body: "an answer to a request that should not have been made"}

func (e *exchange) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	e.mu.Lock()
	answer, index, hold := e.step.Answer, e.index, e.hold
	if len(e.asks) > 0 && e.step.Again != nil {
		answer = e.step.Again
	}
	e.asks = append(e.asks, ask{
		method: r.Method, host: r.Host, uri: r.RequestURI, body: string(body), header: r.Header.Clone(),
	})
	e.mu.Unlock()

	if answer == nil {
		answer = &unexpected
	}
	if hold != nil {
		<-hold
	}
	e.write(w, r.Method, answer, index)
}

// bodyOf returns the content of an answer a to the step with this index.
func bodyOf(a *Answer, index int) string {
	if a.Empty {
		return ""
	}
	return cmp.Or(a.Body, fmt.Sprintf("answer %d\n", index))
}

func (e *exchange) write(w http.ResponseWriter, method string, a *Answer, index int) {
	h := w.Header()
	for _, interim := range a.Interim {
		for name, values := range e.header(interim.Header, a.Raw) {
			h[name] = values
		}
		w.WriteHeader(interim.Status)
		clear(h)
	}
	if a.Delay > 0 {
		time.Sleep(a.Delay)
	}
	if a.Dead {
		panic(http.ErrAbortHandler) // makes the server break the connection
	}
	status := cmp.Or(a.Status, 200)
	body := bodyOf(a, index)
	for name, values := range e.header(a.Header, a.Raw) {
		h[name] = values
	}
	if status == http.StatusNotModified && (h["Content-Length"] != nil || h["Content-Type"] != nil) {
		if hijack(w, status) {
			return
		}
	}
	if status != http.StatusNotModified && status != http.StatusNoContent {
		setDefault(h, "Content-Type", "text/plain")
		if a.Trailer == nil {
			setDefault(h, "Content-Length", strconv.Itoa(len(body)))
		}
	} else {
		body = ""
	}
	w.WriteHeader(status)
	if method != http.MethodHead {
		if a.Cut {
			_, _ = io.WriteString(w, body[:len(body)/2])
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, body)
	}
	if a.Trailer != nil {
		_ = http.NewResponseController(w).Flush() // or net/http would send Content-Length instead
	}
	for name, values := range e.header(a.Trailer, false) {
		h[http.TrailerPrefix+name] = values
	}
}

// hijack writes a response without content on the bare connection, because net/http would remove
// fields from it. It returns false if w cannot be hijacked.
func hijack(w http.ResponseWriter, status int) bool {
	hijacker, ok := w.(http.Hijacker)
	if !ok {
		return false
	}
	conn, _, err := hijacker.Hijack()
	if err != nil {
		return false
	}
	defer conn.Close()
	h := w.Header()
	setDefault(h, "Date", time.Now().UTC().Format(http.TimeFormat))
	h["Connection"] = append(h["Connection"], "close")
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", status, http.StatusText(status))
	_ = h.Write(&b)
	b.WriteString("\r\n")
	_, _ = conn.Write(b.Bytes())
	return true
}

// setDefault sets a field that is neither set nor suppressed.
func setDefault(h http.Header, name, value string) {
	if _, ok := h[name]; !ok {
		h[name] = []string{value}
	}
}
