package middleware

import (
	"errors"
	"io"
	"net/http"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/rules"
)

// Parts of representations (RFC 9111 §3.3 and §3.4), under Config.Ranges = RangesForward. An entry
// marked partial answers the ranges within it. For more, what is missing is asked for, and the
// entry written anew with old and new bytes put together; once all are there it is an ordinary one.

// partFill is a stored part that is being added to.
type partFill struct {
	meta   *cirque.CacheMeta
	hit    cirque.HitHandler // the stored part; read by the flight
	held   *rules.Partial
	wanted rules.ByteRange // what was asked of the origin
	before []section       // of the stored body: what goes into the new one ahead of the answer
	after  []section       // and behind it
	err    error           // of reading the stored part
}

// foundPart takes an entry that holds only parts. It reports true if they suffice for the request,
// whose reuse is then decided as for any entry. Otherwise the walk stands at Stale with x.part set,
// where the missing bytes can be asked for, or at CacheKey.
func (x *exchange) foundPart(meta *cirque.CacheMeta, hit cirque.HitHandler, d rules.ReuseDecision) bool {
	x.status.fwd = fwdPartial
	held, ok := rules.PartialOf(meta)
	wanted, ranged := x.wantedRange(meta, held)
	switch {
	case !ok, x.req.Method != http.MethodGet, !ranged:
		_ = hit.Close()
		return false
	case held.Covers(wanted):
		return true
	}
	missing := held.Missing(wanted)
	hole := rules.ByteRange{Start: missing[0].Start, End: missing[len(missing)-1].End}
	if d.Reuse != rules.ReuseFresh || x.cache.cfg.Ranges != RangesForward || !hit.CanSeek() {
		_ = hit.Close()
		return false
	}
	x.hc.Found(meta, hit, cirque.HitExpired)
	x.part = &partFill{meta: meta, held: held, wanted: hole}
	return false
}

// wantedRange returns the one range that the request wants of a representation: all of it where no
// range applies.
func (x *exchange) wantedRange(meta *cirque.CacheMeta, held *rules.Partial) (rules.ByteRange, bool) {
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

// ask makes h the header of a request for the missing bytes of the very representation that is
// stored.
func (p *partFill) ask(h http.Header) {
	rules.UpstreamHeader(h, nil, false)
	h.Set("Range", rules.RangeField(p.wanted))
	stored := p.meta.Header()
	// RFC 9110 §13.1.5: anything else than that representation comes whole.
	if tag := stored.Get("Etag"); tag != "" {
		h.Set("If-Range", tag)
	} else {
		h.Set("If-Range", stored.Get("Last-Modified"))
	}
}

// storablePart decides about the 206 to a range that was sent on.
func (x *exchange) storablePart(a *answerHead, e *rules.Exchange) (*cirque.CacheMeta, *rules.Refusal) {
	meta, got, refusal := x.cache.policy.StorePartial(e)
	if refusal == nil {
		a.length = got.Len() // whether Content-Length says so or not
	}
	return meta, refusal
}

// admitPart puts an answer together with the stored part, if it is of the same representation.
func (x *exchange) admitPart(a *answerHead, e *rules.Exchange) verdict {
	part := x.part
	if a.status != http.StatusPartialContent {
		x.part = nil
		if a.status == http.StatusRequestedRangeNotSatisfiable || a.status == http.StatusNotModified {
			return x.afresh()
		}
		return x.admitFull(a, e)
	}
	asked := *e
	asked.Request = e.Request.Clone(x.client)
	part.ask(asked.Request.Header)
	meta, got, refusal := x.cache.policy.CombinePartial(part.meta, &asked)
	if refusal != nil && refusal.Ends {
		x.supersede()
	}
	if refusal != nil || a.length >= 0 && a.length != got.Len() || !x.satisfiedBy(meta) {
		return x.afresh()
	}
	a.length = got.Len()
	tag := x.hc.Hit().Tag()
	part.hit = x.hc.TakeHit()
	part.splice(got)
	size := got.Len()
	for _, s := range append(part.before, part.after...) {
		size += s.end - s.start
	}
	x.own = a.header
	verdict := guarded(part.hit, func() verdict { return x.fill(meta, fillSource{size: size, replaces: tag}) })
	if verdict != verdictFill {
		part.close()
		if x.retry() {
			// The client asked for something else than the origin was asked for.
			x.keepRange, x.noStore = true, true
			return verdictRetry
		}
	}
	return verdict
}

// satisfiedBy reports whether what meta says is held is all that the request wants: the origin may
// have sent less than it was asked for.
func (x *exchange) satisfiedBy(meta *cirque.CacheMeta) bool {
	held, ok := rules.PartialOf(meta)
	if !ok {
		return !meta.Has(cirque.MetaPartial)
	}
	wanted, ok := x.wantedRange(meta, held)
	return ok && held.Covers(wanted)
}

// afresh asks again, as if nothing were stored.
func (x *exchange) afresh() verdict {
	if x.hc.Phase() == cirque.PhaseStale {
		x.hc.Miss()
	}
	if !x.retry() {
		return x.passOn(cirque.UpstreamError)
	}
	x.keepRange = x.req.Header["Range"] != nil
	return verdictRetry
}

// splice works out which sections of the stored body go before and after the bytes got.
func (p *partFill) splice(got rules.ByteRange) {
	var at int64 // where in the stored body the interval begins
	for _, held := range p.held.Intervals {
		if end := min(held.End, got.Start); held.Start < end {
			p.before = append(p.before, section{at, at + end - held.Start})
		}
		if start := max(held.Start, got.End); start < held.End {
			p.after = append(p.after, section{at + start - held.Start, at + held.Len()})
		}
		at += held.Len()
	}
}

// prepend writes what comes ahead of the answer. It must not be called before the client reads
// along, whom a full window would wait for.
func (p *partFill) prepend(w io.Writer) error { return p.copy(w, &p.before) }

// append writes what comes behind the answer.
func (p *partFill) append(w io.Writer) error {
	defer p.close()
	return p.copy(w, &p.after)
}

func (p *partFill) copy(w io.Writer, sections *[]section) error {
	for _, s := range *sections {
		if p.err == nil {
			p.err = p.hit.SeekRange(s.start, s.end)
		}
		if p.err == nil {
			_, p.err = io.Copy(writerOnly{w}, p.hit)
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

// partAnswer answers from an entry that holds only parts.
func (x *exchange) partAnswer(a answer, header http.Header, meta *cirque.CacheMeta, hit cirque.HitHandler) answer {
	held, ok := rules.PartialOf(meta)
	wanted, ranged := x.wantedRange(meta, held)
	if !ok || !ranged || !held.Covers(wanted) {
		// The first answer to a range that was sent on: what the origin chose to send of it.
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

// brokenBody is the body of an entry that contradicts itself.
type brokenBody struct{ io.Closer }

var errBroken = errors.New("middleware: damaged entry")

// Read implements io.Reader.
func (brokenBody) Read([]byte) (int, error) { return 0, errBroken }
