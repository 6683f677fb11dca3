package console

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

const (
	// streamFor is how long a stream lasts. Then the browser connects again, and has to be allowed
	// again.
	streamFor = 30 * time.Minute
	// writeFor is how long a browser may take to accept one event.
	writeFor = 15 * time.Second
)

// streams counts the open pages, and bounds their number.
type streams struct {
	max int

	mu      sync.Mutex
	open    int
	closed  bool
	last    time.Time // when the last one closed
	changed chan struct{}
	all     sync.WaitGroup
	servers map[*http.Server]chan struct{} // closed when the server shuts down
}

// enter counts a page, unless there are too many.
func (s *streams) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.open >= s.max {
		return false
	}
	s.open++
	s.all.Add(1)
	if s.changed != nil {
		select {
		case s.changed <- struct{}{}:
		default:
		}
	}
	return true
}

func (s *streams) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
	s.last = time.Now()
	s.all.Done()
}

// opened returns a channel that gets a value when a page has opened.
func (s *streams) opened() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed = make(chan struct{}, 1)
	return s.changed
}

// lookedWithin reports whether a page is open, or was in the time d before now.
func (s *streams) lookedWithin(d time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open > 0 || !s.last.IsZero() && time.Since(s.last) < d
}

// close lets no more pages in, and returns when all are closed.
func (s *streams) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.all.Wait()
}

// shutdown returns a channel that is closed when the server of r begins to shut down: Shutdown
// waits for all requests, and a stream does not end by itself.
func (s *streams) shutdown(r *http.Request) <-chan struct{} {
	server, ok := r.Context().Value(http.ServerContextKey).(*http.Server)
	if !ok {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.servers == nil {
		s.servers = make(map[*http.Server]chan struct{})
	}
	if s.servers[server] == nil {
		down := make(chan struct{})
		s.servers[server] = down
		server.RegisterOnShutdown(func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.servers, server)
			close(down)
		})
	}
	return s.servers[server]
}

// serveEvents sends a view every second, as server-sent events, until the browser leaves, or the
// page or its server is closed.
func (c *Console) serveEvents(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	s := c.source(query.Get("cache"))
	if s == nil {
		http.Error(w, "there is no such cache", http.StatusNotFound)
		return
	}
	length, ok := windows[query.Get("window")]
	if !ok {
		length = defaultWindow
	}
	if !c.streams.enter() {
		w.Header().Set("Retry-After", "5")
		http.Error(w, "too many pages are open", http.StatusServiceUnavailable)
		return
	}
	defer c.streams.leave()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // or nginx would collect the events
	stream := &stream{
		out: w, control: http.NewResponseController(w), source: s, length: length,
		filter: filter{query.Get("status"), query.Get("result"), query.Get("host"), query.Get("path")},
	}
	ctx, cancel := context.WithTimeout(r.Context(), streamFor)
	defer cancel()
	down := c.streams.shutdown(r)
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for {
		if stream.send(time.Now()) != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-c.closing:
			return
		case <-down:
			return
		case <-second.C:
		}
	}
}

// stream is what one page gets.
type stream struct {
	out     http.ResponseWriter
	control *http.ResponseController
	source  *source
	length  time.Duration
	filter  filter

	next   uint64    // the number of the next request of the tail
	plots  time.Time // when the plots were sent
	opened bool
}

// send sends one event. Plots with longer steps are sent less often.
func (s *stream) send(now time.Time) error {
	v := s.source.viewOf(s.length, now)
	if s.opened && now.Sub(s.plots) < time.Duration(min(v.Step, 5))*time.Second-100*time.Millisecond {
		v.Series = nil
	} else {
		s.plots = now
	}
	v.Tail, v.Missed, s.next = s.source.recorder.tailSince(s.next, &s.filter)
	s.opened = true
	event, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_ = s.control.SetWriteDeadline(now.Add(writeFor)) // not all writers have one
	for _, part := range [][]byte{[]byte("data: "), event, []byte("\n\n")} {
		if _, err := s.out.Write(part); err != nil {
			return err
		}
	}
	return s.control.Flush()
}
