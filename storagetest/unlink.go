package storagetest

import (
	"bytes"
	"io"
	"sync/atomic"
	"time"

	"github.com/cirquecache/cirque"
)

var unlinkCases = []testCase{
	{
		name:  "Unlink",
		rule:  "an unlinked write takes no new readers, its readers get the whole body, Finish returns ErrUnlinked and nothing is stored",
		needs: needStreaming,
		run: func(e *env) {
			body := pattern(600_000)
			w := e.streamWrite(key("a"), "a", string(body[:200_000]))
			h := e.newReader(w)
			w.Unlink()
			e.wantMiss(key("a"))
			e.wantTag(w.Tag(), "")
			_, err := w.NewReader(e.ctx)
			e.wantError("NewReader", err, cirque.ErrNotFound)

			got := e.drain(h)
			e.append(w, body[200_000:])
			_, err = w.Finish()
			e.wantError("Finish", err, cirque.ErrUnlinked)
			e.same(await(e, "reading an unlinked write", got), body)
			e.wantMiss(key("a"))
		},
	},
	{
		name:  "UnlinkLeavesTheEntryBefore",
		rule:  "an unlinked write leaves the entry in place as it is",
		needs: needStreaming,
		run: func(e *env) {
			e.put(key("a"), "old", "old")
			w := e.streamWrite(key("a"), "new", "new")
			h := e.newReader(w)
			w.Unlink()
			e.want(key("a"), "old", "old")
			_, err := w.Finish()
			e.wantError("Finish", err, cirque.ErrUnlinked)
			e.wantBody(h, []byte("new"))
			e.want(key("a"), "old", "old")
		},
	},
	{
		name:  "UnlinkAbort",
		rule:  "readers of an unlinked write that is aborted get an error that wraps ErrAborted",
		needs: needStreaming,
		run: func(e *env) {
			w := e.streamWrite(key("a"), "a", "half")
			h := e.newReader(w)
			w.Unlink()
			w.Abort()
			_, err := io.ReadAll(onlyReader{h})
			e.wantError("Read", err, cirque.ErrAborted)
		},
	},
	{
		name:  "UnlinkWithoutReaders",
		rule:  "when the last reader of an unlinked write has left, Write returns ErrNoReaders",
		needs: needStreaming,
		run: func(e *env) {
			w := e.streamWrite(key("a"), "a", "half")
			h := e.openReader(w)
			w.Unlink()
			h.Close()
			_, err := w.Write([]byte("more"))
			e.wantError("Write", err, cirque.ErrNoReaders)
		},
	},
	{
		name:  "UnlinkPacesWrite",
		rule:  "an unlinked write keeps a bounded window: Write waits for a reader that does not read, and goes on when that reader leaves",
		needs: needStreaming,
		run: func(e *env) {
			w := e.streamWrite(key("a"), "a", "first")
			h := e.openReader(w)
			w.Unlink()
			var written atomic.Int64
			result := make(chan error, 1)
			go func() {
				p := pattern(64 << 10)
				for written.Load() < 16<<20 {
					if _, err := w.Write(p); err != nil {
						result <- err
						return
					}
					written.Add(int64(len(p)))
				}
				result <- nil
			}()
			for before := int64(-1); before != written.Load(); time.Sleep(20 * time.Millisecond) {
				before = written.Load()
			}
			if len(result) > 0 {
				e.broken("%d bytes were written, though the only reader read none of them: %v", written.Load(), <-result)
			}
			h.Close()
			e.wantError("Write", await(e, "a Write whose last reader left", result), cirque.ErrNoReaders)
		},
	},
}

// drain reads h to its end in a goroutine, which then sends what it read. An error only makes the
// result shorter. drain may be called from any goroutine.
func (e *env) drain(h io.Reader) <-chan []byte {
	got := make(chan []byte, 1)
	go func() {
		var b bytes.Buffer
		_, _ = io.Copy(&b, h)
		got <- b.Bytes()
	}()
	return got
}
