// Package middleware puts an HTTP cache in front of an http.Handler or around an http.RoundTripper.
//
//	cache, err := middleware.New(middleware.Config{})
//	http.ListenAndServe(":8080", cache.Handler(mux))        // in front of a handler
//	proxy.Transport = cache.Transport(nil)                  // behind a reverse proxy
//	client := &http.Client{Transport: cache.Transport(nil)} // or behind a client
//
// The zero [Config] is a shared cache with 256 MiB of memory.
//
// # What is stored
//
// The cache stores what RFC 9111 allows. In most cases that is a response to which the origin gives
// a lifetime, in Cache-Control or Expires, or a validator. If the responses of a resource vary, the
// cache stores up to 64 variants of it. A body that breaks off, or that does not have the announced
// length, is never stored. Only the client whose request fetched a response gets its Set-Cookie
// field; the field is not stored, unless Config.SetCookie says so.
//
// # What happens to a request
//
// Every response says in its Cache-Status field what the cache did (RFC 9211). A hit does not reach
// the handler or transport behind the cache.
//
// If several requests miss at the same time, one of them fetches, and all read the body while it
// arrives. A response that each of them would have to validate first cannot be shared (RFC 9111
// §4): then all of them fetch at once.
//
// A fetch belongs to the cache: it goes on if the client that caused it leaves, and a slow client
// does not delay it. A response that may not be stored is passed on while it arrives, and belongs
// to its client alone. The cache takes no part in upgrades.
//
// # Revalidation in the background
//
// A stale response may be served while it is revalidated, if it allows that (RFC 5861 §3). The
// cache then makes a request of its own. At the Handler door this request goes through all handlers
// of the server, as a client's request does: see [Config].Refresh and [IsRefresh]. If the cache
// does not know these handlers, the client waits for the revalidation.
//
// # Purging
//
// [Cache.Purge] and [Cache.SoftPurge] remove the responses of one URL, or mark them as stale.
// [Cache.PurgeGroup] and [Cache.PurgeAll] purge many at once. A Handler also accepts PURGE requests
// that Config.AuthorizePurge allows; by default it allows none. A response that is being fetched
// during a purge is not stored.
//
// # Watching it, and ending it
//
// [Cache.Stats] returns counts and histograms. [Config].Trace is called at the events of all
// requests, and [cirque.WithCacheTrace] gives one request a trace of its own. [Outcomes] reads what
// Cache-Status says of one response. At shutdown, call [Cache.Close] after the Shutdown of the
// server.
//
// # Files
//
// The files of a room are together, and the rooms are in the order in which a request first meets
// them. That is not the order of calls: later rooms also call what a whole transaction shares, such
// as cache.go, transaction.go, request.go, upstream.go and flight.go.
//
// First the cache, and its two doors:
//
//	config.go            what the owner of a service can set
//	cache.go             New, Close and what all requests share
//	maxbytes.go          a limit that changes later
//	sharememory.go       a limit that is a share of the memory
//	softlimit.go         a limit for the heap of the process
//	curve.go             what other limits would do
//	stats.go             Stats: what the cache counts
//	outcome.go           what Cache-Status says, for programs
//	explain.go           Explain: what the cache would do with a request
//	explain_walk.go      Explain: a plan that changes nothing
//	explain_describe.go  Explain: what there is, and what would happen
//	explain_rules.go     Explain: the rules that decided
//	explain_text.go      Explain: the same in sentences
//	entries.go           Entries: what is stored
//	refusals.go          why the latest answers were not stored
//	watch.go             hooks that are added while the cache runs; the fills under way
//	stats_on.go          whether it counts
//	stats_off.go         the same, in a build for benchmarks
//	handler.go           door: Handler, in front of a handler
//	transport.go         door: Transport, around a RoundTripper
//	cancel.go            door: requests with a Cancel channel
//	content.go           door: requests that do not say whether they have content
//	upgrade.go           door: upgrades and CONNECT, in which the cache takes no part
//	purge.go             door: PURGE requests, and purges by hand
//	transaction.go       one client request, from its door to its answer; a picture of the rooms
//
// What the request asks for, and where its answer comes from:
//
//	request.go           request: what a client asks for, and what that selects
//	target.go            request: the URL that the client asked for
//	key.go               request: the key of a URL
//	normalize.go         request: classes of languages and codings
//	plan.go              plan: lookup and lock, until the source of the answer is known
//	reuse.go             plan: whether a stored response answers the request
//
// How the origin is asked, and what becomes of its answer:
//
//	upstream.go          upstream: what to ask the origin
//	flight.go            fetch: one fetch, and to whom it belongs
//	fetch.go             fetch: the fetch behind a Transport
//	responsewriter.go    fetch: the ResponseWriter of the handler behind a Handler
//	handleranswer.go     fetch: what becomes of that handler's answer
//	reply.go             decide: what the origin sent before the body
//	invalidate.go        decide: what the answer to an unsafe request makes invalid
//	decide.go            decide: the fate of an answer
//	decide_full.go       decide: an answer that is complete in itself
//	decide_part.go       decide: an answer that adds to a stored part
//	decide_validated.go  decide: an answer that validates what is stored
//	stale.go             decide: stale responses in place of errors; plan asks it too
//	store.go             store: the beginning and the end of a fill; freshening
//	partfill.go          store: a stored part to which bytes are added
//	places.go            store: how many fills and background revalidations there may be
//
// How the client gets its answer:
//
//	answer.go            answer: the header and body made of what is stored
//	cachestatus.go       answer: the Cache-Status field
//	ranges.go            answer: 206 and 416
//	multipart.go         answer: 206 with several ranges
//	meter.go             answer: what the client got, and when
//	serve.go             answer: to a ResponseWriter
//	response.go          answer: as an http.Response
//	livewriter.go        answer: a body that is still being fetched, and its flushes
//	copying.go           answer: a writer that keeps the Storage's memory to itself
//	sends.go             answer: clients that stop reading a large body
//
// Work without a client, and helpers:
//
//	background.go        background: revalidation of a stale response
//	refresh.go           background: a request that the cache sends through the server's handlers
//	takeover.go          background: the door that such a request reaches; second requests
//	chain.go             background: the server's handlers, and contexts for requests to them
//	underway.go          background: what Close and Wait wait for
//	discard.go           helper: a ResponseWriter without a client
//	growstack.go         helper: a stack that need not grow
//	preference.go        helper: the weights in Accept-Language and Accept-Encoding
//	doc.go               this text
package middleware
