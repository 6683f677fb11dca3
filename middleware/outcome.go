package middleware

import (
	"net/http"
	"time"

	"github.com/dunglas/httpsfv"
)

// Outcome is what one cache says of an answer in Cache-Status (RFC 9211).
type Outcome struct {
	Cache     string        // the cache's name
	Hit       bool          // the answer was stored, and the request did not go forward
	Fwd       string        // why the request went forward (RFC 9211 §2.2); empty on a hit
	FwdStatus int           // what the next hop answered; zero where that is not said
	Stored    bool          // the answer was stored
	Collapsed bool          // the request waited for another's
	TTL       time.Duration // remaining freshness lifetime; negative where stale
	HasTTL    bool          // TTL is said
	Key       string        // the key; empty where that is not said
	Detail    string        // what the cache says besides
}

// Outcomes returns what the caches on an answer's way say of it, the one next to the client last.
// It returns nil if header has no Cache-Status, or one that cannot be parsed.
func Outcomes(header http.Header) []Outcome {
	lines := header["Cache-Status"]
	if len(lines) == 0 {
		return nil
	}
	list, err := httpsfv.UnmarshalList(lines)
	if err != nil {
		return nil
	}
	var outcomes []Outcome
	for _, member := range list {
		item, ok := member.(httpsfv.Item)
		if !ok {
			continue
		}
		o := Outcome{Cache: text(item.Value)}
		for _, name := range item.Params.Names() {
			value, _ := item.Params.Get(name)
			switch name {
			case "hit":
				o.Hit, _ = value.(bool)
			case "stored":
				o.Stored, _ = value.(bool)
			case "collapsed":
				o.Collapsed, _ = value.(bool)
			case "fwd":
				o.Fwd = text(value)
			case "fwd-status":
				status, _ := value.(int64)
				o.FwdStatus = int(status)
			case "ttl":
				var seconds int64
				if seconds, o.HasTTL = value.(int64); o.HasTTL {
					o.TTL = time.Duration(seconds) * time.Second
				}
			case "key":
				o.Key = text(value)
			case "detail":
				o.Detail = text(value)
			}
		}
		outcomes = append(outcomes, o)
	}
	return outcomes
}

// Outcome returns what this cache says in header; ok is false if it says nothing there. If several
// caches have its name, the one next to the client counts.
func (c *Cache) Outcome(header http.Header) (o Outcome, ok bool) {
	c.mustBeNew()
	for _, one := range Outcomes(header) {
		if one.Cache == c.cfg.Name {
			o, ok = one, true
		}
	}
	return o, ok
}

// text returns a string or token of a structured field.
func text(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case httpsfv.Token:
		return string(v)
	}
	return ""
}
