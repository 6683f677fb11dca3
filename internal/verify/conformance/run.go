package conformance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Run runs c at door. The error, if any, lists everything that differed from the case.
func (s *Suite) Run(ctx context.Context, c *Case, door string) error {
	b, err := s.bench(door, c)
	if err != nil {
		return err
	}
	e, id := s.newExchange(b)
	defer s.origin.running.Delete(id)
	run := run{suite: s, bench: b, exchange: e, c: c}
	for i := range c.Steps {
		if problems := run.step(ctx, i); len(problems) > 0 {
			// After a failed step the results of the next ones mean nothing.
			return fmt.Errorf("step %d, %s: %s", i, describe(&c.Steps[i]), strings.Join(problems, "; "))
		}
	}
	return nil
}

func describe(st *Step) string {
	s := cmp.Or(st.Method, "GET") + " " + st.Path
	if len(st.Header) > 0 {
		s += fmt.Sprintf("%q", []string(st.Header))
	}
	return strings.TrimSpace(s)
}

type run struct {
	suite *Suite
	bench *bench
	*exchange
	c *Case
}

// step runs one step and returns what was wrong.
func (r *run) step(ctx context.Context, index int) (problems []string) {
	st := &r.c.Steps[index]
	time.Sleep(st.After)
	views, asks, err := r.take(ctx, st, index)
	if err != nil {
		return []string{err.Error()}
	}
	for i, v := range views {
		for _, p := range r.checkView(st, index, v, i > 0) {
			problems = append(problems, "the client "+p)
		}
	}
	for _, p := range r.checkAsks(st, asks) {
		problems = append(problems, "the origin "+p)
	}
	return problems
}

// take sends the requests of a step and collects what both ends saw. It returns when the cache has
// finished its background work, because a client can have the whole response before the cache has
// stored it, or before the cache has revalidated it.
func (r *run) take(ctx context.Context, st *Step, index int) (views []*view, asks []ask, err error) {
	if st.Clients > 1 {
		views, err = r.sendTogether(ctx, st, index)
	} else {
		r.begin(index, st, nil)
		views = make([]*view, 1)
		views[0], err = r.send(ctx, st)
	}
	if err != nil {
		return nil, nil, err
	}
	limited, cancel := context.WithTimeout(ctx, r.suite.patience)
	defer cancel()
	if err := r.bench.subject.Wait(limited); err != nil {
		return nil, nil, fmt.Errorf("the cache does not finish its background work: %w", err)
	}
	return views, r.asked(), nil
}

// sendTogether is send for several clients. The others send when the first one's request has
// reached the origin. The origin answers when each of the others has reached it too, or waits in
// the cache.
func (r *run) sendTogether(ctx context.Context, st *Step, index int) ([]*view, error) {
	hold := make(chan struct{})
	r.begin(index, st, hold)
	waiting := r.bench.subject.Waiting(r.words["path"])
	reached := func(n int) bool {
		for end := time.Now().Add(r.suite.patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
			if len(r.asked())+r.bench.subject.Waiting(r.words["path"])-waiting >= n {
				return true
			}
		}
		return false
	}
	views, errs := make([]*view, st.Clients), make([]error, st.Clients)
	var clients sync.WaitGroup
	client := func(i int) { views[i], errs[i] = r.send(ctx, st) }
	clients.Go(func() { client(0) })
	if !reached(1) {
		errs = append(errs, errors.New("the first request did not reach the origin"))
	}
	for i := 1; i < st.Clients; i++ {
		clients.Go(func() { client(i) })
	}
	if !reached(st.Clients) {
		errs = append(errs, errors.New("clients neither reached the origin nor wait in the cache"))
	}
	close(hold)
	clients.Wait()
	return views, errors.Join(errs...)
}

// view is what a client saw.
type view struct {
	status          int
	header, trailer http.Header
	body            string
	interim         []view
	err             error // instead of an answer
	broken          error // the error of reading the body
}

// send sends the request of a step. The error means a mistake in the script. Errors of the network
// are in the view.
func (r *run) send(ctx context.Context, st *Step) (*view, error) {
	v := &view{}
	var mu sync.Mutex
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
			mu.Lock()
			defer mu.Unlock()
			v.interim = append(v.interim, view{status: code, header: http.Header(header).Clone()})
			return nil
		},
	})
	var body io.Reader
	if st.Body != "" {
		body = strings.NewReader(st.Body)
	}
	req, err := http.NewRequestWithContext(ctx, cmp.Or(st.Method, "GET"), r.bench.front+r.words["path"]+r.expand(st.Path), body)
	if err != nil {
		return nil, err
	}
	req.Host = cmp.Or(st.Host, req.Host)
	for name, values := range r.header(st.Header, false) {
		req.Header[name] = values
	}
	resp, err := r.bench.client.Do(req)
	if err != nil {
		v.err = err
		return v, nil
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	v.status, v.header, v.trailer = resp.StatusCode, resp.Header, resp.Trailer
	v.body, v.broken = string(content), err
	return v, nil
}

