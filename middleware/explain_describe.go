package middleware

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/inspect"
	"github.com/cirquecache/cirque/internal/field"
	"github.com/cirquecache/cirque/rules"
	"github.com/cirquecache/cirque/stats"
)

// explainer makes an Explanation of a plan.
type explainer struct {
	*transaction
	from source
	e    *Explanation
}

// describe says what there is: the key, the variants, the entry, and what is remembered of the key.
func (ex explainer) describe() {
	c := ex.cache
	key, ok := c.keyOfGet(ex.door, &ex.target, ex.req)
	if !ok || ex.target.unkeyable {
		return
	}
	primary := key.PrimaryHash()
	if look := ex.dry.lastLook(); len(look) > 0 {
		key = look[len(look)-1].key
		ex.describeStored(look)
	}
	ex.e.Key = &ExplainedKey{Text: c.keyText(key), Hash: primary.String(), Slot: key.String()}
	if p, ok := c.opts.Predictor.(inspect.ExplainingPredictor); ok {
		if reason, at, ok := p.Marked(ex.hc.PredictionKey()); ok {
			ex.e.Uncacheable = &ExplainedMark{Reason: string(reason), At: at}
		}
	}
	if refused, ok := c.refusals.of(primary); ok {
		ex.e.Refused = &ExplainedRefusal{Reason: reasonOf(refused.detail), Custom: string(refused.custom), Status: refused.status, At: refused.at}
	}
	fills, readers := c.fills.of(primary)
	if locked := ex.hc.IsLocked() || ex.dry.heldByOthers(); locked || fills > 0 {
		ex.e.Fill = &ExplainedFill{Locked: locked, Fills: fills, Readers: readers}
	}
}

// lastLook returns the lookups after the last start at the primary slot.
func (d *dryRun) lastLook() []sight {
	for i, s := range slices.Backward(d.seen) {
		if s.key.Variance().IsZero() {
			return d.seen[i:]
		}
	}
	return nil
}

func (d *dryRun) heldByOthers() bool {
	l, ok := d.options.Lock.(*dryLock)
	return ok && l.others != nil
}

// describeStored describes the entries that one look has come by: a vary record and a variant, or a
// response.
func (ex explainer) describeStored(look []sight) {
	state := ex.cache.opts.Storage.Purges()
	if record, ok := look[0].meta.VaryRecord(); ok {
		if state.Voids(look[0].meta) {
			return
		}
		ex.describeVary(look[0].key, record)
		look = look[1:]
	}
	if len(look) == 0 {
		return
	}
	s := look[0]
	e := entryOf(ex.cache, s, ex.arrived)
	switch {
	case e.Void != "" || ex.dry.decided || ex.hc.Phase() == cirque.PhaseDisabled:
	case s.live:
		e.Void = "superseded"
	default:
		e.Void = "unselected"
	}
	ex.e.Stored = e
}

// entryOf describes the response that a lookup has come by.
func entryOf(c *Cache, s sight, now time.Time) *ExplainedEntry {
	m, header := s.meta, s.meta.Header()
	e := &ExplainedEntry{
		Status: m.StatusCode(), Age: m.Age(now), Fresh: -m.Staleness(now), Lifetime: m.FreshUntil().Sub(m.Epoch()),
		StaleWhileRevalidate: m.StaleWhileRevalidate(), StaleIfError: m.StaleIfError(),
		NeverStale: m.Has(cirque.MetaNoStale), AlwaysValidate: m.Has(cirque.MetaNoCache), Partial: m.Has(cirque.MetaPartial),
		Size: s.size, Weight: s.weight, Tag: s.tag, Created: m.Created(), Updated: m.Updated(), Live: s.live, Uses: -1,
		ETag: header.Get("Etag"), LastModified: header.Get("Last-Modified"),
		Groups: field.Groups(header.Values("Cache-Groups")), Epoch: m.PurgeEpoch(),
	}
	f := c.policy.StoredFreshness(m)
	e.Source, e.Field = f.Source, f.Field
	if f.Lifetime != e.Lifetime {
		e.Source, e.Field = "changed", ""
	}
	if counter, ok := c.opts.Eviction.(inspect.UseCounter); ok {
		if n, atLeast, ok := counter.Uses(s.key.Compact()); ok {
			e.Uses, e.AtLeast = n, atLeast
		}
	}
	if purge, ok := c.opts.Storage.Purges().VoidedBy(m); ok {
		e.Void = "group purged"
		if purge.All {
			e.Void = "purged"
		}
	}
	return e
}

// describeVary describes the vary record at key, and its variants.
func (ex explainer) describeVary(key cirque.CacheKey, record *cirque.VaryRecord) {
	v := &ExplainedVary{More: ex.varianceHook() != nil}
	for _, name := range record.Fields {
		if strings.HasPrefix(name, ":") {
			continue // a mark of ours, not a field
		}
		value := VaryValue{Name: name, Values: ex.req.Header[name]}
		if asked := ex.clientHeader[name]; !slices.Equal(asked, value.Values) {
			value.AsAsked = asked
		}
		v.Fields = append(v.Fields, value)
	}
	selected := ex.selectionFor(record).variant
	for _, variant := range record.Variants {
		about := ExplainedVariant{
			Hash: variant.Hash.String(), Selected: variant.Hash == selected, Gone: true, ETag: variant.ETag, Created: variant.Created, Size: -1,
		}
		meta, hit, err := inspect.Peek(context.WithoutCancel(ex.client), ex.cache.opts.Storage, key.WithVariance(variant.Hash))
		if err == nil {
			if !ex.cache.opts.Storage.Purges().Voids(meta) {
				header := meta.Header()
				about.Gone = false
				about.Language, about.Encoding, about.Type = strings.Clone(header.Get("Content-Language")),
					strings.Clone(header.Get("Content-Encoding")), strings.Clone(header.Get("Content-Type"))
				if n, known := hit.Size(); known {
					about.Size = n
				}
			}
			_ = hit.Close()
		}
		v.Selected = v.Selected || about.Selected && !about.Gone
		v.Variants = append(v.Variants, about)
	}
	ex.e.Vary = v
}

