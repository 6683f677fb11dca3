package storagetest

import (
	"context"
	"io"
	"runtime"
	"time"

	"github.com/cirquecache/cirque"
)

var concurrencyCases = []testCase{
	{
		name: "Concurrency",
		rule: "all methods are safe for concurrent use, and a hit always has the body and the meta of one write",
		run:  runStorm,
	},
	{
		name: "Goroutines",
		rule: "no goroutine outlives the reads and writes that it was started for",
		run: func(e *env) {
			e.useEverything() // a goroutine that the store starts only once may stay until the store is closed
			before := runtime.NumGoroutine()
			for range 5 {
				e.useEverything()
			}
			for end := time.Now().Add(deadline / 3); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					e.broken("there were %d goroutines before, and %d after", before, runtime.NumGoroutine())
				}
			}
		},
	},
}

// useEverything uses every kind of read and write and leaves nothing open.
func (e *env) useEverything() {
	e.Helper()
	ctx, cancel := context.WithCancel(e.ctx)
	defer cancel()
	e.put(key("a"), "a", string(pattern(100_000)))
	aborted, err := e.storage.MissHandler(ctx, key("b"), meta("b"), cirque.MissOptions{SizeHint: -1})
	e.noError("MissHandler", err)
	e.append(aborted, []byte("half"))
	whole, left := e.open(key("a")), e.open(key("a"))
	_, err = io.Copy(io.Discard, whole)
	e.noError("Read", err)
	_, err = io.CopyN(io.Discard, onlyReader{left}, 10)
	e.noError("Read", err)
	if e.streams != nil {
		defer e.open(key("b")).Close()
	}
	aborted.Abort()
	whole.Close()
	left.Close()
}
