package middleware

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/field"
)

// maxDiscarded is how much of an unwanted body is read to its end, in bytes; a longer one is broken
// off.
const maxDiscarded = 64 << 10

var (
	errDiscarded       = errors.New("middleware: this response is no longer wanted")
	errStoragePanicked = errors.New("middleware: the Storage panicked")
)

// responseWriter is the http.ResponseWriter to which the handler behind the cache writes. When the
// header is complete, it decides the fate of the answer (handleranswer.go). A body that is stored
// goes into a fill, and a second goroutine sends the client its answer at the client's pace. Any
// other answer goes straight to the client.
//
// It has no Unwrap: http.ResponseController would reach past it, and the cache would miss what is
// written.
//
// INVARIANT: only one goroutine at a time uses client: this one until the decision, and after it
// the second one, if there is one. release waits for the second one.
type responseWriter struct {
	x      *transaction
	client http.ResponseWriter // nil if there is no client
	ctx    context.Context     // of the request that the handler gets
	method string              // of the request that the handler gets
	header http.Header         // the one that the handler sets

	fate        fate
	sniffing    bool // there is a status; the body still has to tell the content type
	status      int
	snapshot    http.Header // a copy of header, made when the status was written
	sniffBuffer []byte      // the beginning of the body, while sniffing
	declared    int64       // Content-Length; negative if there is none
	written     int64
	broken      bool        // the body does not have the declared length, or could not be stored
	returned    bool        // the handler returned
	silent      bool        // it returned without a status, and nobody has written one since
	outer       http.Header // with silent: the client's header without what the handler set

	serveEnded    chan struct{} // closed when the second goroutine has ended; nil if there is none
	serveErr      error         // of serveHTTP
	servePanicked any           // what the second goroutine, or the decision, panicked with
}

// Header implements http.ResponseWriter.
func (rw *responseWriter) Header() http.Header { return rw.header }

// awaitsStatus reports whether the handler has written no final status yet.
func (rw *responseWriter) awaitsStatus() bool { return rw.fate == undecided && !rw.sniffing }

// WriteHeader implements http.ResponseWriter.
func (rw *responseWriter) WriteHeader(status int) {
	if status >= 100 && status < 200 {
		rw.interim(status)
		return
	}
	if rw.silent {
		rw.answerLate(status)
	}
	if !rw.awaitsStatus() {
		return
	}
	rw.status = status
	rw.snapshot = canonicalHeader(rw.header)
	if rw.declared = field.Length(rw.snapshot); rw.declared < 0 {
		delete(rw.snapshot, "Content-Length")
	}
	if _, settled := rw.snapshot["Date"]; !settled {
		// RFC 9110 §6.6.1.
		rw.snapshot["Date"] = []string{time.Now().UTC().Format(http.TimeFormat)}
	}
	if rw.sniffing = rw.mustSniff(); !rw.sniffing {
		rw.decide()
	}
}

// interim passes a 1xx to the client at once (RFC 9110 §15.2). It is not stored, and its fields do
// not become part of the final answer.
func (rw *responseWriter) interim(status int) {
	if !rw.awaitsStatus() || rw.client == nil || status == http.StatusSwitchingProtocols {
		return
	}
	out := rw.client.Header()
	before := maps.Clone(out)
	merge(out, rw.header)
	rw.client.WriteHeader(status)
	clear(out)
	maps.Copy(out, before)
}

// mustSniff reports whether net/http would take the content type from the body.
func (rw *responseWriter) mustSniff() bool {
	_, typed := rw.snapshot["Content-Type"]
	return !typed && rw.snapshot.Get("Content-Encoding") == "" && rw.snapshot.Get("Transfer-Encoding") == "" &&
		rw.method != http.MethodHead && bodyAllowed(rw.status) && rw.declared != 0
}

// endSniffing sets the content type according to the first bytes of the body, decides, and writes
// these bytes.
func (rw *responseWriter) endSniffing() error {
	p := rw.sniffBuffer
	rw.sniffing, rw.sniffBuffer = false, nil
	if len(p) > 0 {
		rw.snapshot["Content-Type"] = []string{http.DetectContentType(p)}
	}
	rw.decide()
	if len(p) == 0 {
		return nil
	}
	_, err := rw.Write(p)
	return err
}

