package faulty

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAnswerIsSentAsWritten(t *testing.T) {
	CheckGoroutines(t)
	origin := NewOrigin(t, script(Answer{
		Status:  404,
		Header:  http.Header{"Date": nil, "Cache-Control": {"max-age=60", "public"}},
		Body:    "ab",
		Length:  5,
		Framing: Chunked,
		Trailer: http.Header{"X-Sum": {"5"}},
		Interim: []int{103},
	}))
	conn, err := Dial(t.Context(), origin.URL)
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.Send(Request{Target: "/", Fields: []string{"Connection: close"}}))
	wire, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Equal(t, strings.ReplaceAll(`HTTP/1.1 103 Early Hints
Link: </style.css>; rel=preload

HTTP/1.1 404 Not Found
Cache-Control: max-age=60
Cache-Control: public
Transfer-Encoding: chunked
Trailer: X-Sum

5
ababa
0
X-Sum: 5

`, "\n", "\r\n"), string(wire))
}

func TestInterimStorm(t *testing.T) {
	CheckGoroutines(t)
	origin := NewOrigin(t, script(Answer{Kind: InterimStorm, Size: 7, Body: text}))
	var statuses []int
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(status int, _ textproto.MIMEHeader) error {
			statuses = append(statuses, status)
			return nil
		},
	})
	r, err := http.NewRequestWithContext(ctx, "GET", origin.URL, nil)
	require.NoError(t, err)
	resp, err := newTransport(t).RoundTrip(r)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, []int{102, 103, 100, 102, 103, 100, 102}, statuses)
}

func TestHugeHeader(t *testing.T) {
	CheckGoroutines(t)
	origin := NewOrigin(t, script(Answer{Kind: HugeHeader, Size: 1 << 20}))
	transport := &http.Transport{MaxResponseHeaderBytes: 1 << 20}
	defer transport.CloseIdleConnections()
	_, _, err := get(t, transport, origin.URL)
	require.ErrorContains(t, err, "server response headers exceeded 1048576 bytes")
}

func TestOddNotModified(t *testing.T) {
	CheckGoroutines(t)
	origin := NewOrigin(t, script(Answer{Kind: OddNotModified, Body: text}))
	replies, err := Client{}.Do(t.Context(), origin.URL)
	require.NoError(t, err)
	require.Equal(t, 200, replies[0].Status)

	conn, err := Dial(t.Context(), origin.URL)
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.Send(Request{Target: "/", Fields: []string{`If-None-Match: "a"`}}))
	reply, err := conn.Receive("GET")
	require.NoError(t, err)
	require.Equal(t, 304, reply.Status)
	require.Equal(t, "X-Odd", reply.Header.Get("Vary"))
	require.Equal(t, "12345", reply.Header.Get("Content-Length"))
	require.Equal(t, "odd=1", reply.Header.Get("Set-Cookie"))
	require.Empty(t, reply.Body)
}

func TestInTurn(t *testing.T) {
	CheckGoroutines(t)
	burst := slices.Repeat([]Answer{{Kind: ServerError}}, 5)
	origin := NewOrigin(t, InTurn(append(burst, Answer{Body: text})...))
	transport := newTransport(t)
	var statuses []int
	for range 7 {
		resp, _, err := get(t, transport, origin.URL+"/a")
		require.NoError(t, err)
		statuses = append(statuses, resp.StatusCode)
	}
	require.Equal(t, []int{500, 502, 503, 504, 500, 200, 200}, statuses)
	resp, _, err := get(t, transport, origin.URL+"/b")
	require.NoError(t, err)
	require.Equal(t, 502, resp.StatusCode, "each URL has its own sequence of answers")
	_, connections := origin.Connections()
	require.Equal(t, 1, connections, "answers without a fault keep the connection open")
}

func TestRefuse(t *testing.T) {
	CheckGoroutines(t)
	origin := NewOrigin(t, script(Answer{Body: text}))
	transport := newTransport(t)
	works := func() error { _, _, err := get(t, transport, origin.URL); return err }

	require.NoError(t, works())
	first, second := origin.Refuse(), origin.Refuse()
	require.ErrorIs(t, works(), syscall.ECONNREFUSED)
	first()
	first()
	require.ErrorIs(t, works(), syscall.ECONNREFUSED)
	second()
	require.NoError(t, works())

	origin.Close()
	origin.Refuse()()
	require.ErrorIs(t, works(), syscall.ECONNREFUSED)

	_, _, err := get(t, transport, RefusedURL())
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
}

// The kind Refuse closes the port until its Hold is closed.
func TestRefuseAsAnswer(t *testing.T) {
	CheckGoroutines(t)
	hold := make(chan struct{})
	origin := NewOrigin(t, InTurn(Answer{Kind: Refuse, Hold: hold}, Answer{Body: text}))
	transport := newTransport(t)
	_, _, err := get(t, transport, origin.URL)
	require.ErrorIs(t, err, syscall.ECONNRESET)
	_, _, err = get(t, transport, origin.URL)
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	close(hold)
	require.True(t, settle(func() bool { _, _, err = get(t, transport, origin.URL); return err == nil }))
}

