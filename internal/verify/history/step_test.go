package history

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"
)

// kind says what a step does.
type kind uint8

const (
	ask     kind = iota // a request for a resource
	change              // the content of a resource changes
	purge               // a purge
	restart             // both caches and the Storage are closed and opened again
)

// The purges and invalidations, by the names that findings have.
const (
	purgeURL     = "purge"
	purgeSoft    = "soft-purge"
	purgeRequest = "purge-request" // PURGE
	purgeAll     = "purge-all"
	purgeGroup   = "purge-group"
	purgeUnsafe  = "unsafe" // an unsafe request
	purgeUpgrade = "unsafe-upgrade"
	purgeField   = "group-field" // Cache-Group-Invalidation
)

// step is one step of a history. It holds every decision about itself, so removing it does not
// change the other steps.
type step struct {
	number   int
	at       time.Duration // when it begins; later if restarts before it took time
	kind     kind
	cache    int // which of the caches
	resource int
	purge    string

	method      string
	user        string // Cookie; empty for none
	auth        bool   // Authorization, in the user's name
	language    string
	directive   string        // Cache-Control
	conditional bool          // with the entity tag that the user had last
	upgrade     bool          // with fields that ask for another protocol
	groups      bool          // the answer to an unsafe request invalidates the group
	leave       time.Duration // after which the client leaves; 0: never
	until       int           // the last byte of the requested Range; 0: no Range
	script      script

	// The outcome.
	etag       string // sent in If-None-Match
	begun, end time.Duration
	answer     *answer
	err        error
	missed     bool // a purge found nothing
}

// answer is what a client got.
type answer struct {
	status int
	header http.Header
	body   string
	err    error // of reading the body
}

// script says how the origin answers the first request that a step causes.
type script struct {
	delay  time.Duration // before the header
	early  bool          // the content is read before the delay, rather than after it
	body   time.Duration // between the halves of the body
	fails  bool          // 503
	breaks bool          // the response ends in the middle of the body
	skew   time.Duration // how far ahead the origin's clock is
}

// quick is the script of further requests for a step.
var quick = script{delay: 3 * time.Millisecond}

func (s *step) unsafe() bool {
	return s.method != http.MethodGet && s.method != http.MethodHead
}

var (
	users = []string{"ann", "bob", "cyd"}

	// Some of these values have equal meaning. They still differ, because the origin's content
	// contains the field's value.
	languages = []string{"en", "en;q=0.8, de;q=0.3", "de, en", "en, de", `x"><script>`}
)

// plan holds everything that a seed decides.
type plan struct {
	seed    uint64
	door    string
	storage string
	caches  int
	private bool // a private cache of several users
	heads   bool // Config.HeadAsGet
	fills   int  // Config.MaxFills
	classes []*class
	sized   []bool
	equal   []bool
	steps   []*step
}

// draw makes the plan of a seed.
func draw(seed uint64) *plan {
	r := rand.New(rand.NewPCG(seed, 0x68697374))
	p := &plan{
		seed: seed, door: doors[r.IntN(len(doors))], storage: storageNames[r.IntN(len(storageNames))], caches: 1 + r.IntN(2),
	}
	p.private, p.heads = r.IntN(8) == 0, r.IntN(8) == 0
	if r.IntN(10) == 0 {
		p.fills = 1 + r.IntN(2)
	}
	durable := storages[p.storage].durable
	if !storages[p.storage].shared {
		p.caches = 1
	}
	for range 1 + r.IntN(3) {
		p.classes = append(p.classes, classes[r.IntN(len(classes))])
		p.sized = append(p.sized, r.IntN(2) == 0)
		p.equal = append(p.equal, r.IntN(2) == 0)
	}
	at := time.Duration(0)
	for n := range 8 + r.IntN(28) {
		// Steps come in bursts. Some pauses are longer than a brief lifetime.
		switch r.IntN(10) {
		case 0:
			at += time.Duration(r.IntN(8_000_000)) * time.Microsecond
		case 1, 2, 3:
			at += time.Duration(r.IntN(1_500_000)) * time.Microsecond
		default:
			at += time.Duration(r.IntN(40_000)) * time.Microsecond
		}
		at += time.Microsecond
		// No two steps begin at the same instant.
		s := &step{number: n + 1, at: at.Truncate(time.Microsecond) + time.Duration(n), resource: r.IntN(len(p.classes)), cache: r.IntN(p.caches)}
		s.method, s.language = http.MethodGet, languages[r.IntN(len(languages))]
		p.steps = append(p.steps, s)
		switch v := r.IntN(100); {
		case v < 9:
			s.kind = change
		case v < 20:
			s.kind = purge
			s.purge = []string{purgeURL, purgeSoft, purgeRequest, purgeAll, purgeAll, purgeGroup, purgeGroup}[r.IntN(7)]
			if s.purge == purgeRequest && p.door == doorTransport {
				s.purge = purgeURL
			}
		case v < 23 && durable:
			s.kind = restart
		default:
			s.drawAsk(r, p)
		}
	}
	return p
}

