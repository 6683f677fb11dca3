package middleware

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"strconv"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/rules"
)

// wantedRange returns the one range that the request wants of a representation: the whole if no
// range applies. It returns false if there are several ranges, or none that can be satisfied.
func (x *transaction) wantedRange(meta *cirque.CacheMeta, held *rules.Partial) (rules.ByteRange, bool) {
	if held == nil {
		return rules.ByteRange{}, false
	}
	whole := rules.ByteRange{Start: 0, End: held.Size}
	value := x.req.Header.Get("Range")
	if value == "" || !rules.IfRangeHolds(x.req.Header, meta) {
		return whole, true
	}
	ranges, verdict := rules.ParseRange(value, held.Size)
	switch {
	case verdict == rules.RangeNone:
		return whole, true
	case verdict == rules.RangeSatisfiable && len(ranges) == 1:
		return ranges[0], true
	}
	return rules.ByteRange{}, false
}

// rangeAnswer answers a Range request from the whole body (RFC 9110 §14.2). It returns false if the
// Range field has to be ignored.
func (x *transaction) rangeAnswer(a *answer, header http.Header, meta *cirque.CacheMeta, hit cirque.HitHandler, size int64) bool {
	lines := x.req.Header["Range"]
	if len(lines) == 0 || !rules.IfRangeHolds(x.req.Header, meta) {
		return false
	}
	ranges, verdict := rules.ParseRange(lines[0], size)
	switch verdict {
	case rules.RangeUnsatisfiable:
		// RFC 9110 §15.5.17.
		_ = hit.Close()
		kept := map[string][]string{"Cache-Status": header["Cache-Status"]}
		if x.replyHeader["Set-Cookie"] != nil && header["Set-Cookie"] != nil {
			kept["Set-Cookie"] = header["Set-Cookie"] // it was set for this client
		}
		clear(header)
		maps.Copy(header, kept)
		header["Content-Range"] = []string{rules.UnsatisfiedRange(size)}
		header["Content-Length"] = []string{"0"}
		a.status, a.length = http.StatusRequestedRangeNotSatisfiable, 0
		return true
	case rules.RangeSatisfiable:
		if len(ranges) > 1 && !hit.CanSeek() {
			return false // still being written: the client gets the whole instead of several ranges
		}
	default:
		return false
	}
	a.setRanges(header, hit, ranges, size, 0)
	return true
}

// setRanges makes a the 206 that sends ranges from hit. hit begins with byte at of the
// representation.
func (a *answer) setRanges(header http.Header, hit cirque.HitHandler, ranges []rules.ByteRange, size, at int64) {
	a.status = http.StatusPartialContent
	if len(ranges) > 1 {
		a.setMultipart(header, hit, ranges, size)
		return
	}
	r := ranges[0]
	a.length = r.End - r.Start
	header["Content-Range"] = []string{rules.ContentRange(r, size)}
	header["Content-Length"] = []string{strconv.FormatInt(a.length, 10)}
	a.body = &sectionReader{hit: hit, next: section{r.Start - at, r.End - at}}
}

// partAnswer answers from an entry that holds only parts.
func (x *transaction) partAnswer(a answer, header http.Header, meta *cirque.CacheMeta, hit cirque.HitHandler) answer {
	held, ok := rules.PartialOf(meta)
	wanted, ranged := x.wantedRange(meta, held)
	if !ok || !ranged || !held.Covers(wanted) {
		// This is the first answer to a forwarded range: the part of it that the origin chose to
		// send.
		if !ok || len(held.Intervals) != 1 {
			a.body, a.status = brokenBody{hit}, http.StatusBadGateway
			return a
		}
		wanted = held.Intervals[0]
	}
	offset, _ := held.Offset(wanted)
	_, complete := hit.Size()
	a.live = !complete
	a.setRanges(header, hit, []rules.ByteRange{wanted}, held.Size, wanted.Start-offset)
	return a
}

// brokenBody is the body of an entry whose meta contradicts itself.
type brokenBody struct{ io.Closer }

var errBroken = errors.New("middleware: the entry is damaged")

// Read implements io.Reader.
func (brokenBody) Read([]byte) (int, error) { return 0, errBroken }

// sectionReader reads one section of a hit, which it owns. If the hit cannot seek, as when the body
// is still being written, it reads and drops the bytes before the section.
type sectionReader struct {
	hit     cirque.HitHandler
	next    section
	ready   bool
	seeked  bool
	limited io.LimitedReader
}

// Read implements io.Reader.
func (s *sectionReader) Read(p []byte) (int, error) {
	if err := s.prepare(); err != nil {
		return 0, err
	}
	if s.seeked {
		return s.hit.Read(p)
	}
	n, err := s.limited.Read(p)
	if err == io.EOF && s.limited.N > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// WriteTo implements io.WriterTo.
func (s *sectionReader) WriteTo(w io.Writer) (int64, error) {
	if err := s.prepare(); err != nil {
		return 0, err
	}
	if s.seeked {
		return io.Copy(w, s.hit)
	}
	return io.Copy(w, &plainReader{s})
}

// plainReader hides WriteTo.
type plainReader struct{ io.Reader }

// prepare goes to the beginning of the section.
func (s *sectionReader) prepare() error {
	if s.ready {
		return nil
	}
	s.ready = true
	if s.hit.CanSeek() {
		err := s.hit.SeekRange(s.next.start, s.next.end)
		if s.seeked = err == nil; s.seeked || !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	s.limited = io.LimitedReader{R: s.hit, N: s.next.end - s.next.start}
	if _, err := io.CopyN(io.Discard, s.hit, s.next.start); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	return nil
}

// Close implements io.Closer.
func (s *sectionReader) Close() error { return s.hit.Close() }