// foresee says what would happen. r is the request as it came in.
func (ex explainer) foresee(r *http.Request) {
	e := ex.e
	e.CacheStatus = string(ex.status.append(nil, ex.cache.cfg.Name, ""))
	if ex.keptOut() || ex.from == fromNowhere {
		e.CacheStatus = ""
	}
	switch {
	case ex.door == doorHandler && r.Method == methodPurge:
		e.Now = WouldPurge
	case ex.from == fromCache:
		e.Now = ex.prospectOfStored()
		a := ex.answer(make(http.Header))
		if e.Status = a.status; a.body != nil {
			_ = a.body.Close()
		}
	case ex.from == fromNowhere:
		e.Now, e.Status = WouldFail, http.StatusGatewayTimeout
	case ex.from == fromOrigin && ex.upstream.as != storePost:
		e.Now = ex.prospectOfFetch()
	case ex.result == stats.Pass:
		e.Now = WouldPass
	default:
		e.Now = WouldBypass
	}
	switch e.Now {
	case WouldValidate, WouldFetch, WouldFetchPart:
		header := ex.sent().Header.Clone()
		ex.upstream.setConditions(header)
		for _, name := range conditionFields {
			for _, value := range header[name] {
				e.Conditions = append(e.Conditions, name+": "+value)
			}
		}
	}
}

// conditionFields are those of Explanation.Conditions.
var conditionFields = []string{"Range", "If-Range", "If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since"}

func (ex explainer) prospectOfStored() Prospect {
	switch {
	case ex.result == stats.Hit:
		return WouldHit
	case ex.status.detail == "stale-while-revalidate":
		return WouldRevalidate
	}
	return WouldBeStale
}

func (ex explainer) prospectOfFetch() Prospect {
	switch {
	case ex.dry.waits:
		return WouldWait
	case ex.upstream.as == storePart:
		return WouldFetchPart
	case ex.hc.Phase() == cirque.PhaseStale:
		return WouldValidate
	}
	return WouldFetch
}

// keyText returns key in readable form. DefaultKey parts scheme, host and server by NUL, and a
// private cache appends a hash of the credentials; other keys are the program's own.
func (c *Cache) keyText(key cirque.CacheKey) string {
	primary, user := c.withoutUser(key.Primary())
	if user != "" {
		user = " of the user with the credentials " + user
	}
	if c.cfg.Key == nil {
		if parts := strings.SplitN(primary, "\x00", 4); len(parts) == 4 {
			primary = parts[0] + "://" + parts[1] + strings.TrimPrefix(parts[3], "\x00")
			if parts[2] != "" {
				primary += " at " + parts[2]
			}
		}
	}
	return readable(primary) + user
}

// readable returns s with control characters replaced, for people.
func readable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '·'
		}
		return r
	}, strings.ToValidUTF8(s, "·"))
}

// reasonOf returns the words for a detail of Cache-Status.
func reasonOf(token string) rules.Reason {
	if r, ok := rules.ReasonOf(token); ok {
		return r
	}
	for _, r := range ownReasons {
		if r.Token == token {
			return r
		}
	}
	return rules.Reason{Token: token, Text: "For the reason " + token + "."}
}

// ownReasons has the details of this package.
var ownReasons = []rules.Reason{
	{Token: "request-filter", Text: "Config.RequestFilter keeps the request out of the cache."},
	{Token: "response-filter", Text: "Config.ResponseFilter did not allow the response to be stored."},
	{Token: "key", Text: "The request has no key: Config.Key, or a URL that no key can hold, keeps it out of the cache."},
	{Token: "nested", Text: "The request is part of a fetch for the same key, which must not wait for itself."},
	{Token: "lock-give-up", Text: "The request waited for another one, whose response could not be shared."},
	{Token: "lock-timeout", Text: "The request waited for another one for longer than Config.LockWait."},
	{Token: "too-many-fills", Text: "Config.MaxFills fills were under way."},
	{Token: "too-large", Text: "The body is larger than Config.MaxObjectBytes, or there was no room for it."},
	{Token: "closing", Text: "The cache is being closed."},
	{Token: "purged", Section: "RFC 9111 §4.4", Text: "The URL was purged or invalidated during the fetch."},
	{Token: "superseded", Section: "RFC 9111 §4", Text: "A more recent response came first."},
	{Token: "storage-error", Text: "The Storage failed."},
	{Token: "upstream-error", Text: "The origin's answer broke off."},
	{Token: "other", Text: "The fill was given up."},
	{Token: "stale-if-error", Section: "RFC 5861 §4", Text: "The stale response stands in for an error of the origin."},
}
