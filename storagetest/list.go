package storagetest

import (
	"errors"
	"fmt"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/inspect"
)

// These cases are for a inspect.ListingStorage.
var listCases = []testCase{
	{
		name: "List",
		rule: "List visits each entry in place with its key, meta and size, and nothing else",
		run: func(e *env) {
			want := map[string]string{}
			for n := range 20 {
				k, name, body := key(fmt.Sprint(n)), fmt.Sprint("name", n), pattern(100+n*300)
				if n%3 == 0 {
					k = k.WithVariance(varianceA)
				}
				e.put(k, name, string(body))
				want[k.String()] = fmt.Sprint(name, " of ", len(body))
			}
			e.put(key("gone"), "gone", "body")
			e.purge(key("gone"), cirque.PurgeEviction)
			e.write(key("unfinished"), "unfinished", "body")
			got := e.list("", 1<<20, nil)
			if fmt.Sprint(got) != fmt.Sprint(want) {
				e.broken("List: got %v, want %v", got, want)
			}
		},
	},
	{
		name: "ListPages",
		rule: "a call of List does not look at many more entries than it is asked to; the calls together visit each entry once that stays in place, and only those that want accepts",
		run: func(e *env) {
			for n := range 50 {
				e.put(key(fmt.Sprint(n)), fmt.Sprint("name", n), "body")
			}
			pages, largest := 0, 0
			got := e.list("", 3, func(k cirque.CacheKey) bool { return k.Primary() != key("7").Primary() }, func(page int) {
				largest = max(largest, page)
				if pages++; pages%4 == 0 { // entries come and go
					_ = e.storage.Purge(e.ctx, key("come").Compact(), cirque.PurgeEviction)
					e.put(key("come"), "come", "body")
				}
			})
			delete(got, key("come").String())
			if len(got) != 49 || got[key("7").String()] != "" {
				e.broken("List by threes: got %d of 49 entries", len(got))
			}
			if largest > 3+16 {
				e.broken("List: a page has %d entries, want about 3", largest)
			}
		},
	},
	{
		name: "ListBadCursor",
		rule: "a cursor that List did not return is an error",
		run: func(e *env) {
			if _, err := e.tryList("no cursor", 10); err == nil {
				e.broken("List of the cursor %q: got no error", "no cursor")
			}
		},
	},
}

func (e *env) tryList(cursor string, look int) (string, error) {
	next, err := inspect.List(e.ctx, e.storage, cursor, look, func(cirque.CacheKey) bool { return true }, func(inspect.StoredEntry) {})
	if errors.Is(err, errors.ErrUnsupported) {
		e.Skip("the Storage is no inspect.ListingStorage")
	}
	return next, err
}

// list lists all pages from cursor on, and returns the name and the size of each entry by its key.
// It calls after with the size of each page.
func (e *env) list(cursor string, look int, want func(cirque.CacheKey) bool, after ...func(page int)) map[string]string {
	e.Helper()
	if want == nil {
		want = func(cirque.CacheKey) bool { return true }
	}
	seen := map[string]string{}
	for {
		page := 0
		next, err := inspect.List(e.ctx, e.storage, cursor, look, want, func(s inspect.StoredEntry) {
			if seen[s.Key.String()] != "" && nameOf(s.Meta) != "come" {
				e.broken("List: visits %s twice", s.Key.Primary())
			}
			if s.Weight <= 0 {
				e.broken("List: %s has the weight %d", s.Key.Primary(), s.Weight)
			}
			seen[s.Key.String()] = fmt.Sprint(nameOf(s.Meta), " of ", s.Size)
			page++
		})
		if errors.Is(err, errors.ErrUnsupported) {
			e.Skip("the Storage is no inspect.ListingStorage")
		}
		e.noError("List", err)
		for _, f := range after {
			f(page)
		}
		if next == "" {
			return seen
		}
		if next == cursor {
			e.broken("List: the cursor %q leads to itself", cursor)
		}
		cursor = next
	}
}
