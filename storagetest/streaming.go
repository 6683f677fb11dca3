package storagetest

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/cirquecache/cirque"
)

var streamingCases = []testCase{
	{
		name:  "StreamPartial",
		rule:  "Lookup finds a write under way; its readers get the bytes as they are written, and io.EOF only after Finish",
		needs: needStreaming,
		run: func(e *env) {
			w := e.write(key("a"), "a", "one")
			m, h := e.lookup(key("a"))
			if nameOf(m) != "a" {
				e.broken("got meta %q, want %q", nameOf(m), "a")
			}
			if h.Tag() != w.Tag() {
				e.broken("the hit has tag %d, the write %d", h.Tag(), w.Tag())
			}
			pieces := e.follow(h)
			e.wantPiece(pieces, "one")
			for _, piece := range []string{"two", "three"} {
				e.append(w, []byte(piece))
				e.wantPiece(pieces, piece)
			}
			e.finish(w)
			e.wantEnd(pieces, io.EOF)
			if n, known := h.Size(); !known || n != 11 {
				e.broken("Size after Finish: got %d, %v, want 11, true", n, known)
			}
		},
	},
	{
		name:  "StreamPartialHit",
		rule:  "a hit on a write under way has no size yet, does not count as an access, and seeks only if it says so",
		needs: needStreaming,
		run: func(e *env) {
			e.write(key("a"), "a", "half")
			_, h := e.lookup(key("a"))
			if n, known := h.Size(); known {
				e.broken("Size: got %d, true before the end of the body is known", n)
			}
			if h.CountsAccess() {
				e.broken("CountsAccess is true for an entry that is not tracked yet")
			}
			if !h.CanSeek() {
				e.wantError("SeekRange", h.SeekRange(0, 1), errors.ErrUnsupported)
			}
		},
	},
	{
		name:  "StreamManyReaders",
		rule:  "any number of readers may attach at any time; each reads from the first byte at its own pace, and one that does not read delays no other",
		needs: needStreaming,
		run: func(e *env) {
			body := pattern(1 << 18)
			w := e.begin(key("a"), meta("a"), cirque.MissOptions{SizeHint: -1})
			_, idle := e.lookup(key("a"))
			var done []<-chan error
			for i := range 16 {
				e.append(w, body[i<<14:(i+1)<<14])
				_, h := e.lookup(key("a"))
				result := make(chan error, 1)
				done = append(done, result)
				go func() {
					got, err := io.ReadAll(onlyReader{h})
					if err == nil && !bytes.Equal(got, body) {
						err = errors.New("a reader got other bytes than were written")
					}
					result <- err
				}()
			}
			e.finish(w)
			for _, result := range done {
				e.noError("Read", await(e, "reading a finished write", result))
			}
			e.wantBody(idle, body)
		},
	},
	{
		name:  "StreamWriteTo",
		rule:  "WriteTo of a hit on a write under way goes on to the end of the write",
		needs: needStreaming,
		run: func(e *env) {
			body := pattern(300_000)
			w := e.write(key("a"), "a", string(body[:100_000]))
			_, h := e.lookup(key("a"))
			var got bytes.Buffer
			done := make(chan error, 1)
			go func() {
				_, err := io.Copy(&got, h) // calls WriteTo if h has it
				done <- err
			}()
			e.append(w, body[100_000:])
			e.finish(w)
			e.noError("WriteTo", await(e, "WriteTo of a finished write", done))
			e.same(got.Bytes(), body)
		},
	},
	{
		name:  "StreamNewReader",
		rule:  "the reader that NewReader returns begins at the first byte, and Readers returns the number of attached readers",
		needs: needStreaming,
		run: func(e *env) {
			w := e.streamWrite(key("a"), "a", "half")
			e.wantReaders(w, 0)
			h := e.newReader(w)
			e.wantReaders(w, 1)
			other := e.open(key("a"))
			e.wantReaders(w, 2)
			other.Close()
			e.wantReaders(w, 1)
			e.append(w, []byte(" and half"))
			e.finish(w)
			e.wantBody(h, []byte("half and half"))
		},
	},
	{
		name:  "StreamLookupByTag",
		rule:  "LookupStreaming finds the write with that tag, then the entry it became while that is in place, and nothing else",
		needs: needStreaming,
		run: func(e *env) {
			first, second := e.write(key("a"), "first", "first"), e.write(key("a"), "second", "second")
			e.wantTag(first.Tag(), "first")
			e.wantTag(second.Tag(), "second")
			e.wantTag(0, "")
			e.wantTag(max(first.Tag(), second.Tag())+1000, "")
			e.finish(first)
			e.wantTag(first.Tag(), "first")
			e.finish(second)
			e.wantTag(first.Tag(), "")
			e.wantTag(second.Tag(), "second")
			e.purge(key("a"), cirque.PurgeEviction)
			e.wantTag(second.Tag(), "")
		},
	},
	{
		name:  "StreamAbort",
		rule:  "readers of an aborted write get an error that wraps ErrAborted, never a clean end",
		needs: needStreaming,
		run: func(e *env) {
			w := e.write(key("a"), "a", "half")
			_, behind := e.lookup(key("a"))
			_, h := e.lookup(key("a"))
			pieces := e.follow(h)
			e.wantPiece(pieces, "half")
			w.Abort()
			e.wantEnd(pieces, cirque.ErrAborted)
			_, err := io.ReadAll(onlyReader{behind})
			e.wantError("Read", err, cirque.ErrAborted)
			e.wantMiss(key("a"))
			e.wantTag(w.Tag(), "")
		},
	},
	{
		name:  "StreamAbortWriteTo",
		rule:  "WriteTo of a hit on an aborted write returns an error that wraps ErrAborted",
		needs: needStreaming,
		run: func(e *env) {
			w := e.write(key("a"), "a", "half")
			_, h := e.lookup(key("a"))
			w.Abort()
			if to, ok := h.(io.WriterTo); ok {
				_, err := to.WriteTo(io.Discard)
				e.wantError("WriteTo", err, cirque.ErrAborted)
			}
		},
	},
	{
		name:  "StreamNewest",
		rule:  "Lookup prefers the newest write under way if that is newer than the entry in place, and else the entry",
		needs: needStreaming,
		run: func(e *env) {
			older := e.write(key("a"), "older", "older")
			e.put(key("a"), "entry", "entry")
			m, _ := e.lookup(key("a"))
			if nameOf(m) != "entry" {
				e.broken("got %q, want the entry, which is newer", nameOf(m))
			}
			newer := e.write(key("a"), "newer", "newer")
			newest := e.write(key("a"), "newest", "newest")
			for _, want := range []string{"newest", "newer", "entry"} {
				if m, _ := e.lookup(key("a")); nameOf(m) != want {
					e.broken("got %q, want %q", nameOf(m), want)
				}
				newest.Abort()
				if want == "newer" {
					newer.Abort()
				}
			}
			e.finish(older)
		},
	},
	{
		name:  "StreamCollidingHash",
		rule:  "Lookup does not find a write under way whose key text differs, even if the hashes collide",
		needs: needStreaming,
		run: func(e *env) {
			mine, other := colliding()
			w := e.write(other, "other", "somebody else's")
			e.wantMiss(mine)
			_, h, err := e.streams.LookupStreaming(e.ctx, mine, w.Tag())
			if err == nil {
				h.Close()
			}
			e.wantError("LookupStreaming", err, cirque.ErrNotFound)
		},
	},
	{
		name:  "StreamVoided",
		rule:  "a voided write is not found any more, but readers that were attached before, and those that NewReader attaches, see its clean end",
		needs: needStreaming,
		run: func(e *env) {
			w := e.streamWrite(key("a"), "a", "half")
			before := e.newReader(w)
			e.invalidate(key("a"))
			e.wantMiss(key("a"))
			e.wantTag(w.Tag(), "")
			after := e.newReader(w)
			e.append(w, []byte(" and half"))
			_, err := w.Finish()
			e.wantError("Finish", err, cirque.ErrNotFound)
			e.wantBody(before, []byte("half and half"))
			e.wantBody(after, []byte("half and half"))
		},
	},
	{
		name:  "StreamReplacesGone",
		rule:  "if Finish stores nothing because the entry in Replaces is gone, attached readers still see the clean end",
		needs: needStreaming,
		run: func(e *env) {
			w := e.replace(e.put(key("a"), "old", "old"))
			_, h := e.lookup(key("a"))
			e.put(key("a"), "other", "other")
			_, err := w.Finish()
			e.wantError("Finish", err, cirque.ErrNotFound)
			e.wantBody(h, []byte("new"))
		},
	},
	{
		name:  "StreamUpdateMeta",
		rule:  "UpdateMeta replaces the meta of a write under way that Lookup finds, and the entry of that write has the new meta",
		needs: needStreaming,
		run: func(e *env) {
			w := e.write(key("a"), "old", "half")
			e.noError("UpdateMeta", e.storage.UpdateMeta(e.ctx, key("a"), meta("new"), w.Tag()))
			if m, _ := e.lookup(key("a")); nameOf(m) != "new" {
				e.broken("Lookup: got meta %q, want %q", nameOf(m), "new")
			}
			e.append(w, []byte(" and half"))
			e.finish(w)
			e.want(key("a"), "new", "half and half")
		},
	},
	{
		name:  "StreamPurge",
		rule:  "an invalidation that voids a linked write returns nil; an eviction leaves the write alone",
		needs: needStreaming,
		run: func(e *env) {
			e.write(key("a"), "a", "half")
			e.wantError("Purge", e.storage.Purge(e.ctx, key("a").Compact(), cirque.PurgeEviction), cirque.ErrNotFound)
			e.purge(key("a"), cirque.PurgeInvalidation)
			e.wantError("Purge again", e.storage.Purge(e.ctx, key("a").Compact(), cirque.PurgeInvalidation), cirque.ErrNotFound)
			e.streamWrite(key("b"), "b", "half").Unlink()
			e.wantError("Purge of an unlinked write", e.storage.Purge(e.ctx, key("b").Compact(), cirque.PurgeInvalidation), cirque.ErrNotFound)
		},
	},
	{
		name:  "StreamReadOn",
		rule:  "readers attached to a write can read the body to its end after the entry was replaced or purged",
		needs: needStreaming,
		run: func(e *env) {
			for _, size := range []int{100, 300_000} {
				body := pattern(size)
				w := e.write(key("a"), "a", string(body))
				_, h := e.lookup(key("a"))
				e.finish(w)
				e.put(key("a"), "other", "other")
				e.purge(key("a"), cirque.PurgeInvalidation)
				e.wantBody(h, body)
			}
		},
	},
	{
		name:  "StreamCancelRead",
		rule:  "cancelling the context that was given to Lookup fails a blocked Read, and does not affect the write",
		needs: needStreaming,
		run: func(e *env) {
			w := e.write(key("a"), "a", "half")
			ctx, cancel := context.WithCancel(e.ctx)
			defer cancel()
			_, h, err := e.storage.Lookup(ctx, key("a"))
			e.noError("Lookup", err)
			e.closeAtEnd(h)
			pieces := e.follow(h)
			e.wantPiece(pieces, "half")
			cancel()
			e.wantEnd(pieces, context.Canceled)
			e.finish(w)
			e.want(key("a"), "a", "half")
		},
	},
}

