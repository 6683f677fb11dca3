package middleware

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/field"
)

// mode is what becomes of what the handler writes.
type mode uint8

const (
	modeOpen    mode = iota // no final status yet
	modePending             // a status, but the content type is still to be sniffed from the body
	modePass                // to the client
	modeFill                // into the cache
	modeDiscard             // nowhere: a stored response is the answer
	modeRetry               // nowhere: the handler is asked again
)

// maxDiscarded is how much of a body that nobody wants is waited for, rather than broken off.
const maxDiscarded = 64 << 10

var (
	errDiscarded       = errors.New("middleware: this response is not wanted any more")
	errStoragePanicked = errors.New("middleware: the storage panicked")
)

// responseWriter is the http.ResponseWriter that the handler behind the cache writes to. The
// decision about its answer falls when the header is complete. What is cacheable then goes into a
// fill, and a second goroutine sends the client its answer at the client's pace; all
// else goes to the client on the spot.
//
// It has no Unwrap: http.ResponseController would reach past it and the cache miss what is written.
//
// INVARIANT: only one goroutine at a time uses client: this one until the decision, the
// second from then on if there is one, which settle waits for.
type responseWriter struct {
	x      *exchange
	client http.ResponseWriter // nil: nobody is there
	ctx    context.Context     // of the request that the handler gets
	method string              // what the handler is asked
	header http.Header         // the handler's own

	mode     mode
	status   int
	snapshot http.Header // header when the status was written
	sniff    []byte      // what the body begins with, until that tells its type
	declared int64       // Content-Length; negative where there is none
	written  int64
	broken   bool        // the body is not what it was declared to be
	returned bool        // the handler returned
	silent   bool        // without a word: there is no status, and nobody has written one since
	outer    http.Header // the client's header then

	served    chan struct{} // closed when the second goroutine is done
	serveErr  error         // of serveHTTP
	servePanc any           // what it panicked with
}

// Header implements http.ResponseWriter.
func (rw *responseWriter) Header() http.Header { return rw.header }

// WriteHeader implements http.ResponseWriter.
func (rw *responseWriter) WriteHeader(status int) {
	if status >= 100 && status < 200 {
		rw.interim(status)
		return
	}
	if rw.silent {
		rw.answerLate(status)
	}
	if rw.mode != modeOpen {
		return
	}
	rw.status = status
	rw.snapshot = snapshot(rw.header)
	if rw.declared = field.Length(rw.snapshot); rw.declared < 0 {
		delete(rw.snapshot, "Content-Length")
	}
	if _, settled := rw.snapshot["Date"]; !settled {
		// RFC 9110 §6.6.1.
		rw.snapshot["Date"] = []string{time.Now().UTC().Format(http.TimeFormat)}
	}
	if rw.sniffs() {
		rw.mode = modePending
		return
	}
	rw.decide()
}

// snapshot copies a header. Names that the handler spelt in a way of its own ("ETag" is common) are
// one field on the wire whatever their case, and become so here.
func snapshot(header http.Header) http.Header {
	lines := 0
	for _, values := range header {
		lines += len(values)
	}
	s, room := make(http.Header, len(header)), make([]string, 0, lines)
	var odd []string
	for name, values := range header {
		switch {
		case !canonicalName(name):
			odd = append(odd, name)
		case len(values) == 0:
			s[name] = nil // stays suppressed
		default:
			from := len(room)
			room = append(room, values...)
			s[name] = room[from:len(room):len(room)]
		}
	}
	for _, name := range odd {
		canonical := http.CanonicalHeaderKey(name)
		s[canonical] = append(s[canonical], header[name]...)
	}
	return s
}

// interim passes a 1xx on at once (RFC 9110 §15.2). It is not stored, and lends nothing to the
// final answer.
func (rw *responseWriter) interim(status int) {
	if rw.mode != modeOpen || rw.client == nil || status == http.StatusSwitchingProtocols {
		return
	}
	out := rw.client.Header()
	before := maps.Clone(out)
	merge(out, rw.header)
	rw.client.WriteHeader(status)
	clear(out)
	maps.Copy(out, before)
}

