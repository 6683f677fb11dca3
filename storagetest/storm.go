package storagetest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/cirquecache/cirque"
)

const (
	stormKeys   = 3
	stormRounds = 60
)

// storm is what the goroutines of the case Concurrency share.
type storm struct {
	e        *env
	versions atomic.Int64
	failed   chan string // the first failure
}

// runStorm runs writers, readers that also update metas, and a purger over a few keys at the same
// time. It checks everything that is read.
func runStorm(e *env) {
	s := &storm{e: e, failed: make(chan string, 1)}
	var wg sync.WaitGroup
	start := func(goroutines int, do func(k, round int)) {
		for i := range goroutines {
			wg.Go(func() {
				for round := range stormRounds {
					do((i+round)%stormKeys, round)
				}
			})
		}
	}
	start(stormKeys, s.write)
	start(2*stormKeys, s.read)
	start(1, s.purge)
	wg.Wait()
	select {
	case what := <-s.failed:
		e.broken("%s", what)
	default:
	}
}

// fail keeps the first failure. Unlike broken, it may be called from any goroutine.
func (s *storm) fail(format string, args ...any) {
	select {
	case s.failed <- fmt.Sprintf(format, args...):
	default:
	}
}

// write stores a new version of key k; every fourth write is aborted.
func (s *storm) write(k, round int) {
	version := int(s.versions.Add(1))
	body := versionedBody(k, version, round*997)
	w, err := s.e.storage.MissHandler(s.e.ctx, stormKey(k), versionedMeta(version), cirque.MissOptions{SizeHint: int64(len(body))})
	if err != nil {
		s.fail("MissHandler: %v", err)
		return
	}
	defer w.Abort()
	for len(body) > 0 {
		n, err := w.Write(body[:min(3000, len(body))])
		if err != nil {
			s.fail("Write: %v", err)
			return
		}
		body = body[n:]
	}
	if round%4 == 3 {
		return
	}
	if _, err := w.Finish(); err != nil && !errors.Is(err, cirque.ErrNotFound) {
		s.fail("Finish: %v", err)
	}
}

// read checks that a hit on key k has the body of the version that its meta names. In every fifth
// round it also updates the meta.
func (s *storm) read(k, round int) {
	m, h, err := s.e.storage.Lookup(s.e.ctx, stormKey(k))
	if errors.Is(err, cirque.ErrNotFound) {
		return
	}
	if err != nil {
		s.fail("Lookup: %v", err)
		return
	}
	defer h.Close()
	var body bytes.Buffer
	var from io.Reader = h
	if round%2 == 0 {
		from = onlyReader{h}
	}
	_, err = io.Copy(&body, from)
	text, _ := m.Extension(versionExtension)
	version, _ := strconv.Atoi(text)
	if want := versionedBody(k, version, body.Len()); !bytes.HasPrefix(want, body.Bytes()) {
		s.fail("a hit on key %d has the meta of version %d, but its body of %d bytes is from another write", k, version, body.Len())
	}
	if err != nil && !errors.Is(err, cirque.ErrAborted) {
		s.fail("Read: %v", err)
	}
	if size, known := h.Size(); err == nil && (!known || size != int64(body.Len())) {
		s.fail("a clean end after %d bytes, but the size is %d, %v", body.Len(), size, known)
	}
	if round%5 == 0 {
		err := s.e.storage.UpdateMeta(s.e.ctx, stormKey(k), versionedMeta(version), h.Tag())
		if err != nil && !errors.Is(err, cirque.ErrNotFound) {
			s.fail("UpdateMeta: %v", err)
		}
	}
}

func (s *storm) purge(k, round int) {
	err := s.e.storage.Purge(s.e.ctx, stormKey(k).Compact(), purgeTypes[round%2])
	if err != nil && !errors.Is(err, cirque.ErrNotFound) {
		s.fail("Purge: %v", err)
	}
}

func stormKey(k int) cirque.CacheKey { return key(strconv.Itoa(k)) }

// versionExtension is the extension of a meta that names the version of its body.
const versionExtension = "storagetest.version"

func versionedMeta(version int) *cirque.CacheMeta {
	m := meta(strconv.Itoa(version))
	m.SetExtension(versionExtension, strconv.Itoa(version))
	return m
}

// versionedBody returns a body of at least size bytes that repeats its key and version, so that
// every piece shows which write it is from.
func versionedBody(key, version, size int) []byte {
	var unit [16]byte
	binary.LittleEndian.PutUint64(unit[:], uint64(key))
	binary.LittleEndian.PutUint64(unit[8:], uint64(version))
	return bytes.Repeat(unit[:], 1+size/len(unit))
}
