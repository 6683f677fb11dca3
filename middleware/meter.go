package middleware

import (
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cirquecache/cirque/stats"
)

// meter measures what one client gets.
type meter struct {
	arrived   time.Time // when the request came in
	result    stats.Result
	firstByte time.Duration // until the header was sent; zero: it was not
	bytes     int64         // of the body
}

// headerSent notes that the client gets the header now.
func (m *meter) headerSent() {
	if counting && m.firstByte == 0 {
		m.firstByte = max(time.Since(m.arrived), 1)
	}
}

// count counts the request, which is over.
func (m *meter) count(c *Cache, d door) {
	if !counting {
		return
	}
	spent := time.Since(m.arrived)
	if m.firstByte == 0 {
		m.result, m.firstByte = stats.Unanswered, spent
	}
	c.counters.request(d, m, spent)
}

// clientBody is the body of an answer that the caller of a Transport reads. It counts the request
// when it ends.
type clientBody struct {
	io.ReadCloser
	cache *Cache
	door  door
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

// WriteTo implements io.WriterTo: w gets the stored bytes themselves.
func (b *clientBody) WriteTo(w io.Writer) (int64, error) {
	n, err := io.Copy(w, b.ReadCloser)
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
		b.meter.count(b.cache, b.door)
	})
}
