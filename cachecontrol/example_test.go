package cachecontrol_test

import (
	"fmt"
	"net/http"

	"github.com/cirquecache/cirque/cachecontrol"
)

func ExampleParseResponse() {
	header := http.Header{}
	header.Add("Cache-Control", `public, max-age=600, no-cache="set-cookie"`)
	header.Add("Cache-Control", "stale-while-revalidate=30")

	r := cachecontrol.ParseResponse(header["Cache-Control"], nil)
	fmt.Println(r.Public, r.MaxAge.Duration, r.StaleWhileRevalidate.Duration)
	fmt.Println(r.NoCache, r.NoCacheFields)
	fmt.Println(r)
	// Output:
	// true 10m0s 30s
	// false [Set-Cookie]
	// no-cache="Set-Cookie", public, max-age=600, stale-while-revalidate=30
}

// A restriction counts even after a mistake in the field; a permission or a number does not.
func ExampleParseResponse_malformed() {
	r := cachecontrol.ParseResponse([]string{`max-age=ten, ext="never closed, public, no-store`}, nil)
	fmt.Println(r.NoStore, r.Public)
	fmt.Println(r.MaxAge.Present, r.MaxAge.Valid, r.MaxAge.Duration)
	// Output:
	// true false
	// true false 0s
}

func ExampleParseRequest() {
	r := cachecontrol.ParseRequest([]string{"max-stale, min-fresh=5"}, nil)
	fmt.Println(r.MaxStaleAny, r.MinFresh.Duration)
	// Output: true 5s
}

// If there is no valid targeted field, Cache-Control decides.
func ExampleParseTargeted() {
	header := http.Header{
		"Cache-Control":     {"no-store"},
		"Cdn-Cache-Control": {"max-age=3600"},
	}
	r, ok := cachecontrol.ParseTargeted(header["Cdn-Cache-Control"])
	if !ok {
		r = cachecontrol.ParseResponse(header["Cache-Control"], nil)
	}
	fmt.Println(r)
	// Output: max-age=3600
}
