package middleware

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

// serveHTTP sends the answer that the walk found. After an error the client must not take what it
// got for a complete response.
func (x *transaction) serveHTTP(w http.ResponseWriter) error {
	header := w.Header()
	var a answer
	if len(header) == 0 {
		a = x.answer(header)
	} else {
		own := make(http.Header)
		a = x.answer(own)
		merge(header, own)
	}
	if a.body != nil {
		defer a.body.Close()
	}
	if header["Content-Type"] == nil {
		header["Content-Type"] = nil // a response that was stored without a type must not get one now
	}
	w.WriteHeader(a.status)
	x.headerSent(a.status)
	if a.body == nil {
		if x.flight != nil && x.flight.fill.Load() != nil {
			// The request ends after the fetch, which may go on for long.
			_ = http.NewResponseController(w).Flush()
		}
		return nil
	}
	to := io.Writer(w)
	if x.req.ProtoMajor != 1 {
		own := newCopyingWriter(w)
		defer own.release()
		to = own
	}
	to, done := x.cache.watched(w, to, &a)
	if done != nil {
		defer done()
	}
	if !a.live {
		// The body has a known length. If the error is that of the client, an abort changes nothing
		// for the client.
		n, err := io.Copy(to, a.body)
		x.bytes = n
		if err == nil && n < a.length {
			err = io.ErrUnexpectedEOF // the Storage has fewer bytes than it announced
		}
		return err
	}
	out := newLiveWriter(w, to, &a)
	defer out.close()
	n, err := io.Copy(out, a.body)
	if x.bytes = n; err != nil && out.err == nil {
		return err
	}
	if _, part := a.body.(*sectionReader); part {
		out.flush() // the request ends after the fetch, which may go on for long
	}
	out.close() // before the header changes
	for name, values := range a.flight.trailers() {
		header[http.TrailerPrefix+name] = values
	}
	return nil
}

// merge adds an answer's fields to those that handlers around the cache have already set for the
// client. It keeps their values of fields that are lists, and replaces those of all others.
func merge(header, answer http.Header) {
	for name, values := range answer {
		switch name {
		case "Set-Cookie", "Vary", "Link", "Cache-Status", "Server-Timing":
			values = append(header[name][:len(header[name]):len(header[name])], values...)
		}
		header[name] = values
	}
}

// answerTimedOut answers a request whose deadline passed before there was an answer (RFC 9110
// §15.6.5), and reports whether that is so. A handler around the cache has set such a deadline; a
// client that leaves causes a cancellation, not a deadline.
func (x *transaction) answerTimedOut(w http.ResponseWriter) bool {
	if !errors.Is(x.client.Err(), context.DeadlineExceeded) {
		return false
	}
	http.Error(w, "no answer before the deadline", http.StatusGatewayTimeout)
	return true
}

// cutShort makes the server cut an answer short, by a panic. Some handlers around the cache recover
// from it like from any other panic and return, and the server would then end the answer normally.
// So the write deadline is set first, and nothing more can be written.
func cutShort(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Unix(1, 0))
	panic(http.ErrAbortHandler)
}
