package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/cirquecache/cirque/internal/verify/faulty"
)

// patience is how long a client waits. Whatever the origin does, no answer may take longer.
const patience = 30 * time.Second

// client sends requests, one after the other. It keeps its connection as long as possible.
type client struct {
	soak   *soak
	random *rand.Rand
	zipf   *rand.Zipf
	conn   *faulty.Conn
	last   *ask      // the last request that was answered on conn
	known  [256]held // what the client can validate, by resource
}

func newClient(s *soak, number int) *client {
	random := s.world.random(1<<40 + uint64(number))
	return &client{
		soak: s, random: random,
		zipf: rand.NewZipf(random, 1.2, 8, uint64(len(s.world.resources)-1)),
	}
}

// run sends requests until ctx ends.
func (c *client) run(ctx context.Context) {
	defer c.hangUp()
	for ctx.Err() == nil {
		behaviour := faulty.Polite
		if c.random.IntN(1000) < c.soak.rudeness {
			rude := []faulty.Behaviour{
				faulty.StallReading, faulty.DripReading, faulty.ResetReading, faulty.CloseReading,
				faulty.ResetSending, faulty.CloseSending, faulty.Pipelining, faulty.HiddenRequest, faulty.ManyRanges,
			}
			behaviour = rude[c.random.IntN(len(rude))]
		}
		c.soak.tally.behaved(behaviour)
		if err := c.behave(behaviour); err != nil {
			c.hangUp()
		}
	}
}

// pick draws a resource. The first ones are drawn often, the last ones rarely.
func (c *client) pick() *resource {
	return c.soak.world.resources[c.zipf.Uint64()]
}

func (c *client) draw() *ask {
	res := c.pick()
	return draw(c.random, c.soak.requests.Add(1), res, c.known[res.id%len(c.known)])
}

// behave sends one or more requests in the manner of b. After an error, the connection cannot be
// used again.
func (c *client) behave(b faulty.Behaviour) error {
	if err := c.connect(); err != nil {
		return err
	}
	_ = c.conn.SetDeadline(time.Now().Add(patience))
	q := c.draw()
	asks := []*ask{q}
	leave := int64(-1)
	switch b {
	case faulty.ResetSending, faulty.CloseSending:
		_ = c.conn.SendPart(q.wire(), 1+c.random.Int64N(100))
		c.part(b == faulty.ResetSending)
		return errLeft
	case faulty.ResetReading, faulty.CloseReading:
		leave = c.random.Int64N(q.resource.size + 1)
	case faulty.Pipelining:
		for range 1 + c.random.IntN(4) {
			if next := c.draw(); !next.unsafe() && !q.unsafe() && next.body == "" && q.body == "" {
				asks = append(asks, next)
			}
		}
	case faulty.HiddenRequest:
		hidden := faulty.Request{Target: faulty.HiddenTarget}
		q.method, q.body = http.MethodGet, fmt.Sprintf("GET %s HTTP/1.1\r\nHost: hidden\r\n\r\n", hidden.Target)
		asks = append(asks, c.draw())
	case faulty.ManyRanges:
		return c.askForTooMuch(q)
	}
	wires := make([]faulty.Request, len(asks))
	for n, q := range asks {
		wires[n] = q.wire()
		q.begun = c.soak.world.now()
	}
	if err := c.conn.Send(wires...); err != nil {
		return err
	}
	if b == faulty.StallReading {
		time.Sleep(time.Duration(c.random.IntN(200)) * time.Millisecond)
	}
	for n, q := range asks {
		if err := c.receive(q, b, leave, n > 0); err != nil {
			return err
		}
	}
	return nil
}

var errLeft = errors.New("the client left")

func (c *client) connect() (err error) {
	if c.conn == nil {
		c.conn, err = faulty.Dial(context.Background(), c.soak.front.URL)
		c.last = nil
	}
	return err
}

// part ends the connection.
func (c *client) part(reset bool) {
	if reset {
		c.conn.Reset()
	} else {
		_ = c.conn.Close()
	}
	c.conn = nil
}

func (c *client) hangUp() {
	if c.conn != nil {
		c.part(true) // leaves no socket waiting
	}
}

