// Package stats has the numbers that a cache keeps about itself. A [Snapshot] is what
// middleware.Cache.Stats returns; exporters and pages are made of nothing else. All counts are of
// the time since the cache was made, and only grow; what can fall says so. The JSON form of a
// Snapshot is for programs too.
//
// What each number means, and what to do when it moves, is in docs/operate.md.
package stats

import (
	"fmt"
	"net/http"
	"time"
)

// Door is where a request came in.
type Door uint8

// The doors.
const (
	Handler Door = iota
	Transport
	doors
)

// Result is how the cache answered a request. Each request has one.
type Result uint8

// The results.
const (
	// Hit: a fresh stored response, without asking the origin.
	Hit Result = iota
	// Stale: a stale stored response, as RFC 5861 or the request allows: while it is revalidated,
	// in place of an error, or because the client takes stale ones.
	Stale
	// Revalidated: a stored response that the origin confirmed for this request (304).
	Revalidated
	// Collapsed: the response that another request fetched while this one waited for it.
	Collapsed
	// Miss: the origin's response, which is being stored for others. Cache-Status says stored.
	Miss
	// Pass: the origin's response, for this client alone, as it may not be stored or could not be.
	Pass
	// Bypass: the origin's response to a request that is not for a cache, such as a POST whose
	// answer may not be stored either. Cache-Status says fwd=bypass or fwd=method; for an upgrade
	// there is none.
	Bypass
	// Unanswered: no response of the origin or of the cache: the origin failed, the client left
	// first, or the request would have had only a stored response and there was none.
	Unanswered
	results
)

var doorNames = [...]string{"handler", "transport"}
var resultNames = [...]string{"hit", "stale", "revalidated", "collapsed", "miss", "pass", "bypass", "unanswered"}

// String returns the name of d in lower case.
func (d Door) String() string { return nameOf(doorNames[:], d) }

// String returns the name of r in lower case.
func (r Result) String() string { return nameOf(resultNames[:], r) }

// MarshalText makes d a key of JSON objects.
func (d Door) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// MarshalText makes r a key of JSON objects.
func (r Result) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (d *Door) UnmarshalText(text []byte) (err error) {
	*d, err = named[Door](doorNames[:], text)
	return err
}

// UnmarshalText reads what MarshalText writes.
func (r *Result) UnmarshalText(text []byte) (err error) {
	*r, err = named[Result](resultNames[:], text)
	return err
}

func nameOf[E ~uint8](names []string, e E) string {
	if int(e) < len(names) {
		return names[e]
	}
	return fmt.Sprintf("unknown(%d)", e)
}

func named[E ~uint8](names []string, text []byte) (E, error) {
	for i, name := range names {
		if name == string(text) {
			return E(i), nil
		}
	}
	return 0, fmt.Errorf("stats: unknown name %q", text)
}

// Results returns all results, in the order of their numbers.
func Results() []Result { return all[Result](results) }

// Doors returns all doors.
func Doors() []Door { return all[Door](doors) }

func all[E ~uint8](n E) []E {
	list := make([]E, n)
	for i := range list {
		list[i] = E(i)
	}
	return list
}

// FromCache reports whether the body of an answer with this result came from the cache.
func (r Result) FromCache() bool { return r <= Collapsed }

// Request is a request that is over: what its client got, and why.
type Request struct {
	// Request is the request as it came to the cache. It must not be changed, nor used after the
	// hook that is given it has returned.
	Request    *http.Request
	Door       Door
	Background bool // the cache made the request, to revalidate what it has served stale
	Result     Result
	Key        string // the key in readable form; empty if the request has none
	URL        string // the public URL, as the cache sees it; empty if there was no answer
	Phase      string // in which the walk ended: a cirque.CachePhase
	Status     int    // of the answer; zero if there was none

	// Fwd, FwdStatus, Stored and Detail are what Cache-Status says (RFC 9211 §2). Detail is why the
	// response was not stored, or another note. TTL and Age are the answer's.
	Fwd       string
	FwdStatus int
	Stored    bool
	Detail    string
	TTL, Age  time.Duration

	Lookup    time.Duration // spent in lookups
	LockWait  time.Duration // spent waiting for another request's fill
	FirstByte time.Duration // until the header was sent; zero if there was no answer
	Duration  time.Duration // until the answer was over
	Origin    time.Duration // from asking the origin to its header; zero if it was not asked
	Bytes     int64         // of the body that the client got
}

