package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cirquecache/cirque/middleware"
)

// options say what to run.
type options struct {
	duration time.Duration
	front    string
	storage  string
	broken   string
	ranges   middleware.Ranges
	seed     uint64
	memory   int64 // bytes
	workers  int
	urls     int
	caches   int           // on one Storage; 0 is 1
	restart  time.Duration // between restarts; 0: none
	calm     bool          // no faults from clients
	first    bool          // stop at the first violation
}

// soak is one run.
type soak struct {
	*house
	tally    *tally
	requests atomic.Uint64
	rudeness int // how many of a thousand requests misbehave
	stop     context.CancelFunc
}

// counts reports whether a violation fails the run. With -broken, only violations that the breakage
// must cause count.
func (s *soak) counts(wrong string) bool {
	return s.options.broken == "" || slices.ContainsFunc(s.broken.breaks, func(prefix string) bool { return strings.HasPrefix(wrong, prefix) })
}

// violated reports an answer that broke a rule.
func (s *soak) violated(q *ask, resp *http.Response, v verdict, wrong string) {
	if !s.counts(wrong) {
		return
	}
	s.tally.tell(ruleOf(wrong), s.world.describe(q, resp, v, wrong))
	if s.options.first {
		s.stop()
	}
}

// brokeOff counts an answer that broke off. If the origin did not fail, that is a violation.
func (s *soak) brokeOff(q *ask, resp *http.Response, err error) {
	switch {
	case timedOut(err):
		s.violated(q, resp, verdict{}, fmt.Sprintf("no answer in %v", patience))
	case !s.world.troubled(q.resource, q.begun):
		s.violated(q, resp, verdict{}, fmt.Sprintf("broke off without a failure of the origin: %v", err))
	default:
		s.tally.count("broke off with the origin", 1)
	}
}

// timedOut reports whether err says that a client's patience is over.
func timedOut(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}