func (s *step) drawAsk(r *rand.Rand, p *plan) {
	c := p.classes[s.resource]
	if r.IntN(4) > 0 {
		s.user = users[r.IntN(len(users))]
	}
	s.auth = s.user != "" && (c.by == authField && r.IntN(5) > 0 || r.IntN(12) == 0)
	s.script = drawScript(r)
	switch v := r.IntN(100); {
	case v < 5:
		s.method = []string{http.MethodPost, http.MethodPut, http.MethodDelete}[r.IntN(3)]
		s.upgrade = r.IntN(3) == 0
		s.groups = r.IntN(2) == 0
		s.script = script{delay: s.script.delay}
		return
	case v < 15:
		s.method = http.MethodHead
	}
	switch v := r.IntN(12); {
	case v == 0 || v == 1 && s.method == http.MethodHead:
		s.directive = "no-cache"
	case v == 2:
		s.directive = "max-age=0"
	}
	s.conditional = r.IntN(10) == 0
	if !s.conditional && r.IntN(12) == 0 {
		s.until = 150 + r.IntN(1500)
	}
	if r.IntN(40) == 0 {
		s.leave = time.Duration(1+r.IntN(300)) * time.Millisecond
	}
}

func drawScript(r *rand.Rand) script {
	var s script
	ms := func(n int) time.Duration {
		return time.Duration(r.IntN(n*1000)+1)*time.Microsecond + time.Duration(r.IntN(900))
	}
	switch r.IntN(8) {
	case 0:
		s.delay = ms(3000)
	case 1, 2, 3:
		s.delay = ms(150)
	default:
		s.delay = ms(4)
	}
	s.early = r.IntN(3) == 0
	switch r.IntN(6) {
	case 0:
		s.body = ms(4000)
	case 1:
		s.body = ms(200)
	}
	switch r.IntN(25) {
	case 0:
		s.fails = true
	case 1:
		s.breaks = true
	case 2:
		s.skew = time.Hour
	case 3:
		s.skew = -100 * time.Second
	}
	return s
}

// String describes the step and its outcome, for reports.
func (s *step) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%3d %13v  ", s.number, s.begun)
	cache := "ab"[s.cache : s.cache+1]
	switch s.kind {
	case change:
		fmt.Fprintf(&b, "the content of resource %d changes", s.resource)
		return b.String()
	case purge:
		fmt.Fprintf(&b, "%s: %s of resource %d", cache, s.purge, s.resource)
		if s.err != nil {
			fmt.Fprintf(&b, ": %v", s.err)
		}
		if s.missed {
			b.WriteString(": not found")
		}
		return b.String()
	case restart:
		fmt.Fprintf(&b, "restart, until %v", s.end)
		return b.String()
	}
	fmt.Fprintf(&b, "%s: %s resource %d", cache, s.method, s.resource)
	for name, value := range map[string]bool{"auth": s.auth, "upgrade": s.upgrade, "invalidates the group": s.groups} {
		if value {
			b.WriteString(" " + name)
		}
	}
	fmt.Fprintf(&b, " user %q language %q", s.user, s.language)
	if s.directive != "" {
		fmt.Fprintf(&b, " %s", s.directive)
	}
	if s.etag != "" {
		fmt.Fprintf(&b, " If-None-Match %s", s.etag)
	}
	if s.until != 0 {
		fmt.Fprintf(&b, " until byte %d", s.until)
	}
	if s.leave != 0 {
		fmt.Fprintf(&b, " leaves after %v", s.leave)
	}
	fmt.Fprintf(&b, " %+v\n      until %13v ", s.script, s.end)
	switch {
	case s.err != nil:
		fmt.Fprintf(&b, "error: %v", s.err)
	case s.answer != nil:
		a := s.answer
		first, _, _ := strings.Cut(a.body, "\n")
		fmt.Fprintf(&b, "%d X-Issue %s, Age %q, %q", a.status, a.header.Get(issueField), a.header.Get("Age"), a.header.Get("Cache-Status"))
		if first != "" {
			fmt.Fprintf(&b, ", %d bytes: %s", len(a.body), first)
		}
		if a.err != nil {
			fmt.Fprintf(&b, ", then %v", a.err)
		}
	}
	return b.String()
}

// allows reports whether a history of p can break rule.
func (p *plan) allows(rule string) bool {
	switch {
	case strings.Contains(rule, "/other") && p.caches < 2,
		strings.Contains(rule, "/restart") && !slices.ContainsFunc(p.steps, func(s *step) bool { return s.kind == restart }),
		strings.Contains(rule, "group") && !slices.ContainsFunc(p.classes, func(c *class) bool { return c.grouped }),
		strings.HasPrefix(rule, ruleSurroundings) && p.door == doorTransport:
		return false
	}
	return true
}

// field returns the value of a request field.
func (s *step) field(name string) string {
	switch {
	case name == cookieField && s.user != "":
		return "user=" + s.user
	case name == authField && s.auth:
		return "Bearer " + s.user
	case name == languageField:
		return s.language
	}
	return ""
}
