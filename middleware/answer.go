package middleware

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/field"
	"github.com/cirquecache/cirque/rules"
)

// answer is a response served from the Storage, or from a fill on its way there. Its header is
// filled in by exchange.answer; the body is the caller's to send and to close.
type answer struct {
	status int
	length int64         // of the body sent; negative where unknown
	body   io.ReadCloser // nil where there is none to send
	flight *flight       // the fill behind the body, whose trailer is sent after it; nil where there is none
	live   bool          // the body is still being written
}

// answer turns what the walk found into a response to this request, and fills header, which must be
// empty.
func (x *exchange) answer(header http.Header) answer {
	meta := x.hc.Meta()
	room := meta.Header().CopyWithRoom(header, ownFields)
	x.addOwn(header, nil)
	x.finishHeader(header, meta, room)
	current := x.post == nil && rules.HasPreconditions(x.req.Header) && x.notModified(meta) // before the hit is ours to close
	hit := x.hc.TakeHit()
	a := answer{status: meta.StatusCode(), length: -1, flight: x.flight}
	if a.flight == nil || a.flight.fill.Load() == nil {
		a.flight = x.cache.flights.of(hit)
	}
	if current {
		return x.notModifiedAnswer(a, header, meta, hit)
	}
	if meta.Has(cirque.MetaPartial) && x.req.Method != http.MethodHead {
		return x.partAnswer(a, header, meta, hit)
	}
	size, known := hit.Size()
	if !known {
		size = field.Length(header)
		known = size >= 0
		a.live = true
	}
	if x.req.Method == http.MethodGet && a.status == http.StatusOK && known {
		if done := x.rangeAnswer(&a, header, meta, hit, size); done {
			return a
		}
	}
	a.length = size
	if known && len(a.flight.trailers()) > 0 {
		known, a.live = false, true // a trailer needs a body whose length is not announced (RFC 9112 §7.1.2)
		delete(header, "Content-Length")
	}
	if !known {
		a.length = -1
	} else if bodyAllowed(a.status) && header["Content-Length"] == nil {
		header["Content-Length"] = []string{strconv.FormatInt(size, 10)}
	}
	if x.req.Method == http.MethodHead || !bodyAllowed(a.status) {
		_ = hit.Close()
		return a
	}
	a.body = hit
	return a
}

// notOurs are the fields of an answer that are not handed through: about its framing or its age, or
// in a 304 about a content that it doesn't have (RFC 9110 §15.4.5).
var notOurs = []string{"Age", "Content-Length", "Content-Range", "Content-Encoding", "Content-Type", "Trailer", "Vary"}

// ofTheContent are, beside notOurs, the fields that describe the content of the response they came
// in (RFC 9110 §8, RFC 9530). A 304 that is made of a 200 does not have them (RFC 9110 §15.4.5).
var ofTheContent = []string{
	"Accept-Ranges", "Content-Digest", "Content-Disposition", "Content-Language", "Content-Md5", "Digest", "Last-Modified", "Repr-Digest",
}

// addOwn adds the fields that the origin sent with its answer to this very request and that header
// does not have, except for those in notOurs and in except: they are for this client, and for
// nobody after it (RFC 9111 §5.2.2.4 and §5.2.2.7, RFC 6265 §3).
func (x *exchange) addOwn(header http.Header, except []string) {
	if x.own == nil || x.background {
		return
	}
	var own http.Header // less what concerns the connection alone; made for the first field that is missing, if any is
	for name, values := range x.own {
		if header[name] != nil || len(values) == 0 || slices.Contains(notOurs, name) || slices.Contains(except, name) {
			continue
		}
		if own == nil {
			own = maps.Clone(x.own)
			rules.RemoveConnectionFields(own)
		}
		if own[name] != nil {
			header[name] = slices.Clone(values)
		}
	}
}

// ownFields is how many fields finishHeader sets.
const ownFields = 2

