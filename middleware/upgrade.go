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

// keepsOut reports whether the cache takes no part in r, because its connection may be used for
// something other than HTTP.
func keepsOut(r *http.Request) bool { return r.Method == http.MethodConnect || upgrades(r.Header) }

// upgrades reports whether the connection may be used for something other than HTTP (RFC 9110
// §7.8). The upgrade to HTTP/2 is obsolete (RFC 9113 §3.1), and some clients offer it in every
// request. It is ignored: it must not lead past the cache.
func upgrades(header http.Header) bool {
	lines := header["Upgrade"]
	if len(lines) == 0 {
		return false
	}
	offered := strings.Join(lines, ",")
	return offered != "" && !strings.EqualFold(offered, "h2c") && field.Contains(header["Connection"], "upgrade")
}

// mayInvalidate reports whether the answer to r can make something invalid (RFC 9111 §4.4) although
// the cache takes no part in it. The target of a tunnel is no resource (RFC 9110 §9.3.6), but
// CONNECT can also have a path (RFC 8441 §4).
func mayInvalidate(r *http.Request) bool {
	return rules.IsUnsafe(r.Method) && (r.Method != http.MethodConnect || strings.HasPrefix(r.URL.Path, "/"))
}

// keepOut calls next with the server's own writer, or with one that only looks at the status.
func (h *handlerDoor) keepOut(w http.ResponseWriter, r *http.Request) {
	h.cache.counters.keptOut(doorHandler)
	h.cache.counters.uncached.add("upgrade")
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

// keepOut sends r and returns the answer unchanged. own is r in canonical form.
func (t *transportDoor) keepOut(r, own *http.Request) (*http.Response, error) {
	t.cache.counters.keptOut(doorTransport)
	response, err := t.base.RoundTrip(r)
	if err != nil || response == nil {
		t.cache.counters.origin.failed.Add(1)
		return response, err
	}
	t.cache.counters.uncached.add("upgrade")
	if !mayInvalidate(r) {
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

// canHijack reports whether http.ResponseController can hijack the connection of w.
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

// observer is the server's ResponseWriter for a request in which the cache takes no part. It hides
// nothing of that writer. It invalidates what the answer makes invalid, before the client gets the
// answer. Like any ResponseWriter it is for one goroutine at a time.
type observer struct {
	http.ResponseWriter
	request  *clientRequest
	status   int // zero until there is one
	hijacked bool
}

// Unwrap lets http.ResponseController reach the server's writer.
func (o *observer) Unwrap() http.ResponseWriter { return o.ResponseWriter }

// noteStatus takes the final status, if it is the first one.
func (o *observer) noteStatus(status int) {
	if o.status != 0 || status < 200 && status != http.StatusSwitchingProtocols {
		return
	}
	o.status = status
	o.request.invalidateUnseen(status, canonicalHeader(o.Header()))
}

// hijackEnded is called when next has returned. The cache does not know what next answered on a
// hijacked connection, nor when. So what was stored in the meantime may be outdated.
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

// CloseNotify implements http.CloseNotifier, which is deprecated. Some frameworks still call it
// without checking that it exists. If the writer below does not have it, the channel never receives
// anything.
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