// receive reads and judges the answer to q. If leave is not negative, the client leaves after leave
// bytes of the body. behind says that another answer came before this one on the connection. If the
// connection then ends before this answer, that is no violation.
func (c *client) receive(q *ask, b faulty.Behaviour, leave int64, behind bool) error {
	s := c.soak
	resp, err := c.header(q)
	if err != nil {
		if !behind && !c.endedBefore() {
			s.brokeOff(q, nil, fmt.Errorf("%w (the request before on the connection: %v)", err, c.last))
		}
		return err
	}
	c.last = q
	v := s.world.judge(q, resp)
	if v.wrong != "" {
		s.violated(q, resp, v, v.wrong)
		return errLeft
	}
	if leave >= 0 {
		n, _ := io.CopyN(io.Discard, resp.Body, leave)
		s.tally.left(n)
		c.part(b == faulty.ResetReading)
		return errLeft
	}
	body := resp.Body
	if b == faulty.DripReading {
		body = io.NopCloser(&dripping{body, c.random})
	}
	resp.Body = body
	n, wrong, err := v.check(q, resp)
	switch {
	case wrong != "":
		s.violated(q, resp, v, "body: "+wrong)
		return errLeft
	case err != nil:
		s.brokeOff(q, resp, err)
		return err
	}
	if i := v.issue; i != nil && q.method == http.MethodGet && resp.StatusCode == http.StatusOK && i.selects(q.variant) {
		// This hit proves that i is the stored response for this variant.
		if ended := i.ended.Load(); ended != 0 && ended < int64(q.begun) && parseCacheStatus(resp.Header["Cache-Status"]).hit {
			i.proven.Store(int64(s.world.now()))
		}
	}
	c.learn(q, resp, v)
	s.tally.answered(q, resp, v, n)
	if resp.Close {
		return errLeft
	}
	return nil
}

// header reads the header of the final response.
func (c *client) header(q *ask) (*http.Response, error) {
	for {
		resp, err := http.ReadResponse(c.conn.In, &http.Request{Method: q.method})
		if err != nil || resp.StatusCode >= 200 {
			return resp, err
		}
	}
}

// endedBefore reports whether the connection may have ended because of the request before. Its
// fetch from the origin can fail after its own client has the whole answer, a range of the body for
// example.
func (c *client) endedBefore() bool {
	return c.last != nil && c.soak.world.troubled(c.last.resource, c.last.begun)
}

// learn keeps the validators of an answer, and records what an unsafe request invalidated.
func (c *client) learn(q *ask, resp *http.Response, v verdict) {
	w := c.soak.world
	if v.issue == nil {
		return
	}
	if !q.unsafe() {
		c.known[q.resource.id%len(c.known)] = held{q.resource, q.variant, v.issue.etag, v.issue.modified}
		return
	}
	if resp.StatusCode >= 400 {
		return
	}
	s := span{v.issue.at, w.now()}
	q.resource.add(s, false)
	if other := w.byPath[resp.Header.Get("Location")]; other != nil {
		other.add(s, false)
	}
	if resp.Header.Get("Cache-Group-Invalidation") != "" {
		w.groups[q.resource.group].add(s, false)
	}
}

// askForTooMuch requests hundreds of ranges. The answer must be the whole body or a refusal.
func (c *client) askForTooMuch(q *ask) error {
	q.method, q.body, q.ranges, q.etag, q.since = http.MethodGet, "", nil, "", ""
	wire := q.wire()
	wire.Fields = append(wire.Fields, faulty.OverlappingRanges(200))
	q.begun = c.soak.world.now()
	if err := c.conn.Send(wire); err != nil {
		return err
	}
	return c.receive(q, faulty.ManyRanges, -1, false)
}

// dripping reads up to 1 KiB at a time and sometimes pauses.
type dripping struct {
	r      io.Reader
	random *rand.Rand
}

// Read implements io.Reader.
func (d *dripping) Read(p []byte) (int, error) {
	if d.random.IntN(64) == 0 {
		time.Sleep(10 * time.Millisecond)
	}
	return d.r.Read(p[:min(len(p), 1+d.random.IntN(1<<10))])
}
