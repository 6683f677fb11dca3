package cirqueotel_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/cirquecache/cirque/cirqueotel"
	"github.com/cirquecache/cirque/middleware"
)

func TestSpansOfAMissAndAHit(t *testing.T) {
	eachDoor(t, middleware.Config{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "body")
	}, func(t *testing.T, h *house) {
		client, body := h.ask("GET", "/")
		require.Equal(t, "body", body)
		spans := h.spans()
		require.NotEmpty(t, named(spans, "cache.lookup"))
		for _, s := range named(spans, "cache.lookup") {
			requireChild(t, s, client)
			require.Positive(t, s.took())
			require.Empty(t, s.get("cirque.ttl"))
		}
		lookups := named(spans, "cache.lookup")
		require.Equal(t, "Miss", lookups[len(lookups)-1].get("cirque.phase"))
		fill := one(t, spans, "cache.fill")
		requireLinked(t, fill, client)
		require.Equal(t, "true", fill.get("cirque.stored"))
		require.Equal(t, "4", fill.get("cirque.body.size"))
		require.Contains(t, []string{"59", "60"}, fill.get("cirque.ttl"))
		request := one(t, spans, "request")
		require.Equal(t, "miss", request.get("cirque.result"))
		require.Equal(t, "uri-miss", request.get("cirque.fwd"))
		require.Equal(t, "true", request.get("cirque.stored"))
		require.Equal(t, "4", request.get("cirque.body.size"))
		require.Equal(t, []trace.SpanContext{client.WithRemote(true)}, h.sent(), "the origin's request is a child of the client's")

		client, _ = h.ask("GET", "/")
		spans = h.spans()
		require.Len(t, spans, 2)
		lookup := one(t, spans, "cache.lookup")
		requireChild(t, lookup, client)
		require.Equal(t, "Hit", lookup.get("cirque.phase"))
		require.Contains(t, []string{"0", "1"}, lookup.get("cirque.age"))
		require.Contains(t, []string{"58", "59", "60"}, lookup.get("cirque.ttl"))
		request = one(t, spans, "request")
		require.Equal(t, "hit", request.get("cirque.result"))
		require.Equal(t, "false", request.get("cirque.stored"))
		require.Contains(t, []string{"0", "1"}, request.get("cirque.age"))
		require.Empty(t, request.get("cirque.fwd"))
		require.Empty(t, h.sent())
	})
}

func TestSpanOfALockWaitAndOfTheFillThatOutlivesItsRequest(t *testing.T) {
	var asked, header chan struct{}
	eachDoor(t, middleware.Config{}, func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		<-header
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "be")
		w.(http.Flusher).Flush()
		time.Sleep(20 * time.Millisecond)
		io.WriteString(w, "gun")
	}, func(t *testing.T, h *house) {
		asked, header = make(chan struct{}), make(chan struct{})
		first, second := h.twoAsk(asked, func() { close(header) })
		spans := h.spans()
		wait := one(t, spans, "cache.lock_wait")
		requireChild(t, wait, second)
		require.Equal(t, "Done", wait.get("cirque.lock.status"))
		require.GreaterOrEqual(t, wait.took(), 10*time.Millisecond)
		fill := one(t, spans, "cache.fill")
		requireLinked(t, fill, first)
		require.GreaterOrEqual(t, fill.took(), 20*time.Millisecond)
		require.Equal(t, "5", fill.get("cirque.body.size"))
		results := map[trace.SpanID]string{}
		for _, s := range named(spans, "request") {
			results[s.SpanContext.SpanID()] = s.get("cirque.result")
		}
		require.Equal(t, map[trace.SpanID]string{first.SpanID(): "miss", second.SpanID(): "collapsed"}, results)
	})
}

