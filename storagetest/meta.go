package storagetest

import (
	"bytes"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cirquecache/cirque"
)

var metaCases = []testCase{
	{
		name: "MetaFidelity",
		rule: "Lookup returns every field of the meta as it was given",
		run: func(e *env) {
			want := fullMeta()
			w := e.begin(key("a"), want, cirque.MissOptions{SizeHint: -1})
			e.append(w, []byte("body"))
			e.finish(w)
			got, _ := e.lookup(key("a"))
			e.sameMeta(got, fullMeta())
			e.sameMeta(want, fullMeta()) // the store has not changed it either
		},
	},
	{
		name: "UpdateMeta",
		rule: "UpdateMeta replaces every field of the meta, and nothing else: the entry keeps its body and tag",
		run: func(e *env) {
			tag := e.put(key("a"), "old", "the body")
			e.noError("UpdateMeta", e.storage.UpdateMeta(e.ctx, key("a"), fullMeta(), tag))
			m, h := e.lookup(key("a"))
			e.sameMeta(m, fullMeta())
			e.wantBody(h, []byte("the body"))
			if h.Tag() != tag {
				e.broken("the entry's tag was %d and is %d", tag, h.Tag())
			}
			e.noError("UpdateMeta again", e.storage.UpdateMeta(e.ctx, key("a"), meta("third"), tag))
			e.want(key("a"), "third", "the body")
		},
	},
	{
		name: "UpdateMetaOfLargeBody",
		rule: "UpdateMeta leaves a large body untouched",
		run: func(e *env) {
			w := e.begin(key("a"), meta("old"), cirque.MissOptions{SizeHint: -1})
			e.append(w, pattern(600_000))
			e.finish(w)
			e.noError("UpdateMeta", e.storage.UpdateMeta(e.ctx, key("a"), meta("new"), w.Tag()))
			e.want(key("a"), "new", string(pattern(600_000)))
		},
	},
	{
		name: "UpdateMetaWhileRead",
		rule: "a reader that has an entry open can read on after its meta was replaced, and keeps the meta that Lookup returned",
		run: func(e *env) {
			tag := e.put(key("a"), "old", "the body")
			m, h := e.lookup(key("a"))
			e.noError("UpdateMeta", e.storage.UpdateMeta(e.ctx, key("a"), meta("new"), tag))
			e.wantBody(h, []byte("the body"))
			if nameOf(m) != "old" {
				e.broken("the meta that Lookup returned has become %q", nameOf(m))
			}
		},
	},
	{
		name: "UpdateMetaOfReplaced",
		rule: "UpdateMeta with the tag of a replaced entry changes nothing and returns ErrNotFound",
		run: func(e *env) {
			old := e.put(key("a"), "old", "old")
			e.put(key("a"), "new", "new")
			e.wantError("UpdateMeta", e.storage.UpdateMeta(e.ctx, key("a"), meta("wrong"), old), cirque.ErrNotFound)
			e.want(key("a"), "new", "new")
		},
	},
	{
		name: "UpdateMetaOfPurged",
		rule: "UpdateMeta of a purged entry returns ErrNotFound and does not bring the entry back",
		run: func(e *env) {
			tag := e.put(key("a"), "old", "old")
			e.purge(key("a"), cirque.PurgeInvalidation)
			e.wantError("UpdateMeta", e.storage.UpdateMeta(e.ctx, key("a"), meta("wrong"), tag), cirque.ErrNotFound)
			e.wantMiss(key("a"))
		},
	},
	{
		name:  "UpdateMetaOfUnfinished",
		rule:  "UpdateMeta updates only what Lookup finds: in a store that does not stream, that is no write under way",
		needs: needNoStreaming,
		run: func(e *env) {
			w := e.write(key("a"), "written", "body")
			e.wantError("UpdateMeta", e.storage.UpdateMeta(e.ctx, key("a"), meta("wrong"), w.Tag()), cirque.ErrNotFound)
			e.finish(w)
			e.want(key("a"), "written", "body")
		},
	},
}

// fullMeta returns a meta in which every field has another value.
func fullMeta() *cirque.CacheMeta {
	m := cirque.NewCacheMeta(http.StatusNotFound, http.Header{
		"Content-Type": {"text/html; charset=utf-8"},
		"Link":         {"</a>; rel=preload", "</b>; rel=preload"},
		"X-Empty":      {""},
		"X-Long":       {strings.Repeat("long ", 2000)},
	}, day.Add(time.Minute+1), day.Add(90*time.Second), 11*time.Second, 12*time.Second)
	m.Continue(cirque.NewCacheMeta(http.StatusNotFound, nil, day, day, 0, 0)) // Created is before Updated
	m.SetAsked(day.Add(time.Second + 3))
	m.SetPurgeEpoch(1<<40 + 5)
	m.SetEpochOverride(day.Add(-time.Minute - 2))
	m.SetFlags(cirque.MetaNoStale | cirque.MetaImmutable | cirque.MetaHeuristic)
	m.SetVariance(cirque.HashBinary{7, 8, 9})
	m.SetExtension("example.one", "1")
	m.SetExtension("example.two", "two\x00\xff")
	return m
}

// sameMeta fails the test if a field of got differs from want, and names the field.
func (e *env) sameMeta(got, want *cirque.CacheMeta) {
	e.Helper()
	for _, field := range []struct {
		name      string
		got, want any
	}{
		{"StatusCode", got.StatusCode(), want.StatusCode()},
		{"Flags", got.Flags(), want.Flags()},
		{"Created", got.Created().UnixNano(), want.Created().UnixNano()},
		{"Updated", got.Updated().UnixNano(), want.Updated().UnixNano()},
		{"FreshUntil", got.FreshUntil().UnixNano(), want.FreshUntil().UnixNano()},
		{"Asked", got.Asked().UnixNano(), want.Asked().UnixNano()},
		{"PurgeEpoch", got.PurgeEpoch(), want.PurgeEpoch()},
		{"Epoch", got.Epoch().UnixNano(), want.Epoch().UnixNano()},
		{"StaleWhileRevalidate", got.StaleWhileRevalidate(), want.StaleWhileRevalidate()},
		{"StaleIfError", got.StaleIfError(), want.StaleIfError()},
		{"Variance", got.Variance(), want.Variance()},
	} {
		if field.got != field.want {
			e.broken("meta: %s is %v, want %v", field.name, field.got, field.want)
		}
	}
	if !maps.EqualFunc(got.Header().Header(), want.Header().Header(), slices.Equal) {
		e.broken("meta: Header is %v, want %v", got.Header().Header(), want.Header().Header())
	}
	for _, name := range []string{"example.one", "example.two"} {
		g, _ := got.Extension(name)
		if w, _ := want.Extension(name); g != w {
			e.broken("meta: Extension %s is %q, want %q", name, g, w)
		}
	}
	// This compares fields that this function does not know yet.
	g, _ := got.AppendBinary(nil) // never fails
	w, _ := want.AppendBinary(nil)
	if !bytes.Equal(g, w) {
		e.broken("meta: the binary form differs:\n%x\nwant:\n%x", g, w)
	}
}
