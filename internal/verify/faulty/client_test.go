package faulty

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBehavioursHaveNames(t *testing.T) {
	names := make(map[string]bool)
	for _, behaviour := range Behaviours() {
		require.NotEmpty(t, behaviour.String())
		names[behaviour.String()] = true
	}
	require.Len(t, names, len(Behaviours()))
	require.Equal(t, "Behaviour(200)", Behaviour(200).String())
}

// net/http's server handles every behaviour correctly, with these replies.
func TestBehavioursToAServer(t *testing.T) {
	CheckGoroutines(t)
	want := map[Behaviour][]int{
		Polite:         {200},
		DripReading:    {200},
		Pipelining:     {200, 200, 200, 200, 200, 200, 200, 200},
		FatGet:         {200},
		ManyRanges:     {200},
		ManyBytes:      {206},
		HiddenRequest:  {200, 200},
		UnfinishedBody: {200},
		OversizeHeader: {200},
		ControlHeader:  {400},
		MethodOverride: {200},
	}
	for _, behaviour := range Behaviours() {
		t.Run(behaviour.String(), func(t *testing.T) {
			var seen Journal
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				seen.record(&Seen{URI: r.RequestURI, Host: r.Host, Header: r.Header})
				http.ServeContent(w, r, "a.txt", time.Time{}, strings.NewReader(strings.Repeat(text, 100)))
			}))
			defer server.Close()
			replies, err := Client{Behaviour: behaviour, Stay: time.Millisecond}.Do(t.Context(), server.URL+"/a?b=c")
			require.NoError(t, err)
			var statuses []int
			for _, reply := range replies {
				statuses = append(statuses, reply.Status)
			}
			require.Equal(t, want[behaviour], statuses)

			server.Close()
			require.Equal(t, seen.Total(), seen.Count("/a?b=c"))
			for _, request := range seen.Requests("") {
				require.Equal(t, server.Listener.Addr().String(), request.Host)
			}
			switch request := seen.Requests(""); behaviour {
			case ManyRanges:
				require.Equal(t, 299, strings.Count(request[0].Header.Get("Range"), ","))
				require.True(t, strings.HasPrefix(request[0].Header.Get("Range"), "bytes=0-,1-,2-"))
			case ManyBytes:
				require.Equal(t, 299, strings.Count(request[0].Header.Get("Range"), ","))
				require.True(t, strings.HasPrefix(request[0].Header.Get("Range"), "bytes=0-0,2-2,4-4"))
			case OversizeHeader:
				require.Len(t, "X-Oversize: "+request[0].Header.Get("X-Oversize"), 32<<10)
			case MethodOverride:
				require.Equal(t, "DELETE", request[0].Header.Get("X-HTTP-Method-Override"))
			}
		})
	}
}

// A server that leaves request bodies unread takes the rest of a body for a request. The replies to
// HiddenRequest and UnfinishedBody show that.
func TestRepliesShowAnUnreadBody(t *testing.T) {
	CheckGoroutines(t)
	for behaviour, second := range map[Behaviour]string{
		HiddenRequest:  "GET " + HiddenTarget,
		UnfinishedBody: "unfinishedGET /a",
	} {
		listener := listen()
		requests := make(chan string, 10)
		go func() {
			defer close(requests)
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			for in := bufio.NewReader(conn); ; {
				r, err := http.ReadRequest(in)
				if err != nil {
					return
				}
				requests <- r.Method + " " + r.RequestURI
				io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			}
		}()
		got, err := Client{Behaviour: behaviour}.Do(t.Context(), "http://"+listener.Addr().String()+"/a")
		require.NoError(t, err)
		require.Len(t, got, 2)
		require.Equal(t, "GET /a", <-requests)
		require.Equal(t, second, <-requests)
		listener.Close()
		for range requests { // until the server has ended
		}
	}
}

// A client that leaves while it sends has sent At bytes.
func TestLeaveSending(t *testing.T) {
	CheckGoroutines(t)
	listener := listen()
	defer listener.Close()
	url := "http://" + listener.Addr().String() + "/a"
	wire := Request{Target: "/a"}.wire(listener.Addr().String())
	for _, behaviour := range []Behaviour{ResetSending, CloseSending} {
		for at := 1; at <= len(wire); at++ {
			_, err := Client{Behaviour: behaviour, At: int64(at)}.Do(t.Context(), url)
			require.NoError(t, err)
			conn, err := listener.Accept()
			require.NoError(t, err)
			got, err := io.ReadAll(conn)
			if behaviour == ResetSending {
				require.ErrorIs(t, err, syscall.ECONNRESET)
			} else {
				require.NoError(t, err)
			}
			require.Equal(t, wire[:at], string(got))
			conn.Close()
		}
	}
}

// Clients that leave while they read, or that do not read, make the server's writes fail.
func TestLeaveReading(t *testing.T) {
	CheckGoroutines(t)
	for _, behaviour := range []Behaviour{StallReading, ResetReading, CloseReading} {
		t.Run(behaviour.String(), func(t *testing.T) {
			ended := make(chan error, 1)
			origin := NewOrigin(t, script(Answer{
				Length: Endless, Framing: Chunked,
				Done: func(_ int64, err error) { ended <- err },
			}))
			replies, err := Client{Behaviour: behaviour, Stay: 10 * time.Millisecond}.Do(t.Context(), origin.URL)
			require.NoError(t, err)
			require.Empty(t, replies)
			var failed *net.OpError
			require.ErrorAs(t, <-ended, &failed)
			require.Equal(t, "write", failed.Op)
		})
	}
}

func TestThrottle(t *testing.T) {
	CheckGoroutines(t)
	origin := NewOrigin(t, script(Answer{Body: text}))
	conn, err := Dial(t.Context(), origin.URL)
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.Throttle(Drip{Bytes: 3}))
	require.NoError(t, conn.Send(Request{Target: "/"}))
	_, err = conn.In.Peek(1)
	require.NoError(t, err)
	require.Equal(t, 3, conn.In.Buffered())
	reply, err := conn.Receive("GET")
	require.NoError(t, err)
	require.Equal(t, text, string(reply.Body))
}

func TestReceive(t *testing.T) {
	CheckGoroutines(t)
	origin := NewOrigin(t, InTurn(
		Answer{Interim: []int{103, 102}, Body: text},
		Answer{Body: text},
		Answer{Kind: ShortBody, Body: text, At: 9},
	))
	conn, err := Dial(t.Context(), origin.URL)
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.Send(Request{Target: "/"}, Request{Method: "HEAD", Target: "/"}, Request{Target: "/"}))
	reply, err := conn.Receive("GET")
	require.NoError(t, err)
	require.Equal(t, []int{103, 102}, reply.Interim)
	require.Equal(t, text, string(reply.Body))
	reply, err = conn.Receive("HEAD")
	require.NoError(t, err)
	require.Empty(t, reply.Body)
	reply, err = conn.Receive("GET")
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Equal(t, text[:9], string(reply.Body))
}

// A client that waits for an answer that never comes ends with its context.
func TestClientContext(t *testing.T) {
	CheckGoroutines(t)
	for _, behaviour := range []Behaviour{Polite, DripReading, ResetReading} {
		ctx, cancel := context.WithCancel(t.Context())
		origin := NewOrigin(t, func(*http.Request) Answer {
			cancel()
			return Answer{Kind: Hang}
		})
		_, err := Client{Behaviour: behaviour}.Do(ctx, origin.URL)
		require.ErrorIs(t, err, context.Canceled)
	}
}
