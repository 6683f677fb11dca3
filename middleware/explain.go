package middleware

import (
	"net/http"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/rules"
	"github.com/cirquecache/cirque/stats"
)

// Prospect is what a request would meet.
type Prospect string

// The prospects.
const (
	WouldHit        Prospect = "hit"                    // a fresh stored response
	WouldBeStale    Prospect = "stale"                  // a stale stored response
	WouldRevalidate Prospect = "stale-while-revalidate" // a stale one, which is then revalidated in the background
	WouldValidate   Prospect = "validate"               // the origin is asked whether the stored response is still good
	WouldFetch      Prospect = "fetch"                  // the origin is asked for the response; it may be stored
	WouldFetchPart  Prospect = "fetch-part"             // the origin is asked for the bytes that are missing
	WouldWait       Prospect = "wait"                   // another request is fetching it now
	WouldPass       Prospect = "pass"                   // the origin answers this client alone
	WouldBypass     Prospect = "bypass"                 // the request is not for a cache
	WouldFail       Prospect = "unavailable"            // 504: only-if-cached, and nothing is stored that may be used
	WouldPurge      Prospect = "purge"                  // PURGE: Config.AuthorizePurge decides
)

// Explanation is what a cache would do with a request now, and why. Durations are in nanoseconds in
// the JSON form.
type Explanation struct {
	Cache  string     `json:"cache"` // Config.Name
	At     time.Time  `json:"at"`
	Door   stats.Door `json:"door"`
	Method string     `json:"method"`
	URL    string     `json:"url"` // as the client sees it

	Key *ExplainedKey `json:"key,omitempty"` // nil: there is none
	// Rules are those that decided, in the order of RFC 9111.
	Rules []rules.Reason `json:"rules"`
	Vary  *ExplainedVary `json:"vary,omitempty"` // nil: what is stored does not vary
	// Stored is what the request selects; for a request that is not for a cache, what a GET would
	// select. Nil: nothing.
	Stored *ExplainedEntry `json:"stored,omitempty"`
	// Uncacheable is what the predictor remembers of the key. Nil: nothing.
	Uncacheable *ExplainedMark `json:"uncacheable,omitempty"`
	// Refused is the latest answer for the key that was not stored. Nil: none is remembered.
	Refused *ExplainedRefusal `json:"refused,omitempty"`
	Fill    *ExplainedFill    `json:"fill,omitempty"` // nil: none is under way
	Epoch   cirque.PurgeEpoch `json:"epoch"`          // of the latest purge of everything or of groups

	Now Prospect `json:"now"`
	// CacheStatus is what the cache knows of its member of that field so far (RFC 9211). It is
	// empty if the answer would have none.
	CacheStatus string `json:"cache_status,omitempty"`
	// Status is that of the answer, if it would come from the cache; else zero.
	Status int `json:"status,omitempty"`
	// Conditions are the Range field and the preconditions that the origin would get, as
	// "Name: value".
	Conditions []string `json:"conditions,omitempty"`
	// Error is the failure of the Storage that the lookup met; empty if it met none.
	Error string `json:"error,omitempty"`
}

// ExplainedKey is the key of a request.
type ExplainedKey struct {
	Text string `json:"text"` // in readable form
	Hash string `json:"hash"` // of the primary key, as in Cache-Status
	Slot string `json:"slot"` // with the variance: CacheKey.String
}

// ExplainedVary is the vary record of a resource (RFC 9111 §4.1), and what a request selects by it.
type ExplainedVary struct {
	Fields   []VaryValue `json:"fields"`
	More     bool        `json:"more"`     // Config.Variance, or a rewritten URL, selects too
	Selected bool        `json:"selected"` // a stored variant matches
	// Variants are the stored ones, the newest last.
	Variants []ExplainedVariant `json:"variants"`
}

// VaryValue is a request field that the response varies by.
type VaryValue struct {
	Name    string   `json:"name"`
	Values  []string `json:"values"`            // its lines; none if it is missing
	AsAsked []string `json:"as_asked,omitempty"` // what Config.Normalize made them of, if it changed them
}

// ExplainedVariant is a variant that the vary record lists. What request it was stored for is not
// kept; the fields of the response that describe its content often say it.
type ExplainedVariant struct {
	Hash     string    `json:"hash"`
	Selected bool      `json:"selected"` // by the request
	Gone     bool      `json:"gone"`     // it was evicted or is void
	ETag     string    `json:"etag,omitempty"`
	Created  time.Time `json:"created"`
	Language string    `json:"language,omitempty"` // Content-Language
	Encoding string    `json:"encoding,omitempty"` // Content-Encoding
	Type     string    `json:"type,omitempty"`     // Content-Type
	Size     int64     `json:"size"`               // of the body; negative if unknown
}

