package faulty

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// plan is an Answer prepared for one request. It has the default values and the Kind's changes to
// the message. What remains is to send it and to play the fault at its place.
type plan struct {
	Answer
	traits
	bodyless bool  // RFC 9112 §6.3: answers to HEAD, 1xx, 204 and 304 have no body
	at       int64 // offset of Answer.At in the body
}

var (
	interimStatuses = [...]int{http.StatusProcessing, http.StatusEarlyHints, http.StatusContinue}
	serverErrors    = [...]int{500, 502, 503, 504}
	defaultSizes    = map[Kind]int64{LongBody: 16, HugeHeader: 128 << 10, InterimStorm: 100}
	defaultPace     = Drip{Bytes: 16, Every: time.Millisecond}
)

const (
	defaultLength = 1 << 10 // of a body that a fault needs
	hugeFieldSize = 4 << 10
)

// errEnded means that the plan ended the connection or stream.
var errEnded = errors.New("faulty: the plan ended the connection")

// newPlan makes the plan for r. nth is how often a.Kind was played before.
func newPlan(a Answer, r *http.Request, nth int) plan {
	p := plan{Answer: a, traits: a.Kind.traits()}
	p.Header = p.Header.Clone()
	if p.Header == nil {
		p.Header = make(http.Header)
	}
	p.Status = cmp.Or(p.Status, http.StatusOK)
	p.Size = cmp.Or(p.Size, defaultSizes[p.Kind])
	p.Framing = cmp.Or(p.traits.framing, p.Framing, ByLength)
	if p.stage >= afterHeader && p.length() == 0 {
		p.Length = defaultLength
	}
	p.at = place(p.At, p.length())
	p.applyKind(r, nth)

	p.bodyless = r.Method == http.MethodHead || !allowsBody(p.Status)
	p.setDefault("Date", time.Now().UTC().Format(http.TimeFormat))
	if p.Framing == ByLength && allowsBody(p.Status) {
		p.setDefault("Content-Length", strconv.FormatInt(p.length(), 10))
	}
	return p
}

func (p *plan) applyKind(r *http.Request, nth int) {
	switch p.Kind {
	case TwoLengths:
		for n := range int64(2) {
			p.Header.Add("Content-Length", strconv.FormatInt(p.length()+n, 10))
		}
	case LengthAndChunked:
		p.Header.Set("Content-Length", strconv.FormatInt(p.length()+1, 10))
	case HugeHeader:
		for rest := int(p.Size); rest > 0; rest -= hugeFieldSize {
			p.Header.Add("X-Huge", strings.Repeat("h", min(rest, hugeFieldSize)))
		}
	case InterimStorm:
		p.Interim = slices.Clone(p.Interim)
		for i := range int(p.Size) {
			p.Interim = append(p.Interim, interimStatuses[i%len(interimStatuses)])
		}
	case ServerError:
		p.Status = serverErrors[nth%len(serverErrors)]
	case OddNotModified:
		if r.Header.Get("If-None-Match") != "" || r.Header.Get("If-Modified-Since") != "" {
			p.Status = http.StatusNotModified
			p.Header.Set("Vary", "X-Odd")
			p.Header.Set("Content-Length", "12345")
			p.Header.Set("Set-Cookie", "odd=1")
		}
	case SlowHeader, SlowBody:
		p.Drip = cmp.Or(p.Drip, defaultPace)
	}
}

// setDefault sets a field for which the Answer has no key. A field that the Answer sets to nil
// stays out.
func (p *plan) setDefault(name, value string) {
	if _, mentioned := p.Header[name]; !mentioned {
		p.Header.Set(name, value)
	}
}

func allowsBody(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

// place returns the offset that an Answer.At of at means in a header or body of the given size.
func place(at, size int64) int64 {
	switch {
	case at == 0:
		at = min(size/2, 64<<10)
	case at < 0:
		at += size
	}
	return max(0, min(at, size-1))
}

// sendBody writes the content to w. If p strikes in the body, it writes only the bytes before that
// place.
func (p *plan) sendBody(ctx context.Context, w io.Writer) (sent int64, err error) {
	w = p.Drip.writer(ctx, w)
	content := p.Content()
	if p.stage == inBody || p.Hold != nil && p.stage == nowhere {
		if sent, err = io.CopyN(w, content, p.at); err != nil {
			return sent, err
		}
		if p.stage == inBody {
			return sent, nil
		}
		if err := await(ctx, p.Hold); err != nil {
			return sent, err
		}
	}
	n, err := io.Copy(w, content)
	return sent + n, err
}

// done calls p.Done, if there is one.
func (p *plan) done(sent int64, err error) {
	if p.Done == nil {
		return
	}
	if errors.Is(err, errEnded) {
		err = nil
	}
	p.Done(sent, err)
}

// await waits until hold is closed. It does not wait for a nil hold.
func await(ctx context.Context, hold <-chan struct{}) error {
	if hold == nil {
		return nil
	}
	select {
	case <-hold:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// writer returns an io.Writer that writes to w at the pace d.
func (d Drip) writer(ctx context.Context, w io.Writer) io.Writer {
	if d.Bytes <= 0 {
		return w
	}
	return &drippingWriter{ctx, w, d}
}

type drippingWriter struct {
	ctx context.Context
	w   io.Writer
	Drip
}

func (d *drippingWriter) Write(p []byte) (n int, err error) {
	for n < len(p) {
		c, err := d.w.Write(p[n:min(n+d.Bytes, len(p))])
		n += c
		if err != nil {
			return n, err
		}
		if err := pause(d.ctx, d.Every); err != nil {
			return n, err
		}
	}
	return n, nil
}
