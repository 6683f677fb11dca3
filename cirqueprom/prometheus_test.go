package cirqueprom_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/cirqueprom"
	"github.com/cirquecache/cirque/middleware"
	"github.com/cirquecache/cirque/stats"
)

// A real Prometheus scrapes a cache under load and the example, with native histograms and without.
// Every query of the dashboard and of the rules must have an answer.
func TestPrometheusAnswersEveryQuery(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	program := tool(t, "prometheus")
	target := startLoad(t)
	example, page := startExample(t)
	load(t, func() { _ = get(page) })
	for _, native := range []bool{false, true} {
		t.Run(map[bool]string{false: "classic histograms", true: "native histograms"}[native], func(t *testing.T) {
			t.Parallel()
			p := startPrometheus(t, program, native, target, example)
			p.checkHistograms(native)
			p.checkQueries()
			p.checkRules()
		})
	}
}

// server is a Prometheus under test.
type server struct {
	t   *testing.T
	url string
}

// startPrometheus starts a Prometheus that scrapes the targets each second, and returns when it has
// done so for some time.
func startPrometheus(t *testing.T, program string, native bool, targets ...string) *server {
	dir := t.TempDir()
	rules, err := filepath.Abs("alerts.yml")
	require.NoError(t, err)
	config := filepath.Join(dir, "prometheus.yml")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, `
global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
rule_files: [%q]
scrape_configs:
  - job_name: cirque
    static_configs: [{targets: [%q, %q]}]
`, rules, targets[0], targets[1]), 0o600))
	promtool(t, nil, "check", "config", config)

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())
	args := []string{"--config.file=" + config, "--storage.tsdb.path=" + filepath.Join(dir, "data"), "--web.listen-address=" + address}
	if native {
		args = append(args, "--enable-feature=native-histograms")
	}
	var said logged
	command := exec.Command(program, args...)
	command.Stdout, command.Stderr = &said, &said
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		if t.Failed() {
			t.Log(said.String())
		}
	})
	p := &server{t, "http://" + address}
	require.Eventually(t, func() bool {
		return get(p.url+"/-/ready") == nil && len(p.values("count_over_time(cirque_start_time_seconds[1m]) > 6")) >= 2 &&
			len(p.values(`cirque:hit_ratio:rate5m`)) >= 2
	}, 40*time.Second, 200*time.Millisecond, "Prometheus scrapes both targets")
	return p
}

// get requests a URL.
func get(url string) error {
	response, err := http.Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, response.Status)
	}
	return nil
}

// ask sends a request to the API of Prometheus, and decodes its data.
func (p *server) ask(path string, data any) error {
	response, err := http.Get(p.url + path)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var answer struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return err
	}
	if answer.Status != "success" {
		return fmt.Errorf("%s: %s", path, answer.Error)
	}
	return json.Unmarshal(answer.Data, data)
}

// values returns the values of an instant query by their labels; those that are no number are left
// out.
func (p *server) values(query string) map[string]float64 {
	var data struct {
		Result []struct {
			Metric map[string]string
			Value  [2]any
		}
	}
	if err := p.ask("/api/v1/query?query="+url.QueryEscape(query), &data); err != nil {
		p.t.Errorf("the query %s: %v", query, err)
		return nil
	}
	values := make(map[string]float64)
	for _, r := range data.Result {
		text, _ := r.Value[1].(string)
		if v, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(v) {
			values[fmt.Sprint(r.Metric)] = v
		}
	}
	return values
}

// Both kinds of histogram answer for the time of misses, of which each takes the origin 20 ms.
func (p *server) checkHistograms(native bool) {
	t := p.t
	classic := `histogram_quantile(0.5, sum by (le) (rate(cirque_first_byte_seconds_bucket{cache="load", result="miss"}[1m])))`
	other := `histogram_quantile(0.5, sum(rate(cirque_first_byte_seconds{cache="load", result="miss"}[1m])))`
	query, none := classic, other
	low, high := 1.0/64, 1.0/4 // classic buckets are wide
	if native {
		query, none = other, classic
		low, high = 0.019, 0.1
	}
	got := p.values(query)
	require.Len(t, got, 1, query)
	for _, v := range got {
		require.Greater(t, v, low)
		require.Less(t, v, high)
	}
	require.Empty(t, p.values(none), "the histograms are of one kind")
}

