package storagetest

import (
	"bytes"
	"errors"
	"io"
)

var readCases = []testCase{
	{
		name: "ReadAfterReplace",
		rule: "readers that have an entry open when it is replaced can read it to its end",
		run: func(e *env) {
			body := string(pattern(300_000))
			e.put(key("a"), "old", body)
			_, h := e.lookup(key("a"))
			first := make([]byte, 10)
			_, err := io.ReadFull(onlyReader{h}, first)
			e.noError("Read", err)
			e.put(key("a"), "new", "another body")
			e.wantBody(io.MultiReader(bytes.NewReader(first), h), []byte(body))
		},
	},
	{
		name: "ReadersAreIndependent",
		rule: "each hit has a position of its own",
		run: func(e *env) {
			body := pattern(10_000)
			e.put(key("a"), "a", string(body))
			_, first := e.lookup(key("a"))
			_, err := io.CopyN(io.Discard, onlyReader{first}, 5000)
			e.noError("Read", err)
			_, second := e.lookup(key("a"))
			e.wantBody(second, body)
			e.wantBody(first, body[5000:])
		},
	},
	{
		name: "WriteTo",
		rule: "a hit that is an io.WriterTo writes what Read would yield from the current position on",
		run: func(e *env) {
			body := pattern(400_000)
			e.put(key("a"), "a", string(body))
			_, h := e.lookup(key("a"))
			to, ok := h.(io.WriterTo)
			if !ok {
				e.Skip("the hit is no io.WriterTo")
			}
			_, err := io.CopyN(io.Discard, onlyReader{h}, 1000)
			e.noError("Read", err)
			var got bytes.Buffer
			n, err := to.WriteTo(&got)
			e.noError("WriteTo", err)
			e.same(got.Bytes(), body[1000:])
			if n != int64(got.Len()) {
				e.broken("WriteTo wrote %d bytes and returned %d", got.Len(), n)
			}
			e.wantBody(h, nil)
		},
	},
	{
		name: "WriteToFailingWriter",
		rule: "WriteTo returns its writer's error and the number of bytes that were written",
		run: func(e *env) {
			e.put(key("a"), "a", string(pattern(1000)))
			_, h := e.lookup(key("a"))
			to, ok := h.(io.WriterTo)
			if !ok {
				e.Skip("the hit is no io.WriterTo")
			}
			n, err := to.WriteTo(failingWriter{})
			e.wantError("WriteTo", err, errFailingWriter)
			if n != 1 {
				e.broken("WriteTo returned %d bytes, want 1", n)
			}
		},
	},
	{
		name:  "Seek",
		rule:  "SeekRange makes the following reads yield the bytes [start, end) and then io.EOF, each time it is called",
		needs: needSeeking,
		run: func(e *env) {
			body := pattern(400_000)
			size := int64(len(body))
			e.put(key("a"), "a", string(body))
			_, h := e.lookup(key("a"))
			if !h.CanSeek() {
				e.Fatal("Features.Seeking is declared, but CanSeek is false")
			}
			for _, r := range [][2]int64{
				{0, 1}, {size - 1, size}, {70_000, 300_000}, {5, 6}, {0, size}, {9, 9}, {size, size}, {100, 200},
			} {
				e.noError("SeekRange", h.SeekRange(r[0], r[1]))
				e.wantBody(h, body[r[0]:r[1]])
				if to, ok := h.(io.WriterTo); ok {
					var got bytes.Buffer
					e.noError("SeekRange", h.SeekRange(r[0], r[1]))
					_, err := to.WriteTo(&got)
					e.noError("WriteTo", err)
					e.same(got.Bytes(), body[r[0]:r[1]])
				}
			}
			if n, known := h.Size(); !known || n != size {
				e.broken("Size after SeekRange: got %d, %v, want %d, true", n, known, size)
			}
		},
	},
	{
		name:  "SeekOutside",
		rule:  "a range outside of the body is an error and leaves the position alone",
		needs: needSeeking,
		run: func(e *env) {
			body := pattern(1000)
			e.put(key("a"), "a", string(body))
			_, h := e.lookup(key("a"))
			e.noError("SeekRange", h.SeekRange(10, 20))
			for _, r := range [][2]int64{{-1, 5}, {5, 4}, {0, 1001}, {1001, 1002}, {-2, -1}} {
				if h.SeekRange(r[0], r[1]) == nil {
					e.broken("SeekRange(%d, %d) of 1000 bytes gave no error", r[0], r[1])
				}
			}
			e.wantBody(h, body[10:20])
		},
	},
	{
		name:  "NoSeek",
		rule:  "a hit that cannot seek says so: CanSeek is false and SeekRange returns errors.ErrUnsupported",
		needs: needNoSeeking,
		run: func(e *env) {
			e.put(key("a"), "a", "body")
			_, h := e.lookup(key("a"))
			if h.CanSeek() {
				e.Skip("the hit can seek; declare Features.Seeking to test it")
			}
			e.wantError("SeekRange", h.SeekRange(0, 1), errors.ErrUnsupported)
			e.wantBody(h, []byte("body"))
		},
	},
}

var errFailingWriter = errors.New("storagetest: this writer fails")

// failingWriter takes one byte and fails.
type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 1, errFailingWriter }
