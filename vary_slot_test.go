package cirque_test

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction"
	"github.com/cirquecache/cirque/internal/verify/faulty/faultystorage"
	"github.com/cirquecache/cirque/memcache"
)

var byLanguage = []string{"Accept-Language"}

func languages(value string) http.Header { return http.Header{"Accept-Language": {value}} }

// look returns the walk of a request with this header after its lookups, and the entry that was
// found, if any.
func (h *house) look(key cirque.CacheKey, header http.Header, extra func(*cirque.VarianceBuilder)) (*cirque.HttpCache, *cirque.CacheMeta, cirque.HitHandler) {
	h.t.Helper()
	c := h.begin(key)
	meta, hit, err := c.Lookup(h.t.Context())
	if err == nil && meta.Has(cirque.MetaVaryRecord) {
		meta, hit, err = c.VaryLookup(h.t.Context(), meta, hit, header, extra)
	}
	if err != nil {
		require.ErrorIs(h.t, err, cirque.ErrNotFound)
	}
	return c, meta, hit
}

// fillVariant begins to store the response to a request with this header, which varies by fields.
func (h *house) fillVariant(key cirque.CacheKey, etag string, fields []string, header http.Header, extra func(*cirque.VarianceBuilder)) (*cirque.HttpCache, *cirque.Fill) {
	h.t.Helper()
	c, meta, hit := h.look(key, header, extra)
	if hit != nil {
		c.Found(meta, hit, cirque.HitExpired)
	} else {
		c.Miss()
	}
	c.SetMeta(freshMeta(etag))
	c.UpdateVariance(h.t.Context(), fields, header, extra)
	f, err := c.StartFill(h.t.Context(), cirque.FillOptions{})
	require.NoError(h.t, err)
	h.t.Cleanup(func() { f.Abort(cirque.InternalError) })
	return c, f
}

// putVariant stores the variant of key in this language. It returns the record after that, and the
// variant's key.
func (h *house) putVariant(key cirque.CacheKey, language, body string) (*cirque.VaryRecord, cirque.CacheKey) {
	h.t.Helper()
	c, f := h.fillVariant(key, strconv.Quote(language), byLanguage, languages(language), nil)
	h.write(f, body)
	require.NoError(h.t, f.Finish())
	return h.record(key), c.Key()
}

// record returns the vary record in key's primary slot, or nil.
func (h *house) record(key cirque.CacheKey) *cirque.VaryRecord {
	h.t.Helper()
	meta, hit, err := h.Storage.Lookup(h.t.Context(), key)
	if err != nil {
		require.ErrorIs(h.t, err, cirque.ErrNotFound)
		return nil
	}
	defer hit.Close()
	record, _ := meta.VaryRecord()
	return record
}

// wantGone requires that key's slot is empty and that the eviction manager does not track it.
func (h *house) wantGone(key cirque.CacheKey) {
	h.t.Helper()
	_, _, err := h.Storage.Lookup(h.t.Context(), key)
	require.ErrorIs(h.t, err, cirque.ErrNotFound)
	require.False(h.t, h.Eviction.Peek(key.Compact()))
}

func etags(record *cirque.VaryRecord) []string {
	var all []string
	for _, v := range record.Variants {
		all = append(all, v.ETag)
	}
	return all
}

func (h *house) wantVariant(key cirque.CacheKey, language, body string) {
	h.t.Helper()
	_, got, _ := h.stored(key, languages(language))
	require.Equal(h.t, body, got)
}