// Snapshot is what one cache has done, and has, at one moment. The counts in it are taken one after
// the other while requests go on, so that two that depend on each other may differ by what came
// between.
type Snapshot struct {
	// Name is the cache's name: Config.Name.
	Name  string    `json:"name"`
	Since time.Time `json:"since"` // when the cache was made
	At    time.Time `json:"at"`

	// Requests are all that came in by a door, but for PURGE. Each has one result, so their sum is
	// the number of requests that clients sent. Background revalidations are none.
	Requests map[Door]map[Result]uint64 `json:"requests"`
	// FirstByte is the time until the header of the answer was written, Duration until its body
	// was, in seconds. The Transport's ends when the body is closed. Duration has as many
	// observations as there are Requests, without those in which the cache takes no part (upgrades
	// and CONNECT); FirstByte has none of Unanswered.
	FirstByte map[Result]Histogram `json:"first_byte"`
	Duration  map[Result]Histogram `json:"duration"`
	// Bytes are the bytes of bodies that clients were sent, by result: what the server took from
	// the Handler, or what the caller of the Transport read, without framing. The server drops the
	// body of an answer to HEAD, so it does not count.
	Bytes map[Result]uint64 `json:"bytes"`
	// Origin is what the cache asked of the origin.
	Origin Origin `json:"origin"`
	// Uncached says of how many responses of the origin why they went into no fill, in the words of
	// Cache-Status' detail. Reasons of filters are "response-filter"; a response for which the
	// cache took no part in the connection is "upgrade".
	Uncached map[string]uint64 `json:"uncached"`

	Fills         Fills         `json:"fills"`
	LockWaits     []LockWaits   `json:"lock_waits"`
	Revalidations Revalidations `json:"revalidations"`
	Purges        []Purges      `json:"purges"`
	// Variants is how many variants the vary record had where a lookup came by one, a sample.
	Variants Histogram `json:"variants"`
	// Storage has one element for each store: the tiers of a tiered one.
	Storage []Storage `json:"storage"`
	// StorageErrors are the failures of the Storage as requests met them, by operation.
	StorageErrors map[string]uint64 `json:"storage_errors"`
	// Eviction is of the policy; nil where the Storage looks after itself.
	Eviction *Eviction `json:"eviction,omitempty"`
	// Curve is what other limits would do; empty where it is not estimated, or not known yet. It
	// begins anew when the limit changes.
	Curve []CurvePoint `json:"curve,omitempty"`
	// BackgroundFailures are panics and errors of what no client waits for.
	BackgroundFailures uint64 `json:"background_failures"`
}

// Origin are the requests that a cache sent to the origin, for clients and in the background. When
// none is under way,
//
//	Requests = Failed + Again + StoodIn
//	         + Revalidations.Foreground.NotModified + Revalidations.Background.NotModified
//	         + Fills.Started + the sum of Uncached
type Origin struct {
	Requests uint64 `json:"requests"`
	Failed   uint64 `json:"failed"`   // without an answer: an error, or the client left first
	Again    uint64 `json:"again"`    // with an answer that could not be used; the origin was asked once more
	StoodIn  uint64 `json:"stood_in"` // with an error of the server, in whose place a stored response was served
}

// Fills are the responses that were stored while they were fetched.
type Fills struct {
	// Started is the number of fills that began, and when none is under way the sum of Done. Done
	// says how they ended: "stored", or a cirque.NoCacheReason in lower case words, or
	// "superseded", "purged".
	Started uint64            `json:"started"`
	Done    map[string]uint64 `json:"done"`
	// Bytes came into fills from the origin, stored or not.
	Bytes uint64 `json:"bytes"`
	// InFlight and Readers are now: the fills under way, and those who read along. Max is
	// Config.MaxFills.
	InFlight int `json:"in_flight"`
	Readers  int `json:"readers"`
	Max      int `json:"max"`
}

// LockWaits are the waits for another request's fill that ended with one status.
type LockWaits struct {
	Status string    `json:"status"`
	Time   Histogram `json:"time"` // seconds
}

// Revalidations are the requests to the origin for which a stored response was at hand that had to
// be validated first, by their outcome.
type Revalidations struct {
	Foreground Outcomes `json:"foreground"` // a client waited
	Background Outcomes `json:"background"`
	InFlight   int      `json:"in_flight"` // in the background, now
	Max        int      `json:"max"`       // Config.MaxRevalidations
}

