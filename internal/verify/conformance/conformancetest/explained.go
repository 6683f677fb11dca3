package conformancetest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"

	"github.com/cirquecache/cirque/middleware"
)

// Explained counts the explanations that were compared with what happened, by what they said.
type Explained struct {
	mu     sync.Mutex
	counts map[middleware.Prospect]int
}

// Count returns how many explanations said p.
func (e *Explained) Count(p middleware.Prospect) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.counts[p]
}

// explainedSubject asks the cache to explain each request before it gets the request, and compares
// that with what happens then.
type explainedSubject struct {
	*subject
	count *Explained

	mu   sync.Mutex
	busy map[string]int      // requests under way, by path
	came map[string]int      // requests so far, by path
	sent map[string][]string // the conditions of the first request to the origin since then, by path
	errs []error
}

// forecast is an explanation of a request that is under way.
type forecast struct {
	middleware.Explanation
	path   string
	alone  bool
	number int
}

func (s *explainedSubject) begin(path string, explain func() middleware.Explanation) forecast {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := forecast{Explanation: explain(), path: path, alone: s.busy[path] == 0}
	delete(s.sent, path)
	s.busy[path]++
	s.came[path]++
	f.number = s.came[path]
	return f
}

// end compares f with the answer. Nothing is compared if another request for the path was under
// way: it can have changed what is stored in the meantime.
func (s *explainedSubject) end(f forecast, status int, header http.Header) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy[f.path]--
	if !f.alone || s.came[f.path] != f.number || status == 0 {
		return
	}
	err := s.compare(f.Explanation, status, header)
	if sent, asked := s.sent[f.path]; err == nil && asked && !s.background(f.Now) && !slices.Equal(sent, f.Conditions) {
		err = fmt.Errorf("the origin got the conditions %q", sent)
	}
	if err != nil {
		s.errs = append(s.errs, fmt.Errorf("%w: status %d, Cache-Status %q; the explanation: %s", err, status, header["Cache-Status"], f.Explanation))
	}
	s.count.mu.Lock()
	defer s.count.mu.Unlock()
	if s.count.counts == nil {
		s.count.counts = make(map[middleware.Prospect]int)
	}
	s.count.counts[f.Now]++
}

func (s *explainedSubject) compare(e middleware.Explanation, status int, header http.Header) error {
	got, said := s.Cache.Outcome(header)
	if (e.CacheStatus != "") != said {
		return errors.New("whether the answer has Cache-Status differs")
	}
	if !said {
		return nil
	}
	told, _ := s.Cache.Outcome(http.Header{"Cache-Status": {e.CacheStatus}})
	switch {
	case told.Hit != got.Hit, told.Fwd != got.Fwd:
		return errors.New("another outcome than explained")
	case told.Hit && (told.Detail != got.Detail || e.Status != status):
		return errors.New("another answer from the cache than explained")
	}
	hit := []middleware.Prospect{middleware.WouldHit, middleware.WouldBeStale, middleware.WouldRevalidate}
	if slices.Contains(hit, e.Now) != got.Hit {
		return errors.New("another prospect than outcome")
	}
	return nil
}

// background reports whether the origin is asked by the cache itself, if at all.
func (*explainedSubject) background(p middleware.Prospect) bool {
	return p == middleware.WouldRevalidate || p == middleware.WouldBypass || p == middleware.WouldPass
}

// noteSent notes a request to the origin.
func (s *explainedSubject) noteSent(r *http.Request) {
	var conditions []string
	for _, name := range []string{"Range", "If-Range", "If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since"} {
		for _, value := range r.Header[name] {
			conditions = append(conditions, name+": "+value)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, asked := s.sent[r.URL.Path]; !asked {
		s.sent[r.URL.Path] = conditions
	}
}

// Handler implements conformance.Subject.
func (s *explainedSubject) Handler(next http.Handler) http.Handler {
	h := s.subject.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.noteSent(r)
		next.ServeHTTP(w, r)
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if middleware.IsRefresh(r.Context()) {
			h.ServeHTTP(w, r)
			return
		}
		f := s.begin(r.URL.Path, func() middleware.Explanation { return s.Cache.Explain(r) })
		seen := &seenWriter{ResponseWriter: w}
		defer func() { s.end(f, seen.status, seen.header) }()
		h.ServeHTTP(seen, r)
	})
}

// Transport implements conformance.Subject.
func (s *explainedSubject) Transport(base http.RoundTripper) http.RoundTripper {
	t := s.subject.Transport(roundTripper(func(r *http.Request) (*http.Response, error) {
		s.noteSent(r)
		return base.RoundTrip(r)
	}))
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		f := s.begin(r.URL.Path, func() middleware.Explanation { return s.Cache.Explain(r) })
		response, err := t.RoundTrip(r)
		if err != nil {
			s.end(f, 0, nil)
			return response, err
		}
		s.end(f, response.StatusCode, response.Header.Clone())
		return response, err
	})
}

// Close implements conformance.Subject. Its error is also what differed.
func (s *explainedSubject) Close(ctx context.Context) error {
	err := s.subject.Close(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(append(s.errs, err)...)
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// seenWriter keeps the status and the header of the final answer.
type seenWriter struct {
	http.ResponseWriter
	status int
	header http.Header
}

// Unwrap lets http.ResponseController reach the server's writer.
func (w *seenWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w *seenWriter) WriteHeader(status int) {
	if status >= 200 && w.status == 0 {
		w.status, w.header = status, w.Header().Clone()
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements io.Writer.
func (w *seenWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status, w.header = http.StatusOK, w.Header().Clone()
	}
	return w.ResponseWriter.Write(p)
}
