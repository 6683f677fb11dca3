package storagetest

import (
	"bytes"
	"errors"
	"io"
	"testing/iotest"

	"github.com/cirquecache/cirque"
)

var writeCases = []testCase{
	{
		name: "EmptyBody",
		rule: "an empty body makes an entry like any other body",
		run:  func(e *env) { e.roundTrip(pattern(0), 1) },
	},
	{
		name: "SmallBody",
		rule: "an entry has the bytes that were written, and no others",
		run:  func(e *env) { e.roundTrip(pattern(1000), 1000) },
	},
	{
		name: "LargeBody",
		rule: "an entry has all bytes that were written, also those of a large body",
		run:  func(e *env) { e.roundTrip(pattern(1<<20+3), 64<<10) },
	},
	{
		name: "OddWrites",
		rule: "a body may be written in pieces of any size, empty ones included",
		run: func(e *env) {
			body := pattern(70_000)
			w := e.begin(key("a"), meta("a"), cirque.MissOptions{SizeHint: -1})
			sizes := []int{0, 1, 3, 700, 0, 4096, 5, 20_000}
			for rest, i := body, 0; len(rest) > 0; i++ {
				n := min(sizes[i%len(sizes)], len(rest))
				e.append(w, rest[:n])
				rest = rest[n:]
			}
			e.finish(w)
			_, h := e.lookup(key("a"))
			e.wantBody(h, body)
		},
	},
	{
		name: "WrongHint",
		rule: "MissOptions.SizeHint is a hint: the body may turn out otherwise",
		run: func(e *env) {
			body := pattern(10_000)
			for _, hint := range []int64{0, 1, 9_999, 10_001, 1 << 40} {
				w := e.begin(key("a"), meta("a"), cirque.MissOptions{SizeHint: hint})
				e.append(w, body[:5000])
				e.append(w, body[5000:])
				e.finish(w)
				_, h := e.lookup(key("a"))
				e.wantBody(h, body)
			}
		},
	},
	{
		name: "CallerReusesItsBuffer",
		rule: "the slice given to Write stays the caller's, which may overwrite it after the call",
		run: func(e *env) {
			w := e.begin(key("a"), meta("a"), cirque.MissOptions{SizeHint: -1})
			p := []byte("first,")
			e.append(w, p)
			copy(p, "second")
			e.append(w, p)
			copy(p, "------")
			e.finish(w)
			e.want(key("a"), "a", "first,second")
		},
	},
	{
		name: "WriteLeavesBufferAlone",
		rule: "the slice given to Write stays the caller's: the store does not write to it",
		run: func(e *env) {
			w := e.begin(key("a"), meta("a"), cirque.MissOptions{SizeHint: -1})
			p := append(pattern(500), "beyond"...)
			e.append(w, p[:500])
			e.finish(w)
			e.same(p, append(pattern(500), "beyond"...))
		},
	},
	{
		name: "ReadFrom",
		rule: "a MissHandler that is an io.ReaderFrom appends everything that its reader yields; if the reader fails, writing may continue",
		run: func(e *env) {
			body, broken := pattern(70_000), errors.New("broken")
			for _, hint := range []int64{-1, 50_000, 70_000, 100_000} {
				w := e.begin(key("a"), meta("a"), cirque.MissOptions{SizeHint: hint})
				reader, ok := w.(io.ReaderFrom)
				if !ok {
					return
				}
				n, err := reader.ReadFrom(io.MultiReader(bytes.NewReader(body[:60_000]), iotest.ErrReader(broken)))
				if n != 60_000 || err != broken {
					e.broken("ReadFrom of 60000 bytes and an error: got %d, %v", n, err)
				}
				e.append(w, body[60_000:65_000])
				n, err = reader.ReadFrom(iotest.HalfReader(bytes.NewReader(body[65_000:])))
				if n != 5000 || err != nil {
					e.broken("ReadFrom of 5000 bytes: got %d, %v", n, err)
				}
				e.finish(w)
				_, h := e.lookup(key("a"))
				e.wantBody(h, body)
			}
		},
	},
	{
		name: "ReaderOwnsItsBuffer",
		rule: "the slice that Read fills stays the caller's, which may overwrite it without changing the entry",
		run: func(e *env) {
			e.put(key("a"), "a", "content")
			_, h := e.lookup(key("a"))
			p := make([]byte, 7)
			_, err := io.ReadFull(onlyReader{h}, p)
			e.noError("Read", err)
			copy(p, "-------")
			e.want(key("a"), "a", "content")
		},
	},
	{
		name: "Overwrite",
		rule: "a finished write replaces the whole entry before it",
		run: func(e *env) {
			old := e.put(key("a"), "old", "the old body, which is longer")
			tag := e.put(key("a"), "new", "the new body")
			e.want(key("a"), "new", "the new body")
			if tag == old {
				e.broken("both incarnations have tag %d", tag)
			}
		},
	},
	{
		name: "LastToFinishStays",
		rule: "several writes for one key may be under way; the one that finishes last stays",
		run: func(e *env) {
			first, second := e.write(key("a"), "first", "first"), e.write(key("a"), "second", "second")
			e.finish(second)
			e.want(key("a"), "second", "second")
			e.finish(first)
			e.want(key("a"), "first", "first")
		},
	},
	{
		name:  "InvisibleBeforeFinish",
		rule:  "before Finish, Lookup finds nothing of a write, and goes on finding the entry in place, except in stores that stream",
		needs: needNoStreaming,
		run: func(e *env) {
			w := e.write(key("a"), "a", "half")
			e.wantMiss(key("a"))
			e.append(w, []byte(" and half"))
			e.finish(w)
			e.want(key("a"), "a", "half and half")
			e.write(key("a"), "new", "new")
			e.want(key("a"), "a", "half and half")
		},
	},
	{
		name: "Tags",
		rule: "a tag is never zero, is unique within the store, and is the same on the write and on its hits",
		run: func(e *env) {
			seen := map[cirque.Tag]bool{0: true}
			for i := range 20 {
				w := e.write(key("a"), "a", "body")
				if seen[w.Tag()] {
					e.broken("write %d got tag %d, which is zero or was given out before", i, w.Tag())
				}
				seen[w.Tag()] = true
				if i%3 == 0 {
					w.Abort()
					continue
				}
				e.finish(w)
				if _, h := e.lookup(key("a")); h.Tag() != w.Tag() {
					e.broken("the hit has tag %d, the write had %d", h.Tag(), w.Tag())
				}
			}
		},
	},
	{
		name: "Weight",
		rule: "a hit's Weight is the weight of the entry's body, header and bookkeeping, and MissFinish says the same",
		run: func(e *env) {
			w := e.begin(key("a"), meta("a"), cirque.MissOptions{SizeHint: 10_000})
			e.append(w, pattern(10_000))
			f := e.finish(w)
			m, h := e.lookup(key("a"))
			if least := int64(10_000 + m.Header().Size()); h.Weight() <= least {
				e.broken("the hit weighs %d, body and header alone are %d", h.Weight(), least)
			}
			if !f.Appended && f.Size != h.Weight() {
				e.broken("MissFinish.Size is %d, the hit weighs %d", f.Size, h.Weight())
			}
		},
	},
}

