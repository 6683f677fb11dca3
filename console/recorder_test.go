package console

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/stats"
)

var anyURL, _ = url.Parse("http://a.example/")

// done is a request that is over.
func done(url string, result stats.Result) stats.Request {
	return stats.Request{
		Request: httptest.NewRequest("GET", url, nil), URL: url, Result: result, Status: 200, Bytes: 10,
		Origin: 5 * time.Millisecond, FirstByte: 6 * time.Millisecond, Duration: 7 * time.Millisecond, Phase: "Miss", Fwd: "uri-miss",
	}
}

// addTo records a request that stands for n.
func addTo(r *recorder, request stats.Request, n uint64) {
	g := newGlimpse(request, n)
	one := g.record()
	r.record(&one)
}

// Recording begins when a page opens, and ends a minute after the last one has closed.
func TestNothingIsRecordedWhileNobodyLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSiteIn(t, Config{})
		source := s.console.sources[0]
		tail := func() int {
			all, _, _ := source.recorder.tailSince(0, &filter{})
			return len(all)
		}
		s.get("/before")
		synctest.Wait()
		require.Zero(t, source.recordingSince())
		require.Zero(t, tail())

		require.True(t, s.console.streams.enter())
		synctest.Wait()
		require.NotZero(t, source.recordingSince())
		s.get("/while")
		synctest.Wait()
		require.Equal(t, 1, tail())

		s.console.streams.leave()
		time.Sleep(lookedFor - 2*time.Second)
		require.NotZero(t, source.recordingSince())
		time.Sleep(4 * time.Second)
		require.Zero(t, source.recordingSince())
		s.get("/after")
		synctest.Wait()
		require.Zero(t, tail())
	})
}

func TestAlwaysOnRecordsWhileNobodyLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSiteIn(t, Config{AlwaysOn: true})
		time.Sleep(2 * time.Minute)
		s.get("/")
		synctest.Wait()
		tail, _, _ := s.console.sources[0].recorder.tailSince(0, &filter{})
		require.Len(t, tail, 1)
	})
}

// The history goes on while nobody looks, a point each ten seconds, and each second while somebody
// does.
func TestHistoryIsSampled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSiteIn(t, Config{})
		points := func() int {
			all, _ := s.console.sources[0].history.since(time.Time{})
			return len(all)
		}
		time.Sleep(time.Minute)
		require.InDelta(t, 6, points(), 1)
		require.True(t, s.console.streams.enter())
		defer s.console.streams.leave()
		time.Sleep(time.Minute)
		require.InDelta(t, 66, points(), 2)
	})
}

// A hit costs no allocation more for a console that nobody looks at.
func TestHitsDoNotPayForAConsole(t *testing.T) {
	s := newSite(t, Config{})
	r := httptest.NewRequest("GET", "http://site.example/", nil)
	measure := func() float64 {
		return testing.AllocsPerRun(500, func() { s.handler.ServeHTTP(&discard{header: make(http.Header)}, r) })
	}
	with := measure()
	s.console.Close()
	require.Equal(t, measure(), with)
}

type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(int)             {}
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }

// A request never waits for the recorder: what the queue has no room for is counted, and a smaller
// share is recorded from then on.
func TestRequestsDoNotWaitForTheRecorder(t *testing.T) {
	r := newRecorder()
	w := r.watcher()
	for range 3 * queueLength { // nobody takes them
		require.True(t, w.Wants())
		w.RequestDone(done("http://a.example/", stats.Hit))
	}
	require.EqualValues(t, 2*queueLength, r.lost.Load())
	r.adapt(queueLength)
	require.EqualValues(t, 2, r.every.Load())
	wanted := 0
	for range 10_000 {
		if w.Wants() {
			wanted++
		}
	}
	require.InDelta(t, 5000, wanted, 500)
	for range 40 {
		r.adapt(2 * maxRate)
	}
	require.EqualValues(t, 1<<20, r.every.Load(), "the share has a bound")
	for range 40 {
		r.adapt(10)
	}
	require.EqualValues(t, 1, r.every.Load())
}

func TestListsAreOfTheLastTwoGenerations(t *testing.T) {
	r := newRecorder()
	now := time.Now()
	r.start(now)
	s := &source{recorder: r}
	add := func(url string, result stats.Result) {
		request := done(url, result)
		addTo(r, request, 3)
	}
	top := func(kind string) (urls string) {
		all, _ := s.recorded(nil)
		for _, item := range all.Top[kind] {
			urls += fmt.Sprint(strings.TrimPrefix(item.URL, "http://a.example/"), " ", item.Count, ", ")
		}
		return urls
	}
	add("http://a.example/hit", stats.Hit)
	add("http://a.example/hit", stats.Stale)
	add("http://a.example/miss", stats.Miss)
	add("http://a.example/pass", stats.Pass)
	add("http://a.example/bypass", stats.Bypass)
	require.Equal(t, "hit 6, ", top("hits"), "each stands for three")
	require.Equal(t, "miss 3, pass 3, ", top("misses"))
	require.Equal(t, "hit 60, bypass 30, miss 30, pass 30, ", top("bytes"))
	require.Equal(t, "hit 30000, bypass 15000, miss 15000, pass 15000, ", top("origin"))
	r.turn(now.Add(generation - time.Second))
	r.turn(now.Add(generation))
	add("http://a.example/hit", stats.Hit)
	require.Equal(t, "hit 9, ", top("hits"))
	r.turn(now.Add(2 * generation))
	require.Equal(t, "hit 3, ", top("hits"))
}