// A client that leaves does not end the fill, nor its span.
func TestFillGoesOnWhenItsClientHasLeft(t *testing.T) {
	asked, rest := make(chan struct{}), make(chan struct{})
	h := newHouse(t, "transport", middleware.Config{}, func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		w.Header().Set("Cache-Control", "max-age=60")
		w.(http.Flusher).Flush()
		<-rest
		io.WriteString(w, "body")
	})
	ctx, client := h.provider.Tracer("client").Start(t.Context(), "request")
	ctx, leave := context.WithCancel(ctx)
	r := httptest.NewRequestWithContext(ctx, "GET", "http://example.com/", nil)
	r.Body = nil
	response, err := h.door.RoundTrip(r)
	require.NoError(t, err)
	<-asked
	leave()
	_, err = io.ReadAll(response.Body)
	require.ErrorIs(t, err, context.Canceled)
	response.Body.Close()
	client.End()
	require.Empty(t, named(h.spans(), "cache.fill"), "it is under way")
	close(rest)
	require.NoError(t, h.cache.Wait(t.Context()))
	fill := one(t, h.spans(), "cache.fill")
	requireLinked(t, fill, client.SpanContext())
	require.Equal(t, "true", fill.get("cirque.stored"))
}

// validated answers with an ETag, and confirms it.
func validated(cacheControl string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", cacheControl)
		w.Header().Set("Etag", `"1"`)
		if r.Header.Get("If-None-Match") == "" {
			w.Header().Set("Age", "30") // stale from the start
			io.WriteString(w, "body")
			return
		}
		time.Sleep(20 * time.Millisecond)
		w.WriteHeader(http.StatusNotModified)
	}
}

func TestSpanOfARevalidationForWhichAClientWaits(t *testing.T) {
	eachDoor(t, middleware.Config{}, validated("no-cache"), func(t *testing.T, h *house) {
		h.ask("GET", "/")
		h.spans()
		client, _ := h.ask("GET", "/")
		spans := h.spans()
		s := one(t, spans, "cache.revalidate")
		requireChild(t, s, client)
		require.Equal(t, "foreground", s.get("cirque.where"))
		require.Equal(t, "304", s.get("http.response.status_code"))
		require.GreaterOrEqual(t, s.took(), 20*time.Millisecond)
		require.Equal(t, "revalidated", one(t, spans, "request").get("cirque.result"))
		require.Empty(t, named(spans, "cache.fill"))
	})
}

func TestSpanOfARevalidationInTheBackground(t *testing.T) {
	eachDoor(t, middleware.Config{}, validated("max-age=10, stale-while-revalidate=600"), func(t *testing.T, h *house) {
		h.ask("GET", "/")
		h.spans()
		h.sent()
		client, _ := h.ask("GET", "/")
		spans := h.spans()
		require.Equal(t, "stale", one(t, spans, "request").get("cirque.result"))
		s := one(t, spans, "cache.revalidate")
		requireLinked(t, s, client)
		require.Equal(t, "background", s.get("cirque.where"))
		require.Equal(t, "304", s.get("http.response.status_code"))
		require.Equal(t, "revalidated", s.get("cirque.result"))
		require.GreaterOrEqual(t, s.took(), 20*time.Millisecond)
		require.Equal(t, []trace.SpanContext{s.SpanContext.WithRemote(true)}, h.sent(), "the origin's request is a child of the revalidation")
		var parents []trace.SpanID
		for _, lookup := range named(spans, "cache.lookup") {
			parents = append(parents, lookup.Parent.SpanID())
		}
		require.Equal(t, []trace.SpanID{client.SpanID(), s.SpanContext.SpanID()}, parents, "each looked up for itself")
	})
}

// Whatever context the revalidation is given, its events are reported once.
func TestBackgroundContextWithValuesOfTheRequest(t *testing.T) {
	for name, keep := range map[string]func(ctx context.Context) context.Context{
		"the span": func(ctx context.Context) context.Context {
			return trace.ContextWithSpan(context.Background(), trace.SpanFromContext(ctx))
		},
		"all": context.WithoutCancel,
	} {
		t.Run(name, func(t *testing.T) {
			cfg := middleware.Config{BackgroundContext: func(r *http.Request) context.Context { return keep(r.Context()) }}
			eachDoor(t, cfg, validated("max-age=10, stale-while-revalidate=600"), func(t *testing.T, h *house) {
				h.ask("GET", "/")
				h.spans()
				client, _ := h.ask("GET", "/")
				spans := h.spans()
				s := one(t, spans, "cache.revalidate")
				if name == "all" {
					requireChild(t, s, client)
				} else {
					requireLinked(t, s, client)
				}
				require.Equal(t, "background", s.get("cirque.where"))
				require.Equal(t, "stale", one(t, spans, "request").get("cirque.result"))
				require.Len(t, named(spans, "cache.lookup"), 2)
			})
		})
	}
}

