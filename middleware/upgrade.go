package middleware

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/cirquecache/cirque/internal/field"
	"github.com/cirquecache/cirque/rules"
)

// keepsOut reports whether the cache keeps out of r: its connection may become something else than
// HTTP.
func keepsOut(r *http.Request) bool { return r.Method == http.MethodConnect || upgrades(r.Header) }

// upgrades reports whether the connection may become something else than HTTP (RFC 9110 §7.8). The
// upgrade to HTTP/2, which some clients offer with whatever they ask for, is obsolete (RFC 9113
// §3.1) and ignored: it must not lead past the cache.
func upgrades(header http.Header) bool {
	lines := header["Upgrade"]
	if len(lines) == 0 {
		return false
	}
	offered := strings.Join(lines, ",")
	return offered != "" && !strings.EqualFold(offered, "h2c") && field.Contains(header["Connection"], "upgrade")
}

// mayInvalidate reports whether the answer to r, which the cache keeps out of, can make something
// invalid (RFC 9111 §4.4). A tunnel's target is no resource (RFC 9110 §9.3.6), but CONNECT can also
// name a path (RFC 8441 §4).
func mayInvalidate(r *http.Request) bool {
	return rules.IsUnsafe(r.Method) && (r.Method != http.MethodConnect || strings.HasPrefix(r.URL.Path, "/"))
}

// keepOut hands r to next with the server's own writer, or with one that only watches the status.
func (h *handlerDoor) keepOut(w http.ResponseWriter, r *http.Request) {
	h.cache.counters.keptOut(doorHandler)
	if !mayInvalidate(r) {
		h.next.ServeHTTP(w, r)
		return
	}
	q := newClientRequest(h.cache, doorHandler, r)
	o := &observer{ResponseWriter: w, request: &q}
	defer o.hijackEnded() // even if next panics
	if canHijack(w) {
		h.next.ServeHTTP(&hijackableObserver{o}, r)
	} else {
		h.next.ServeHTTP(o, r)
	}
	o.noteStatus(http.StatusOK)
}

// keepOut sends r, which own is the canonical form of, and returns the answer as it is.
func (t *transportDoor) keepOut(r, own *http.Request) (*http.Response, error) {
	t.cache.counters.keptOut(doorTransport)
	response, err := t.base.RoundTrip(r)
	if err != nil || response == nil || !mayInvalidate(r) {
		return response, err
	}
	returned := false
	defer func() {
		if !returned && response.Body != nil { // a hook or the Storage panicked
			_ = response.Body.Close()
		}
	}()
	q, a := newClientRequest(t.cache, doorTransport, own), replyOf(response)
	q.invalidateUnseen(a.status, a.header)
	returned = true
	return response, nil
}

// canHijack reports whether http.ResponseController can hijack w's connection.
func canHijack(w http.ResponseWriter) bool {
	for {
		switch t := w.(type) {
		case http.Hijacker:
			return true
		case interface{ Unwrap() http.ResponseWriter }:
			w = t.Unwrap()
		default:
			return false
		}
	}
}

// observer is the server's ResponseWriter for a request that the cache keeps out of. It takes
// nothing away, and invalidates what the answer makes invalid, before the client has it. For one
// goroutine at a time, as any ResponseWriter.
type observer struct {
	http.ResponseWriter
	request  *clientRequest
	status   int // zero before there is one
	hijacked bool
}

// Unwrap lets http.ResponseController reach the server's writer.
func (o *observer) Unwrap() http.ResponseWriter { return o.ResponseWriter }

// noteStatus takes the final status, if it is the first.
func (o *observer) noteStatus(status int) {
	if o.status != 0 || status < 200 && status != http.StatusSwitchingProtocols {
		return
	}
	o.status = status
	o.request.invalidateUnseen(status, canonicalHeader(o.Header()))
}

// hijackEnded is called when next is done. What it answered on a hijacked connection, and when, is
// not known, so what was stored meanwhile may be outdated.
func (o *observer) hijackEnded() {
	if o.hijacked {
		o.request.invalidateUnseen(http.StatusOK, canonicalHeader(o.Header()))
	}
}

// WriteHeader implements http.ResponseWriter.
func (o *observer) WriteHeader(status int) {
	o.noteStatus(status)
	o.ResponseWriter.WriteHeader(status)
}

// Write implements io.Writer.
func (o *observer) Write(p []byte) (int, error) {
	o.noteStatus(http.StatusOK)
	return o.ResponseWriter.Write(p)
}

// WriteString implements io.StringWriter.
func (o *observer) WriteString(s string) (int, error) {
	o.noteStatus(http.StatusOK)
	return io.WriteString(o.ResponseWriter, s)
}

// ReadFrom implements io.ReaderFrom.
func (o *observer) ReadFrom(r io.Reader) (int64, error) {
	o.noteStatus(http.StatusOK)
	return io.Copy(o.ResponseWriter, r)
}

// Flush implements http.Flusher.
func (o *observer) Flush() { _ = o.FlushError() }

// FlushError is Flush for http.ResponseController.
func (o *observer) FlushError() error {
	o.noteStatus(http.StatusOK)
	return http.NewResponseController(o.ResponseWriter).Flush()
}

// CloseNotify implements http.CloseNotifier, which is deprecated and which some frameworks still
// call without asking. Where the writer below has none, nothing is ever notified.
func (o *observer) CloseNotify() <-chan bool {
	//lint:ignore SA1019 for those frameworks
	if below, ok := o.ResponseWriter.(http.CloseNotifier); ok {
		return below.CloseNotify()
	}
	return make(chan bool)
}

// hijackableObserver is an observer of a writer whose connection can be hijacked.
type hijackableObserver struct{ *observer }

// Hijack implements http.Hijacker.
func (o *hijackableObserver) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(o.ResponseWriter).Hijack()
	if err == nil {
		o.hijacked = true
		o.noteStatus(http.StatusSwitchingProtocols)
	}
	return conn, rw, err
}
