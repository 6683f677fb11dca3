package browsertest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/console"
)

// hostile is what a page must show as text. The server makes texts plain; the page does not rely on
// that.
const hostile = `http://"><script>window.pwned=1</script>/<img src=x onerror="window.pwned=1">'javascript:window.pwned=1`

// canned is a view with all parts, whose texts are hostile.
func canned() map[string]any {
	now := time.Now().UnixMilli()
	times, ones := []int64{}, []any{}
	for i := range 60 {
		times, ones = append(times, now-int64(59-i)*1000), append(ones, 1)
	}
	ones[3], ones[59] = nil, nil // nothing is known
	url := map[string]any{"url": hostile, "server": hostile, "whole": true, "count": 3, "error": 1, "method": hostile, "status": 200}
	list := []any{url}
	return map[string]any{
		"cache": hostile, "at": now, "since": now, "window": 60, "step": 1,
		"series": map[string]any{
			"times": times, "requests": map[string]any{"hit": ones, "miss": ones}, "hit_ratio": ones, "byte_ratio": ones,
			"first_byte": map[string]any{"p50": map[string]any{"hit": ones}}, "evicted": ones, "age": ones,
			"in_flight": ones, "readers": ones, "waits": ones, "wait_time": ones,
			"stores": []any{map[string]any{"name": hostile, "entries": ones, "index": ones, "in_flight": ones, "open": ones, "limit": 5, "count": 1}},
		},
		"totals": map[string]any{
			"seconds": 60, "requests": 2, "bytes": 2, "origin": 1, "hit_ratio": 0.64, "byte_ratio": nil, "evicted": 1, "age_median": 3, "unused": 1,
			"results": []any{map[string]any{"name": hostile, "requests": 2, "bytes": 2, "p50": 1, "p90": 1, "p99": nil}},
			"fills":   1, "lock_waits": 1, "lock_median": 1, "lock_p99": 1, "storage_errors": 0, "background_failures": 0,
		},
		"now": map[string]any{"policy": hostile, "in_flight": 1, "readers": 1, "max_fills": 2},
		"curve": map[string]any{"limit": 1000, "sentence": "Twice the memory: 71 % hits instead of 64 %." + hostile, "points": []any{
			map[string]any{"size": 500, "hit_ratio": 0.5, "byte_ratio": 0.4}, map[string]any{"size": 1000, "hit_ratio": 0.64, "byte_ratio": nil},
			map[string]any{"size": 2000, "hit_ratio": 0.71, "byte_ratio": 0.6},
		}},
		"fills":    []any{map[string]any{"url": hostile, "began": time.Now(), "status": 200, "written": 1, "length": 2, "readers": 1, "background": true}},
		"purges":   []any{map[string]any{"at": now, "kind": "group", "url": hostile, "groups": []string{hostile}, "result": hostile, "times": 2}},
		"uncached": []any{map[string]any{"reason": hostile, "count": 1, "examples": list}},
		"recorded": map[string]any{"since": now, "every": 2, "top_from": now, "top": map[string]any{"hits": list, "misses": list, "bytes": list, "origin": list}},
		"tail": []any{map[string]any{
			"at": now, "method": hostile, "url": hostile, "server": hostile, "whole": true, "status": 200, "result": "hit", "door": "handler", "phase": hostile,
			"detail": hostile, "bytes": 1, "took": 1.5, "steps": []any{map[string]any{"name": "lookup", "note": hostile, "took": 1.5}},
		}},
		"missed": 1,
	}
}

// The page shows a hostile view as text in all of its parts, and the curve with a mark at today's
// size.
func TestPageShowsAnyViewAsText(t *testing.T) {
	s := newSite(t, console.Config{})
	view, err := json.Marshal(canned())
	require.NoError(t, err)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/events") {
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprintf(w, "data: %s\n\n", view)
			return
		}
		r.URL.Path = "/cache" + r.URL.Path
		s.admin.Config.Handler.ServeHTTP(w, r)
	}))
	defer front.Close()
	b := open(t, front.URL+"/")
	b.wait(`document.querySelector("#p-curve .mark")`, "the curve has a mark")
	require.Contains(t, b.text(`document.getElementById("curve-note").textContent`), "Twice the memory: 71 % hits instead of 64 %.")
	mark, curve := b.number(`document.querySelector("#p-curve .mark").cx.baseVal.value`), b.number(`document.querySelector("#p-curve svg").clientWidth`)
	require.InDelta(t, curve/2, mark, 30, "today's size is in the middle of these three")
	b.text(`document.querySelectorAll("details").forEach((e) => { e.open = true; })`)
	b.text(`document.querySelectorAll("#top button, #tail button, #uncached button").forEach((e) => e.click())`)
	time.Sleep(500 * time.Millisecond)
	for _, id := range []string{"results", "memory-note", "curve-note", "fills", "purges", "uncached", "top", "tail", "foot"} {
		require.Contains(t, b.text(`document.getElementById("`+id+`").textContent`), "<script>window.pwned=1</script>", id)
	}
	require.Equal(t, "undefined", b.text("typeof window.pwned"))
	require.Zero(t, b.number(`document.querySelectorAll("main script, main img").length`))
	for _, wrong := range b.errors() {
		require.NotContains(t, wrong, "TypeError")
	}
}