// sniffs reports whether net/http would take the content type from the body.
func (rw *responseWriter) sniffs() bool {
	_, typed := rw.snapshot["Content-Type"]
	return !typed && rw.snapshot.Get("Content-Encoding") == "" && rw.snapshot.Get("Transfer-Encoding") == "" &&
		rw.method != http.MethodHead && bodyAllowed(rw.status) && rw.declared != 0
}

// sniffed settles the content type by the body's first bytes, decides, and sends them on their way.
func (rw *responseWriter) sniffed() error {
	p := rw.sniff
	rw.sniff = nil
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

// decide asks what becomes of the answer, and sets out on it.
func (rw *responseWriter) decide() {
	x := rw.x
	defer func() {
		if p := recover(); p != nil {
			// A hook's or the Storage's. The handler is to end its answer in order, then the server
			// hears of it.
			rw.mode, rw.servePanc = modeDiscard, p
			rw.cancel(errDiscarded)
		}
	}()
	head := &answerHead{status: rw.status, header: rw.snapshot, length: rw.expected()}
	if x.flight != nil && x.flight.ctx.Err() != nil {
		x.invalidate(head)
		rw.unanswered()
		return
	}
	if rw.silent {
		x.noStore = true
	}
	verdict := x.admit(head)
	rw.declared = max(rw.declared, head.length) // a part says how long it is in more than one way
	switch verdict {
	case verdictPass:
		rw.mode = modePass
		if x.flight != nil {
			x.flight.adopt()
		}
		rw.pass()
		if x.req.Method == http.MethodHead && rw.method != http.MethodHead {
			rw.mode = modeDiscard // of the GET that Config.HeadAsGet made of a HEAD, nobody wants the body
			rw.cancel(errDiscarded)
		}
	case verdictFill:
		rw.mode = modeFill
		rw.serve()
	case verdictServe:
		rw.mode = modeDiscard
		rw.serve()
	case verdictRetry:
		rw.mode = modeRetry
		x.flight.cancel(errDiscarded)
	}
}

// cancel ends the fetch, where that is not the client's own request.
func (rw *responseWriter) cancel(cause error) {
	if rw.x.flight != nil {
		rw.x.flight.cancel(cause)
	}
}

// expected is the length of the body to come.
func (rw *responseWriter) expected() int64 {
	if !bodyAllowed(rw.status) {
		return 0
	}
	return rw.declared
}

// pass sends the header on to the client.
func (rw *responseWriter) pass() {
	if rw.client == nil {
		rw.x.flight.cancel(errDiscarded)
		return
	}
	out := rw.client.Header()
	if rw.silent {
		rw.x.passOn(cirque.OriginNotCache) // those who wait for it ask by themselves
		rw.outer = maps.Clone(out)
	}
	merge(out, rw.snapshot)
	rw.x.setCacheStatus(out, nil)
	if !rw.silent {
		rw.client.WriteHeader(rw.status)
	}
}

// leaveUnanswered takes a handler that has returned without a word. For net/http that is an empty
// 200. But routers whose handlers return errors answer these after all middleware has returned, to
// this very ResponseWriter: so nothing is stored, and it is left to the server, or to whoever still
// writes, to answer.
func (rw *responseWriter) leaveUnanswered() {
	rw.silent = true
	rw.status, rw.snapshot, rw.declared = http.StatusOK, snapshot(rw.header), -1
	rw.decide()
	rw.silent = rw.mode == modePass && rw.client != nil
}

// answerLate passes on a header that is written after the handler has returned without a word.
func (rw *responseWriter) answerLate(status int) {
	rw.silent = false
	rw.status, rw.snapshot = status, snapshot(rw.header)
	clear(rw.client.Header())
	maps.Copy(rw.client.Header(), rw.outer)
	rw.pass()
}

// serve sends the client its answer from the cache, on a goroutine of its own.
func (rw *responseWriter) serve() {
	if rw.client == nil {
		return
	}
	if rw.x.late(rw.client) {
		rw.x.hc.Release() // a reader that does not read would hold the fill up
		return
	}
	rw.served = make(chan struct{})
	go func() {
		growStack()
		defer close(rw.served)
		defer func() { rw.servePanc = recover() }()
		rw.serveErr = rw.x.serveHTTP(rw.client)
	}()
}

// ready makes sure that a decision has fallen.
func (rw *responseWriter) ready() error {
	if rw.mode == modeOpen || rw.silent {
		rw.WriteHeader(http.StatusOK)
	}
	if rw.mode == modePending {
		return rw.sniffed()
	}
	return nil
}

// sniffBytes is how much of a body its content type is told by, as with net/http.
const sniffBytes = 512

// Write implements io.Writer.
func (rw *responseWriter) Write(p []byte) (int, error) {
	if rw.mode == modeOpen || rw.silent {
		rw.WriteHeader(http.StatusOK)
	}
	if !bodyAllowed(rw.status) {
		return 0, http.ErrBodyNotAllowed
	}
	if rw.mode == modePending {
		rw.sniff = append(rw.sniff, p...)
		if n := len(rw.sniff); n < sniffBytes && (rw.declared < 0 || int64(n) < rw.declared) {
			return len(p), nil
		}
		if err := rw.sniffed(); err != nil {
			return 0, err
		}
		return len(p), nil
	}
	switch rw.mode {
	case modePass:
		if rw.client == nil {
			return 0, errDiscarded
		}
		return rw.client.Write(p)
	case modeDiscard:
		if rw.written += int64(len(p)); rw.written <= maxDiscarded {
			return len(p), nil
		}
		rw.cancel(errDiscarded)
		return 0, errDiscarded
	case modeRetry:
		return 0, errDiscarded
	}
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

// storedAtOnce bounds what one write to a fill holds, where a slow reader may pace it.
const storedAtOnce = 256 << 10

// store writes to the fill. A panic of the Storage ends the fill, and is none of the handler's
// business.
func (rw *responseWriter) store(p []byte) (n int, err error) {
	flight := rw.x.flight
	flight.turn(true)
	defer flight.turn(false)
	defer func() {
		if v := recover(); v != nil {
			rw.x.cache.reportPanic("storage", v)
			err = errStoragePanicked
		}
	}()
	fill := flight.fill.Load()
	if rw.x.part != nil && rw.written == 0 {
		if err := rw.x.part.prepend(fill); err != nil {
			return 0, err
		}
	}
	for piece := range slices.Chunk(p, storedAtOnce) {
		wrote, err := fill.Write(piece)
		flight.moved()
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

// ReadFrom implements io.ReaderFrom: an uncacheable file goes to the client by sendfile, as without
// the cache.
func (rw *responseWriter) ReadFrom(r io.Reader) (total int64, err error) {
	if rw.mode == modeOpen || rw.mode == modePending {
		// The first bytes may settle the content type, and with it the decision.
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
	if direct, ok := rw.client.(io.ReaderFrom); ok && rw.mode == modePass {
		rest, err = direct.ReadFrom(r)
	} else {
		rest, err = io.Copy(writerOnly{rw}, r)
	}
	return total + rest, err
}

// Flush implements http.Flusher.
func (rw *responseWriter) Flush() { _ = rw.FlushError() }

// FlushError makes the decision fall, and flushes what goes to the client directly. What goes
// through the cache is flushed to the clients who read along, each at its own pace.
func (rw *responseWriter) FlushError() error {
	if err := rw.ready(); err != nil {
		return err
	}
	switch {
	case rw.mode == modePass && rw.client != nil:
		return http.NewResponseController(rw.client).Flush()
	case rw.mode == modeFill && !rw.broken:
		rw.x.flight.flushes.flushed(rw.x.flight.fill.Load().Written())
	}
	return nil
}

// CloseNotify implements http.CloseNotifier, for handlers that do not know contexts. Like the
// context of the request that the handler got, the channel tells of the fetch: a client who leaves
// does not end one that is the cache's.
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

func (rw *responseWriter) control(set func(*http.ResponseController) error) error {
	if rw.client == nil {
		return nil // nobody is there, as behind a discardedResponse
	}
	return set(http.NewResponseController(rw.client))
}

// finish takes the handler's return: the response is complete, or it is not what it was declared to
// be.
func (rw *responseWriter) finish() {
	if rw.mode == modeOpen {
		rw.leaveUnanswered()
	} else if rw.ready() != nil {
		rw.broken = true
	}
	switch rw.mode {
	case modePass:
		rw.passTrailer()
	case modeFill:
		short := rw.declared >= 0 && rw.written != rw.declared && bodyAllowed(rw.status)
		if !rw.broken && !short {
			rw.x.complete(rw.trailer())
		}
	}
}

// unanswered takes what a handler says, or leaves unsaid, whose fetch was cancelled before it
// answered: whatever that is, it is not the resource, nor need it be whole.
func (rw *responseWriter) unanswered() {
	rw.mode = modeDiscard
	switch x := rw.x; {
	case x.fail(context.Cause(x.flight.ctx)):
		rw.serve()
	case rw.client != nil && !x.late(rw.client):
		http.Error(rw.client, "the fetch was cut short", http.StatusServiceUnavailable)
	}
}

// settle ends what the request holds, whether the handler returned or panicked, and
// makes sure that a client does not take half a response for a whole one.
func (rw *responseWriter) settle() {
	defer rw.join() // even if the Storage panics
	if rw.mode == modeFill {
		if rw.x.part != nil {
			defer rw.x.part.close()
		}
		rw.x.flight.fill.Load().Abort(cirque.UpstreamError) // nothing, after Finish
	}
	if rw.x.flight != nil && rw.mode != modeRetry {
		rw.x.flight.land()
	}
}

// join waits for the second goroutine, and passes on how that ended.
func (rw *responseWriter) join() {
	if rw.served == nil {
		if rw.returned && rw.servePanc != nil {
			panic(rw.servePanc)
		}
		return
	}
	if !rw.returned {
		// The handler panicked, which the server will hear of. Its client does not hold that up.
		_ = rw.SetWriteDeadline(time.Now())
	}
	<-rw.served
	if !rw.returned {
		return
	}
	if rw.servePanc != nil {
		panic(rw.servePanc)
	}
	if rw.serveErr != nil {
		cutShort(rw.client)
	}
}

// trailer returns the trailer fields that the handler set: those it had announced, and those with
// http.TrailerPrefix.
func (rw *responseWriter) trailer() http.Header {
	var trailer http.Header
	set := func(name string, values []string) {
		if trailer == nil {
			trailer = make(http.Header)
		}
		trailer[http.CanonicalHeaderKey(name)] = slices.Clone(values)
	}
	for name := range field.Tokens(rw.snapshot["Trailer"]) {
		if values := rw.header[http.CanonicalHeaderKey(name)]; len(values) > 0 {
			set(name, values)
		}
	}
	for name, values := range rw.header {
		if name, ok := strings.CutPrefix(name, http.TrailerPrefix); ok && len(values) > 0 {
			set(name, values)
		}
	}
	return trailer
}

// passTrailer lets the server have the trailer fields that the handler set after the header.
func (rw *responseWriter) passTrailer() {
	if rw.client == nil {
		return
	}
	out := rw.client.Header()
	for name, values := range rw.trailer() {
		if out[http.TrailerPrefix+name] == nil && !field.Contains(rw.snapshot["Trailer"], name) {
			name = http.TrailerPrefix + name
		}
		out[name] = values
	}
}
