package main

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Responses on disk survive a restart, with and without memory in front of the disk.
func TestResponsesOnDiskSurviveARestart(t *testing.T) {
	for _, memory := range []string{"", "-memory 1MiB "} {
		t.Run("disk "+memory, func(t *testing.T) {
			asked := 0
			handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked++
				w.Header().Set("Cache-Control", "max-age=60")
				fmt.Fprint(w, strings.Repeat("kept ", 1000))
			})
			args := memory + "-disk " + t.TempDir() + " -disk-size 10MiB"
			for range 2 {
				o, err := parseOptions(strings.Fields(args), io.Discard)
				require.NoError(t, err)
				cache, closeStore, err := newCache(o, slog.New(slog.DiscardHandler))
				require.NoError(t, err)
				for range 2 {
					w := httptest.NewRecorder()
					cache.Handler(handler).ServeHTTP(w, httptest.NewRequest("GET", "http://example.test/", nil))
					require.Equal(t, strings.Repeat("kept ", 1000), w.Body.String())
				}
				require.NoError(t, cache.Close(t.Context()))
				require.NoError(t, closeStore())
			}
			require.Equal(t, 1, asked)
		})
	}
}

// A directory that is in use, or a file in its place, is a clear error.
func TestUnusableDiskIsAnError(t *testing.T) {
	dir := t.TempDir()
	o, err := parseOptions([]string{"-disk", dir}, io.Discard)
	require.NoError(t, err)
	_, closeStore, err := newCache(o, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer closeStore()
	_, _, err = newCache(o, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, dir)
}