func TestRefetchOfAVariantKeepsItsSiblings(t *testing.T) {
	eachKind(t, func(t *testing.T, newHouse func(*testing.T, faultystorage.Script) *house) {
		h := newHouse(t, nil)
		first, _ := h.putVariant(keyA, "en", "hello")
		second, _ := h.putVariant(keyA, "fr", "bonjour")
		require.Equal(t, byLanguage, second.Fields)
		require.Equal(t, first.Epoch, second.Epoch)
		require.Equal(t, []string{`"en"`, `"fr"`}, etags(second))
		h.wantVariant(keyA, "en", "hello")
		h.wantVariant(keyA, "fr", "bonjour")
		h.wantVariant(keyA, "de", "")

		third, _ := h.putVariant(keyA, "en", "hello again")
		require.Equal(t, first.Epoch, third.Epoch)
		require.Equal(t, []string{`"fr"`, `"en"`}, etags(third), "the newest is the last")
		h.wantVariant(keyA, "en", "hello again")
		h.wantVariant(keyA, "fr", "bonjour")
	})
}

// A request is matched with the fields of a record alone. If the variants of a record cannot be
// read, the next fill replaces it.
func TestRecordWithDamagedVariantsIsReplaced(t *testing.T) {
	h := inMemory(t)
	first, _ := h.putVariant(keyA, "en", "hello")
	meta, hit, err := h.Storage.Lookup(t.Context(), keyA)
	require.NoError(t, err)
	damaged := meta.Clone()
	packed, _ := meta.Extension("cirque.vary")
	damaged.SetExtension("cirque.vary", packed+"x")
	require.NoError(t, h.Storage.UpdateMeta(t.Context(), keyA, damaged, hit.Tag()))
	require.NoError(t, hit.Close())
	require.Nil(t, h.record(keyA))

	h.wantVariant(keyA, "en", "hello")
	c, _, _ := h.look(keyA, languages("fr"), nil)
	require.Nil(t, c.VaryRecord())
	second, _ := h.putVariant(keyA, "fr", "bonjour")
	require.NotEqual(t, first.Epoch, second.Epoch)
	require.Equal(t, []string{`"fr"`}, etags(second))
}

func TestChangedVaryVoidsTheVariants(t *testing.T) {
	eachKind(t, func(t *testing.T, newHouse func(*testing.T, faultystorage.Script) *house) {
		h := newHouse(t, nil)
		first, firstKey := h.putVariant(keyA, "en", "hello")
		late, lateFill := h.fillVariant(keyA, `"de"`, byLanguage, languages("de"), nil)
		h.write(lateFill, "hallo")

		_, f := h.fillVariant(keyA, `"gzip"`, []string{"Accept-Encoding", "Accept-Language"}, languages("fr"), nil)
		h.write(f, "bonjour")
		require.NoError(t, f.Finish())
		second := h.record(keyA)
		require.NotEqual(t, first.Epoch, second.Epoch)
		require.Equal(t, []string{"Accept-Encoding", "Accept-Language"}, second.Fields)
		require.Equal(t, []string{`"gzip"`}, etags(second))
		h.wantVariant(keyA, "en", "")
		h.wantVariant(keyA, "fr", "bonjour")
		h.wantGone(firstKey)

		// A variant that was under way does not store the old record again.
		_ = lateFill.Finish()
		require.Equal(t, second, h.record(keyA))
		require.Equal(t, first.Epoch, late.VaryRecord().Epoch)
		h.wantVariant(keyA, "de", "")
	})
}