// streamWrite is write that returns a StreamingMissHandler.
func (e *env) streamWrite(k cirque.CacheKey, name, body string) cirque.StreamingMissHandler {
	e.Helper()
	w, ok := e.write(k, name, body).(cirque.StreamingMissHandler)
	if !ok {
		e.Fatal("Features.Streaming is declared, but MissHandler returns no cirque.StreamingMissHandler")
	}
	return w
}

// newReader returns a reader of w that the end of the test closes.
func (e *env) newReader(w cirque.StreamingMissHandler) cirque.HitHandler {
	e.Helper()
	h := e.openReader(w)
	e.closeAtEnd(h)
	return h
}

// openReader returns a reader of w. The case must close it.
func (e *env) openReader(w cirque.StreamingMissHandler) cirque.HitHandler {
	e.Helper()
	h, err := w.NewReader(e.ctx)
	e.noError("NewReader", err)
	return h
}

func (e *env) wantReaders(w cirque.StreamingMissHandler, n int) {
	e.Helper()
	if got := w.Readers(); got != n {
		e.broken("Readers: got %d, want %d", got, n)
	}
}

// wantTag fails the test unless LookupStreaming finds name under tag of key a; nothing if name is
// empty.
func (e *env) wantTag(tag cirque.Tag, name string) {
	e.Helper()
	m, h, err := e.streams.LookupStreaming(e.ctx, key("a"), tag)
	if err == nil {
		defer h.Close()
	}
	if name == "" {
		e.wantError("LookupStreaming", err, cirque.ErrNotFound)
		return
	}
	e.noError("LookupStreaming", err)
	if nameOf(m) != name || h.Tag() != tag {
		e.broken("LookupStreaming: got %q with tag %d, want %q with tag %d", nameOf(m), h.Tag(), name, tag)
	}
}

// piece is the result of one Read.
type piece struct {
	bytes string
	err   error
}

// follow reads h to its end in a goroutine, which sends the result of each Read.
func (e *env) follow(h io.Reader) <-chan piece {
	pieces := make(chan piece, 100) // more than any case needs, so that the goroutine ends
	go func() {
		p := make([]byte, 1000)
		for {
			n, err := h.Read(p)
			pieces <- piece{string(p[:n]), err}
			if err != nil {
				return
			}
		}
	}()
	return pieces
}

func (e *env) wantPiece(pieces <-chan piece, want string) {
	e.Helper()
	for want != "" {
		got := await(e, "reading what was written", pieces)
		e.noError("Read", got.err)
		if got.bytes == "" || len(got.bytes) > len(want) || want[:len(got.bytes)] != got.bytes {
			e.broken("Read: got %q, want %q", got.bytes, want)
		}
		want = want[len(got.bytes):]
	}
}

func (e *env) wantEnd(pieces <-chan piece, want error) {
	e.Helper()
	got := await(e, "the end of a read", pieces)
	if got.bytes != "" {
		e.broken("Read: got %q, want the end", got.bytes)
	}
	e.wantError("Read", got.err, want)
}