// ExplainedEntry is a stored response.
type ExplainedEntry struct {
	Status   int           `json:"status"`
	Age      time.Duration `json:"age"` // RFC 9111 §4.2.3
	Lifetime time.Duration `json:"lifetime"`
	Fresh    time.Duration `json:"fresh"` // how long it is still fresh; negative if it is stale
	// Source says where the lifetime came from: as rules.Freshness.Source. "changed" means that the
	// end of the lifetime was moved since, as by a soft purge. Field is the field of the response
	// that has it.
	Source string `json:"source"`
	Field  string `json:"field,omitempty"`

	StaleWhileRevalidate time.Duration `json:"stale_while_revalidate"`
	StaleIfError         time.Duration `json:"stale_if_error"`
	NeverStale           bool          `json:"never_stale"` // RFC 9111 §4.2.4
	AlwaysValidate       bool          `json:"always_validate"`
	Partial              bool          `json:"partial"` // only parts of the body are stored (RFC 9111 §3.3)

	Size    int64      `json:"size"`    // of the body; negative if unknown
	Weight  int64      `json:"weight"`  // with header and bookkeeping
	Tag     cirque.Tag `json:"tag"`     // of this incarnation
	Created time.Time  `json:"created"` // when it was stored
	Updated time.Time  `json:"updated"` // when it was received or last validated
	Live    bool       `json:"live"`    // it is still being written

	// Uses is how often it was read, as far as the eviction policy remembers; negative if it does
	// not. AtLeast: there may have been more.
	Uses    int  `json:"uses"`
	AtLeast bool `json:"at_least,omitempty"`

	ETag         string            `json:"etag,omitempty"`
	LastModified string            `json:"last_modified,omitempty"`
	Groups       []string          `json:"groups,omitempty"` // Cache-Groups (RFC 9875)
	Epoch        cirque.PurgeEpoch `json:"epoch"`            // when the origin was asked
	// Void says why the entry must not be used although it is there: "purged", "group purged", or
	// "superseded" by a more recent answer. It is empty for an entry that may be used.
	Void string `json:"void,omitempty"`
}

// ExplainedMark is what the predictor remembers of a key. It has only one effect: requests for the
// key do not wait for each other.
type ExplainedMark struct {
	Reason string    `json:"reason,omitempty"` // a cirque.NoCacheReason; empty if unknown
	At     time.Time `json:"at,omitzero"`
}

// ExplainedRefusal is an answer of the origin that was not stored.
type ExplainedRefusal struct {
	rules.Reason
	Custom string    `json:"custom,omitempty"` // the reason that Config.ResponseFilter gave
	Status int       `json:"status"`
	At     time.Time `json:"at"`
}

// ExplainedFill is a fill that is under way for the key.
type ExplainedFill struct {
	Locked  bool `json:"locked"`  // another request has the write permit that this one would need
	Fills   int  `json:"fills"`   // of the key and its variants, whose header has come
	Readers int  `json:"readers"` // of these fills
}

// Explain says what the cache would do with r now, and why, without doing it: the origin is not
// asked, nothing is stored, no use is counted, and no request waits for it. It describes the door
// that the cache has; if it has both, the Handler.
//
// r is as for HandlerKey: a server's request, or one made by http.NewRequest with the URL and the
// fields to explain. In the latter case no router has rewritten its URL, and Explain assumes a
// server through which background revalidations can be sent. The hooks of the Config are called as
// for a request: Key, UserTag, RequestFilter, HitFilter, Normalize, Variance, NotModified, Refresh
// and TrustForwarded. Explain does not read the body of r.
//
// The answer holds for the moment: the next request can meet another state. What a fetch will bring
// cannot be known.
func (c *Cache) Explain(r *http.Request) Explanation {
	c.mustBeNew()
	if !c.has[doorHandler].Load() && c.has[doorTransport].Load() {
		return c.explain(doorTransport, r)
	}
	return c.explain(doorHandler, r)
}

// ExplainHandler is Explain for the Handler.
func (c *Cache) ExplainHandler(r *http.Request) Explanation {
	c.mustBeNew()
	return c.explain(doorHandler, r)
}

// ExplainTransport is Explain for the Transport. It uses r.URL and r.Host, and never RequestURI.
func (c *Cache) ExplainTransport(r *http.Request) Explanation {
	c.mustBeNew()
	return c.explain(doorTransport, r)
}

func (c *Cache) explain(d door, r *http.Request) Explanation {
	own := *canonical(r)
	if own.Method == "" {
		own.Method = http.MethodGet
	}
	if own.Header == nil {
		own.Header = make(http.Header)
	}
	x := c.newDryTransaction(d, &own)
	defer x.hc.Release()
	from, err := x.planDry()
	ex := explainer{transaction: x, from: from, e: &Explanation{
		Cache: c.cfg.Name, At: x.arrived, Door: stats.Door(d), Method: own.Method, URL: x.target.url(),
		Epoch: c.opts.Storage.Purges().Epoch(),
	}}
	switch {
	case err != nil:
		ex.e.Error = err.Error()
	case x.dry.failure != nil:
		ex.e.Error = x.dry.failure.Error()
	}
	if len(x.dry.seen) == 0 {
		x.lookAnyway()
	}
	ex.describe()
	ex.foresee(&own)
	ex.listRules()
	return *ex.e
}
