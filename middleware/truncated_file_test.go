//go:build linux

package middleware_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/diskcache"
	"github.com/cirquecache/cirque/memcache"
	"github.com/cirquecache/cirque/middleware"
	"github.com/cirquecache/cirque/tiered"
)

// A file of the disk store is truncated while its body is being sent, and perhaps filled again. The
// client gets the body as it was stored, or an error. Bytes in the connection's buffers count too:
// sendfile would put the file's pages there, and truncation turns those into zeros.
//
// Each storage and door has a third of the cases, another third than the one before; with
// CIRQUE_LONG it has all of them.
func TestFileTruncatedWhileSentGivesNoWrongBytes(t *testing.T) {
	bodies := map[string][]byte{}
	for path, size := range map[string]int{"/1": 1 << 20, "/12": 12 << 20} {
		body := make([]byte, size)
		_, _ = rand.NewChaCha8([32]byte{byte(size >> 20)}).Read(body)
		bodies[path] = body
	}
	origin := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=600")
		w.Header().Set("Etag", `"one"`)
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.Itoa(len(bodies[r.URL.Path])))
		w.Write(bodies[r.URL.Path])
	}
	turn := 0
	for _, storage := range []string{"disk", "tier"} {
		t.Run(storage, func(t *testing.T) {
			dir := t.TempDir()
			store, err := diskcache.Open(dir, nil)
			require.NoError(t, err)
			defer store.Close()
			cfg := middleware.Config{Storage: store, Eviction: store.Eviction(), MaxObjectBytes: 64 << 20}
			if storage == "tier" {
				cfg.Storage = tiered.New(memcache.New(memcache.Config{}), store, tiered.Config{MaxUpperBytes: 100_000})
			}
			eachDoor(t, cfg, origin, func(t *testing.T, h *harness) {
				number := turn
				turn++
				for _, path := range []string{"/1", "/12"} {
					for _, ranges := range []string{"", "bytes=1000-", "bytes=0-99,300-700000"} {
						for _, cut := range []int{0, 5000, 600_000} {
							if path == "/12" && cut != 5000 {
								continue
							}
							for _, anew := range []bool{false, true} {
								if number%3 == 0 || longTests() {
									truncatedWhileSent(t, h, dir, path, bodies[path], ranges, cut, anew)
								}
								number++
							}
						}
					}
				}
			})
		})
	}
}

func truncatedWhileSent(t *testing.T, h *harness, dir, path string, body []byte, ranges string, cut int, anew bool) {
	t.Helper()
	// Until every byte was checked and the file is old enough for the check to be remembered.
	for range 3 {
		require.NoError(t, h.get(path).err)
		time.Sleep(25 * time.Millisecond)
	}
	require.Contains(t, h.get(path).status(), "; hit")
	r, err := http.NewRequest(http.MethodGet, h.front.URL+path, nil)
	require.NoError(t, err)
	if ranges != "" {
		r.Header.Set("Range", ranges)
	}
	resp, err := oneRequestTransport.RoundTrip(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	first := make([]byte, 100)
	_, err = io.ReadFull(resp.Body, first)
	require.NoError(t, err)
	time.Sleep(5 * time.Millisecond) // the buffers fill

	for _, path := range entryFiles(t, dir, len(body)) {
		file, err := os.OpenFile(path, os.O_WRONLY, 0)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a damaged file of an earlier round, which was just removed
		}
		require.NoError(t, err)
		require.NoError(t, file.Truncate(int64(cut)))
		if anew { // through the open file, which the store may remove meanwhile
			require.NoError(t, file.Truncate(int64(len(body)+10_000)))
		}
		require.NoError(t, file.Close())
	}
	rest, err := io.ReadAll(resp.Body)
	got := append(first, rest...)
	if err == nil {
		switch {
		case strings.Contains(ranges, ","):
			wantParts(t, resp, got, body)
		case ranges != "":
			require.True(t, bytes.Equal(body[1000:], got), "the body ended without an error but differs")
		default:
			require.True(t, bytes.Equal(body, got), "the body ended without an error but differs")
		}
	}
	if len(body) > 8<<20 && !strings.Contains(ranges, ",") {
		require.Error(t, err, "a body that was truncated while it was sent must end in an error")
	}
	again := h.get(path)
	require.NoError(t, again.err)
	require.True(t, again.body == string(body))
	require.NoError(t, h.cache.Wait(context.Background()))
}

// A named pipe in the place of an entry's file opens only when somebody writes to it. It blocks
// nobody: the entry is fetched again, and is a hit from then on.
func TestNamedPipeInPlaceOfAnEntryBlocksNobody(t *testing.T) {
	dir := t.TempDir()
	store, err := diskcache.Open(dir, nil)
	require.NoError(t, err)
	defer store.Close()
	cfg := middleware.Config{Storage: store, Eviction: store.Eviction()}
	eachDoor(t, cfg, fresh(strings.Repeat("a body ", 20_000)), func(t *testing.T, h *harness) {
		h.get("/")
		require.NoError(t, h.cache.Wait(t.Context()))
		for _, file := range entryFiles(t, dir, 140_000) {
			require.NoError(t, os.Remove(file))
			require.NoError(t, syscall.Mkfifo(file, 0o600))
		}
		h.client.Timeout = 5 * time.Second
		require.Contains(t, h.get("/").status(), "; stored")
		require.NoError(t, h.cache.Wait(t.Context()))
		require.Contains(t, h.get("/").status(), "; hit")
		require.NoError(t, store.Err())
	})
}

// wantParts checks the parts of a multipart answer.
func wantParts(t *testing.T, resp *http.Response, got, body []byte) {
	t.Helper()
	_, params, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	require.NoError(t, err)
	parts := multipart.NewReader(bytes.NewReader(got), params["boundary"])
	for _, want := range [][]byte{body[:100], body[300:700_001]} {
		part, err := parts.NextPart()
		require.NoError(t, err)
		b, err := io.ReadAll(part)
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, b), "the body ended without an error but differs")
	}
}

// entryFiles returns the files of entries with a body of size bytes. Each door has its own.
func entryFiles(t *testing.T, dir string, size int) (files []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if _, hexErr := hex.DecodeString(d.Name()); err != nil || d.IsDir() || hexErr != nil {
			return err
		}
		if info, err := d.Info(); err == nil && info.Size() > int64(size) && info.Size() < int64(size)+9000 {
			files = append(files, path)
		}
		return nil
	}))
	require.NotEmpty(t, files)
	return files
}
