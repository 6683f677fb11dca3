package stats

import "time"

// Watcher is a set of hooks that are added to a running cache and removed again, such as those of a
// page that somebody looks at: see middleware.Cache.Watch. Any of them may be nil. The hooks are
// called where the event happens, so they must be quick, must not panic, and may be called
// concurrently.
type Watcher struct {
	// RequestDone is called when a request is over, as cirque.CacheTrace's is.
	RequestDone func(Request)
	// Wants is called when a request begins, and reports whether RequestDone is to hear of it. So a
	// watcher that needs only a sample costs the other requests nothing else. Nil: of all.
	Wants func() bool
	// Purged is called after each purge and each invalidation.
	Purged func(Purge)
}

// Purge is one purge, or one invalidation by an unsafe request (RFC 9111 §4.4).
type Purge struct {
	At   time.Time
	Kind string // that of Purges
	Soft bool
	// URL is what was purged. For groups it is the URL of which the origin counts. It is empty for
	// all.
	URL    string
	Groups []string
	// Err is nil if something was purged, and wraps cirque.ErrNotFound if there was nothing.
	Err error
}

// Fill is a fill that is under way.
type Fill struct {
	URL     string    `json:"url"`     // or the text of Config.Key
	Began   time.Time `json:"began"`   // when its header came
	Status  int       `json:"status"`  // of the response
	Written int64     `json:"written"` // bytes of the body so far
	Length  int64     `json:"length"`  // of the whole body; negative if the origin did not say
	Readers int       `json:"readers"` // clients that read along
	// Background means that no client waited for it when it began.
	Background bool `json:"background"`
}
