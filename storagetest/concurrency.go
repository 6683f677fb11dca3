package storagetest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cirquecache/cirque"
)

var concurrencyCases = []testCase{
	{
		name: "Concurrency",
		rule: "all methods are safe for concurrent use, and a hit is always one write's body with that write's meta",
		run:  func(e *env) { e.storm() },
	},
	{
		name: "Goroutines",
		rule: "no goroutine outlives the reads and writes it was started for",
		run: func(e *env) {
			e.useEverything() // what is started once for the store may stay until it is closed
			before := runtime.NumGoroutine()
			for range 5 {
				e.useEverything()
			}
			for end := time.Now().Add(deadline / 3); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					e.broken("there were %d goroutines, there are %d", before, runtime.NumGoroutine())
				}
			}
		},
	},
}

// useEverything leaves nothing open.
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

// taleBody returns a body that says all over which write it is from.
func taleBody(key, version, size int) []byte {
	var unit [16]byte
	binary.LittleEndian.PutUint64(unit[:], uint64(key))
	binary.LittleEndian.PutUint64(unit[8:], uint64(version))
	return bytes.Repeat(unit[:], 1+size/len(unit))
}

// storm runs writers, readers, purgers and updaters over a few keys and checks all that is read.
func (e *env) storm() {
	const (
		keys   = 3
		rounds = 60
	)
	var (
		versions atomic.Int64
		wg       sync.WaitGroup
		failed   = make(chan string, 1)
	)
	fail := func(format string, args ...any) {
		select {
		case failed <- fmt.Sprintf(format, args...):
		default:
		}
	}
	taleMeta := func(version int) *cirque.CacheMeta {
		m := meta(strconv.Itoa(version))
		m.SetExtension("storagetest.version", strconv.Itoa(version))
		return m
	}
	each := func(n int, do func(k, round int)) {
		for i := range n {
			wg.Go(func() {
				for round := range rounds {
					do((i+round)%keys, round)
				}
			})
		}
	}

	each(keys, func(k, round int) { // writers
		version := int(versions.Add(1))
		body := taleBody(k, version, round*997)
		w, err := e.storage.MissHandler(e.ctx, key(strconv.Itoa(k)), taleMeta(version), cirque.MissOptions{SizeHint: int64(len(body))})
		if err != nil {
			fail("MissHandler: %v", err)
			return
		}
		defer w.Abort()
		for len(body) > 0 {
			n, err := w.Write(body[:min(3000, len(body))])
			if err != nil {
				fail("Write: %v", err)
				return
			}
			body = body[n:]
		}
		if round%4 == 3 {
			return
		}
		if _, err := w.Finish(); err != nil && !errors.Is(err, cirque.ErrNotFound) {
			fail("Finish: %v", err)
		}
	})
	each(2*keys, func(k, round int) { // readers, and now and then one that updates
		m, h, err := e.storage.Lookup(e.ctx, key(strconv.Itoa(k)))
		if errors.Is(err, cirque.ErrNotFound) {
			return
		}
		if err != nil {
			fail("Lookup: %v", err)
			return
		}
		defer h.Close()
		var body bytes.Buffer
		var from io.Reader = h
		if round%2 == 0 {
			from = onlyReader{h}
		}
		_, err = io.Copy(&body, from)
		version, _ := m.Extension("storagetest.version")
		v, _ := strconv.Atoi(version)
		if want := taleBody(k, v, body.Len()); !bytes.HasPrefix(want, body.Bytes()) {
			fail("a hit on key %d with the meta of version %d read %d bytes of something else", k, v, body.Len())
		}
		if err != nil && !errors.Is(err, cirque.ErrAborted) {
			fail("Read: %v", err)
		}
		if size, known := h.Size(); err == nil && (!known || size != int64(body.Len())) {
			fail("a clean end after %d bytes, but the size is %d, %v", body.Len(), size, known)
		}
		if round%5 == 0 {
			err := e.storage.UpdateMeta(e.ctx, key(strconv.Itoa(k)), taleMeta(v), h.Tag())
			if err != nil && !errors.Is(err, cirque.ErrNotFound) {
				fail("UpdateMeta: %v", err)
			}
		}
	})
	each(1, func(k, round int) { // purger
		err := e.storage.Purge(e.ctx, key(strconv.Itoa(k)).Compact(), purgeTypes[round%2])
		if err != nil && !errors.Is(err, cirque.ErrNotFound) {
			fail("Purge: %v", err)
		}
	})
	wg.Wait()
	select {
	case what := <-failed:
		e.broken("%s", what)
	default:
	}
}