// roundTrip stores body in pieces of piece bytes, and reads it back in pieces of another size.
func (e *env) roundTrip(body []byte, piece int) {
	e.Helper()
	w := e.begin(key("a"), meta("a"), cirque.MissOptions{SizeHint: int64(len(body))})
	for rest := body; len(rest) > 0; {
		n := min(piece, len(rest))
		e.append(w, rest[:n])
		rest = rest[n:]
	}
	e.finish(w)
	m, h := e.lookup(key("a"))
	if nameOf(m) != "a" {
		e.broken("got meta %q, want %q", nameOf(m), "a")
	}
	if n, known := h.Size(); !known || n != int64(len(body)) {
		e.broken("Size: got %d, %v, want %d, true", n, known, len(body))
	}
	var got []byte
	buffer := make([]byte, 4099)
	for {
		n, err := h.Read(buffer)
		got = append(got, buffer[:n]...)
		if err == io.EOF {
			break
		}
		e.noError("Read", err)
	}
	e.same(got, body)
	if n, err := h.Read(buffer); n != 0 || err != io.EOF {
		e.broken("Read after the end: got %d, %v, want 0, io.EOF", n, err)
	}
}

var abortCases = []testCase{
	{
		name: "AbortLeavesNothing",
		rule: "after Abort nothing is stored",
		run: func(e *env) {
			w := e.write(key("a"), "a", "half a body")
			w.Abort()
			e.wantMiss(key("a"))
		},
	},
	{
		name: "AbortLeavesTheEntryBefore",
		rule: "an aborted write leaves the entry in place as it is",
		run: func(e *env) {
			e.put(key("a"), "old", "old")
			e.write(key("a"), "new", "new").Abort()
			e.want(key("a"), "old", "old")
		},
	},
	{
		name: "AbortAfterFinish",
		rule: "Abort after Finish does nothing, so that deferring it is safe; a second Abort does nothing either",
		run: func(e *env) {
			w := e.write(key("a"), "a", "whole")
			e.finish(w)
			w.Abort()
			w.Abort()
			e.want(key("a"), "a", "whole")
		},
	},
}
