package main

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
)

func TestLogHasOneLineForEachRequest(t *testing.T) {
	eachFront(t, func(t *testing.T, front string) {
		p := start(t, "-front", front, "-v")
		for _, step := range []string{"GET /", "GET /", "GET /private?x=1", "POST /", "PURGE /", "PURGE /"} {
			method, path, _ := strings.Cut(step, " ")
			ask(t, method, p.url+path)
		}
		require.Zero(t, p.stop())
		// A line is written after its answer was sent, so the next request's line may come first.
		want := []string{
			`method=GET url=/ status=200 phase=Miss bytes=\d\d duration=\S+\n`,
			`method=GET url=/ status=200 phase=Hit bytes=\d\d duration=\S+\n`,
			`method=GET url="/private\?x=1" status=200 phase=Miss bytes=\d\d duration=\S+\n`,
			`method=POST url=/ status=405 phase=Bypass bytes=\d+ duration=\S+\n`,
			`method=PURGE url=/ status=200 phase=Disabled bytes=0 duration=\S+\n`,
			`method=PURGE url=/ status=404 phase=Disabled bytes=\d+ duration=\S+\n`,
		}
		require.Equal(t, len(want), strings.Count(p.log.String(), "\n"), "one line a request:\n%s", p.log)
		for _, line := range want {
			require.Regexp(t, regexp.MustCompile(line), p.log.String())
		}
	})
}

func TestLogHasTheErrorOfAFailedRequest(t *testing.T) {
	eachFront(t, func(t *testing.T, front string) {
		cut := serveOrigin(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "10")
			w.Write([]byte("half"))
		})
		p := start(t, "-front", front, "-v", "-origin", cut)
		resp, err := http.Get(p.url)
		if err == nil {
			_, err = resp.Body.Read(make([]byte, 100))
			for err == nil {
				_, err = resp.Body.Read(make([]byte, 100))
			}
			resp.Body.Close()
		}
		require.ErrorContains(t, err, "EOF", "a truncated response must not look complete")
		require.Zero(t, p.stop())
		require.Contains(t, p.log.String(), "aborted=true")

		p = start(t, "-front", front, "-v", "-origin", refusing(t))
		resp, _ = ask(t, "GET", p.url)
		require.Equal(t, http.StatusBadGateway, resp.StatusCode)
		require.Zero(t, p.stop())
		require.Equal(t, 1, strings.Count(p.log.String(), "\n"), "one line a request: %s", p.log)
		require.Contains(t, p.log.String(), "status=502")
		require.Contains(t, p.log.String(), "connection refused")
	})
}

func TestPhaseOf(t *testing.T) {
	for line, phase := range map[string]cirque.CachePhase{
		"Cirque; hit; ttl=59": cirque.PhaseHit,
		"Cirque; hit; ttl=-3": cirque.PhaseStaleUpdating,
		"Cirque; fwd=uri-miss; fwd-status=200; stored; ttl=60":             cirque.PhaseMiss,
		"Cirque; fwd=vary-miss; fwd-status=200; stored":                    cirque.PhaseMiss,
		"Cirque; fwd=uri-miss; collapsed; ttl=60":                          cirque.PhaseHit,
		"Cirque; fwd=stale; fwd-status=304; stored; ttl=60":                cirque.PhaseRevalidated,
		"Cirque; fwd=stale; fwd-status=200; stored; ttl=60":                cirque.PhaseExpired,
		"Cirque; fwd=stale; fwd-status=503; ttl=-9; detail=stale-if-error": cirque.PhaseStale,
		"Cirque; fwd=bypass; detail=request-filter":                        cirque.PhaseBypass,
		"Cirque; fwd=method":                                               cirque.PhaseBypass,
		"Another; hit":                                                     cirque.PhaseDisabled,
	} {
		require.Equal(t, phase, phaseOf([]string{"Another; fwd=uri-miss", line}), line)
	}
	require.Equal(t, cirque.PhaseDisabled, phaseOf(nil))
}
