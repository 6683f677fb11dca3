// Package console is a live page about running caches: what they answer, from where, how fast, what
// leaves, what is not stored and why, with a tail of requests and buttons to purge.
//
//	page, err := console.New(console.Config{
//		Caches:    []*middleware.Cache{cache},
//		Authorize: console.Loopback,
//	})
//	admin.Handle("/cache/", page)
//
// It is one page without any dependency, and asks nothing of other servers. Mount it under any path
// that ends in a slash, with or without http.StripPrefix, on a mux that is not behind the cache.
//
// # Who may see it
//
// There is no open default. Config.Authorize decides about each request; [Loopback] allows programs
// and browsers on this machine. With Config.Token a browser gets a login form, and programs send
// the token as a bearer token. If both are set, both must allow.
//
// The page shows URLs with their queries, and can purge. Whoever may see it may purge, too. Purges
// are POST requests that carry a secret of the page, and those of other origins are refused.
//
// # What it costs
//
// While nobody looks, a goroutine takes Stats every ten seconds, for the history of an hour. When a
// page opens, the lists of URLs and the tail of requests begin to be recorded; a minute after the
// last page has closed, that ends. Requests never wait for the page: what is too much is sampled,
// and the page says so. All memory is bounded, to a few megabytes for each cache.
//
// # Files
//
//	console.go    Config, New, Close, and which path is what
//	auth.go       who may see it; login; requests from other origins
//	page.go       the page itself, and its Content-Security-Policy
//	stream.go     server-sent events: what the page shows, every second
//	actions.go    purge and explain
//	stored.go     what is stored, a page at a time
//	explain.go    what the page needs of a cache that can explain
//	source.go     one cache, with its history and its recorder
//	view.go       what one event has
//	series.go     the plots of a view
//	records.go    the lists of a view
//	curve.go      would more memory help?
//	history.go    points of the last hour
//	point.go      what happened between two snapshots
//	recorder.go   hears of requests while somebody looks
//	record.go     one request, as the page shows it
//	text.go       makes text from clients harmless, and short
package console
