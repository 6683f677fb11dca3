package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"
)

// class is a kind of resource: what its responses promise and which fields they have.
type class struct {
	name   string
	status int // zero: 200
	vary   []string
	star   bool // Vary: *
	etag   bool
	dated  bool // Last-Modified tells versions apart

	// promise sets the fields in h that govern caches, except Cache-Control, which it returns. p is
	// what all of them mean.
	promise func(r *rand.Rand, h http.Header) (cacheControl string, p promise)

	by      string // the request field that the content is made for; empty: the content is for all
	lasting bool   // it has a long lifetime and some slow bodies; clients reload it often

	// shared says that answers to requests with Authorization may be reused (RFC 9111 §3.5).
	shared bool
}

// validates reports whether responses of the class have a validator. Only those can be compared
// with an answer to HEAD.
func (c *class) validates() bool { return c.etag || c.dated }

// seconds returns a duration of n seconds.
func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

// epoch is the Last-Modified of version 0; each version adds a second.
var epoch = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// maxAge returns a promise of max-age=1 or 2, sometimes with Age: 1. tail is appended to
// Cache-Control; p says what it means.
func maxAge(tail string, p promise) func(*rand.Rand, http.Header) (string, promise) {
	return func(r *rand.Rand, h http.Header) (string, promise) {
		p, n := p, 1+r.IntN(2)
		p.lifetime = seconds(n)
		if r.IntN(4) == 0 {
			h.Set("Age", "1") // as if from another cache
			p.aged = 1
			n++
		}
		return fmt.Sprintf("max-age=%d%s", n, tail), p
	}
}

// says returns a promise that is the same for every response.
func says(cacheControl string, p promise) func(*rand.Rand, http.Header) (string, promise) {
	return func(*rand.Rand, http.Header) (string, promise) { return cacheControl, p }
}

var classes = []*class{
	{name: "page", etag: true, promise: maxAge("", promise{})},
	{name: "lasting", etag: true, lasting: true, promise: says("max-age=15", promise{lifetime: seconds(15)})},
	{name: "device", etag: true, vary: []string{deviceField}, promise: maxAge("", promise{})},
	{name: "bare", promise: maxAge("", promise{})},
	{name: "swr", etag: true, promise: maxAge(", stale-while-revalidate=2", promise{swr: seconds(2)})},
	{name: "sie", etag: true, promise: maxAge(", stale-if-error=3", promise{sie: seconds(3)})},
	{name: "negotiated", etag: true, vary: []string{languageField, deviceField}, promise: maxAge(", stale-while-revalidate=1", promise{swr: seconds(1)})},
	{name: "dated", dated: true, promise: maxAge("", promise{})},
	{name: "stale", etag: true, promise: says("max-age=0, stale-while-revalidate=1, stale-if-error=2", promise{swr: seconds(1), sie: seconds(2)})},
	{name: "must", etag: true, shared: true, promise: maxAge(", must-revalidate, stale-while-revalidate=5, stale-if-error=5", promise{neverStale: true})},
	{name: "smaxage", etag: true, dated: true, shared: true, promise: says("max-age=60, s-maxage=1, stale-if-error=5", promise{lifetime: seconds(1), neverStale: true})},
	{name: "nocache", etag: true, promise: says("no-cache, max-age=60", promise{neverStale: true, validate: true})},
	{name: "mine", etag: true, by: cookieField, promise: says("no-cache", promise{neverStale: true, validate: true})},
	{name: "minezero", etag: true, by: cookieField, shared: true, promise: says("max-age=0, must-revalidate", promise{neverStale: true, validate: true})},
	{name: "mineszero", etag: true, by: cookieField, shared: true, promise: says("s-maxage=0", promise{neverStale: true, validate: true})},
	{name: "minesilent", etag: true, by: cookieField, promise: says("", promise{neverStale: true, validate: true})},
	{name: "credentials", etag: true, by: authField, shared: true, promise: says("public, no-cache", promise{neverStale: true, validate: true})},
	{name: "ahead", etag: true, lasting: true, promise: func(_ *rand.Rand, h http.Header) (string, promise) {
		h.Set("Date", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
		return "max-age=15", promise{lifetime: seconds(15)}
	}},
	{name: "jar", etag: true, promise: func(r *rand.Rand, h http.Header) (string, promise) {
		h.Set("Set-Cookie", "") // the origin sets the value
		return "max-age=2", promise{lifetime: seconds(2)}
	}},
	{name: "spoken", etag: true, vary: []string{languageField}, promise: func(_ *rand.Rand, h http.Header) (string, promise) {
		h.Set("Content-Language", "en")
		return "max-age=2", promise{lifetime: seconds(2)}
	}},
	{name: "nostore", promise: says("no-store, max-age=60", promise{personal: "no-store"})},
	{name: "private", etag: true, promise: says("private, max-age=60", promise{personal: "private"})},
	{name: "cookie", promise: func(_ *rand.Rand, h http.Header) (string, promise) {
		h.Set("Set-Cookie", "session=1")
		h.Set("Last-Modified", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
		return "", promise{personal: "Set-Cookie without freshness"}
	}},
	{name: "session", etag: true, promise: func(r *rand.Rand, h http.Header) (string, promise) {
		h.Set("Set-Cookie", "session=1") // the response is stored without this field
		return maxAge("", promise{})(r, h)
	}},
	{name: "star", star: true, etag: true, promise: says("max-age=60", promise{personal: "Vary: *"})},
	{name: "expires", etag: true, promise: func(_ *rand.Rand, h http.Header) (string, promise) {
		now := time.Now().UTC()
		h.Set("Date", now.Format(http.TimeFormat))
		h.Set("Expires", now.Add(seconds(2)).Format(http.TimeFormat))
		return "", promise{lifetime: seconds(2)}
	}},
	{name: "heuristic", promise: func(_ *rand.Rand, h http.Header) (string, promise) {
		now := time.Now().UTC()
		h.Set("Date", now.Format(http.TimeFormat))
		h.Set("Last-Modified", now.Add(-seconds(20)).Format(http.TimeFormat))
		return "", promise{lifetime: seconds(2)}
	}},
	{name: "missing", status: http.StatusNotFound, promise: maxAge("", promise{})},
	{name: "public", etag: true, shared: true, promise: maxAge(", public", promise{})},
	{name: "targeted", etag: true, promise: func(_ *rand.Rand, h http.Header) (string, promise) {
		h.Set("Cdn-Cache-Control", "max-age=2")
		return "no-store", promise{lifetime: seconds(2)}
	}},
}

// varyOf returns the fields that a version of the class varies on. If the class varies on two
// fields, every eighth version varies on the second alone.
func (c *class) varyOf(version int) []string {
	if len(c.vary) == 2 && version%8 == 7 {
		return c.vary[1:]
	}
	return c.vary
}
