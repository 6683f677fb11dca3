package put_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/memcache"
	"github.com/cirquecache/cirque/put"
	"github.com/cirquecache/cirque/rules"
)

const ok = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n"

var key = cirque.NewCacheKey("", "http://example.com/", "")

func newOptions() *cirque.CacheOptions {
	return &cirque.CacheOptions{
		Storage:        memcache.New(memcache.Config{}),
		Lock:           cirque.NewCacheLock(cirque.CacheLockConfig{}),
		MaxObjectBytes: 1 << 10,
	}
}

func newRequest(fields ...string) *http.Request {
	r, err := http.NewRequest(http.MethodGet, "http://example.com/", nil)
	if err != nil {
		panic(err)
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	return r
}

// putAll puts wire and returns the error of Finish.
func putAll(t testing.TB, opts *cirque.CacheOptions, r *http.Request, wire string) error {
	t.Helper()
	p := put.New(t.Context(), opts, key, r, put.Config{})
	_, err := io.WriteString(p, wire)
	done := p.Finish()
	if err != nil {
		require.Equal(t, err, done, "Write and Finish disagree")
	}
	return done
}

// get returns what is stored for r, or nil and an empty string.
func get(t testing.TB, opts *cirque.CacheOptions, r *http.Request) (*cirque.CacheMeta, string) {
	t.Helper()
	var hc cirque.HttpCache
	defer hc.Release()
	hc.Enable(opts)
	hc.SetKey(key)
	meta, hit, err := hc.Lookup(t.Context())
	if err == nil && meta.Has(cirque.MetaVaryRecord) {
		meta, hit, err = hc.VaryLookup(t.Context(), meta, hit, r.Header, nil)
	}
	if errors.Is(err, cirque.ErrNotFound) {
		return nil, ""
	}
	require.NoError(t, err)
	hc.Found(meta, hit, cirque.HitFresh)
	body, err := io.ReadAll(hit)
	require.NoError(t, err)
	return meta, string(body)
}

func TestResponseIsStored(t *testing.T) {
	for name, test := range map[string]struct {
		wire   string
		status int
		body   string
	}{
		"length":                     {ok + "Content-Length: 5\r\n\r\nhello", 200, "hello"},
		"length, and more":           {ok + "Content-Length: 5\r\n\r\nhello, world", 200, "hello"},
		"empty":                      {ok + "Content-Length: 0\r\n\r\n", 200, ""},
		"empty, and more":            {ok + "Content-Length: 0\r\n\r\nmore", 200, ""},
		"ends with the bytes":        {ok + "\r\nhello", 200, "hello"},
		"empty, ends with the bytes": {ok + "\r\n", 200, ""},
		"HTTP/1.0":                   {"HTTP/1.0 200 OK\r\nCache-Control: max-age=60\r\n\r\nhello", 200, "hello"},
		"line feeds":                 {"HTTP/1.1 200 OK\nCache-Control: max-age=60\n\nhello", 200, "hello"},
		"no status text":             {"HTTP/1.1 200\r\nCache-Control: max-age=60\r\n\r\nhello", 200, "hello"},
		"no content":                 {"HTTP/1.1 204 No Content\r\nCache-Control: max-age=60\r\n\r\n", 204, ""},
		"no content, and more":       {"HTTP/1.1 204 No Content\r\nCache-Control: max-age=60\r\n\r\nmore", 204, ""},
		"error":                      {"HTTP/1.1 404 Not Found\r\nCache-Control: max-age=60\r\n\r\ngone", 404, "gone"},
		"chunked":                    {ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\n\r\n", 200, "hello, world"},
		"chunked, trailer":           {ok + "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nDigest: abc\r\nX: y\r\n\r\n", 200, "x"},
		"chunked, and more":          {ok + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n1\r\nx\r\n", 200, ""},
		"interim":                    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok + "\r\nhello", 200, "hello"},
		"validators alone":           {"HTTP/1.1 200 OK\r\nETag: \"x\"\r\n\r\nhello", 200, "hello"},
		"the largest body":           {ok + "\r\n" + strings.Repeat("x", 1<<10), 200, strings.Repeat("x", 1<<10)},
	} {
		t.Run(name, func(t *testing.T) {
			for _, step := range []int{1, 7, len(test.wire)} {
				opts := newOptions()
				p := put.New(t.Context(), opts, key, newRequest(), put.Config{})
				for wire := test.wire; wire != ""; {
					n, err := io.WriteString(p, wire[:min(step, len(wire))])
					require.NoError(t, err)
					require.Equal(t, min(step, len(wire)), n)
					wire = wire[n:]
				}
				require.NotNil(t, p.Meta())
				require.NoError(t, p.Finish())
				require.Equal(t, put.PhaseStored, p.Phase())
				require.NoError(t, p.Err())
				meta, body := get(t, opts, newRequest())
				require.NotNil(t, meta, "nothing is stored")
				require.Equal(t, test.status, meta.StatusCode())
				require.Equal(t, test.body, body)
				for _, name := range []string{"Transfer-Encoding", "Connection", "Link", "Digest"} {
					require.False(t, meta.Header().Has(name), name)
				}
			}
		})
	}
}

func TestResponseIsNotStored(t *testing.T) {
	const chunks = ok + "Transfer-Encoding: chunked\r\n\r\n"
	notStored := func(reason cirque.NoCacheReason, detail string) *put.NotStoredError {
		return &put.NotStoredError{Reason: reason, Detail: detail}
	}
	for name, test := range map[string]struct {
		wire string
		err  error
	}{
		"nothing":                  {"", put.ErrIncomplete},
		"half a header":            {ok, put.ErrIncomplete},
		"only an interim response": {"HTTP/1.1 100 Continue\r\n\r\n", put.ErrIncomplete},
		"half a body":              {ok + "Content-Length: 5\r\n\r\nhel", put.ErrIncomplete},
		"half a chunk":             {chunks + "5\r\nhel", put.ErrIncomplete},
		"no last chunk":            {chunks + "5\r\nhello\r\n", put.ErrIncomplete},
		"half a trailer":           {chunks + "0\r\nX: y\r\n", put.ErrIncomplete},
		"a request":                {"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n", put.ErrMalformed},
		"an empty line first":      {"\r\n" + ok + "\r\n", put.ErrMalformed},
		"no colon":                 {ok + "nonsense\r\n\r\n", put.ErrMalformed},
		"two lengths":              {ok + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", put.ErrMalformed},
		"negative length":          {ok + "Content-Length: -5\r\n\r\nhello", put.ErrMalformed},
		"another coding":           {ok + "Transfer-Encoding: gzip\r\n\r\nhello", put.ErrMalformed},
		"bad chunk":                {chunks + "x\r\nhello\r\n", put.ErrMalformed},
		"no-store":                 {"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\n\r\n", notStored(cirque.OriginNotCache, "no-store")},
		"private":                  {"HTTP/1.1 200 OK\r\nCache-Control: private, max-age=9\r\n\r\n", notStored(cirque.OriginNotCache, "private")},
		"no freshness":             {"HTTP/1.1 200 OK\r\n\r\n", notStored(cirque.OriginNotCache, "no-freshness")},
		"a part":                   {"HTTP/1.1 206 Partial Content\r\nCache-Control: max-age=60\r\n\r\n", notStored(cirque.OriginNotCache, "status")},
		"an upgrade":               {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", notStored(cirque.OriginNotCache, "status")},
		"too long a header":        {ok + "X: " + strings.Repeat("x", 64<<10) + "\r\n\r\n", notStored(cirque.ResponseTooLarge, "header-too-large")},
		"endless interim responses": {strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 3000),
			notStored(cirque.ResponseTooLarge, "header-too-large")},
		"too long by Content-Length": {ok + "Content-Length: 1025\r\n\r\n", notStored(cirque.PredictedResponseTooLarge, "")},
		"too long": {ok + "\r\n" + strings.Repeat("x", 1025),
			&put.NotStoredError{Reason: cirque.ResponseTooLarge, Err: cirque.ErrUnlinked}},
	} {
		t.Run(name, func(t *testing.T) {
			opts := newOptions()
			require.NoError(t, putAll(t, opts, newRequest(), ok+"\r\nbefore"))
			for _, step := range []int{1, 1000, len(test.wire)} {
				p := put.New(t.Context(), opts, key, newRequest(), put.Config{})
				for wire := test.wire; wire != ""; {
					n, err := io.WriteString(p, wire[:min(step, len(wire))])
					if err != nil {
						_, again := io.WriteString(p, "more")
						require.Equal(t, err, again)
						require.Equal(t, put.PhaseFailed, p.Phase())
						break
					}
					wire = wire[n:]
				}
				err := p.Finish()
				if _, ok := test.err.(*put.NotStoredError); ok {
					require.Equal(t, test.err, err)
				} else {
					require.ErrorIs(t, err, test.err)
				}
				require.Equal(t, err, p.Err())
				require.Equal(t, put.PhaseEnded, p.Phase())
				require.Nil(t, p.Meta())
				_, body := get(t, opts, newRequest())
				require.Equal(t, "before", body, "the stored response has changed")
			}
		})
	}
}

func TestRequestDecidesToo(t *testing.T) {
	for name, test := range map[string]struct {
		request *http.Request
		detail  string
	}{
		"method":        {&http.Request{Method: http.MethodHead, URL: newRequest().URL, Header: http.Header{}}, "method"},
		"no-store":      {newRequest("Cache-Control", "no-store"), "request-no-store"},
		"authorization": {newRequest("Authorization", "Basic eDp5"), "authorization"},
	} {
		t.Run(name, func(t *testing.T) {
			err := putAll(t, newOptions(), test.request, ok+"\r\nhello")
			require.Equal(t, &put.NotStoredError{Reason: cirque.OriginNotCache, Detail: test.detail}, err)
		})
	}
}

func TestPolicyDecidesWhatIsStored(t *testing.T) {
	opts, wire := newOptions(), "HTTP/1.1 200 OK\r\nCache-Control: private, max-age=60\r\n\r\nmine"
	p := put.New(t.Context(), opts, key, newRequest(), put.Config{Policy: &rules.Policy{Private: true, MaxHeaderBytes: 100}})
	_, err := io.WriteString(p, wire)
	require.NoError(t, err)
	require.NoError(t, p.Finish())
	_, body := get(t, opts, newRequest())
	require.Equal(t, "mine", body)

	p = put.New(t.Context(), opts, key, newRequest(), put.Config{Policy: &rules.Policy{Private: true, MaxHeaderBytes: 20}})
	_, err = io.WriteString(p, wire)
	require.Equal(t, &put.NotStoredError{Reason: cirque.ResponseTooLarge, Detail: "header-too-large"}, err)
	p.Abort()
}

func TestVariantsAreStoredApart(t *testing.T) {
	opts := newOptions()
	english, german := newRequest("Accept-Language", "en"), newRequest("Accept-Language", "de")
	const varies = ok + "Vary: Accept-Language\r\n\r\n"
	require.NoError(t, putAll(t, opts, english, varies+"hello"))
	require.NoError(t, putAll(t, opts, german, varies+"hallo"))
	require.NoError(t, putAll(t, opts, english, varies+"hello again"))
	_, body := get(t, opts, english)
	require.Equal(t, "hello again", body)
	_, body = get(t, opts, german)
	require.Equal(t, "hallo", body, "a put of one variant changed another")

	require.NoError(t, putAll(t, opts, english, ok+"Vary: Cookie\r\n\r\nhello"))
	_, body = get(t, opts, newRequest("Accept-Language", "de", "Cookie", "x"))
	require.Empty(t, body, "an older variant is found after Vary changed")
}

func TestVarianceAddsDimensions(t *testing.T) {
	opts := newOptions()
	device := func(r *http.Request, b *cirque.VarianceBuilder) { b.AddNameValue("device", r.Header.Get("Device")) }
	for _, name := range []string{"phone", "desk"} {
		p := put.New(t.Context(), opts, key, newRequest("Device", name), put.Config{Variance: device})
		_, err := io.WriteString(p, ok+"\r\nfor "+name)
		require.NoError(t, err)
		require.NoError(t, p.Finish())
	}
	for _, name := range []string{"phone", "desk"} {
		r := newRequest("Device", name)
		var hc cirque.HttpCache
		hc.Enable(opts)
		hc.SetKey(key)
		meta, hit, err := hc.Lookup(t.Context())
		require.NoError(t, err)
		_, hit, err = hc.VaryLookup(t.Context(), meta, hit, r.Header, func(b *cirque.VarianceBuilder) { device(r, b) })
		require.NoError(t, err)
		body, err := io.ReadAll(hit)
		require.NoError(t, err)
		require.NoError(t, hit.Close())
		require.Equal(t, "for "+name, string(body))
	}
}

func TestPurgeVoidsThePut(t *testing.T) {
	wire := ok + "Content-Length: 5\r\n\r\nhello"
	for at := range wire {
		opts := newOptions()
		p := put.New(t.Context(), opts, key, newRequest(), put.Config{})
		_, err := io.WriteString(p, wire[:at])
		require.NoError(t, err)
		_ = opts.Purge(t.Context(), key)
		_, _ = io.WriteString(p, wire[at:])
		var notStored *put.NotStoredError
		require.ErrorAs(t, p.Finish(), &notStored, "purged after %d bytes", at)
		require.Equal(t, cirque.Deferred, notStored.Reason)
		meta, _ := get(t, opts, newRequest())
		require.Nil(t, meta)
	}
}

func TestBodyCanBeReadDuringThePut(t *testing.T) {
	for _, whole := range []bool{true, false} {
		opts := newOptions()
		p := put.New(t.Context(), opts, key, newRequest(), put.Config{})
		_, err := io.WriteString(p, ok+"\r\nhello")
		require.NoError(t, err)
		_, hit, err := opts.Storage.Lookup(t.Context(), key)
		require.NoError(t, err)
		defer hit.Close()
		part := make([]byte, 5)
		_, err = io.ReadFull(hit, part)
		require.NoError(t, err)
		require.Equal(t, "hello", string(part))
		if whole {
			require.NoError(t, p.Finish())
		}
		p.Abort()
		_, err = hit.Read(part)
		require.Equal(t, whole, err == io.EOF, "%v", err)
	}
}

func TestBodyTooLargeForTheStoreReachesReaders(t *testing.T) {
	opts := newOptions()
	p := put.New(t.Context(), opts, key, newRequest(), put.Config{})
	_, err := io.WriteString(p, ok+"\r\nhello")
	require.NoError(t, err)
	_, hit, err := opts.Storage.Lookup(t.Context(), key)
	require.NoError(t, err)
	defer hit.Close()
	rest := strings.Repeat("x", 2<<10)
	_, err = io.WriteString(p, rest)
	require.NoError(t, err, "Write fails although the body has a reader")
	require.ErrorIs(t, p.Finish(), cirque.ErrUnlinked)
	body, err := io.ReadAll(hit)
	require.NoError(t, err)
	require.Equal(t, "hello"+rest, string(body))
}

// TestMissesWaitForThePut checks that requests that miss wait for the put if the store does not
// stream. If the put fails, they take their turns.
func TestMissesWaitForThePut(t *testing.T) {
	for _, whole := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			opts := newOptions()
			opts.Storage = struct{ cirque.Storage }{opts.Storage}
			p := put.New(t.Context(), opts, key, newRequest(), put.Config{})
			_, err := io.WriteString(p, ok+"\r\n")
			require.NoError(t, err)

			var other cirque.HttpCache
			defer other.Release()
			other.Enable(opts)
			other.SetKey(key)
			other.TryLock()
			require.True(t, other.IsLocked())
			waited := make(chan cirque.LockStatus, 1)
			go func() {
				status, _ := other.WaitLock(context.Background())
				waited <- status
			}()
			synctest.Wait()
			require.Empty(t, waited)
			if whole {
				require.NoError(t, p.Finish())
				require.Equal(t, cirque.LockDone, <-waited)
			} else {
				p.Abort()
				require.Equal(t, cirque.LockTransientError, <-waited)
			}
		})
	}
}

