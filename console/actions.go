package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/cirquecache/cirque"
)

const (
	maxForm   = 64 << 10 // bytes of the body of a POST
	maxFields = 50       // of the header in a form
	actionFor = time.Minute
)

// action is what the page asks to do.
type action struct {
	Cache string `json:"cache"`
	// Kind is what is purged: "url", "group" or "all".
	Kind  string `json:"kind"`
	Soft  bool   `json:"soft"` // for a URL: mark it stale
	URL   string `json:"url"`
	Group string `json:"group"`
	// Fields are header fields of the request, one "Name: value" a line. Host is one of them.
	Fields string `json:"fields"`
}

// answer is what the page is told.
type answer struct {
	OK      bool   `json:"ok"`
	Message string `json:"message"`
	Text    string `json:"text,omitempty"`        // of an explanation
	Detail  any    `json:"explanation,omitempty"` // the explanation itself
}

// readAction returns the action in r with its source and request; nil if the action needs none. If
// something is wrong with it, it answers so and returns false.
func (c *Console) readAction(w http.ResponseWriter, r *http.Request, needsURL func(*action) bool) (a action, s *source, request *http.Request, ok bool) {
	refuse := func(message string) {
		writeJSON(w, http.StatusBadRequest, answer{Message: message})
	}
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(body, &a)
	}
	if err != nil {
		refuse("this is not a valid form")
		return a, nil, nil, false
	}
	if s = c.source(a.Cache); s == nil {
		refuse("there is no such cache")
		return a, nil, nil, false
	}
	if needsURL(&a) {
		if request, err = newRequest(a.URL, a.Fields); err != nil {
			refuse(err.Error())
			return a, nil, nil, false
		}
	}
	return a, s, request, true
}

// newRequest returns a GET for a URL with these header fields, one a line.
func newRequest(rawURL, fields string) (*http.Request, error) {
	u, err := url.Parse(strings.TrimSpace(rawURL))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return nil, errors.New("the URL must begin with http:// or https://, and have a host")
	}
	r, err := http.NewRequest(http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, errors.New("the URL is not valid")
	}
	n := 0
	for line := range strings.Lines(fields) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if n++; !ok || name == "" || strings.ContainsAny(name, " \t") || n > maxFields {
			return nil, fmt.Errorf("header fields must be at most %d lines of the form Name: value", maxFields)
		}
		if strings.EqualFold(name, "Host") {
			r.Host = value
		} else {
			r.Header.Add(name, value)
		}
	}
	return r, nil
}

// servePurge purges what the page asks for.
func (c *Console) servePurge(w http.ResponseWriter, r *http.Request) {
	a, s, request, ok := c.readAction(w, r, func(a *action) bool { return a.Kind != "all" })
	if !ok {
		return
	}
	// A purge that has begun goes on if the browser leaves.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), actionFor)
	defer cancel()
	var err error
	done := ""
	switch {
	case a.Kind == "url" && a.Soft:
		err, done = s.cache.SoftPurge(ctx, request), "Marked as stale: it is validated before it is used again."
	case a.Kind == "url":
		err, done = s.cache.Purge(ctx, request), "Purged: the next request for this URL is a miss."
	case a.Kind == "group" && a.Group != "":
		err, done = s.cache.PurgeGroup(ctx, request, a.Group), "Purged all responses of this group."
	case a.Kind == "all":
		err, done = s.cache.PurgeAll(ctx), "Purged everything."
	default:
		writeJSON(w, http.StatusBadRequest, answer{Message: "say what to purge: a URL, a group of a URL's origin, or all"})
		return
	}
	switch {
	case err == nil:
		writeJSON(w, http.StatusOK, answer{OK: true, Message: done})
	case errors.Is(err, cirque.ErrNotFound):
		writeJSON(w, http.StatusOK, answer{Message: "Nothing was stored for this URL."})
	default:
		text, _ := plain(err.Error())
		writeJSON(w, http.StatusInternalServerError, answer{Message: "The purge failed: " + text})
	}
}

// textOf returns the lines of e as one text.
func textOf(e Explanation) string {
	lines := e.Lines()
	for i := range lines {
		lines[i], _ = visible(lines[i])
	}
	return strings.Join(lines, "\n")
}

// serveExplain says what the cache would do with a request.
func (c *Console) serveExplain(w http.ResponseWriter, r *http.Request) {
	_, s, request, ok := c.readAction(w, r, func(*action) bool { return true })
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), actionFor)
	defer cancel()
	request = request.WithContext(ctx)
	e := c.explain(s, request)
	if e == nil {
		writeJSON(w, http.StatusOK, answer{Message: "This cache cannot explain."})
		return
	}
	writeJSON(w, http.StatusOK, answer{OK: true, Message: "What the cache would do:", Text: textOf(e), Detail: e})
}