// ensureStatus writes status 200 if there is no status yet.
func (rw *responseWriter) ensureStatus() {
	if rw.awaitsStatus() || rw.silent {
		rw.WriteHeader(http.StatusOK)
	}
}

// ensureDecided makes sure that the fate of the answer is decided.
func (rw *responseWriter) ensureDecided() error {
	rw.ensureStatus()
	if rw.sniffing {
		return rw.endSniffing()
	}
	return nil
}

// sniffBytes is how much of a body is used to tell its content type, as in net/http.
const sniffBytes = 512

// Write implements io.Writer.
func (rw *responseWriter) Write(p []byte) (int, error) {
	rw.ensureStatus()
	if !bodyAllowed(rw.status) {
		return 0, http.ErrBodyNotAllowed
	}
	if rw.sniffing {
		rw.sniffBuffer = append(rw.sniffBuffer, p...)
		if n := len(rw.sniffBuffer); n < sniffBytes && (rw.declared < 0 || int64(n) < rw.declared) {
			return len(p), nil
		}
		if err := rw.endSniffing(); err != nil {
			return 0, err
		}
		return len(p), nil
	}
	switch rw.fate {
	case fatePass:
		if rw.client == nil {
			return 0, errDiscarded
		}
		n, err := rw.client.Write(p)
		rw.passed(int64(n))
		return n, err
	case fateDiscard:
		if rw.written += int64(len(p)); rw.written <= maxDiscarded {
			return len(p), nil
		}
		rw.cancel(errDiscarded)
		return 0, errDiscarded
	case fateFill:
		if rw.declared >= 0 && rw.written+int64(len(p)) > rw.declared {
			rw.broken = true
			return 0, http.ErrContentLength
		}
		n, err := rw.store(p)
		if err != nil {
			rw.broken = true
			rw.x.flight.cancel(err)
		}
		return n, err
	}
	return 0, errDiscarded // the origin is asked again
}

// passed counts n bytes of a body that the client gets.
func (rw *responseWriter) passed(n int64) {
	if rw.x.req.Method != http.MethodHead { // the server drops the body of an answer to HEAD
		rw.x.bytes += n
	}
}

// storedAtOnce bounds one write to a fill, in bytes, because a slow reader may pace it.
const storedAtOnce = 256 << 10