func TestReasonsHaveExamples(t *testing.T) {
	r := newRecorder()
	r.start(time.Now())
	for i := range 10 {
		request := done(fmt.Sprint("http://a.example/", i%5), stats.Pass)
		request.Detail = "no-store"
		addTo(r, request, 1)
	}
	for i := range 1000 { // of a filter that invents reasons
		request := done("http://a.example/", stats.Pass)
		request.Detail = fmt.Sprint("reason-", i)
		addTo(r, request, 1)
	}
	require.LessOrEqual(t, len(r.examples), maxReasons)
	_, reasons := (&source{recorder: r}).recorded(map[string]uint64{"no-store": 10, "private": 20})
	require.Equal(t, "private", reasons[0].Reason)
	require.Equal(t, "no-store", reasons[1].Reason)
	require.Len(t, reasons[1].Examples, maxExamples)
	require.Empty(t, reasons[0].Examples)
}

func TestFilters(t *testing.T) {
	one := record{Status: 404, Result: stats.Miss, host: "www.example.com:8080", path: "/a/b?c"}
	for f, want := range map[filter]bool{
		{}:                    true,
		{status: "404"}:       true,
		{status: "4xx"}:       true,
		{status: "4"}:         true,
		{status: "4XX"}:       true,
		{status: "5xx"}:       false,
		{status: "400"}:       false,
		{result: "miss"}:      true,
		{result: "hit"}:       false,
		{host: "example.com"}: true,
		{host: "example.org"}: false,
		{path: "/a/"}:         true,
		{path: "/b"}:          false,
		{status: "404", host: "example", path: "/a", result: "miss"}: true,
		{status: "404", host: "example", path: "/x", result: "miss"}: false,
	} {
		require.Equal(t, want, f.matches(&one), "%+v", f)
	}
}

// The steps of a request add up to its time.
func TestStepsOfARequest(t *testing.T) {
	request := done("http://a.example/", stats.Miss)
	request.Lookup, request.LockWait = 100*time.Microsecond, 200*time.Microsecond
	request.FwdStatus = 200
	g := newGlimpse(request, 1)
	one := g.record()
	text, sum := "", 0.
	for _, s := range stepsOf(&one.about) {
		text += fmt.Sprintf("%s %.1f %s\n", s.Name, s.Took, s.Note)
		sum += s.Took
	}
	require.Equal(t, `lookup 0.1 nothing stored for this URL
wait 0.2 for another request's fetch of the same URL
origin 5.0 origin answered 200
cache 0.7 passed on, and stored for others
send 1.0 10 bytes
`, text)
	require.InDelta(t, one.Took, sum, 0.001)
	for _, result := range stats.Results() {
		request.Result = result
		for _, s := range stepsOf(&request) {
			require.NotEmpty(t, s.Note, result)
		}
	}
}

// Hostile texts stay in bounds and are plain, wherever they come from.
func TestHostileRequestsAreRecordedAsPlainText(t *testing.T) {
	request := done("http://a.example/", stats.Pass)
	request.URL = "http://evil.example/\u202e<script>" + strings.Repeat("x", 100_000)
	request.Request.Method = "GE\u200bT"
	request.Detail = "\x1b[31m" + strings.Repeat("y", 1000)
	g := newGlimpse(request, 1)
	one := g.record()
	one.Steps = stepsOf(&one.about)
	encoded, err := json.Marshal(one)
	require.NoError(t, err)
	require.Less(t, len(encoded), 4000)
	require.Contains(t, one.URL, `\u202e<script>`)
	require.False(t, one.Whole)
	require.Equal(t, `GE\u200bT`, one.Method)
	require.True(t, strings.HasPrefix(one.Detail, `\u001b[31m`))
	require.NotContains(t, string(encoded), "<script>")

	request.Door, request.Request.Host = stats.Transport, "www.example.com"
	request.Request.URL.Host = "127.0.0.1:9000"
	g = newGlimpse(request, 1)
	one = g.record()
	require.Equal(t, "127.0.0.1:9000", one.Server)
}

// Ten thousand hosts and a million URLs leave everything bounded.
func TestAMillionURLsLeaveTheConsoleBounded(t *testing.T) {
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	s := newSite(t, Config{})
	source := s.console.sources[0]
	before := heap()
	r := newRecorder()
	r.start(time.Now())
	source.recorder = r
	path := strings.Repeat("/a-long-path", 20)
	for i := range 1_000_000 {
		request := stats.Request{
			Request: &http.Request{Method: "GET", URL: anyURL}, URL: fmt.Sprintf("http://host%d.example%s/%d?q=%d", i%10_000, path, i, i),
			Result: stats.Result(i % len(stats.Results())), Status: 200, Bytes: int64(i % 5000), Origin: time.Duration(i%100) * time.Millisecond,
			Detail: fmt.Sprint("reason ", i), Phase: "Miss",
		}
		addTo(r, request, 1)
		if i == 500_000 {
			r.turn(time.Now().Add(generation))
		}
	}
	for k := range kinds {
		require.LessOrEqual(t, r.now[k].Len(), sketchLength)
		require.LessOrEqual(t, r.earlier[k].Len(), sketchLength)
	}
	used := heap() - before
	v := source.viewOf(time.Hour, time.Now())
	v.Tail, v.Missed, _ = r.tailSince(0, &filter{})
	event, err := json.Marshal(v)
	require.NoError(t, err)
	t.Logf("after 1,000,000 URLs of 10,000 hosts: %d KiB for lists and tail, %d KiB for an event", used>>10, len(event)>>10)
	require.Less(t, used, int64(4<<20))
	require.Less(t, len(event), 128<<10)
	runtime.KeepAlive(r)
}