// checkQueries executes all queries of the dashboard, at once and over time.
func (p *server) checkQueries() {
	replace := strings.NewReplacer("$__rate_interval", "1m", "$cache", ".*")
	for _, panel := range dashboard(p.t) {
		for _, target := range panel.Targets {
			query := replace.Replace(target.Expr)
			require.NotContains(p.t, query, "$")
			require.NotEmpty(p.t, p.values(query), "no data in %q: %s", panel.Title, query)
			var data struct{ Result []struct{ Values [][2]any } }
			now := time.Now().Unix()
			require.NoError(p.t, p.ask(fmt.Sprintf("/api/v1/query_range?query=%s&start=%d&end=%d&step=1", url.QueryEscape(query), now-30, now), &data))
			require.NotEmpty(p.t, data.Result, "no data in %q: %s", panel.Title, query)
		}
	}
}

// checkRules requires that Prometheus evaluates all rules, and that what they compare has data.
func (p *server) checkRules() {
	t := p.t
	var data struct {
		Groups []struct {
			Rules []struct{ Name, Query, Health, LastError, Type string }
		}
	}
	require.NoError(t, p.ask("/api/v1/rules", &data))
	seen := 0
	for _, group := range data.Groups {
		for _, rule := range group.Rules {
			require.Equal(t, "ok", rule.Health, "%s: %s", rule.Name, rule.LastError)
			p.values(rule.Query)
			seen++
		}
	}
	require.Equal(t, len(alerts(t))+2, seen)
	for _, ratio := range []string{"cirque:hit_ratio:rate5m", "cirque:byte_hit_ratio:rate5m"} {
		got := p.values(ratio + `{cache="load"}`)
		require.Len(t, got, 1)
		for _, v := range got {
			require.Greater(t, v, 0.0)
			require.Less(t, v, 1.0)
		}
	}
	for _, query := range []string{ // of the comparisons, the sides that are not in the dashboard
		`sum by (cache) (increase(cirque_requests_total[30m]))`,
		`sum by (cache) (increase(cirque_evicted_total[30m]))`,
		`cirque_fills_inflight / cirque_fills_max`,
		`cirque_revalidations_inflight / cirque_revalidations_max`,
		`sum by (cache) (rate(cirque_lock_waits_total{status=~"wait-timeout|age-timeout"}[5m])) / sum by (cache) (rate(cirque_lock_waits_total[5m]))`,
		`sum by (cache) (rate(cirque_fills_total{outcome="upstream-error"}[5m])) / sum by (cache) (rate(cirque_fills_total[5m]))`,
		`sum by (cache) (rate(cirque_revalidations_total{result="failed"}[5m])) / sum by (cache) (rate(cirque_revalidations_total[5m]))`,
		`sum by (cache, op) (increase(cirque_storage_errors_total[10m]))`,
		`sum by (cache) (increase(cirque_background_failures_total[15m]))`,
		`sum by (cache, kind) (increase(cirque_purges_total{result="failed"}[15m]))`,
		`sum by (cache, store) (rate(cirque_refused_total[5m]))`,
	} {
		require.NotEmpty(t, p.values(query), query)
	}
}