// checkView compares what a client saw with what it should have seen. other is true for all clients
// of a step except the first.
func (r *run) checkView(st *Step, index int, v *view, other bool) (problems []string) {
	bad := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	want := &st.Sees
	if want.Fails {
		if v.err == nil && v.status < 500 {
			bad("got %d %q instead of an error", v.status, v.body)
		}
		return problems
	}
	if want.Broken && v.err != nil {
		return nil
	}
	if v.err != nil {
		bad("got an error: %v", v.err)
		return problems
	}

	status := want.Status
	if status == 0 {
		switch {
		case want.from > 0:
			status = cmp.Or(r.c.Steps[want.from-1].Answer.Status, 200)
		case st.Again != nil:
			status = cmp.Or(st.Again.Status, 200)
		case st.Answer != nil:
			status = cmp.Or(st.Answer.Status, 200)
		default:
			status = 200
		}
	}
	if v.status != status {
		bad("got status %d, not %d", v.status, status)
	}
	for _, p := range r.check(v.header, want.Header) {
		bad("%s", p)
	}
	for _, p := range r.check(v.trailer, want.Trailer) {
		bad("(in the trailer) %s", p)
	}
	r.checkInterim(v, want.Interim, bad)
	r.checkBody(st, index, status, v, bad)

	fromCache := st.Answer == nil || st.Background
	if age := v.header.Values("Age"); fromCache && status != 504 && status != 416 && !isNumber(age) {
		// RFC 9111 §4: the cache generates Age and replaces the origin's. The cache's own 504 and
		// 416 have none.
		bad("has Age: %q on a response from the cache", age)
	}
	for _, p := range r.checkCacheStatus(st, v, fromCache, other) {
		bad("%s", p)
	}
	return problems
}

func isNumber(values []string) bool {
	if len(values) != 1 {
		return false
	}
	_, err := strconv.ParseUint(values[0], 10, 32)
	return err == nil
}

func (r *run) checkInterim(v *view, want []Interim, bad func(string, ...any)) {
	if len(v.interim) != len(want) {
		bad("got %d interim responses, not %d", len(v.interim), len(want))
		return
	}
	for i, w := range want {
		if v.interim[i].status != w.Status {
			bad("got interim response %d, not %d", v.interim[i].status, w.Status)
		}
		for _, p := range r.check(v.interim[i].header, w.Header) {
			bad("(in the interim response) %s", p)
		}
	}
}

func (r *run) checkBody(st *Step, index, status int, v *view, bad func(string, ...any)) {
	want := &st.Sees
	if want.Broken {
		if v.broken == nil {
			bad("got the content %q with a clean end", v.body)
		}
		return
	}
	if v.broken != nil {
		bad("got content that breaks off: %v", v.broken)
		return
	}
	if want.Parts != nil {
		parts, err := readParts(v)
		if err != nil {
			bad("got no multipart/byteranges: %v", err)
		} else if fmt.Sprint(parts) != fmt.Sprint(want.Parts) {
			bad("got the parts %q, not %q", parts, want.Parts)
		}
		return
	}
	var body string
	switch {
	case want.Empty, st.Method == "HEAD", status == 304, status == 204:
	case want.Body != "":
		body = want.Body
	case want.from > 0:
		body = bodyOf(r.c.Steps[want.from-1].Answer, want.from-1)
	case st.Again != nil:
		body = bodyOf(st.Again, index)
	case st.Answer != nil:
		body = bodyOf(st.Answer, index)
	default:
		return // the case does not say: a 504 or 416 of the cache itself
	}
	if v.body != body {
		bad("got the content %q, not %q", v.body, body)
	}
}

func readParts(v *view) ([]Part, error) {
	mediaType, params, err := mime.ParseMediaType(v.header.Get("Content-Type"))
	if err != nil || mediaType != "multipart/byteranges" {
		return nil, fmt.Errorf("Content-Type %q", v.header.Get("Content-Type"))
	}
	var parts []Part
	reader := multipart.NewReader(strings.NewReader(v.body), params["boundary"])
	for {
		p, err := reader.NextRawPart()
		if err == io.EOF {
			return parts, nil
		}
		if err != nil {
			return nil, err
		}
		body, err := io.ReadAll(p)
		if err != nil {
			return nil, err
		}
		parts = append(parts, Part{p.Header.Get("Content-Range"), string(body), p.Header.Get("Content-Type")})
	}
}

// checkAsks compares the requests that reached the origin with those that should have.
func (r *run) checkAsks(st *Step, asks []ask) (problems []string) {
	bad := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	times := cmp.Or(st.Asked.Times, 1)
	if st.Again != nil {
		times = 2
	}
	switch {
	case st.Answer == nil && len(asks) > 0:
		bad("received a request (%s %q)", asks[0].method, asks[0].header)
		return problems
	case st.Answer == nil:
		return nil
	case len(asks) == 0:
		bad("received no request")
		return problems
	// net/http repeats a request on a broken connection, so a Dead or Cut answer may be sent more
	// often.
	case len(asks) != times && !st.Answer.Dead && !st.Answer.Cut:
		bad("received %d requests, not %d", len(asks), times)
	}
	a := asks[0]
	if method := cmp.Or(st.Asked.Method, st.Method, "GET"); a.method != method {
		bad("received the method %s, not %s", a.method, method)
	}
	if body := cmp.Or(st.Asked.Body, st.Body); a.body != body {
		bad("received the content %q, not %q", a.body, body)
	}
	for _, p := range r.check(a.header, st.Asked.Header) {
		bad("(in the request) %s", p)
	}
	return problems
}
