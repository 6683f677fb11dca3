package console

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cirquecache/cirque/stats"
)

// record is one request, as the page shows it. All texts in it are plain.
type record struct {
	At         int64        `json:"at"` // when it was over, in Unix milliseconds
	Method     string       `json:"method"`
	URL        string       `json:"url"`
	Server     string       `json:"server,omitempty"` // the host in the URL of a Transport's request, if Host differs
	Whole      bool         `json:"whole"`            // URL is exact
	Status     int          `json:"status"`
	Result     stats.Result `json:"result"`
	Door       stats.Door   `json:"door"`
	Background bool         `json:"background,omitempty"`
	Phase      string       `json:"phase,omitempty"`
	Detail     string       `json:"detail,omitempty"`
	Bytes      int64        `json:"bytes"`
	// Steps are the way of the request; their times add up to Took. They are made when it is shown.
	Steps []step  `json:"steps"`
	Took  float64 `json:"took"` // milliseconds

	host, path string
	reason     string        // why it was not stored, in the words of Snapshot.Uncached
	about      stats.Request // for the steps
	weight     uint64        // how many requests it stands for
}

// step is one part of the way of a request.
type step struct {
	Name string  `json:"name"`
	Note string  `json:"note"`
	Took float64 `json:"took"` // milliseconds
}

// glimpse is what the hook keeps of a request. It is made while the client waits, so it is cheap.
type glimpse struct {
	about               stats.Request // without the request itself
	method, url, server string
	at                  int64
	weight              uint64
}

// newGlimpse returns what is kept of r. It keeps nothing of the request itself but strings.
func newGlimpse(r stats.Request, weight uint64) glimpse {
	request := r.Request
	g := glimpse{about: r, method: shortened(request.Method), url: shortened(r.URL), at: time.Now().UnixMilli(), weight: weight}
	if r.URL == "" {
		g.url = shortened(urlOf(request))
	}
	if host := request.URL.Host; r.Door == stats.Transport && request.Host != "" && request.Host != host {
		g.server = shortened(host)
	}
	g.about.Request, g.about.URL, g.about.Detail = nil, "", shortened(r.Detail)
	return g
}

// shortened returns s so that nothing keeps the memory of a very long text. It is still long enough
// for plain to cut it.
func shortened(s string) string {
	if len(s) <= 2*maxText {
		return s
	}
	return strings.Clone(s[:2*maxText])
}

// record returns what the page shows, without the steps.
func (g *glimpse) record() record {
	r := &g.about
	rec := record{
		At: g.at, Status: r.Status, Result: r.Result, Door: r.Door, Background: r.Background,
		Phase: r.Phase, Bytes: r.Bytes, Took: ms(r.Duration), about: g.about, weight: g.weight,
	}
	rec.Method, _ = plain(g.method)
	rec.Detail, _ = plain(r.Detail)
	rec.Server, _ = plain(g.server)
	rec.URL, rec.Whole = plain(g.url)
	rec.reason = rec.Detail
	if rec.reason == "" {
		rec.reason, _ = plain(r.Fwd)
	}
	_, rest, _ := strings.Cut(rec.URL, "://")
	rec.host = rest
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		rec.host, rec.path = rest[:i], rest[i:]
	}
	return rec
}

// urlOf returns the URL of a request of which the cache did not say it.
func urlOf(r *http.Request) string {
	if r.URL.Host != "" {
		return r.URL.String()
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + r.Host + r.URL.RequestURI()
}

// stepsOf returns the way of r through the cache.
func stepsOf(r *stats.Request) []step {
	var steps []step
	add := func(took time.Duration, name, note string) {
		note, _ = plain(note)
		steps = append(steps, step{Name: name, Note: note, Took: ms(max(took, 0))})
	}
	looked := r.Result != stats.Bypass && r.Phase != ""
	if looked {
		add(r.Lookup, "lookup", lookupNote(r))
	}
	if r.LockWait > 0 {
		add(r.LockWait, "wait", "for another request's fetch of the same URL")
	}
	if r.Origin > 0 {
		note := "origin answered"
		if status := originStatus(r); status > 0 {
			note = "origin answered " + strconv.Itoa(status)
		}
		add(r.Origin, "origin", note)
	}
	header := r.FirstByte
	if header == 0 {
		header = r.Duration
	}
	add(header-r.Lookup-r.LockWait-r.Origin, "cache", outcomeNote(r))
	if r.FirstByte > 0 && !r.Background {
		add(r.Duration-r.FirstByte, "send", fmt.Sprintf("%d bytes", r.Bytes))
	}
	return steps
}

func originStatus(r *stats.Request) int {
	if r.FwdStatus > 0 {
		return r.FwdStatus
	}
	return r.Status
}

// lookupNote says what the lookup found.
func lookupNote(r *stats.Request) string {
	switch {
	case r.Result == stats.Hit:
		return "found, fresh for " + seconds(r.TTL) + ", aged " + seconds(r.Age)
	case r.Result == stats.Stale:
		return "found, stale for " + seconds(-r.TTL)
	case r.Result == stats.Revalidated, r.Fwd == "stale":
		return "found, but stale"
	case r.Fwd == "uri-miss":
		return "nothing stored for this URL"
	case r.Fwd == "vary-miss":
		return "other variants stored, none for these request fields"
	case r.Fwd == "miss", r.Fwd == "":
		return "nothing stored that fits"
	case r.Fwd == "request":
		return "found, but the request does not accept it"
	case r.Fwd == "partial":
		return "found a part only"
	}
	return r.Fwd
}

// outcomeNote says what became of the request.
func outcomeNote(r *stats.Request) string {
	because := ""
	if r.Detail != "" {
		because = ": " + r.Detail
	}
	switch r.Result {
	case stats.Hit:
		return "answered from the cache"
	case stats.Stale:
		return "stale response served" + because
	case stats.Revalidated:
		return "the origin confirmed the stored response"
	case stats.Collapsed:
		return "shared what another request fetched"
	case stats.Miss:
		return "passed on, and stored for others"
	case stats.Pass:
		return "passed on, not stored" + because
	case stats.Bypass:
		return "not for a cache" + because
	}
	return "no answer" + because
}

func seconds(d time.Duration) string { return d.Round(time.Second).String() }

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
