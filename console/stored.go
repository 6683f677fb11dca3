package console

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/cirquecache/cirque/middleware"
)

// storedQuery is what the page asks about what is stored.
type storedQuery struct {
	Cache  string `json:"cache"`
	Host   string `json:"host"`
	Path   string `json:"path"` // a prefix
	Cursor string `json:"cursor"`
}

// storedPage is one page of what is stored.
type storedPage struct {
	OK      bool          `json:"ok"`
	Message string        `json:"message,omitempty"`
	Entries []storedEntry `json:"entries"`
	Next    string        `json:"next,omitempty"` // the cursor of the next page
}

// storedEntry is a response, or the record of one that varies.
type storedEntry struct {
	URL    string  `json:"url"`
	Whole  bool    `json:"whole"` // URL is exact
	Status int     `json:"status"`
	Type   string  `json:"type"`
	Vary   string  `json:"vary"`  // the fields of a vary record
	Count  int     `json:"count"` // of its variants
	Age    float64 `json:"age"`   // milliseconds, as the next one
	Fresh  float64 `json:"fresh"`
	Size   int64   `json:"size"`
}

// storedLimit is how many entries a page has.
const storedLimit = 50

// serveStored lists what a cache has stored.
func (c *Console) serveStored(w http.ResponseWriter, r *http.Request) {
	var q storedQuery
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(body, &q)
	}
	s := c.source(q.Cache)
	if err != nil || s == nil {
		writeJSON(w, http.StatusBadRequest, storedPage{Message: "this is not a valid form"})
		return
	}
	page, err := s.cache.Entries(r.Context(), middleware.EntriesQuery{
		Host: q.Host, PathPrefix: q.Path, Cursor: q.Cursor, Limit: storedLimit,
	})
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		writeJSON(w, http.StatusOK, storedPage{Message: "The storage of this cache cannot list what it has."})
		return
	case err != nil:
		message, _ := plain(err.Error())
		writeJSON(w, http.StatusOK, storedPage{Message: message})
		return
	}
	answer := storedPage{OK: true, Next: page.Next, Entries: make([]storedEntry, len(page.Entries))}
	for i := range page.Entries {
		answer.Entries[i] = storedOf(&page.Entries[i])
	}
	writeJSON(w, http.StatusOK, answer)
}

func storedOf(e *middleware.Entry) storedEntry {
	url := e.Key // of a Config.Key
	if e.Host != "" {
		url = e.Scheme + "://" + e.Host + e.Path
	}
	shown := storedEntry{Status: e.Status, Count: e.Variants, Age: ms(e.Age), Fresh: ms(e.Fresh), Size: e.Size}
	shown.URL, shown.Whole = plain(url)
	shown.Whole = shown.Whole && e.Host != ""
	shown.Type, _ = plain(e.Type)
	for i, name := range e.Vary {
		if i > 0 {
			shown.Vary += ", "
		}
		name, _ := plain(name)
		shown.Vary += name
	}
	return shown
}
