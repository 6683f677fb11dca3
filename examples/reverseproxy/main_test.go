package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience is how long a test waits for something that should happen at once.
const patience = 10 * time.Second

// running is the program while a test runs it.
type running struct {
	url  string
	log  *logBuffer
	rest chan string // what it prints after the first line
	stop func() (exit int)
}

// start runs the program with args on a free port until the test ends.
func start(t *testing.T, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	stdout, out := io.Pipe()
	p := &running{log: &logBuffer{}}
	exited := make(chan int, 1)
	go func() {
		exited <- run(ctx, append([]string{"-listen", "127.0.0.1:0"}, args...), out, p.log)
		out.Close()
	}()
	p.stop = sync.OnceValue(func() int {
		cancel()
		return <-exited
	})
	t.Cleanup(func() { p.stop() })

	lines := bufio.NewReader(stdout)
	first, err := lines.ReadString('\n')
	require.NoError(t, err, "the program ended: %s", p.log)
	p.rest = make(chan string, 100)
	go func() {
		defer close(p.rest)
		for line, err := lines.ReadString('\n'); err == nil; line, err = lines.ReadString('\n') {
			select {
			case p.rest <- line:
			default: // nobody reads them
			}
		}
	}()
	p.url = regexp.MustCompile(`at (http://\S+)\n`).FindStringSubmatch(first)[1]
	return p
}

// eachFront runs test once for each front door.
func eachFront(t *testing.T, test func(t *testing.T, front string)) {
	for _, front := range []string{frontHandler, frontTransport} {
		t.Run(front, func(t *testing.T) { test(t, front) })
	}
}

// serveOrigin serves handler until the test ends, and returns its URL.
func serveOrigin(t *testing.T, handler http.HandlerFunc) string {
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// logBuffer is a bytes.Buffer that a program writes to while a test reads.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// ask sends one request and reads the whole answer.
func ask(t *testing.T, method, url string, fields ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	require.NoError(t, err)
	for i := 0; i < len(fields); i += 2 {
		req.Header.Add(fields[i], fields[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true}, Timeout: patience}
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(body)
}

func TestDemo(t *testing.T) {
	eachFront(t, func(t *testing.T, front string) {
		p := start(t, "-front", front)
		first, one := ask(t, "GET", p.url+"/")
		require.Equal(t, http.StatusOK, first.StatusCode)
		require.Contains(t, first.Header.Get("Cache-Status"), "; fwd=uri-miss")
		require.Contains(t, one, "answer 1,")
		require.Empty(t, first.Header.Get("Age"))

		second, two := ask(t, "GET", p.url+"/")
		require.Equal(t, one, two, "the origin was asked again")
		require.NotEmpty(t, second.Header.Get("Age"))
		require.Contains(t, second.Header.Get("Cache-Status"), "; hit")

		for _, status := range []int{http.StatusOK, http.StatusNotFound} {
			purge, _ := ask(t, "PURGE", p.url+"/")
			require.Equal(t, status, purge.StatusCode)
		}
		third, three := ask(t, "GET", p.url+"/")
		require.Contains(t, third.Header.Get("Cache-Status"), "; fwd=uri-miss")
		require.Contains(t, three, "answer 2,")

		require.Zero(t, p.stop())
		require.Empty(t, p.log.String(), "nothing is logged without -v")
	})
}

func TestExitStatus(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	for _, test := range []struct {
		args   []string
		exit   int
		stderr string
	}{
		{[]string{"-h"}, 0, ""},
		{[]string{"-memory", "12parsecs"}, 2, `reverseproxy: invalid value "12parsecs" for flag -memory: want bytes`},
		{[]string{"-origin", ""}, 2, `reverseproxy: invalid value "" for flag -origin: want http://host:port`},
		{[]string{"-nonsense"}, 2, "reverseproxy: flag provided but not defined: -nonsense"},
		{[]string{"-listen", taken.Addr().String()}, 1, "reverseproxy: listen tcp"},
		{[]string{"-listen", "nowhere"}, 1, "reverseproxy: listen tcp"},
	} {
		var stdout, stderr bytes.Buffer
		require.Equal(t, test.exit, run(t.Context(), test.args, &stdout, &stderr), "%q", test.args)
		require.LessOrEqual(t, strings.Count(stderr.String(), "\n"), 2, "%s", &stderr)
		require.Contains(t, stderr.String(), test.stderr)
		require.Equal(t, test.exit == 0, stdout.Len() > 0, "usage is printed when it is asked for: %q", test.args)
	}
}

func TestShutdownWaitsForRequests(t *testing.T) {
	eachFront(t, func(t *testing.T, front string) {
		asked, goOn := make(chan struct{}), make(chan struct{})
		origin := serveOrigin(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			io.WriteString(w, "half and ")
			w.(http.Flusher).Flush()
			close(asked)
			<-goOn
			io.WriteString(w, "half")
		})
		p := start(t, "-front", front, "-origin", origin)
		resp, err := http.Get(p.url)
		require.NoError(t, err)
		defer resp.Body.Close()
		<-asked
		exit := make(chan int, 1)
		go func() { exit <- p.stop() }()
		for { // until no new connection is accepted
			conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
			if err != nil {
				break
			}
			conn.Close()
		}
		close(goOn)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, "half and half", string(body))
		require.Zero(t, <-exit)
	})
}
