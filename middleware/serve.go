package middleware

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

// serveHTTP sends the answer that the walk found. An error means that the client must not take what
// it got for a complete response.
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
		header["Content-Type"] = nil // what was stored without a type is not given one now
	}
	w.WriteHeader(a.status)
	x.headerSent()
	if a.body == nil {
		if x.flight != nil && x.flight.fill.Load() != nil {
			_ = http.NewResponseController(w).Flush() // the fetch, and with it the request, may go on for long
		}
		return nil
	}
	to, done := x.cache.watched(w, &a)
	if done != nil {
		defer done()
	}
	if !a.live {
		// A body of known length: should the client be what failed, aborting changes nothing for
		// it.
		n, err := io.Copy(to, a.body)
		x.bytes = n
		if err == nil && n < a.length {
			err = io.ErrUnexpectedEOF // the Storage has less than it said
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
		out.flush() // the fetch, and with it the request, may go on for long
	}
	out.close() // before the header changes
	for name, values := range a.flight.trailers() {
		header[http.TrailerPrefix+name] = values
	}
	return nil
}

// merge puts an answer's fields among those that handlers around the cache have set for the client
// already. Of what is a list, theirs stay too.
func merge(header, answer http.Header) {
	for name, values := range answer {
		switch name {
		case "Set-Cookie", "Vary", "Link", "Cache-Status", "Server-Timing":
			values = append(header[name][:len(header[name]):len(header[name])], values...)
		}
		header[name] = values
	}
}

// answerTimedOut answers a request whose deadline, which a handler around the cache has set, passed before
// there was an answer (RFC 9110 §15.6.5). It reports false where that is not so. A client who is
// gone cancels, and has no deadline.
func (x *transaction) answerTimedOut(w http.ResponseWriter) bool {
	if !errors.Is(x.client.Err(), context.DeadlineExceeded) {
		return false
	}
	http.Error(w, "the time for an answer is over", http.StatusGatewayTimeout)
	return true
}

// cutShort panics with what makes a server cut an answer short. Some handlers around the cache take
// that for a panic like any other and return, and the server would end the answer in order: so
// nothing more can be written before.
func cutShort(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Unix(1, 0))
	panic(http.ErrAbortHandler)
}
