package history

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cirquecache/cirque"
)

// runPlan runs steps, all or some of p's, and judges the answers. broken names the fault of the
// caches in breakages; empty: none.
func runPlan(t *testing.T, p *plan, steps []*step, broken string) *verdict {
	var v *verdict
	dir := ""
	if storages[p.storage].durable {
		var remove func()
		dir, remove = scratch(t)
		defer remove()
	}
	synctest.Test(t, func(t *testing.T) {
		v = play(t, p, steps, dir, broken)
	})
	return v
}

// play runs a history in a bubble.
func play(t *testing.T, p *plan, steps []*step, dir, broken string) *verdict {
	w := &world{started: time.Now(), handler: p.door != doorTransport, byPath: make(map[string]*resource), steps: make(map[int]*step), used: make(map[int]int)}
	for id, class := range p.classes {
		res := &resource{id: id, class: class, path: fmt.Sprintf("/%s/%d", class.name, id), sized: p.sized[id], equal: p.equal[id]}
		w.resources = append(w.resources, res)
		w.byPath[res.path] = res
	}
	h := &house{plan: p, world: w, dir: dir, fault: breakages[broken](w)}
	if err := h.open(); err != nil {
		t.Fatal(err)
	}
	known := &tags{last: make(map[string]string)}
	var running sync.WaitGroup
	late := time.Duration(0) // what restarts have taken so far
	for _, original := range steps {
		s := new(step)
		*s = *original
		w.mu.Lock()
		w.steps[s.number] = s
		w.mu.Unlock()
		time.Sleep(s.at + late - w.now())
		// Everything that needs no more time has happened now.
		synctest.Wait()
		s.begun = w.now()
		switch s.kind {
		case change:
			w.mu.Lock()
			w.resources[s.resource].version++
			w.mu.Unlock()
			s.end = s.begun
		case purge:
			h.purge(s)
			s.end = w.now()
		case restart:
			running.Wait()
			if err := errors.Join(h.shut(), h.open()); err != nil {
				t.Fatal(err)
			}
			s.end = w.now()
			late += s.end - s.begun
		default:
			running.Go(func() { h.ask(s, known) })
		}
	}
	running.Wait()
	for _, cache := range h.caches {
		if err := cache.Wait(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if err := h.shut(); err != nil {
		t.Error(err)
	}
	synctest.Wait()
	w.mu.Lock()
	w.left = slices.Clone(w.busy)
	w.mu.Unlock()
	if len(w.left) > 0 {
		time.Sleep(time.Minute) // longer than any answer takes
	}
	return judge(p, w)
}

// tags holds the last entity tag that each user received for each resource.
type tags struct {
	mu   sync.Mutex
	last map[string]string
}

func (h *house) ask(s *step, known *tags) {
	defer func() { s.end = h.world.now() }()
	res := h.world.resources[s.resource]
	ctx := context.Background()
	if s.leave != 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.leave)
		defer cancel()
	}
	r, err := http.NewRequestWithContext(ctx, s.method, origin+res.path, nil)
	if err != nil {
		s.err = err
		return
	}
	r.Header.Set(requestField, fmt.Sprint(s.number))
	r.Header.Set(languageField, s.language)
	if s.user != "" {
		r.Header.Set(cookieField, "user="+s.user)
	}
	if s.auth {
		r.Header.Set(authField, "Bearer "+s.user)
	}
	if s.directive != "" {
		r.Header.Set("Cache-Control", s.directive)
	}
	if s.until != 0 && s.method == http.MethodGet {
		r.Header.Set("Range", fmt.Sprintf("bytes=0-%d", s.until))
	}
	if s.upgrade {
		r.Header.Set("Connection", "Upgrade")
		r.Header.Set("Upgrade", "foo")
	}
	name := fmt.Sprint(res.id, s.user, s.auth, s.language)
	if s.conditional {
		known.mu.Lock()
		s.etag = known.last[name]
		known.mu.Unlock()
		if s.etag != "" {
			r.Header.Set("If-None-Match", s.etag)
		}
	}
	resp, err := h.fronts[s.cache].RoundTrip(r)
	if err != nil {
		s.err = err
		return
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	s.answer = &answer{status: resp.StatusCode, header: resp.Header, body: string(body), err: err}
	if etag := resp.Header.Get("Etag"); etag != "" && err == nil && s.method == http.MethodGet && resp.StatusCode == http.StatusOK {
		known.mu.Lock()
		known.last[name] = etag
		known.mu.Unlock()
	}
}

// purge runs a step of kind purge. It sets the step's error if the purge failed.
func (h *house) purge(s *step) {
	res, cache := h.world.resources[s.resource], h.caches[s.cache]
	if h.fault.purge != nil && h.fault.purge(s, res) {
		return
	}
	ctx := context.Background()
	switch s.purge {
	case purgeURL:
		s.err = cache.Purge(ctx, res.target(http.MethodGet))
	case purgeSoft:
		s.err = cache.SoftPurge(ctx, res.target(http.MethodGet))
	case purgeRequest:
		resp, err := h.fronts[s.cache].RoundTrip(clientSide(res.target("PURGE")))
		if s.err = err; err == nil {
			resp.Body.Close()
			switch resp.StatusCode {
			case http.StatusOK:
			case http.StatusNotFound:
				s.err = cirque.ErrNotFound
			default:
				s.err = fmt.Errorf("status %d", resp.StatusCode)
			}
		}
	case purgeAll:
		s.err = cache.PurgeAll(ctx)
	case purgeGroup:
		s.err = cache.PurgeGroup(ctx, res.target(http.MethodGet), groupName)
	}
	if errors.Is(s.err, cirque.ErrNotFound) {
		s.err, s.missed = nil, true // fetches in flight are purged all the same
	}
}

// clientSide turns a request made by httptest.NewRequest into one that a client may send.
func clientSide(r *http.Request) *http.Request {
	r.RequestURI = ""
	r.Body = nil
	return r
}