// store writes to the fill. A panic of the Storage ends the fill; it does not reach the handler.
func (rw *responseWriter) store(p []byte) (n int, err error) {
	flight := rw.x.flight
	flight.nowStoring()
	defer flight.nowFetching()
	defer func() {
		if v := recover(); v != nil {
			rw.x.cache.reportPanic("storage", v)
			err = errStoragePanicked
		}
	}()
	fill := flight.fill.Load()
	if part := rw.x.upstream.part; part != nil && rw.written == 0 {
		if err := part.writeBefore(fill); err != nil {
			return 0, err
		}
	}
	for piece := range slices.Chunk(p, storedAtOnce) {
		wrote, err := fill.Write(piece)
		flight.progressed()
		n += wrote
		rw.written += int64(wrote)
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// WriteString implements io.StringWriter.
func (rw *responseWriter) WriteString(s string) (int, error) { return rw.Write([]byte(s)) }

// ReadFrom implements io.ReaderFrom, so that an uncacheable file goes to the client by sendfile, as
// it would without the cache.
func (rw *responseWriter) ReadFrom(r io.Reader) (total int64, err error) {
	if rw.fate == undecided {
		// The first bytes may decide the content type, and with it the fate.
		first := make([]byte, sniffBytes)
		n, err := io.ReadFull(r, first)
		if n > 0 {
			wrote, werr := rw.Write(first[:n])
			if total = int64(wrote); werr != nil {
				return total, werr
			}
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
	if rw.silent {
		rw.WriteHeader(http.StatusOK)
	}
	var rest int64
	if direct, ok := rw.client.(io.ReaderFrom); ok && rw.fate == fatePass {
		rest, err = direct.ReadFrom(r)
		rw.passed(rest)
	} else {
		rest, err = io.Copy(writerOnly{rw}, r)
	}
	return total + rest, err
}

// Flush implements http.Flusher.
func (rw *responseWriter) Flush() { _ = rw.FlushError() }

// FlushError makes sure that the fate is decided, and flushes what goes straight to the client.
// What goes through the cache is flushed by the writers of the clients that read along, each at its
// own pace.
func (rw *responseWriter) FlushError() error {
	if err := rw.ensureDecided(); err != nil {
		return err
	}
	switch {
	case rw.fate == fatePass && rw.client != nil:
		return http.NewResponseController(rw.client).Flush()
	case rw.fate == fateFill && !rw.broken:
		rw.x.flight.flushes.flushed(rw.x.flight.fill.Load().Written())
	}
	return nil
}

// CloseNotify implements http.CloseNotifier, for handlers that do not use contexts. Like the
// context of the handler's request, the channel says that the fetch has ended. A fetch that belongs
// to the cache does not end when a client leaves.
func (rw *responseWriter) CloseNotify() <-chan bool { return closeNotify(rw.ctx) }

// SetReadDeadline, SetWriteDeadline and EnableFullDuplex are for http.ResponseController.

// SetReadDeadline sets the deadline for reading the client's request.
func (rw *responseWriter) SetReadDeadline(deadline time.Time) error {
	return rw.control(func(c *http.ResponseController) error { return c.SetReadDeadline(deadline) })
}

// SetWriteDeadline sets the deadline for writing to the client.
func (rw *responseWriter) SetWriteDeadline(deadline time.Time) error {
	return rw.control(func(c *http.ResponseController) error { return c.SetWriteDeadline(deadline) })
}

// EnableFullDuplex lets the handler read the request while it writes the response.
func (rw *responseWriter) EnableFullDuplex() error {
	return rw.control((*http.ResponseController).EnableFullDuplex)
}

// control calls set with the controller of the client's writer, if there is a client.
func (rw *responseWriter) control(set func(*http.ResponseController) error) error {
	if rw.client == nil {
		return nil // there is no client, as in a background revalidation
	}
	return set(http.NewResponseController(rw.client))
}

// finish is called when the handler has returned. The response is complete now, or it is broken.
func (rw *responseWriter) finish() {
	rw.returned = true
	if rw.awaitsStatus() {
		rw.endSilent()
	} else if rw.ensureDecided() != nil {
		rw.broken = true
	}
	switch rw.fate {
	case fatePass:
		rw.passTrailer()
	case fateFill:
		short := rw.declared >= 0 && rw.written != rw.declared && bodyAllowed(rw.status)
		if !rw.broken && !short {
			rw.x.finishFill(rw.trailer())
		}
	}
}

// release releases what the request holds, whether the handler returned or panicked. It also makes
// sure that no client takes half a response for a whole one.
func (rw *responseWriter) release() {
	defer rw.waitForServed() // even if the Storage panics
	flight := rw.x.flight
	if rw.fate == fateFill {
		if part := rw.x.upstream.part; part != nil {
			defer part.close()
		}
		flight.fill.Load().Abort(cirque.UpstreamError) // does nothing after Finish
	}
	if flight != nil && rw.fate != fateRetry {
		flight.land()
	}
}

// waitForServed waits for the second goroutine. If the handler has returned, waitForServed then
// panics for one of three causes: the decision panicked, the second goroutine panicked, or it could
// not send the whole answer.
func (rw *responseWriter) waitForServed() {
	if rw.serveEnded == nil {
		if rw.returned && rw.servePanicked != nil { // the decision panicked
			panic(rw.servePanicked)
		}
		return
	}
	if !rw.returned {
		// The handler panicked, and the server will get that panic. A slow client must not delay
		// it.
		_ = rw.SetWriteDeadline(time.Now())
	}
	<-rw.serveEnded
	if !rw.returned {
		return
	}
	if rw.servePanicked != nil {
		panic(rw.servePanicked)
	}
	if rw.serveErr != nil {
		cutShort(rw.client)
	}
}
