// Package middleware puts an HTTP cache in front of an http.Handler or around an http.RoundTripper.
//
//	cache, err := middleware.New(middleware.Config{})
//	http.ListenAndServe(":8080", cache.Handler(mux))        // in front of a handler
//	proxy.Transport = cache.Transport(nil)                  // behind a reverse proxy
//	client := &http.Client{Transport: cache.Transport(nil)} // or behind a client
//
// The zero [Config] is a shared cache within 256 MiB of memory.
//
// # What is stored
//
// What RFC 9111 allows: above all what the origin gives a lifetime in Cache-Control or Expires, or
// a validator. Responses that vary are kept in as many variants as there are, up to 64. A body that
// breaks off, or is not as long as it was said to be, is never stored. Set-Cookie reaches the
// client whose request was answered with it and is not stored, unless Config.SetCookie says
// otherwise.
//
// # What happens to a request
//
// Every response says so in its Cache-Status field (RFC 9211). A hit does not reach the handler or
// transport behind the cache. Of several requests that miss at one time, one fetches, and all read
// the body as it comes, unless each of them would have to validate it first (RFC 9111 §4): then all
// fetch, at once. The fetch belongs to the cache: it goes on when the client who caused it leaves,
// and is not held up by one who is slow. What may not be stored is passed on as it comes, and
// belongs to its client alone; so do upgrades, which the cache keeps out of.
//
// # Revalidation in the background
//
// What may be served stale while it is revalidated (RFC 5861 §3) is revalidated by a request of the
// cache's own. At the Handler door that goes through all handlers of the server, as a client's
// would: see [Config].Refresh and [IsRefresh]. Where the cache does not know them, the client waits
// for the revalidation.
//
// # Purging
//
// [Cache.Purge] and its kin remove what is stored, or mark it stale. PURGE requests to a Handler do
// the same for those whom Config.AuthorizePurge lets; by default nobody. What was being fetched
// when a purge came is not stored.
package middleware
