package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/stats"
)

// consoleOf returns the URL of the console that the program has announced.
func consoleOf(t *testing.T, p *running) string {
	t.Helper()
	for {
		select {
		case line, ok := <-p.rest:
			require.True(t, ok, "the program ended: %s", p.log)
			if at := regexp.MustCompile(`^console at (\S+)/\n`).FindStringSubmatch(line); at != nil {
				return at[1]
			}
		case <-time.After(patience):
			t.Fatal("no console was announced")
		}
	}
}

func TestConsoleHasThePageAndTheNumbers(t *testing.T) {
	eachFront(t, func(t *testing.T, front string) {
		p := start(t, "-front", front, "-console", "127.0.0.1:0")
		console := consoleOf(t, p)
		ask(t, "GET", p.url+"/")
		ask(t, "GET", p.url+"/")
		page, body := ask(t, "GET", console+"/")
		require.Equal(t, http.StatusOK, page.StatusCode)
		require.Contains(t, body, "<title>Cirque</title>")
		_, body = ask(t, "GET", console+"/stats.json")
		var snapshot stats.Snapshot
		require.NoError(t, json.Unmarshal([]byte(body), &snapshot))
		var hits uint64
		for _, d := range stats.Doors() {
			hits += snapshot.Requests[d][stats.Hit]
		}
		require.EqualValues(t, 1, hits)
		forwarded, _ := ask(t, "GET", console+"/stats.json", "X-Forwarded-For", "192.0.2.1")
		require.Equal(t, http.StatusForbidden, forwarded.StatusCode)
		site, _ := ask(t, "GET", p.url+"/stats.json")
		require.Equal(t, http.StatusNotFound, site.StatusCode, "it is not on the website's address")
		require.Zero(t, p.stop())
	})
}

func TestConsoleWithATokenAsksForIt(t *testing.T) {
	p := start(t, "-console", "127.0.0.1:0", "-console-token", "0123456789abcdef")
	console := consoleOf(t, p)
	without, _ := ask(t, "GET", console+"/stats.json")
	require.Equal(t, http.StatusUnauthorized, without.StatusCode)
	with, _ := ask(t, "GET", console+"/stats.json", "Authorization", "Bearer 0123456789abcdef")
	require.Equal(t, http.StatusOK, with.StatusCode)
}

// A page that is open does not keep the program from ending.
func TestOpenConsoleEndsWithTheProgram(t *testing.T) {
	p := start(t, "-console", "127.0.0.1:0")
	stream, err := http.Get(consoleOf(t, p) + "/events")
	require.NoError(t, err)
	defer stream.Body.Close()
	began := time.Now()
	require.Zero(t, p.stop())
	require.Less(t, time.Since(began), shutdownGrace/2)
	_, _ = io.Copy(io.Discard, stream.Body)
}

func TestConsoleOnATakenAddressIsAnError(t *testing.T) {
	taken := httptest.NewServer(nil)
	defer taken.Close()
	var log logBuffer
	require.Equal(t, 1, run(t.Context(), []string{"-listen", "127.0.0.1:0", "-console", strings.TrimPrefix(taken.URL, "http://")}, io.Discard, &log))
	require.Contains(t, log.String(), "address already in use")
}

// The visitors of the demo meet every result but bypasses by upgrades, and the reasons that a page
// about a cache should show.
func TestDemoHasTrafficOfAllKinds(t *testing.T) {
	eachFront(t, func(t *testing.T, front string) {
		t.Parallel() // the slow page keeps the program from ending at once
		p := start(t, "-front", front, "-demo", "-console", "127.0.0.1:0")
		console := consoleOf(t, p)
		seen := make(map[stats.Result]uint64)
		require.Eventually(t, func() bool {
			_, body := ask(t, "GET", console+"/stats.json")
			var snapshot stats.Snapshot
			require.NoError(t, json.Unmarshal([]byte(body), &snapshot))
			for _, r := range []stats.Result{stats.Hit, stats.Miss, stats.Pass, stats.Stale} {
				for _, d := range stats.Doors() {
					seen[r] = max(seen[r], snapshot.Requests[d][r])
				}
				if seen[r] == 0 {
					return false
				}
			}
			return snapshot.Uncached["no-store"] > 0 && snapshot.Uncached["no-cache"] > 0
		}, patience, 100*time.Millisecond, "%v", seen)
		require.Zero(t, p.stop())
	})
}