// A variant that is no longer in the record is not stored. A request that has found it before gets
// the whole body.
func TestFillOfAVoidedVariantIsRefused(t *testing.T) {
	var h *house
	var variant *cirque.CacheKey
	var found cirque.HitHandler
	looks := 0
	h = newHouse(t, memcache.New(memcache.Config{}), func(op faultystorage.Op, _ int) faultystorage.Fault {
		if op == faultystorage.Lookup && variant != nil {
			if looks++; looks == 1 {
				return faultystorage.Fault{} // for something more recent, before the write begins
			}
			key := *variant
			variant = nil
			_, hit, err := h.Storage.Lookup(t.Context(), key)
			require.NoError(t, err)
			found = hit
		}
		return faultystorage.Fault{}
	})
	h.putVariant(keyA, "en", "hello")
	late, _, _ := h.look(keyA, languages("de"), nil)
	_, f := h.fillVariant(keyA, `"gzip"`, []string{"Accept-Encoding"}, nil, nil)
	h.write(f, "zipped")
	require.NoError(t, f.Finish())
	record := h.record(keyA)

	late.Miss()
	late.SetMeta(freshMeta(`"de"`))
	late.UpdateVariance(t.Context(), byLanguage, languages("de"), nil)
	key := late.Key()
	variant = &key
	f, err := late.StartFill(t.Context(), cirque.FillOptions{Reader: t.Context()})
	require.NoError(t, err)
	require.Equal(t, cirque.Deferred, f.NoCacheReason())
	require.Equal(t, record, h.record(keyA))
	h.wantGone(late.Key())
	h.write(f, "hallo")
	require.ErrorIs(t, f.Finish(), cirque.ErrNotFound)
	require.Equal(t, "hallo", h.read(late))
	body, err := io.ReadAll(found)
	require.NoError(t, err)
	require.Equal(t, "hallo", string(body))
	require.NoError(t, found.Close())
	require.Equal(t, record, h.record(keyA))
}

func TestResponseThatNoLongerVariesReplacesTheRecord(t *testing.T) {
	h := inMemory(t)
	_, variant := h.putVariant(keyA, "en", "hello")
	c, f := h.fillVariant(keyA, `"all"`, nil, languages("en"), nil)
	require.Equal(t, keyA, c.Key())
	require.Nil(t, c.VaryRecord())
	h.write(f, "for all")
	require.NoError(t, f.Finish())
	require.Nil(t, h.record(keyA))
	h.wantVariant(keyA, "fr", "for all")
	h.wantGone(variant)

	// The same again, as the primary slot has no variant.
	h.putVariant(keyA, "en", "hello")
	require.Equal(t, []string{`"en"`}, etags(h.record(keyA)))
	h.wantVariant(keyA, "fr", "")
}

// A request that skipped the lookup, or looked before there was a record, keeps the other variants.
func TestRecordIsKeptWithoutALookup(t *testing.T) {
	h := inMemory(t)
	early := h.begin(keyA)
	_, _, err := early.Lookup(t.Context())
	require.ErrorIs(t, err, cirque.ErrNotFound)
	record, _ := h.putVariant(keyA, "en", "hello")

	bypassing := h.begin(keyA)
	bypassing.Bypass()
	early.Miss()
	for language, c := range map[string]*cirque.HttpCache{"fr": bypassing, "de": early} {
		c.SetMeta(freshMeta(strconv.Quote(language)))
		c.UpdateVariance(t.Context(), byLanguage, languages(language), nil)
		f, err := c.StartFill(t.Context(), cirque.FillOptions{})
		require.NoError(t, err)
		h.write(f, language)
		require.NoError(t, f.Finish())
	}
	require.Equal(t, record.Epoch, h.record(keyA).Epoch)
	for language, body := range map[string]string{"en": "hello", "fr": "fr", "de": "de"} {
		h.wantVariant(keyA, language, body)
	}
}

func TestVoidedRecordIsNotUsed(t *testing.T) {
	h := inMemory(t)
	old, _ := h.putVariant(keyA, "en", "hello")
	time.Sleep(time.Millisecond) // a tick of the clock
	c := h.begin(keyA)
	c.SetValidAfter(time.Now())
	c.Bypass()
	c.SetMeta(freshMeta(`"en"`))
	c.UpdateVariance(t.Context(), byLanguage, languages("en"), nil)
	require.NotEqual(t, old.Epoch, c.VaryRecord().Epoch, "the old record is out of reach")
}

