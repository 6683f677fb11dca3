package put_test

import (
	"bytes"
	"errors"
	"io"
	"net/http/httputil"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/put"
)

// outcome is everything that a put leaves behind.
type outcome struct {
	err    string
	phase  put.Phase
	status int
	header string
	body   string
}

// putInPieces puts wire in pieces, whose lengths are the bytes of cuts plus one, over and over.
func putInPieces(t testing.TB, wire, cuts []byte) outcome {
	opts := newOptions()
	p := put.New(t.Context(), opts, key, newRequest(), put.Config{})
	for i := 0; len(wire) > 0; i++ {
		n := len(wire)
		if len(cuts) > 0 {
			n = min(n, int(cuts[i%len(cuts)])+1)
		}
		written, err := p.Write(wire[:n])
		if err != nil {
			break
		}
		require.Equal(t, n, written)
		wire = wire[n:]
	}
	var o outcome
	if err := p.Finish(); err != nil {
		o.err = err.Error()
		var notStored *put.NotStoredError
		require.True(t, errors.Is(err, put.ErrMalformed) || errors.Is(err, put.ErrIncomplete) || errors.As(err, &notStored), err)
	}
	o.phase = p.Phase()
	meta, body := get(t, opts, newRequest())
	require.Equal(t, o.err == "", meta != nil, "Finish returned %q", o.err)
	if meta != nil {
		header := meta.Header().Header()
		header.Del("Date") // it is the current time if the response has none
		var b strings.Builder
		require.NoError(t, header.Write(&b))
		o.status, o.header, o.body = meta.StatusCode(), b.String(), body
	}
	return o
}

// FuzzPut checks that the result does not depend on how the bytes are cut.
func FuzzPut(f *testing.F) {
	const chunks = ok + "Transfer-Encoding: chunked\r\n\r\n"
	for _, wire := range []string{
		ok + "Content-Length: 5\r\n\r\nhello, world",
		ok + "\r\nhello",
		"HTTP/1.1 100 Continue\r\n\r\n" + ok + "\n\nhello",
		chunks + "5\r\nhello\r\n0\r\nA: b\r\n\r\nmore",
		chunks + "5;x\r\nhel",
		ok + "Vary: *\r\n\r\n",
		"HTTP/1.1 204 No Content\r\nETag: \"x\"\r\n\r\n",
		ok + "Content-Length: 2000\r\n\r\n",
		ok + "\r\n" + strings.Repeat("x", 2000),
		"nonsense\r\n\r\n",
	} {
		f.Add([]byte(wire), []byte{0, 3})
	}
	f.Fuzz(func(t *testing.T, wire, cuts []byte) {
		require.Equal(t, putInPieces(t, wire, nil), putInPieces(t, wire, cuts), "%q cut by %v", wire, cuts)
	})
}

// FuzzChunked compares what is accepted as a chunked body with net/http's decoder.
func FuzzChunked(f *testing.F) {
	f.Add([]byte("5\r\nhello\r\n0\r\n\r\n"))
	f.Add([]byte("0005 ;a=b\r\nhello\r\n00\r\nA: b\r\n\r\n"))
	f.Add([]byte("ffffffffffffffff\r\n"))
	f.Add([]byte("5\nhello\n0\n\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		opts := newOptions()
		opts.MaxObjectBytes = 0
		err := putAll(t, opts, newRequest(), ok+"Transfer-Encoding: chunked\r\n\r\n"+string(body))
		want, wantErr := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(body)))
		if err == nil {
			// net/http refuses white space before an extension, which RFC 9112 §7.1.1 accepts. It
			// also refuses long runs of tiny chunks with long extensions, which cost nothing here.
			spaced := bytes.Contains(body, []byte(" ;")) || bytes.Contains(body, []byte("\t;"))
			if wantErr != nil && (spaced || strings.Contains(wantErr.Error(), "too much non-data")) {
				return
			}
			require.NoError(t, wantErr)
			_, got := get(t, opts, newRequest())
			require.Equal(t, string(want), got)
			return
		}
		require.True(t, errors.Is(err, put.ErrMalformed) || errors.Is(err, put.ErrIncomplete), err)
		var notStored *put.NotStoredError
		require.False(t, errors.As(err, &notStored))
	})
}

func TestChunkedRefuses(t *testing.T) {
	for name, body := range map[string]string{
		"no size":                               "\r\n",
		"no digit":                              "x\r\n",
		"a sign":                                "-1\r\nx\r\n",
		"two numbers":                           "1 1\r\nx\r\n",
		"overflow":                              "10000000000000000\r\n",
		"a bare line feed":                      "1\nx\r\n0\r\n\r\n",
		"a bare line feed in an extension":      "1;a\nx\r\n0\r\n\r\n",
		"a bare line feed after the data":       "1\r\nx\n0\r\n\r\n",
		"a bare line feed in the trailer":       "0\r\nA: b\n\r\n",
		"a bare carriage return":                "1\rx\r\n",
		"a bare carriage return in the trailer": "0\r\nA: \rb\r\n\r\n",
		"data that is too long":                 "1\r\nxy\r\n",
		"a long size":                           strings.Repeat("0", 5<<10) + "1\r\nx\r\n",
		"a long extension":                      "1;" + strings.Repeat("a", 5<<10) + "\r\nx\r\n",
		"long white space":                      "1" + strings.Repeat(" ", 5<<10) + "\r\nx\r\n",
		"a long trailer":                        "0\r\n" + strings.Repeat("A: bcdefghijklmnop\r\n", 5<<10),
	} {
		t.Run(name, func(t *testing.T) {
			err := putAll(t, newOptions(), newRequest(), ok+"Transfer-Encoding: chunked\r\n\r\n"+body)
			require.ErrorIs(t, err, put.ErrMalformed)
		})
	}
}

func BenchmarkPut(b *testing.B) {
	opts := newOptions()
	opts.MaxObjectBytes = 0
	body := strings.Repeat("x", 64<<10)
	wire := []byte(ok + "Content-Length: 65536\r\n\r\n" + body)
	b.ReportAllocs()
	b.SetBytes(int64(len(wire)))
	for b.Loop() {
		p := put.New(b.Context(), opts, cirque.NewCacheKey("", "k", ""), newRequest(), put.Config{})
		if _, err := p.Write(wire); err != nil {
			b.Fatal(err)
		}
		if err := p.Finish(); err != nil {
			b.Fatal(err)
		}
	}
}