// Outcomes are what came of validations.
type Outcomes struct {
	NotModified uint64 `json:"not_modified"` // the stored response is good: 304, or the same 200 to a HEAD
	Replaced    uint64 `json:"replaced"`     // another response came
	Failed      uint64 `json:"failed"`       // no answer, or an error of the server
}

// Purges are the purges of one kind.
type Purges struct {
	Kind     string `json:"kind"` // "key", "group", "all", "invalidation" by an unsafe request
	Soft     bool   `json:"soft"`
	Done     uint64 `json:"done"`
	NotFound uint64 `json:"not_found"` // there was nothing to purge
	Failed   uint64 `json:"failed"`
}

// Storage is what one store has, now, and how it does. Numbers that a store does not know are -1.
type Storage struct {
	Name string `json:"name"` // "memory", "disk", …

	Entries int64 `json:"entries"`
	Limit   int64 `json:"limit"` // bytes; zero or less: none
	// Bytes by part, which add up to what counts against Limit: entries in place, the index and
	// other bookkeeping, writes under way, and entries that have left while somebody reads them.
	Bytes StorageBytes `json:"bytes"`
	// OffHeap is the memory of the process that the store has outside of the Go heap; zero where it
	// has none. It is not a part of Bytes, but where most of them are.
	OffHeap OffHeap `json:"off_heap"`
	// Refused are reservations of memory that found no room.
	Refused uint64 `json:"refused"`

	// Operations by name: "lookup", "write", "purge", "update".
	Operations map[string]Operation `json:"operations,omitempty"`
}

// StorageBytes are the bytes of a store, by what they are for.
type StorageBytes struct {
	Entries  int64 `json:"entries"`
	Index    int64 `json:"index"`
	InFlight int64 `json:"in_flight"`
	Open     int64 `json:"open"`
}

// OffHeap is memory outside of the Go heap, in bytes.
type OffHeap struct {
	// Used is allocated: what allocations round up to, released parts of pages and the table are in
	// it too.
	Used int64 `json:"used"`
	// Free is kept for later allocations, and not given back to the system yet.
	Free int64 `json:"free"`
}

// Operation is how one operation of a store did.
type Operation struct {
	Errors uint64    `json:"errors"`
	Time   Histogram `json:"time"` // seconds, of a sample
}

// Eviction is what a policy tracks now, and what it has let go.
type Eviction struct {
	Policy  string `json:"policy"`
	Entries int64  `json:"entries"`
	Bytes   int64  `json:"bytes"`
	Limit   int64  `json:"limit"`

	// Evicted are the entries that had to leave. Purged and replaced ones are none of them.
	Evicted      uint64 `json:"evicted"`
	EvictedBytes uint64 `json:"evicted_bytes"`
	// Declined are the responses that were fetched and not kept, because they were larger than the
	// limit, or worth less to the policy than what would have had to leave for them.
	Declined      uint64 `json:"declined"`
	DeclinedBytes uint64 `json:"declined_bytes"`
	// Unused are those of the evicted that were never read after they had been stored.
	Unused uint64 `json:"unused"`
	// Age is the time from the storing of what was evicted to its eviction, in seconds. Where it is
	// short there is too little memory. Its Count is less than Evicted where entries are from
	// before a restart: when they were stored is not known, and they are not Unused either.
	Age Histogram `json:"age"`
}

// CurvePoint is the estimate for one limit. The points of a curve go from an eighth of today's
// limit to eight times it, each twice the one before.
type CurvePoint struct {
	Size int64 `json:"size"` // bytes
	// HitRatio is the share of the requests that what is stored would answer, ByteHitRatio that of
	// the bytes: 0 to 1. Requests that are not for the cache, and those for what may not be stored,
	// are not among them.
	HitRatio     float64 `json:"hit_ratio"`
	ByteHitRatio float64 `json:"byte_hit_ratio"`
}

// StorageReporter is a Storage that knows what it has. A tiered one has several elements.
type StorageReporter interface {
	StorageStats() []Storage
}

// EvictionReporter is an EvictionManager that knows what it has let go.
type EvictionReporter interface {
	EvictionStats() Eviction
}

// Medium says where a Storage keeps the bytes that it reserves from a Budget.
type Medium uint8

const (
	// MediumHeap is the Go heap, which the garbage collector lets grow beyond the limit.
	MediumHeap Medium = iota
	// MediumOffHeap is memory that the garbage collector does not count. Some of the bookkeeping
	// may be on the heap.
	MediumOffHeap
	// MediumDisk is a file system.
	MediumDisk
)
