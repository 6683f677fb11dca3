package main

import (
	"cmp"
	"context"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/middleware"
)

// logRequests logs one line for each request of a client that next has served. The cache's own,
// with which it revalidates in the background, have none.
func logRequests(next http.Handler, logger *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if middleware.IsRefresh(r.Context()) {
			next.ServeHTTP(w, r)
			return
		}
		start := time.Now()
		rec := &recorder{ResponseWriter: w}
		method, url := r.Method, r.URL.String()
		aborted := true
		defer func() {
			attrs := []slog.Attr{
				slog.String("method", method),
				slog.String("url", url),
				slog.Int("status", cmp.Or(rec.status, http.StatusOK)),
				slog.String("phase", phaseOf(rec.cacheStatus).String()),
				slog.Int64("bytes", rec.bytes),
				slog.Duration("duration", time.Since(start)),
			}
			if aborted && !rec.complete() {
				attrs = append(attrs, slog.Bool("aborted", true))
			}
			if rec.err != nil {
				attrs = append(attrs, slog.Any("err", rec.err))
			}
			logger.LogAttrs(context.Background(), slog.LevelInfo, "request", attrs...)
		}()
		next.ServeHTTP(rec, r.WithContext(context.WithValue(r.Context(), recorderKey{}, rec)))
		aborted = false
	})
}

// recorder notes what the log says about a response.
type recorder struct {
	http.ResponseWriter
	status      int
	cacheStatus []string
	bytes       int64
	err         error
}

type recorderKey struct{}

// noteError lets the log say what kept the origin from answering; not where it was the client who
// left.
func noteError(ctx context.Context, err error) {
	if rec, ok := ctx.Value(recorderKey{}).(*recorder); ok && ctx.Err() == nil {
		rec.err = err
	}
}

// complete reports whether the client has the whole body, as far as its length was announced.
func (rec *recorder) complete() bool {
	return rec.Header().Get("Content-Length") == strconv.FormatInt(rec.bytes, 10)
}

// Unwrap lets http.ResponseController reach what is below, to hijack connections above all.
func (rec *recorder) Unwrap() http.ResponseWriter { return rec.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (rec *recorder) WriteHeader(status int) {
	if rec.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		rec.status = status
		rec.cacheStatus = rec.Header().Values("Cache-Status")
	}
	rec.ResponseWriter.WriteHeader(status)
}

// Write implements io.Writer.
func (rec *recorder) Write(p []byte) (int, error) {
	n, err := rec.ResponseWriter.Write(p)
	rec.bytes += int64(n)
	return n, err
}

// ReadFrom implements io.ReaderFrom.
func (rec *recorder) ReadFrom(r io.Reader) (int64, error) {
	n, err := io.Copy(rec.ResponseWriter, r)
	rec.bytes += n
	return n, err
}

// phaseOf reads off a response's Cache-Status (RFC 9211) where its walk through this cache ended.
func phaseOf(cacheStatus []string) cirque.CachePhase {
	if len(cacheStatus) == 0 {
		return cirque.PhaseDisabled
	}
	// Caches add themselves at the end; those before were further away.
	params := make(map[string]string)
	for i, part := range strings.Split(cacheStatus[len(cacheStatus)-1], "; ") {
		name, value, _ := strings.Cut(part, "=")
		if i == 0 && name != middleware.DefaultName {
			return cirque.PhaseDisabled
		}
		params[name] = value
	}
	_, hit := params["hit"]
	_, collapsed := params["collapsed"]
	validated := params["fwd-status"] == "304"
	switch fwd := params["fwd"]; {
	case hit && strings.HasPrefix(params["ttl"], "-"):
		return cirque.PhaseStaleUpdating
	case hit, collapsed:
		return cirque.PhaseHit
	case params["detail"] == "stale-if-error":
		return cirque.PhaseStale
	case fwd == "stale" && validated, fwd == "request" && validated:
		return cirque.PhaseRevalidated
	case fwd == "stale":
		return cirque.PhaseExpired
	case fwd == "bypass", fwd == "method":
		return cirque.PhaseBypass
	}
	return cirque.PhaseMiss
}