// A response that replaces the stale one in the background is a fill, linked to the revalidation.
func TestFillInTheBackgroundIsLinkedToTheRevalidation(t *testing.T) {
	eachDoor(t, middleware.Config{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=10, stale-while-revalidate=600")
		w.Header().Set("Age", "30")
		io.WriteString(w, "body")
	}, func(t *testing.T, h *house) {
		h.ask("GET", "/")
		h.spans()
		h.ask("GET", "/")
		spans := h.spans()
		requireLinked(t, one(t, spans, "cache.fill"), one(t, spans, "cache.revalidate").SpanContext)
	})
}

func TestSpansOfPurges(t *testing.T) {
	cfg := middleware.Config{AuthorizePurge: func(*http.Request) bool { return true }}
	eachDoor(t, cfg, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
	}, func(t *testing.T, h *house) {
		h.ask("GET", "/")
		h.spans()
		ctx, span := h.provider.Tracer("client").Start(t.Context(), "admin")
		r := httptest.NewRequest("GET", "http://example.com/", nil)
		require.NoError(t, h.cache.Purge(h.tracing.Context(ctx), r))
		span.End()
		purges := named(h.spans(), "cache.purge")
		require.NotEmpty(t, purges)
		for _, s := range purges { // one for each door
			requireChild(t, s, span.SpanContext())
			require.Positive(t, s.took())
			require.Equal(t, codes.Unset, s.Status.Code, "that nothing was there is no failure")
		}
		if _, ok := h.door.(serving); ok {
			client, _ := h.ask("PURGE", "/")
			requireChild(t, named(h.spans(), "cache.purge")[0], client)
		}
	})
}

func TestAFillThatBreaksOffIsAFailure(t *testing.T) {
	eachDoor(t, middleware.Config{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "half")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}, func(t *testing.T, h *house) {
		func() {
			defer func() { _ = recover() }() // the Handler cuts its client off
			r := httptest.NewRequest("GET", "http://example.com/", nil)
			r.Body = nil
			response, err := h.door.RoundTrip(r)
			require.NoError(t, err)
			_, err = io.ReadAll(response.Body)
			require.Error(t, err)
			response.Body.Close()
		}()
		require.NoError(t, h.cache.Wait(t.Context()))
		fill := one(t, h.spans(), "cache.fill")
		require.Equal(t, codes.Error, fill.Status.Code)
		require.Equal(t, "false", fill.get("cirque.stored"))
		require.Equal(t, "UpstreamError", fill.get("cirque.reason"))
	})
}

// A response that varies needs two lookups.
func TestSpansOfAResponseThatVaries(t *testing.T) {
	eachDoor(t, middleware.Config{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Vary", "Accept-Language")
	}, func(t *testing.T, h *house) {
		h.ask("GET", "/", "Accept-Language", "de")
		h.spans()
		h.ask("GET", "/", "Accept-Language", "de")
		lookups := named(h.spans(), "cache.lookup")
		require.Len(t, lookups, 2)
		require.Equal(t, []string{"true", ""}, []string{lookups[0].get("cirque.vary"), lookups[1].get("cirque.vary")})
		require.Equal(t, []string{"", "Hit"}, []string{lookups[0].get("cirque.phase"), lookups[1].get("cirque.phase")})
	})
}

// A request that is not for a cache keeps its body, and has no fill.
func TestWrappersPassRequestsOn(t *testing.T) {
	eachDoor(t, middleware.Config{}, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(err)
		}
		w.Write(body)
	}, func(t *testing.T, h *house) {
		body := "some content"
		r := httptest.NewRequest("POST", "http://example.com/", strings.NewReader(body))
		response, err := h.door.RoundTrip(r)
		require.NoError(t, err)
		got, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		response.Body.Close()
		require.Equal(t, body, string(got))
		for _, s := range h.spans() {
			require.NotEqual(t, "cache.fill", s.Name)
		}
	})
}

func TestContextOfATracingIsKept(t *testing.T) {
	tracing := cirqueotel.NewTracing(nil)
	ctx := tracing.Context(t.Context())
	require.NotEqual(t, t.Context(), ctx)
	require.Equal(t, ctx, tracing.Context(ctx), "a second wrapper adds nothing")
}