func TestVariantsAreCapped(t *testing.T) {
	eachKind(t, func(t *testing.T, newHouse func(*testing.T, faultystorage.Script) *house) {
		h := newHouse(t, nil)
		var oldest cirque.CacheKey
		for i := range cirque.MaxVariants {
			_, key := h.putVariant(keyA, fmt.Sprintf("x-%d", i), strconv.Itoa(i))
			if i == 0 {
				oldest = key
			}
		}
		full := h.record(keyA)
		require.Len(t, full.Variants, cirque.MaxVariants)
		require.True(t, h.Eviction.Peek(oldest.Compact()))
		h.wantVariant(keyA, "x-0", "0")

		last, _ := h.putVariant(keyA, "one-more", "one more")
		require.Len(t, last.Variants, cirque.MaxVariants)
		require.Equal(t, full.Epoch, last.Epoch)
		require.Equal(t, `"x-1"`, last.Variants[0].ETag)
		require.Equal(t, `"one-more"`, last.Variants[cirque.MaxVariants-1].ETag)
		require.False(t, h.Eviction.Peek(oldest.Compact()))
		_, _, err := h.Storage.Lookup(t.Context(), oldest)
		require.ErrorIs(t, err, cirque.ErrNotFound)
		h.wantVariant(keyA, "x-1", "1")
		h.wantVariant(keyA, "one-more", "one more")
	})
}

// A request that sees a record finds its variant. Else it would fetch the variant again.
func TestRecordIsStoredAfterItsVariant(t *testing.T) {
	h := inMemory(t)
	_, f := h.fillVariant(keyA, `"en"`, byLanguage, languages("en"), nil)
	require.Equal(t, []string{`"en"`}, etags(h.record(keyA)), "a Storage that streams shows both at once")
	h.write(f, "hel")
	_, meta, hit := h.look(keyA, languages("en"), nil)
	require.NotNil(t, hit)
	require.NoError(t, hit.Close())
	require.Equal(t, `"en"`, meta.Header().Get("Etag"))
	f.Abort(cirque.UpstreamError)

	plain := spooled(t, nil)
	_, f = plain.fillVariant(keyA, `"en"`, byLanguage, languages("en"), nil)
	plain.write(f, "hello")
	require.Nil(t, plain.record(keyA))
	require.NoError(t, f.Finish())
	require.Equal(t, []string{`"en"`}, etags(plain.record(keyA)))
}

func TestExtraDimensionsSelectVariants(t *testing.T) {
	h := inMemory(t)
	device := func(name string) func(*cirque.VarianceBuilder) {
		return func(b *cirque.VarianceBuilder) { b.AddNameValue("device", name) }
	}
	put := func(name string) {
		_, f := h.fillVariant(keyA, name, nil, nil, device(name))
		h.write(f, "for "+name)
		require.NoError(t, f.Finish())
	}
	put("phone")
	epoch := h.record(keyA).Epoch
	put("desk")
	require.Equal(t, epoch, h.record(keyA).Epoch)
	require.Empty(t, h.record(keyA).Fields)
	for _, name := range []string{"phone", "desk"} {
		_, meta, hit := h.look(keyA, nil, device(name))
		require.NotNil(t, hit)
		require.NoError(t, hit.Close())
		require.Equal(t, name, meta.Header().Get("Etag"))
	}
	_, _, hit := h.look(keyA, nil, device("watch"))
	require.Nil(t, hit)

	// An extra function that adds nothing makes no variance.
	c, f := h.fillVariant(keyB, "b", nil, nil, func(*cirque.VarianceBuilder) {})
	require.Equal(t, keyB, c.Key())
	f.Abort(cirque.UpstreamError)
}

// If some requests have an extra dimension and others have none, neither kind voids the variants of
// the other.
func TestRequestsWithAndWithoutExtraDimensionsShareARecord(t *testing.T) {
	h := inMemory(t)
	device := func(name string) func(*cirque.VarianceBuilder) {
		if name == "" {
			return nil
		}
		return func(b *cirque.VarianceBuilder) { b.AddNameValue("device", name) }
	}
	put := func(name string) {
		_, f := h.fillVariant(keyA, name, nil, nil, device(name))
		h.write(f, "for "+name)
		require.NoError(t, f.Finish())
	}
	for _, name := range []string{"phone", "", "desk", "", "phone"} {
		put(name)
	}
	for _, name := range []string{"phone", "desk", ""} {
		_, meta, hit := h.look(keyA, nil, device(name))
		require.NotNil(t, hit, name)
		require.NoError(t, hit.Close())
		require.Equal(t, name, meta.Header().Get("Etag"))
	}
	require.False(t, h.record(keyA).OfResources())
}

