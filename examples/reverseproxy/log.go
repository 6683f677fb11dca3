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

// logRequests logs one line for each request of a client, after next has served it. Requests of the
// cache itself, which revalidate in the background, are not logged.
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

// recorder records the facts about a response that the log needs.
type recorder struct {
	http.ResponseWriter
	status      int
	cacheStatus []string
	bytes       int64
	err         error
}

type recorderKey struct{}

// noteError records for the log why the origin did not answer. It records nothing if the client has
// left, because that is then the reason.
func noteError(ctx context.Context, err error) {
	if rec, ok := ctx.Value(recorderKey{}).(*recorder); ok && ctx.Err() == nil {
		rec.err = err
	}
}

// complete reports whether the client has got the announced length of the body.
func (rec *recorder) complete() bool {
	return rec.Header().Get("Content-Length") == strconv.FormatInt(rec.bytes, 10)
}

// Unwrap lets http.ResponseController reach the wrapped writer, for example to hijack the
// connection.
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

// phaseOf returns the phase in which the walk of a request ended, as far as the Cache-Status of its
// response (RFC 9211) shows it.
func phaseOf(cacheStatus []string) cirque.CachePhase {
	if len(cacheStatus) == 0 {
		return cirque.PhaseDisabled
	}
	// Each cache adds itself at the end, so the last member is that of this cache.
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