func TestPutDoesNotWaitForAFetch(t *testing.T) {
	opts := newOptions()
	var other cirque.HttpCache
	defer other.Release()
	other.Enable(opts)
	other.SetKey(key)
	other.TryLock()
	require.True(t, other.IsWriter())
	require.NoError(t, putAll(t, opts, newRequest(), ok+"\r\nhello"), "the put waited for the lock")
}

func TestAgeCountsFromTheResponse(t *testing.T) {
	opts := newOptions()
	require.NoError(t, putAll(t, opts, newRequest(), ok+"Age: 50\r\n\r\nhello"))
	meta, _ := get(t, opts, newRequest())
	require.GreaterOrEqual(t, meta.Age(time.Now()), 50*time.Second)
	require.False(t, meta.IsFresh(time.Now().Add(11*time.Second)), "the age of the response was ignored")
}

// Set-Cookie of a response that is put is stored only if the rules say so: nobody knows whose
// cookie it is.
func TestSetCookieIsNotStored(t *testing.T) {
	const wire = ok + "Set-Cookie: a=b\r\nA: 1\r\n\r\nhello"
	opts := newOptions()
	require.NoError(t, putAll(t, opts, newRequest(), wire))
	meta, body := get(t, opts, newRequest())
	require.Equal(t, "hello", body)
	require.False(t, meta.Header().Has("Set-Cookie"))
	require.Equal(t, "1", meta.Header().Get("A"))

	keep := put.New(t.Context(), opts, key, newRequest(), put.Config{Policy: &rules.Policy{SetCookie: rules.SetCookieKeep}})
	_, err := io.WriteString(keep, wire)
	require.NoError(t, err)
	require.NoError(t, keep.Finish())
	meta, _ = get(t, opts, newRequest())
	require.Equal(t, "a=b", meta.Header().Get("Set-Cookie"))

	refuse := put.New(t.Context(), opts, key, newRequest(), put.Config{Policy: &rules.Policy{SetCookie: rules.SetCookieRefuse}})
	_, err = io.WriteString(refuse, wire)
	var refusal *put.NotStoredError
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, "set-cookie", refusal.Detail)
	refuse.Abort()
}

// A response that must be validated before each use cannot be shared, so nobody waits while it is
// put.
func TestNobodyWaitsForWhatMustBeValidated(t *testing.T) {
	opts := newOptions()
	opts.Storage = plain{opts.Storage}
	p := put.New(t.Context(), opts, key, newRequest(), put.Config{})
	defer p.Abort()
	_, err := io.WriteString(p, "HTTP/1.1 200 OK\r\nCache-Control: no-cache\r\nETag: \"x\"\r\nContent-Length: 5\r\n\r\nhe")
	require.NoError(t, err)
	write, _ := opts.Lock.Lock(key, false)
	require.NotNil(t, write, "the put still holds the lock")
	opts.Lock.Release(key, write, cirque.LockGiveUp)
	_, err = io.WriteString(p, "llo")
	require.NoError(t, err)
	require.NoError(t, p.Finish())
}

// plain hides that a Storage can stream.
type plain struct{ cirque.Storage }
