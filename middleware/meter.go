package middleware

import (
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/stats"
)

// meter measures what one client gets.
type meter struct {
	cameBy    door
	arrived   time.Time // when the request came in
	result    stats.Result
	firstByte time.Duration // until the header was sent; zero: it was not
	bytes     int64         // of the body

	entry    entrySeen // that answers the request
	replaced bool      // a miss: what was stored could not be used

	report func(stats.Request) // the hook that hears of the request; nil: none does
	about  *stats.Request      // what it hears; nil if report is
}

// newMeter returns the meter of r, which came in by d just now.
func (c *Cache) newMeter(d door, r *http.Request) meter {
	return c.meterFor(d, r, c.traceOf(r.Context()))
}

// meterFor is newMeter with the trace that hears of the request.
func (c *Cache) meterFor(d door, r *http.Request, trace *cirque.CacheTrace) meter {
	m := meter{cameBy: d, arrived: time.Now()}
	if trace != nil {
		m.report = trace.RequestDone
	}
	if all := c.watchers.list.Load(); all != nil {
		m.report = all.reportTo(m.report)
	}
	if m.report != nil {
		m.about = &stats.Request{Request: r, Door: stats.Door(d)}
	}
	return m
}

// headerSent notes that the client gets a header with this status now.
func (x *transaction) headerSent(status int) {
	if x.firstByte != 0 || !counting {
		return
	}
	x.firstByte = max(time.Since(x.arrived), 1)
	if x.about == nil {
		return
	}
	about := x.about
	about.Background, about.Status = x.background, status
	about.Fwd, about.FwdStatus, about.Stored, about.Detail = x.status.fwd, x.status.fwdStatus, x.status.stored, x.status.detail
	about.TTL, about.URL = x.status.ttl, x.target.url()
	if x.hc.Phase() != cirque.PhaseDisabled {
		about.Key, about.Phase = x.hc.Key().String(), x.hc.Phase().String()
		about.Lookup, about.LockWait = x.hc.Durations()
	}
	if meta := x.hc.Meta(); meta != nil && x.result.FromCache() {
		about.Age = meta.Age(x.now)
	}
	if x.flight != nil {
		about.Origin = x.upstream.repliedAt.Sub(x.upstream.askedAt)
	}
}

// count counts the request, which is over.
func (m *meter) count(c *Cache) {
	if !counting {
		return
	}
	spent := time.Since(m.arrived)
	if m.firstByte == 0 {
		m.result = stats.Unanswered
	}
	c.counters.request(m, spent)
	if m.entry.curve != nil {
		m.entry.curve.observe(m)
	}
	if m.about != nil {
		m.about.Result, m.about.FirstByte, m.about.Duration, m.about.Bytes = m.result, m.firstByte, spent, m.bytes
		m.report(*m.about)
	}
}

// validated reports that the origin answered, or failed with err, a request that validates what is
// stored.
func (x *transaction) validated(status int, err error) {
	trace := x.cache.traceOf(x.client)
	if trace == nil || trace.Revalidated == nil {
		return
	}
	e := cirque.TraceEvent{Status: status, Duration: x.now.Sub(x.upstream.askedAt), Err: err}
	if x.hc.Phase() != cirque.PhaseDisabled {
		e.Key, e.Meta = x.hc.Key(), x.hc.Meta()
	}
	trace.Revalidated(e)
}

// reportRefresh reports a revalidation in the background, which is over. No client counts it.
func (x *transaction) reportRefresh() {
	if x.about == nil {
		return
	}
	x.about.Background = true
	x.about.Result, x.about.Duration = x.result, time.Since(x.arrived)
	x.report(*x.about)
}

// clientBody is the body of an answer that the caller of a Transport reads. It counts the request
// when it ends.
type clientBody struct {
	io.ReadCloser
	cache *Cache
	meter meter
	bytes atomic.Int64
	once  sync.Once
}

// Read implements io.Reader.
func (b *clientBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.bytes.Add(int64(n))
	if err != nil {
		b.over()
	}
	return n, err
}

// WriteTo implements io.WriterTo. w gets a copy of the stored bytes, since it may be the
// ResponseWriter of an HTTP/2 server.
func (b *clientBody) WriteTo(w io.Writer) (int64, error) {
	own := newCopyingWriter(w)
	defer own.release()
	n, err := io.Copy(own, b.ReadCloser)
	b.bytes.Add(n)
	b.over()
	return n, err
}

// Close implements io.Closer.
func (b *clientBody) Close() error {
	defer b.over()
	return b.ReadCloser.Close()
}

func (b *clientBody) over() {
	b.once.Do(func() {
		b.meter.bytes = b.bytes.Load()
		b.meter.count(b.cache)
	})
}