// The responses of resources that share a key may vary by different fields. Their record gets the
// fields of all, and from then on keeps the variants of all.
func TestResourcesThatShareAKey(t *testing.T) {
	h := inMemory(t)
	tenant := func(name string) func(*cirque.VarianceBuilder) {
		if name == "" {
			return nil
		}
		return func(b *cirque.VarianceBuilder) { b.AddResource("tenant", name) }
	}
	fields := map[string][]string{"a": nil, "b": byLanguage, "": nil, "c": {"Accept-Encoding"}}
	put := func(name, language string) {
		_, f := h.fillVariant(keyA, name+language, fields[name], languages(language), tenant(name))
		h.write(f, "for "+name)
		require.NoError(t, f.Finish())
	}
	put("", "en")
	require.Nil(t, h.record(keyA))
	for range 2 {
		for _, name := range []string{"a", "b", "", "c"} {
			put(name, "en")
		}
	}
	put("b", "fr")
	for name := range fields {
		_, meta, hit := h.look(keyA, languages("en"), tenant(name))
		require.NotNil(t, hit, name)
		require.NoError(t, hit.Close())
		require.Equal(t, name+"en", meta.Header().Get("Etag"))
	}
	_, meta, hit := h.look(keyA, languages("fr"), tenant("b"))
	require.NoError(t, hit.Close())
	require.Equal(t, "bfr", meta.Header().Get("Etag"))
	require.True(t, h.record(keyA).OfResources())
	require.False(t, (*cirque.VaryRecord)(nil).OfResources())
}

func TestSelectVariant(t *testing.T) {
	h := inMemory(t)
	h.putVariant(keyA, "en", "hello")
	record, _ := h.putVariant(keyA, "fr", "bonjour")
	c, _, _ := h.look(keyA, languages("de"), nil)
	require.Equal(t, record, c.VaryRecord())
	for i, want := range []string{"hello", "bonjour"} {
		meta, hit, err := c.SelectVariant(t.Context(), record.Variants[i].Hash)
		require.NoError(t, err)
		c.Found(meta, hit, cirque.HitExpired)
		require.Equal(t, record.Variants[i].Hash, c.Key().Variance())
		require.Len(t, h.tally.Open(), 1, "the hit before it is closed")
		if i == 1 {
			require.Equal(t, want, h.read(c))
		}
	}
}

func TestRecordCountsAsUsed(t *testing.T) {
	h := inMemory(t)
	manager, err := eviction.NewSimpleLRU(eviction.Config{Limit: 1 << 20, MaxItems: 3})
	require.NoError(t, err)
	h.Eviction = manager
	h.putVariant(keyA, "en", "hello")
	h.put(keyB, freshMeta("b"), "body")
	h.wantVariant(keyA, "en", "hello") // reads the record, and not the variant in the manager's eyes
	h.put(cirque.NewCacheKey("", "c", ""), freshMeta("c"), "body")
	require.True(t, manager.Peek(keyA.Compact()))
}

