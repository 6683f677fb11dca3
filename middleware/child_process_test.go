package middleware_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/middleware"
)

// Tests that measure a process under many clients run the cache and the clients in processes of
// their own: this test binary, started with a task in its environment.

const childTask = "CIRQUE_TEST_TASK"

// task tells a child what to do. Exactly one field is set.
type task struct {
	Cache   *cacheTask   `json:",omitempty"`
	Clients *clientsTask `json:",omitempty"`
}

// cacheTask makes the child serve Origin through a cache until its input ends. The child prints the
// URL.
type cacheTask struct {
	Origin, Door string
	MaxBytes     int64
	LockWait     time.Duration
}

// clientsTask makes the child GET URL from Count clients at once, each over its own connection. The
// child prints a clientsReport.
type clientsTask struct {
	URL   string
	Count int
}

// clientsReport says how the clients of one child fared.
type clientsReport struct {
	Right   int // clients that got 200 and Body
	Body    string
	Slowest time.Duration
	Err     string // one of the errors
}

func TestMain(m *testing.M) {
	text := os.Getenv(childTask)
	if text == "" {
		// The failures that these tests cause are not worth a log.
		slog.SetDefault(slog.New(slog.DiscardHandler))
		os.Exit(m.Run())
	}
	if err := runTask(text); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func runTask(text string) error {
	var do task
	if err := json.Unmarshal([]byte(text), &do); err != nil {
		return err
	}
	if do.Cache != nil {
		return do.Cache.run()
	}
	return do.Clients.run()
}

// startChild starts a child, which ends with t at the latest.
func startChild(t testing.TB, do task) (pid int, output *bufio.Reader) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	text, err := json.Marshal(do)
	require.NoError(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childTask+"="+string(text))
	cmd.Stderr = os.Stderr
	input, err := cmd.StdinPipe()
	require.NoError(t, err)
	pipe, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		input.Close()
		kill := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the child failed: %v", err)
		}
	})
	return cmd.Process.Pid, bufio.NewReader(pipe)
}

// startCache starts a child with a cache and returns its process ID and its URL.
func startCache(t testing.TB, c cacheTask) (pid int, url string) {
	t.Helper()
	pid, output := startChild(t, task{Cache: &c})
	_, err := fmt.Fscanln(output, &url)
	require.NoError(t, err)
	return pid, url
}

func (c *cacheTask) run() error {
	cache, err := middleware.New(middleware.Config{MaxBytes: c.MaxBytes, LockWait: c.LockWait})
	if err != nil {
		return err
	}
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 100}
	handler, err := newProxy(cache, c.Door, c.Origin, transport)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ErrorLog: quiet}
	go server.Serve(listener)
	fmt.Printf("http://%s\n", listener.Addr())
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func (c *clientsTask) run() error {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	var (
		report  clientsReport
		mu      sync.Mutex
		clients sync.WaitGroup
	)
	begun := time.Now()
	for range c.Count {
		clients.Go(func() {
			body, err := c.get(client)
			took := time.Since(begun)
			mu.Lock()
			defer mu.Unlock()
			report.Slowest = max(report.Slowest, took)
			switch {
			case err != nil:
				report.Err = err.Error()
			case report.Right == 0 || body == report.Body:
				report.Right++
				report.Body = body
			default:
				report.Err = "clients got different bodies"
			}
		})
	}
	clients.Wait()
	return json.NewEncoder(os.Stdout).Encode(report)
}

func (c *clientsTask) get(client *http.Client) (string, error) {
	resp, err := client.Get(c.URL)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("status %s", resp.Status)
	}
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}