// finishHeader sets the fields that belong to this answer rather than to the stored response. Their
// values go into room.
func (x *exchange) finishHeader(header http.Header, meta *cirque.CacheMeta, room []string) {
	if x.own == nil || x.own["Age"] != nil {
		// RFC 9111 §5.1: Age says that the origin did not generate or validate the response for
		// this request, here or further up.
		age := int64(meta.Age(x.now) / time.Second)
		room[0] = strconv.FormatInt(min(age, 1<<31), 10)
		header["Age"] = room[:1:1]
	}
	if meta.Has(cirque.MetaDecoded) {
		weaken(header)
	}
	x.setCacheStatus(header, room[1:1:2])
}

// setCacheStatus adds this cache's member to what caches further up said (RFC 9211 §2). room, if
// not nil, is an empty slice for where they said nothing.
func (x *exchange) setCacheStatus(header http.Header, room []string) {
	var stack [128]byte
	var key string
	if x.cache.cfg.CacheStatusKey && x.hc.Enabled() {
		key = x.hc.Key().String()
	}
	line := string(x.status.append(stack[:0], x.cache.cfg.Name, key))
	if upstream := header["Cache-Status"]; len(upstream) > 0 {
		room = upstream
	}
	header["Cache-Status"] = append(room, line)
}

// weaken makes a strong entity tag weak: the bytes that went out are not those it was given for
// (RFC 9110 §8.8.1).
func weaken(header http.Header) {
	if tag := header.Get("Etag"); tag != "" {
		header["Etag"] = []string{rules.WeakTag(tag)}
	}
}

// notModified reports whether the client's copy is current.
func (x *exchange) notModified(meta *cirque.CacheMeta) bool {
	if meta.StatusCode() != http.StatusOK {
		return false // RFC 9110 §13.2.1: preconditions apply to what would be a 2xx
	}
	if x.cache.cfg.NotModified != nil {
		return x.cache.cfg.NotModified(x.req, meta)
	}
	return rules.EvaluatePreconditions(x.req.Method, x.req.Header, meta) == rules.PreconditionNotModified
}

func (x *exchange) notModifiedAnswer(a answer, header http.Header, meta *cirque.CacheMeta, hit cirque.HitHandler) answer {
	_ = hit.Close()
	clear(header)
	rules.NotModifiedHeader(meta, header)
	// What the origin said to this very request reaches the client, known or not (RFC 9110 §5.1): a
	// cache there brings its stored response up to date with it (RFC 9111 §3.2).
	if x.status.fwdStatus == http.StatusNotModified {
		x.addOwn(header, nil)
	} else {
		x.addOwn(header, ofTheContent)
	}
	x.finishHeader(header, meta, make([]string, ownFields))
	a.status = http.StatusNotModified
	return a
}

// rangeAnswer answers a Range request from the whole body (RFC 9110 §14.2). It reports false if the
// range is to be ignored.
func (x *exchange) rangeAnswer(a *answer, header http.Header, meta *cirque.CacheMeta, hit cirque.HitHandler, size int64) bool {
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
		if x.own["Set-Cookie"] != nil && header["Set-Cookie"] != nil {
			kept["Set-Cookie"] = header["Set-Cookie"] // it came for this client
		}
		clear(header)
		maps.Copy(header, kept)
		header["Content-Range"] = []string{rules.UnsatisfiedRange(size)}
		header["Content-Length"] = []string{"0"}
		a.status, a.length = http.StatusRequestedRangeNotSatisfiable, 0
		return true
	case rules.RangeSatisfiable:
		if len(ranges) > 1 && !hit.CanSeek() {
			return false // still being written: who wants it in pieces gets it in one
		}
	default:
		return false
	}
	a.setRanges(header, hit, ranges, size, 0)
	return true
}

// setRanges makes a the 206 that sends ranges out of body, in which the representation's byte `at`
// is the first.
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

// bodyAllowed reports whether a response with this status has content (RFC 9110 §6.4.1).
func bodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

// section is a half-open piece of a stored body.
type section struct{ start, end int64 }

// sectionReader reads one section of a hit, which it owns. A hit that cannot seek, a body still
// being written above all, is read up to the section.
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
