package middleware

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/inspect"
	"github.com/cirquecache/cirque/stats"
)

// EntriesQuery says which entries Entries lists.
type EntriesQuery struct {
	// Host and PathPrefix select by the URL. Host has its port, unless that is the default one of
	// the scheme; PathPrefix is escaped as in a request, and may extend into the query. Empty: all.
	// With a Config.Key, which knows what its keys mean, Host must be empty, and PathPrefix is a
	// prefix of the key.
	Host, PathPrefix string

	// Cursor is the Next of the page before; empty for the first page.
	Cursor string
	// Limit is the largest number of entries on the page. Zero or less: 100. At most 1000.
	Limit int
}

// EntriesPage is one page of what is stored.
type EntriesPage struct {
	Entries []Entry `json:"entries"`
	// Next is the Cursor of the next page; empty after the last one. A page can be empty although
	// there is a next one: each looks at a bounded number of entries.
	Next string `json:"next,omitempty"`
}

// Entry is a stored response, or a vary record.
type Entry struct {
	Door stats.Door `json:"door"`
	Key  string     `json:"key"` // in readable form
	Hash string     `json:"hash"`
	// Scheme, Host and Path, with the query, are those of the URL. They are empty if a Config.Key
	// made the key.
	Scheme string `json:"scheme,omitempty"`
	Host   string `json:"host,omitempty"`
	Path   string `json:"path,omitempty"`

	// Vary has the fields of a vary record, and Variants the number of its variants; the entry is
	// then no response. Variance is the hash of a variant.
	Vary     []string `json:"vary,omitempty"`
	Variants int      `json:"variants,omitempty"`
	Variance string   `json:"variance,omitempty"`

	Status  int           `json:"status"`
	Age     time.Duration `json:"age"`
	Fresh   time.Duration `json:"fresh"` // how long it is still fresh; negative if it is stale
	Created time.Time     `json:"created"`
	Updated time.Time     `json:"updated"`
	Size    int64         `json:"size"`   // of the body; negative if unknown
	Weight  int64         `json:"weight"` // with header and bookkeeping
	Partial bool          `json:"partial,omitempty"`
	Type    string        `json:"type,omitempty"` // Content-Type
	ETag    string        `json:"etag,omitempty"`
}

const (
	defaultEntries = 100
	maxEntries     = 1000
	// maxLooked bounds the entries that one call of Entries looks at.
	maxLooked = 10_000
	// lookedAtOnce is how many of them the Storage looks at in one call.
	lookedAtOnce = 256
)

// Entries lists what this cache has stored, one page at a time, in no particular order. It does not
// count as a use of the entries. What was voided by a purge of everything or of a group is left
// out, and so are the entries of other namespaces in the same Storage.
//
// Entries may come and go between two pages: one that stays in place is listed exactly once, and
// one that is replaced meanwhile may be listed twice, or not at all. A call looks at 10,000 entries
// at most. It takes time, and with a diskcache it reads files; nothing is spent on it while it is
// not called. If the Storage is no inspect.ListingStorage, the error is errors.ErrUnsupported.
func (c *Cache) Entries(ctx context.Context, q EntriesQuery) (EntriesPage, error) {
	c.mustBeNew()
	if q.Host != "" && c.cfg.Key != nil {
		return EntriesPage{}, errors.New("middleware: the keys of Config.Key have no Host to select by")
	}
	if q.Limit <= 0 {
		q.Limit = defaultEntries
	}
	q.Limit = min(q.Limit, maxEntries)
	q.Host = strings.ToLower(q.Host)
	page, state, now := EntriesPage{Entries: []Entry{}, Next: q.Cursor}, c.opts.Storage.Purges(), time.Now()
	for looked := 0; looked < maxLooked && len(page.Entries) < q.Limit; {
		look := min(lookedAtOnce, q.Limit-len(page.Entries))
		next, err := inspect.List(ctx, c.opts.Storage, page.Next, look, func(key cirque.CacheKey) bool {
			looked++
			return c.wants(&q, key)
		}, func(e inspect.StoredEntry) {
			if !state.Voids(e.Meta) {
				page.Entries = append(page.Entries, c.entry(e, now))
			}
		})
		if err != nil {
			return EntriesPage{}, err
		}
		if page.Next = next; next == "" {
			break
		}
		looked += max(1, look/8) // places without an entry cost something too
	}
	return page, nil
}

// wants reports whether key is what q selects.
func (c *Cache) wants(q *EntriesQuery, key cirque.CacheKey) bool {
	if _, ours := c.doorOf(key); !ours {
		return false
	}
	_, host, path, ok := c.urlOf(key)
	if !ok {
		return q.Host == "" && strings.HasPrefix(key.Primary(), q.PathPrefix)
	}
	return (q.Host == "" || host == q.Host) && strings.HasPrefix(path, q.PathPrefix)
}

// doorOf returns the door whose namespace key has; ours is false if it is none of this cache.
func (c *Cache) doorOf(key cirque.CacheKey) (d door, ours bool) {
	for d, namespace := range c.namespaces {
		if key.Namespace() == namespace {
			return door(d), true
		}
	}
	return 0, false
}

// urlOf returns the parts of the URL that DefaultKey has put into key. ok is false if a Config.Key
// made the key.
func (c *Cache) urlOf(key cirque.CacheKey) (scheme, host, path string, ok bool) {
	primary, _ := c.withoutUser(key.Primary())
	if c.cfg.Key != nil {
		return "", "", "", false
	}
	parts := strings.SplitN(primary, "\x00", 4)
	if len(parts) < 4 {
		return "", "", "", false
	}
	return parts[0], parts[1], strings.TrimPrefix(parts[3], "\x00"), true
}

// withoutUser returns a primary key without the hash of the credentials, and that hash.
func (c *Cache) withoutUser(primary string) (rest, user string) {
	if i := strings.LastIndexByte(primary, 0); i >= 0 && c.keyedByCredentials() {
		return primary[:i], primary[i+1:]
	}
	return primary, ""
}

// entry describes e.
func (c *Cache) entry(e inspect.StoredEntry, now time.Time) Entry {
	d, _ := c.doorOf(e.Key)
	m, header := e.Meta, e.Meta.Header()
	listed := Entry{
		Door: stats.Door(d), Key: c.keyText(e.Key), Hash: e.Key.PrimaryHash().String(),
		Created: m.Created(), Updated: m.Updated(), Size: e.Size, Weight: e.Weight,
	}
	listed.Scheme, listed.Host, listed.Path, _ = c.urlOf(e.Key)
	if !e.Key.Variance().IsZero() {
		listed.Variance = e.Key.Variance().String()
	}
	if record, ok := m.VaryRecord(); ok {
		listed.Vary, listed.Variants = record.Fields, len(record.Variants)
		return listed
	}
	listed.Status, listed.Age, listed.Fresh, listed.Partial = m.StatusCode(), m.Age(now), -m.Staleness(now), m.Has(cirque.MetaPartial)
	listed.Type, listed.ETag = header.Get("Content-Type"), header.Get("Etag")
	return listed
}
