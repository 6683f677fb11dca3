package middleware_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/diskcache"
	"github.com/cirquecache/cirque/middleware"
)

func groupedOrigin(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "max-age=600")
	if r.Method == http.MethodPost {
		w.Header().Set("Cache-Group-Invalidation", `"g"`)
		return
	}
	w.Header().Set("Cache-Groups", `"g"`)
	w.Header().Set("Date", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
	io.WriteString(w, "body")
}

func TestPurgesOutliveARestart(t *testing.T) {
	for name, purge := range map[string]func(t *testing.T, h *house){
		"all": func(t *testing.T, h *house) { require.NoError(t, h.cache.PurgeAll(t.Context())) },
		"group": func(t *testing.T, h *house) {
			r := h.keyed("/")
			r.Host = "example.com"
			require.NoError(t, h.cache.PurgeGroup(t.Context(), r, "g"))
		},
		"post": func(t *testing.T, h *house) { h.do(http.MethodPost, "/other", "Host", "example.com") },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			disk, err := diskcache.Open(dir, nil)
			require.NoError(t, err)
			h := newHouse(t, "handler", middleware.Config{Storage: disk}, groupedOrigin)
			h.get("/", "Host", "example.com")
			require.Contains(t, h.get("/", "Host", "example.com").status(), "; hit")
			purge(t, h)
			require.NoError(t, h.cache.Close(t.Context()))
			require.NoError(t, disk.Close())
			disk, err = diskcache.Open(dir, nil)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, disk.Close()) })
			h.front.Close()
			h.open(middleware.Config{Storage: disk}, nil)
			require.Contains(t, h.get("/", "Host", "example.com").status(), "fwd=uri-miss")
		})
	}
}