// When the client leaves a silent origin, the answer ends.
func TestStallsEndWithTheClient(t *testing.T) {
	CheckGoroutines(t)
	for _, kind := range []Kind{Hang, StallInHeader, StallAfterHeader, StallInBody} {
		t.Run(kind.String(), func(t *testing.T) {
			asked, left := make(chan struct{}), make(chan struct{})
			origin := NewOrigin(t, func(*http.Request) Answer {
				close(asked)
				return Answer{Kind: kind, Body: text, Done: func(int64, error) { close(left) }}
			})
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				<-asked
				cancel()
			}()
			r, err := http.NewRequestWithContext(ctx, "GET", origin.URL, nil)
			require.NoError(t, err)
			resp, err := newTransport(t).RoundTrip(r)
			if err == nil {
				_, err = io.ReadAll(resp.Body)
				resp.Body.Close()
			}
			require.ErrorIs(t, err, context.Canceled)
			<-left
			require.True(t, settle(func() bool { open, _ := origin.Connections(); return open == 0 }))
		})
	}
}

func TestHoldInBody(t *testing.T) {
	CheckGoroutines(t)
	for _, framing := range []Framing{ByLength, Chunked, UntilClose} {
		hold := make(chan struct{})
		origin := NewOrigin(t, script(Answer{Body: text, Framing: framing, At: 8, Hold: hold}))
		r, err := http.NewRequestWithContext(t.Context(), "GET", origin.URL, nil)
		require.NoError(t, err)
		resp, err := newTransport(t).RoundTrip(r)
		require.NoError(t, err)
		part := make([]byte, 8)
		_, err = io.ReadFull(resp.Body, part)
		require.NoError(t, err)
		close(hold)
		rest, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, text, string(part)+string(rest))
	}
}

func TestEndlessBodyEndsWithTheClient(t *testing.T) {
	CheckGoroutines(t)
	type end struct {
		sent int64
		err  error
	}
	ended := make(chan end, 1)
	answer := Answer{
		Length: Endless, Framing: Chunked,
		Done: func(sent int64, err error) { ended <- end{sent, err} },
	}
	origin := NewOrigin(t, script(answer))
	r, err := http.NewRequestWithContext(t.Context(), "GET", origin.URL, nil)
	require.NoError(t, err)
	resp, err := newTransport(t).RoundTrip(r)
	require.NoError(t, err)
	got, want := make([]byte, 1<<20), make([]byte, 1<<20)
	_, err = io.ReadFull(resp.Body, got)
	require.NoError(t, err)
	_, err = io.ReadFull(answer.Content(), want)
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got))
	require.NoError(t, resp.Body.Close())
	e := <-ended
	require.Error(t, e.err)
	require.GreaterOrEqual(t, e.sent, int64(1<<20))
}

func TestJournal(t *testing.T) {
	CheckGoroutines(t)
	origin := NewOrigin(t, script(Answer{}))
	client := &http.Client{Transport: newTransport(t)}
	for range maxSeen {
		resp, err := client.Get(origin.URL + "/b")
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
	}
	body := strings.Repeat("x", maxSeenBody) + "y"
	r, err := http.NewRequest("POST", origin.URL+"/a?b=c", strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Expect", "100-continue")
	r.Host = "example.com"
	resp, err := client.Do(r)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())

	require.Equal(t, maxSeen+1, origin.Total())
	require.Equal(t, maxSeen, origin.Count("/b"))
	require.Equal(t, 1, origin.Count("/a?b=c"))
	require.Zero(t, origin.Count("/a"))
	require.Len(t, origin.Requests("/b"), maxSeen-1)
	require.Len(t, origin.Requests(""), maxSeen)
	seen := origin.Requests("/a?b=c")[0]
	require.Equal(t, "POST", seen.Method)
	require.Equal(t, "example.com", seen.Host)
	require.Equal(t, "HTTP/1.1", seen.Proto)
	require.Equal(t, "100-continue", seen.Header.Get("Expect"))
	require.Equal(t, body[:maxSeenBody], seen.Body)
	require.Equal(t, map[Kind]int{None: maxSeen + 1}, origin.Faults())

	origin.Forget()
	require.Zero(t, origin.Total())
	require.Zero(t, origin.Count("/b"))
	require.Empty(t, origin.Requests(""))
	require.Empty(t, origin.Faults())
}

func TestMalformedRequest(t *testing.T) {
	CheckGoroutines(t)
	origin := NewOrigin(t, script(Answer{}))
	conn, err := Dial(t.Context(), origin.URL)
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.Send(Request{Target: "/", Fields: []string{ControlField(0)}}))
	reply, err := conn.Receive("GET")
	require.NoError(t, err)
	require.Equal(t, 400, reply.Status)
	require.Zero(t, origin.Total())
}
