package middleware

import (
	"io"
	"net/http"
	"sync/atomic"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/rules"
)

// This file stores parts of representations (RFC 9111 §3.3 and §3.4), with Config.Ranges =
// RangesForward. An entry marked partial answers the ranges that it contains. For other ranges the
// cache asks the origin for the missing bytes, and writes the entry anew, with old and new bytes
// combined. When it has all bytes, it is an ordinary entry.

// partFill is a stored part to which bytes are being added.
type partFill struct {
	meta   *cirque.CacheMeta
	hit    cirque.HitHandler // the stored part; read by the flight
	held   *rules.Partial
	wanted rules.ByteRange // the bytes that the origin is asked for
	before []section       // of the stored body: those that go before the answer in the new body
	after  []section       // those that go after it
	err    error           // of reading the stored part
	reused *atomic.Int64   // counts the bytes of the stored part that were written
}

// requestMissing makes h the header of a request for the missing bytes of exactly the stored
// representation.
func (p *partFill) requestMissing(h http.Header) {
	rules.UpstreamHeader(h, nil, false)
	h.Set("Range", rules.RangeField(p.wanted))
	stored := p.meta.Header()
	// RFC 9110 §13.1.5: if the origin has another representation, it sends that one whole.
	if tag := stored.Get("Etag"); tag != "" {
		h.Set("If-Range", tag)
	} else {
		h.Set("If-Range", stored.Get("Last-Modified"))
	}
}

// splice works out which sections of the stored body go before and after the bytes got. It returns
// the length of the combined body.
func (p *partFill) splice(got rules.ByteRange) (size int64) {
	size = got.Len()
	var at int64 // where in the stored body the interval begins
	for _, held := range p.held.Intervals {
		if end := min(held.End, got.Start); held.Start < end {
			p.before = append(p.before, section{at, at + end - held.Start})
			size += end - held.Start
		}
		if start := max(held.Start, got.End); start < held.End {
			p.after = append(p.after, section{at + start - held.Start, at + held.Len()})
			size += held.End - start
		}
		at += held.Len()
	}
	return size
}

// writeBefore writes the bytes before the answer. Attach the client's reader first: when the window
// of an unlinked body is full, the write waits for that reader.
func (p *partFill) writeBefore(w io.Writer) error { return p.writeSections(w, &p.before) }

// writeAfter writes the bytes after the answer.
func (p *partFill) writeAfter(w io.Writer) error {
	defer p.close()
	return p.writeSections(w, &p.after)
}

func (p *partFill) writeSections(w io.Writer, sections *[]section) error {
	for _, s := range *sections {
		if p.err == nil {
			p.err = p.hit.SeekRange(s.start, s.end)
		}
		if p.err == nil {
			var n int64
			n, p.err = io.Copy(writerOnly{w}, p.hit)
			p.reused.Add(n)
		}
	}
	*sections = nil
	return p.err
}

func (p *partFill) close() {
	if p.hit != nil {
		_ = p.hit.Close()
		p.hit = nil
	}
}

// section is a half-open interval of a stored body.
type section struct{ start, end int64 }

// writerOnly hides all methods except Write.
type writerOnly struct{ io.Writer }