// A record that was evicted since it was found is not stored again, as it may have grown in
// between. The next request begins another.
func TestEvictedRecordIsNotStoredAgain(t *testing.T) {
	eachKind(t, func(t *testing.T, newHouse func(*testing.T, faultystorage.Script) *house) {
		h := newHouse(t, nil)
		before, _ := h.putVariant(keyA, "en", "hello")
		c, _, _ := h.look(keyA, languages("fr"), nil)
		h.putVariant(keyA, "de", "hallo") // which c's record does not know
		require.NoError(t, h.Storage.Purge(t.Context(), keyA.Compact(), cirque.PurgeEviction))
		c.Miss()
		c.SetMeta(freshMeta(`"fr"`))
		c.UpdateVariance(t.Context(), byLanguage, languages("fr"), nil)
		f, err := c.StartFill(t.Context(), cirque.FillOptions{Reader: t.Context(), SizeHint: -1})
		require.NoError(t, err)
		h.write(f, "bonjour")
		require.Error(t, f.Finish())
		require.Equal(t, cirque.Deferred, f.NoCacheReason())
		require.Equal(t, "bonjour", h.read(c))
		require.Nil(t, h.record(keyA))
		h.wantVariant(keyA, "de", "")

		after, _ := h.putVariant(keyA, "fr", "bonjour")
		require.NotEqual(t, before.Epoch, after.Epoch)
		require.Equal(t, []string{`"fr"`}, etags(after))
		h.wantVariant(keyA, "en", "")
		h.wantVariant(keyA, "fr", "bonjour")
	})
}

// A record does not replace a response that no longer varies and that was stored while a variant
// was entered.
func TestRecordDoesNotReplaceAResponseThatNoLongerVaries(t *testing.T) {
	eachKind(t, func(t *testing.T, newHouse func(*testing.T, faultystorage.Script) *house) {
		amid := new(interruption)
		h := newHouse(t, amid.script)
		h.putVariant(keyA, "en", "hello")
		c, _, _ := h.look(keyA, languages("fr"), nil)
		// Another process does it: within one process, only one goroutine at a time changes the
		// slots.
		*amid = interruption{faultystorage.UpdateMeta, func() {
			w, err := h.Storage.MissHandler(t.Context(), keyA, freshMeta("all"), cirque.MissOptions{})
			require.NoError(t, err)
			_, err = w.Write([]byte("for all"))
			require.NoError(t, err)
			_, err = w.Finish()
			require.NoError(t, err)
		}}
		h.storeVariant(c, "fr", "bonjour")
		require.Nil(t, amid.do)
		h.wantVariant(keyA, "fr", "for all")
	})
}

// A record that was purged is not stored again.
func TestPurgedRecordIsNotStoredAgain(t *testing.T) {
	eachKind(t, func(t *testing.T, newHouse func(*testing.T, faultystorage.Script) *house) {
		h := newHouse(t, nil)
		h.putVariant(keyA, "en", "hello")
		_, f := h.fillVariant(keyA, `"fr"`, byLanguage, languages("fr"), nil)
		require.NoError(t, h.Purge(t.Context(), keyA))
		h.write(f, "bonjour")
		require.ErrorIs(t, f.Finish(), cirque.ErrNotFound)
		require.Nil(t, h.record(keyA))
		h.wantVariant(keyA, "fr", "")
	})
}

// A record that is purged while it is written is not stored.
func TestRecordPurgedWhileWritten(t *testing.T) {
	for name, purge := range purges {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var h *house
				purged := make(chan error, 1)
				h = newHouse(t, memcache.New(memcache.Config{}), func(op faultystorage.Op, call int) faultystorage.Fault {
					if op == faultystorage.MissHandler && call == 2 {
						go func() { purged <- purge(h, keyA) }()
						synctest.Wait()
						require.Empty(t, purged)
					}
					return faultystorage.Fault{}
				})
				_, f := h.fillVariant(keyA, `"en"`, byLanguage, languages("en"), nil)
				require.NoError(t, <-purged)
				h.wantNotFresh(keyA, "en")
				require.ErrorIs(t, f.Finish(), cirque.ErrNotFound)
				h.wantNotFresh(keyA, "en")
			})
		})
	}
}

