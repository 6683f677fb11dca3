package cirqueprom_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/cirqueprom"
	"github.com/cirquecache/cirque/middleware"
	"github.com/cirquecache/cirque/stats"
)

// fixed is a Source whose numbers are given.
type fixed stats.Snapshot

func (f fixed) Stats() stats.Snapshot { return stats.Snapshot(f) }

// gather returns the metric families of the sources, by name. A pedantic registry checks them.
func gather(t *testing.T, sources ...cirqueprom.Source) map[string]*dto.MetricFamily {
	t.Helper()
	collector, err := cirqueprom.New(sources...)
	require.NoError(t, err)
	registry := prometheus.NewPedanticRegistry()
	require.NoError(t, registry.Register(collector))
	all, err := registry.Gather()
	require.NoError(t, err)
	families := make(map[string]*dto.MetricFamily)
	for _, f := range all {
		families[f.GetName()] = f
	}
	return families
}

// label returns the value of a label of m.
func label(m *dto.Metric, name string) string {
	for _, pair := range m.Label {
		if pair.GetName() == name {
			return pair.GetValue()
		}
	}
	return ""
}

// described returns the label names of each metric family that Describe names, by name. The names
// are parsed from the text of a Desc, which has no accessors.
func described(t *testing.T) map[string]string {
	t.Helper()
	collector, err := cirqueprom.New(fixed{Name: "x"})
	require.NoError(t, err)
	ch := make(chan *prometheus.Desc, 1000)
	collector.Describe(ch)
	close(ch)
	names := make(map[string]string)
	for desc := range ch {
		parts := regexp.MustCompile(`^Desc\{fqName: "([^"]+)", help: "([^"]+\.)", unit: "", constLabels: \{\}, variableLabels: \{([^}]*)\}\}$`).FindStringSubmatch(desc.String())
		require.NotNil(t, parts, desc)
		require.NotContains(t, names, parts[1], "two families of one name")
		names[parts[1]] = parts[3]
	}
	return names
}

// site is a server with a cache in front of a handler.
type site struct {
	t      *testing.T
	cache  *middleware.Cache
	server *httptest.Server
}

func serve(t *testing.T, cfg middleware.Config, origin http.HandlerFunc) *site {
	t.Helper()
	cache, err := middleware.New(cfg)
	require.NoError(t, err)
	server := httptest.NewServer(cache.Handler(origin))
	t.Cleanup(func() {
		server.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, cache.Close(ctx))
	})
	return &site{t, cache, server}
}

// do sends a request and reads the answer. header holds name, value pairs; Host is one of them.
func (s *site) do(method, path string, header ...string) error {
	r, err := http.NewRequest(method, s.server.URL+path, nil)
	if err != nil {
		return err
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
		r.Header.Set(header[i], header[i+1])
	}
	response, err := s.server.Client().Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

func (s *site) get(path string, header ...string) {
	s.t.Helper()
	require.NoError(s.t, s.do(http.MethodGet, path, header...))
}

// fresh answers with the path, to be stored for a minute.
func fresh(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "max-age=60")
	fmt.Fprint(w, r.URL.Path)
}
