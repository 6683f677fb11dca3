package diskcache

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
)

var ctx = context.Background()

// long is true if CIRQUE_LONG is set. Then tests leave nothing out, however long they take.
var long = os.Getenv("CIRQUE_LONG") != ""

func testKey(name string) cirque.CacheKey {
	return cirque.NewCacheKey("diskcache", "https://example.com/"+name, "somebody")
}

func testMeta(etag string) *cirque.CacheMeta {
	now := time.Now()
	header := http.Header{"Content-Type": {"text/plain"}, "Etag": {`"` + etag + `"`}}
	return cirque.NewCacheMeta(http.StatusOK, header, now, now.Add(time.Hour), 0, 0)
}

// testBody returns n random bytes. For another seed or length, even the first bytes differ.
func testBody(seed uint64, n int) []byte {
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16), byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)})
	b := make([]byte, n)
	_, _ = r.Read(b)
	return b
}

// taleBody returns a body that repeats its key and version, so that every part of it can be
// checked.
func taleBody(key, version uint32, size int) []byte {
	var unit [8]byte
	binary.LittleEndian.PutUint32(unit[:], key)
	binary.LittleEndian.PutUint32(unit[4:], version)
	return bytes.Repeat(unit[:], 1+size/len(unit))
}

// checkTale returns an error unless body is a taleBody of key.
func checkTale(key uint32, body []byte) error {
	if len(body) < 8 || !bytes.Equal(body, taleBody(key, binary.LittleEndian.Uint32(body[4:]), len(body)-8)) {
		return fmt.Errorf("wrong body of %d bytes for key %d", len(body), key)
	}
	return nil
}

// put stores body as HttpCache does.
func put(t testing.TB, s *Store, key cirque.CacheKey, body []byte) cirque.Tag {
	t.Helper()
	tag, err := tryPut(s, key, body)
	require.NoError(t, err)
	return tag
}

func tryPut(s *Store, key cirque.CacheKey, body []byte) (cirque.Tag, error) {
	meta := testMeta("first")
	w, err := s.MissHandler(ctx, key, meta, cirque.MissOptions{SizeHint: int64(len(body))})
	if err != nil {
		return 0, err
	}
	defer w.Abort()
	if _, err := w.Write(body); err != nil {
		return 0, err
	}
	done, err := w.Finish()
	if err != nil {
		return 0, err
	}
	for _, victim := range s.Eviction().Admit(key.Compact(), done.Size, meta.FreshUntil(), 0) {
		_ = s.Purge(ctx, victim, cirque.PurgeEviction)
	}
	return w.Tag(), nil
}

// get reads the whole body of key, by Read or by WriteTo.
func get(s *Store, key cirque.CacheKey, byRead bool) ([]byte, error) {
	_, hit, err := s.Lookup(ctx, key)
	if err != nil {
		return nil, err
	}
	defer hit.Close()
	var body bytes.Buffer
	var from io.Reader = hit
	if byRead {
		from = struct{ io.Reader }{hit}
	}
	_, err = io.Copy(&body, from)
	return body.Bytes(), err
}

func wantBody(t testing.TB, s *Store, key cirque.CacheKey, want []byte) {
	t.Helper()
	got, err := get(s, key, false)
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got), "the body of %d bytes is not the one of %d bytes that was stored", len(got), len(want))
}

func wantMiss(t testing.TB, s *Store, key cirque.CacheKey) {
	t.Helper()
	_, hit, err := s.Lookup(ctx, key)
	if err == nil {
		hit.Close()
	}
	require.ErrorIs(t, err, cirque.ErrNotFound)
}

// diskUse returns how many bytes the files below dir take, in whole blocks, and the paths of
// temporary files.
func diskUse(dir string) (n int64, temporary []string, err error) {
	err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return ignoreMissing(err)
		}
		info, err := d.Info()
		if err != nil {
			return ignoreMissing(err)
		}
		n += int64(blocksOf(info.Size())) * blockSize
		if len(d.Name()) > len(tempPrefix) && d.Name()[:len(tempPrefix)] == tempPrefix {
			temporary = append(temporary, path)
		}
		return nil
	})
	return n, temporary, err
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// reopen closes s, opens its directory again, and waits for the scan.
func reopen(t testing.TB, s *Store, config *Config) *Store {
	t.Helper()
	require.NoError(t, s.Close())
	return openScanned(t, s.root.dir, config)
}

// openScanned opens a store and waits for the scan.
func openScanned(t testing.TB, dir string, config *Config) *Store {
	t.Helper()
	s := openTest(t, dir, config)
	<-s.Scanned()
	return s
}

// eventually waits until ok returns true. After 20 seconds it fails the test with the message
// failure.
func eventually(t testing.TB, failure string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(failure)
		}
	}
}

func name(i int) string { return fmt.Sprintf("%06d", i) }