// A soft purge that cannot see a record that is being written leaves none of its variants fresh.
func TestSoftPurgeWhileTheRecordIsWritten(t *testing.T) {
	var h *house
	var finishing int
	h = spooled(t, func(op faultystorage.Op, call int) faultystorage.Fault {
		if op == faultystorage.MissFinish && finishing > 0 {
			if finishing--; finishing == 0 { // the record's, after the variant's
				_ = h.MarkStale(t.Context(), keyA, time.Now())
			}
		}
		return faultystorage.Fault{}
	})
	_, f := h.fillVariant(keyA, `"fr"`, byLanguage, languages("fr"), nil)
	h.write(f, "bonjour")
	finishing = 2
	require.ErrorIs(t, f.Finish(), cirque.ErrNotFound)
	require.Zero(t, finishing)
	h.wantNotFresh(keyA, "fr")
}

// A record can be evicted because it grows.
func TestRecordEvictedWhileItChanges(t *testing.T) {
	var h *house
	h = newHouse(t, memcache.New(memcache.Config{}), func(op faultystorage.Op, call int) faultystorage.Fault {
		if op == faultystorage.UpdateMeta && call == 1 {
			_ = h.Storage.Purge(t.Context(), keyA.Compact(), cirque.PurgeEviction)
		}
		return faultystorage.Fault{}
	})
	before, _ := h.putVariant(keyA, "en", "hello")
	after, _ := h.putVariant(keyA, "fr", "bonjour")
	require.Equal(t, before.Epoch, after.Epoch)
	require.Equal(t, []string{`"en"`, `"fr"`}, etags(after))
}

func TestDamagedRecord(t *testing.T) {
	h := inMemory(t)
	damaged := freshMeta("")
	damaged.SetFlags(cirque.MetaVaryRecord)
	h.put(keyA, damaged, "")
	c, _, hit := h.look(keyA, languages("en"), nil)
	require.Nil(t, hit)
	require.Empty(t, h.tally.Open())
	require.Equal(t, cirque.PhaseCacheKey, c.Phase())
	require.Equal(t, keyA, c.Key())
	h.putVariant(keyA, "en", "hello")
	h.wantVariant(keyA, "en", "hello")
}

// A variant cannot be found without its record. So it is not stored either.
func TestRecordThatCannotBeStored(t *testing.T) {
	t.Run("streaming", func(t *testing.T) {
		for _, fault := range []faultystorage.Script{
			faultystorage.Nth(faultystorage.MissHandler, 2, faultystorage.Fault{Err: errBroken}),
			faultystorage.Nth(faultystorage.MissFinish, 1, faultystorage.Fault{Err: errBroken}),
		} {
			h := newHouse(t, memcache.New(memcache.Config{}), fault)
			c := h.miss(keyA)
			c.SetMeta(freshMeta("a"))
			c.UpdateVariance(t.Context(), byLanguage, languages("en"), nil)
			f, err := c.StartFill(t.Context(), cirque.FillOptions{Reader: t.Context()})
			require.NoError(t, err)
			require.Equal(t, cirque.StorageError, f.NoCacheReason())
			require.ErrorIs(t, f.Err(), errBroken)
			require.False(t, c.IsWriter())
			h.write(f, "hello")
			require.ErrorIs(t, f.Finish(), cirque.ErrUnlinked)
			require.Equal(t, "hello", h.read(c))
			h.wantGone(c.Key())
			h.wantVariant(keyA, "en", "")
		}
	})
	t.Run("no reader", func(t *testing.T) {
		h := newHouse(t, memcache.New(memcache.Config{}), faultystorage.Nth(faultystorage.MissNewReader, 1, faultystorage.Fault{Err: errBroken}))
		c := h.miss(keyA)
		c.SetMeta(freshMeta("a"))
		c.UpdateVariance(t.Context(), byLanguage, languages("en"), nil)
		_, err := c.StartFill(t.Context(), cirque.FillOptions{Reader: t.Context()})
		require.ErrorIs(t, err, errBroken)
		require.True(t, c.IsWriter(), "the walk keeps the permit")
		require.Nil(t, c.Hit())
		require.Empty(t, h.tally.Open())
	})
	t.Run("plain", func(t *testing.T) {
		for _, fault := range []faultystorage.Script{
			faultystorage.Nth(faultystorage.MissHandler, 2, faultystorage.Fault{Err: errBroken}),
			faultystorage.Nth(faultystorage.MissFinish, 2, faultystorage.Fault{Err: errBroken}),
			faultystorage.Nth(faultystorage.Lookup, 4, faultystorage.Fault{Err: errBroken}),
		} {
			h := spooled(t, fault)
			c, f := h.fillVariant(keyA, `"en"`, byLanguage, languages("en"), nil)
			h.write(f, "hello")
			require.ErrorIs(t, f.Finish(), errBroken)
			require.Equal(t, cirque.StorageError, f.NoCacheReason())
			_, _, err := h.Storage.Lookup(t.Context(), c.Key())
			require.ErrorIs(t, err, cirque.ErrNotFound)
			require.False(t, h.Eviction.Peek(c.Key().Compact()))
		}
	})
}