// logged collects what a program writes.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// load calls request again and again until the end of the test.
func load(t *testing.T, request func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var under sync.WaitGroup
	under.Go(func() {
		for ctx.Err() == nil {
			request()
			select {
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	})
	t.Cleanup(func() { cancel(); under.Wait() })
}

// startLoad starts a cache with requests of all kinds, and returns the address of its metrics.
func startLoad(t *testing.T) string {
	s := serve(t, middleware.Config{
		Name: "load", MaxBytes: 128 << 10, AuthorizePurge: func(*http.Request) bool { return true },
	}, func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(20 * time.Millisecond)
		switch {
		case r.URL.Path == "/private":
			w.Header().Set("Cache-Control", "private")
		case r.URL.Path == "/validated":
			w.Header().Set("Cache-Control", "no-cache")
			w.Header().Set("Etag", `"1"`)
			if r.Header.Get("If-None-Match") != "" {
				w.WriteHeader(http.StatusNotModified)
				return
			}
		case r.URL.Path == "/stale":
			w.Header().Set("Cache-Control", "max-age=1, stale-while-revalidate=60")
		default:
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("Vary", "Accept-Language")
		}
		fmt.Fprint(w, strings.Repeat("x", 10_000))
	})
	var n atomic.Int64
	load(t, func() {
		i := n.Add(1)
		var clients sync.WaitGroup
		for range 2 { // the second one waits for the first
			clients.Go(func() { _ = s.do("GET", fmt.Sprint("/page/", i), "Accept-Language", fmt.Sprint("l", i%2)) })
		}
		clients.Wait()
		for _, path := range []string{"/private", "/validated", "/stale", fmt.Sprint("/page/", i), "/page/0"} {
			_ = s.do("GET", path, "Accept-Language", fmt.Sprint("l", i%3))
		}
		if i%10 == 0 { // the others are evicted: there is room for about twelve
			_ = s.do("PURGE", fmt.Sprint("/page/", i-1))
			_ = s.do("POST", "/page/0")
		}
	})
	collector, err := cirqueprom.New(&complete{Source: s.cache})
	require.NoError(t, err)
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(collector)
	metrics := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError}))
	t.Cleanup(metrics.Close)
	return strings.TrimPrefix(metrics.URL, "http://")
}

// complete gives a cache numbers where it has none: what takes longer than the test to happen, and
// what its Storage or its policy do not report. They grow with each Snapshot.
type complete struct {
	cirqueprom.Source
	taken atomic.Uint64
}

func (c *complete) Stats() stats.Snapshot {
	s := c.Source.Stats()
	n := c.taken.Add(1)
	h := stats.Histogram{Count: n, Sum: float64(n), First: 0, Counts: []uint64{n}}
	if s.Variants.Count == 0 {
		s.Variants = h
	}
	if len(s.Storage) == 0 {
		s.Storage = []stats.Storage{{
			Name: "memory", Entries: 1, Limit: 1 << 20, Bytes: stats.StorageBytes{Entries: 2, Index: 1},
			Operations: map[string]stats.Operation{"lookup": {Time: h}},
		}}
	}
	if s.Eviction == nil {
		s.Eviction = &stats.Eviction{Policy: "gdsf", Entries: 1, Bytes: 2, Limit: 1 << 20, Evicted: n, EvictedBytes: n, Age: h}
	}
	if len(s.Curve) == 0 {
		s.Curve = []stats.CurvePoint{{Size: 1 << 20, HitRatio: 0.5, ByteHitRatio: 0.25}}
	}
	return s
}

// startExample builds and starts the example, and returns the address of its metrics and the URL of
// a page.
func startExample(t *testing.T) (metrics, page string) {
	program := filepath.Join(t.TempDir(), "server")
	output, err := exec.Command("go", "build", "-o", program, "./examples/server").CombinedOutput()
	require.NoError(t, err, "%s", output)
	command := exec.Command(program, "-listen", "127.0.0.1:0", "-metrics", "127.0.0.1:0")
	said, err := command.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	line, err := bufio.NewReader(said).ReadString('\n')
	require.NoError(t, err)
	_, rest, found := strings.Cut(line, "the website: ")
	require.True(t, found, line)
	page, rest, _ = strings.Cut(strings.TrimSpace(rest), "; its metrics: http://")
	metrics, _, _ = strings.Cut(rest, "/")
	return metrics, page
}