// The weight of a record follows its size.
func TestGrowingRecordIsWeighed(t *testing.T) {
	budget := cirque.NewBudget(1 << 20)
	h := newHouse(t, memcache.New(memcache.Config{Budget: budget}), nil)
	for i := range 5 {
		h.putVariant(keyA, fmt.Sprintf("x-%d", i), "body")
		require.Equal(t, budget.Used(), h.Eviction.TotalWeight())
	}
}

// A record keeps only a few bytes of each variant, whatever its validators, and the eviction
// manager knows its weight.
func TestRecordKeepsAFewBytesOfEachVariant(t *testing.T) {
	h := inMemory(t)
	long := strings.Repeat("l", 50_000)
	for i := range cirque.MaxVariants + 6 {
		language := fmt.Sprint("x-", i)
		c, _, _ := h.look(keyA, languages(language), nil)
		now := time.Now()
		c.Miss()
		c.SetMeta(cirque.NewCacheMeta(http.StatusOK, http.Header{
			"Etag": {`"` + long + `"`}, "Last-Modified": {long}, "Content-Language": {long},
		}, now, now.Add(time.Hour), 0, 0))
		c.UpdateVariance(t.Context(), byLanguage, languages(language), nil)
		f, err := c.StartFill(t.Context(), cirque.FillOptions{})
		require.NoError(t, err)
		h.write(f, "body")
		require.NoError(t, f.Finish())
	}
	meta, hit, err := h.Storage.Lookup(t.Context(), keyA)
	require.NoError(t, err)
	defer hit.Close()
	record, ok := meta.VaryRecord()
	require.True(t, ok)
	require.Len(t, record.Variants, cirque.MaxVariants)
	require.Less(t, meta.MetaSize(), cirque.MaxVariants*100)
	_, found, variant := h.look(keyA, languages("x-40"), nil)
	require.NotNil(t, variant)
	require.NoError(t, variant.Close())
	require.Equal(t, `"`+long+`"`, found.Header().Get("Etag"), "the variant itself has them")
}

// A record of several resources has no more fields than one response may vary by, because each
// lookup has to go through them all.
func TestFieldsOfResourcesAreBounded(t *testing.T) {
	h := inMemory(t)
	tenant := func(b *cirque.VarianceBuilder) { b.AddResource("tenant", "A") }
	for n := range 20 {
		var fields []string
		for i := range 10 {
			fields = append(fields, fmt.Sprintf("X-%02d-%d", n, i))
		}
		c, f := h.fillVariant(keyA, strconv.Quote(strconv.Itoa(n)), fields, http.Header{}, tenant)
		h.write(f, "body")
		require.NoError(t, f.Finish())
		c.Release()
		record := h.record(keyA)
		require.True(t, record.OfResources())
		require.LessOrEqual(t, len(record.Fields), 64+1) // with what marks such a record
		require.Subset(t, record.Fields, fields)
		c, _, hit := h.look(keyA, http.Header{}, tenant)
		require.NotNil(t, hit)
		require.NoError(t, hit.Close())
		c.Release()
	}
}
