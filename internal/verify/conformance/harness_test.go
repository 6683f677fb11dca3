package conformance

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// wrong is a Subject that caches wrongly. It has only a transport.
type wrong func(base http.RoundTripper) http.RoundTripper

func (w wrong) Handler(http.Handler) http.Handler                  { panic("this subject has only a transport") }
func (w wrong) Transport(base http.RoundTripper) http.RoundTripper { return w(base) }
func (w wrong) Wait(context.Context) error                         { return nil }
func (w wrong) Waiting(string) int                                 { return 0 }
func (w wrong) Close(context.Context) error                        { return nil }
func (w wrong) open(Setup) (Subject, error)                        { return w, nil }

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// passThrough is a cache that stores nothing.
func passThrough(base http.RoundTripper) http.RoundTripper { return base }

// hoarder is a cache that keeps the first response of a case and answers every later request with
// it.
func hoarder(base http.RoundTripper) http.RoundTripper {
	type entry struct {
		response http.Response
		body     []byte
	}
	var mu sync.Mutex
	entries := map[string]entry{}
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		mu.Lock()
		defer mu.Unlock()
		key := strings.Split(r.URL.Path, "/")[1]
		e, ok := entries[key]
		if !ok {
			response, err := base.RoundTrip(r)
			if err != nil {
				return nil, err
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			e = entry{*response, body}
			entries[key] = e
			if err != nil {
				return nil, err
			}
		}
		response := e.response
		response.Header = e.response.Header.Clone()
		if ok {
			response.Header.Set("Age", "0")
		}
		response.Request = r
		response.Body = io.NopCloser(bytes.NewReader(e.body))
		if r.Method == http.MethodHead {
			response.Body = http.NoBody
		}
		return &response, nil
	})
}

// meddler is a cache that sends a different request than it received, and answers that nothing has
// changed.
func meddler(base http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		bare, err := http.NewRequest(http.MethodGet, r.URL.String(), nil)
		if err != nil {
			return nil, err
		}
		response, err := base.RoundTrip(bare)
		if err == nil && r.Header.Get("If-None-Match") != "" {
			response.StatusCode = http.StatusNotModified
		}
		return response, err
	})
}

// TestEveryCaseCanFail runs the suite against caches that are wrong in different ways. A case that
// all of them pass shows nothing.
func TestEveryCaseCanFail(t *testing.T) {
	if testing.Short() {
		t.Skip("only a change of the cases can change the result")
	}
	t.Parallel()
	var suites []*Suite
	for _, subject := range []wrong{passThrough, hoarder, meddler} {
		suite := NewSuite(subject.open)
		suite.SkipCacheStatus, suite.patience = true, 100*time.Millisecond
		t.Cleanup(func() { require.NoError(t, suite.Close()) })
		suites = append(suites, suite)
	}
	for _, c := range Cases() {
		if !c.SuitsDoor(InClient) {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			for _, suite := range suites {
				if suite.Run(t.Context(), &c, InClient) != nil {
					return
				}
			}
			t.Error("every wrong cache passes this case")
		})
	}
}

// TestHarnessChecksExpectations shows that each kind of expectation is checked, with a cache that
// stores nothing.
func TestHarnessChecksExpectations(t *testing.T) {
	suite := NewSuite(wrong(passThrough).open)
	suite.SkipCacheStatus, suite.patience = true, 100*time.Millisecond
	t.Cleanup(func() { require.NoError(t, suite.Close()) })
	hop := Interim{103, Lines{"Link: </a>"}}
	for _, tc := range []struct {
		name    string
		step    Step
		problem string // "": none
	}{
		{"no problem", get("X-Q: 1").answered(201, "X-A: 1").asked("X-Q: 1", "-X-R").sees(201, "X-A: 1", "-X-B", "Date: *"), ""},
		{"a status", get().answered(200).sees(203), "status 200, not 203"},
		{"a field's value", get().answered(200, "X-A: 1").sees(0, "X-A: 2"), `has X-A: ["1"], not ["2"]`},
		{"a field's lines", get().answered(200, "X-A: 1, 2").sees(0, "X-A: 1", "X-A: 2"), `has X-A: ["1, 2"], not ["1" "2"]`},
		{"a field that is missing", get().answered(200).sees(0, "X-A: *"), "has X-A: []"},
		{"an unwanted field", get().answered(200, "X-A: 1").sees(0, "-X-A"), `has X-A: ["1"]`},
		{"a number", get().answered(200, "Age: 59").sees(0, "Age: ~60"), `has Age: ["59"], not ["~60"]`},
		{"a number within the slack", get().answered(200, "Age: 61").sees(0, "Age: ~60"), ""},
		{"a time", get().answered(200, "Expires: {now+60}").sees(0, "Expires: {now+61}"), "has Expires"},
		{"a time in another format", get().answered(200, "Expires: {asctime|now}").sees(0, "Expires: {now}"), "has Expires"},
		{"content", get().answered(200).with("a").seesBody("b"), `content "a", not "b"`},
		{"no content", get().answered(200).seesNothing(), `content "answer 0\n", not ""`},
		{"a part", Step{Answer: &Answer{}, Sees: Sees{Parts: []Part{{"bytes 0-0/1", "a", ""}}}}, "no multipart/byteranges"},
		{"an interim response", Step{Answer: &Answer{}, Sees: Sees{Interim: []Interim{hop}}}, "0 interim responses, not 1"},
		{"an unwanted interim response", Step{Answer: &Answer{Interim: []Interim{hop}}}, "1 interim responses, not 0"},
		{"another interim response", Step{Answer: &Answer{Interim: []Interim{hop}}, Sees: Sees{Interim: []Interim{{102, nil}}}}, "interim response 103, not 102"},
		{"an interim response's field", Step{Answer: &Answer{Interim: []Interim{hop}}, Sees: Sees{Interim: []Interim{{103, Lines{"-Link"}}}}}, "(in the interim response) has Link"},
		{"a trailer field", Step{Answer: &Answer{Trailer: Lines{"X-T: 1"}}, Sees: Sees{Trailer: Lines{"X-T: 2"}}}, "(in the trailer)"},
		{"the same trailer field", Step{Answer: &Answer{Trailer: Lines{"X-T: 1"}}, Sees: Sees{Trailer: Lines{"X-T: 1"}}}, ""},
		{"an error", get().answered(200).fails(), "instead of an error"},
		{"no answer", get().dead(), "got an error"},
		{"an unwanted clean end", Step{Answer: &Answer{}, Sees: Sees{Broken: true}}, "clean end"},
		{"an unwanted break", Step{Answer: &Answer{Cut: true}}, "breaks off"},
		{"a request to the origin", get(), "received a request"},
		{"too many requests to the origin", Step{Answer: &Answer{}, Clients: 2}, "received 2 requests, not 1"},
		{"a second request to the origin", get().answered(200).again(Answer{}), "received 1 requests, not 2"},
		{"the method of the request to the origin", Step{Answer: &Answer{}, Asked: Asked{Method: "HEAD"}}, "received the method GET, not HEAD"},
		{"the content of the request to the origin", Step{Answer: &Answer{}, Asked: Asked{Body: "x"}}, `received the content "", not "x"`},
		{"a field of the request to the origin", get().answered(200).asked("X-Q: 1"), "(in the request) has X-Q: []"},
		{"the entity tags of the request to the origin, as a set", get(`If-None-Match: "a","b"`).answered(200).asked(`If-None-Match: "b", "a"`), ""},
		{"Cache-Status", get().answered(200).says("hit"), "has Cache-Status: []"},
		{"Cache-Status's member", get().answered(200, "Cache-Status: a; hit, b; fwd=miss").says("hit"), "without hit"},
		{"Cache-Status's parameters", get().answered(200, "Cache-Status: a, b; fwd=miss; ttl=58; stored; collapsed=?0").
			says("fwd=miss", "-hit", "stored", "-collapsed", "ttl=~60", "ttl=*").seesUpstream("a"), ""},
		{"Cache-Status's ttl", get().answered(200, "Cache-Status: b; ttl=61").says("ttl=~60"), "without ttl=~60"},
		{"Cache-Status's upstream", get().answered(200, "Cache-Status: a, b").says("-hit").seesUpstream("c"), "before its own member"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			err := suite.Run(t.Context(), &Case{Steps: []Step{tc.step}}, InClient)
			if tc.problem == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, tc.problem)
			}
		})
	}
}

// A response from a cache must have Age, and Cache-Status unless the suite skips it.
func TestHarnessChecksAgeAndCacheStatus(t *testing.T) {
	suite := NewSuite(wrong(hoarder).open)
	defer func() { require.NoError(t, suite.Close()) }()
	c := &Case{Steps: []Step{get().answered(200), get().reuses(0)}}
	require.ErrorContains(t, suite.Run(t.Context(), c, InClient), "has Cache-Status: []")
	suite.SkipCacheStatus = true
	require.NoError(t, suite.Run(t.Context(), c, InClient))

	ageless := NewSuite(wrong(func(base http.RoundTripper) http.RoundTripper {
		hoard := hoarder(base)
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			response, err := hoard.RoundTrip(r)
			if err == nil {
				response.Header.Del("Age")
			}
			return response, err
		})
	}).open)
	defer func() { require.NoError(t, ageless.Close()) }()
	ageless.SkipCacheStatus = true
	require.ErrorContains(t, ageless.Run(t.Context(), c, InClient), "has Age: []")
}

// An uncached exchange looks the same through all doors.
func TestDoorsCarryAnExchangeUnchanged(t *testing.T) {
	suite := NewSuite(func(Setup) (Subject, error) { return uncached{}, nil })
	suite.SkipCacheStatus = true
	defer func() { require.NoError(t, suite.Close()) }()
	c := &Case{Steps: []Step{
		{
			Method: "POST", Path: "/x%2Fy?q=1", Host: "a.example", Header: Lines{"X-Q: 1"}, Body: "question",
			Answer: &Answer{Status: 299, Header: Lines{"X-A: {path}"}, Trailer: Lines{"X-T: 1"}, Interim: []Interim{{103, Lines{"Link: </a>"}}}, Body: "answer"},
			Sees:   Sees{Header: Lines{"X-A: {path}", "-Link"}, Trailer: Lines{"X-T: 1"}, Interim: []Interim{{103, Lines{"Link: </a>"}}}},
			Asked:  Asked{Header: Lines{"X-Q: 1"}},
		},
		get(`If-None-Match: "a"`).answered(304, "X-A: 1").asked(`If-None-Match: "a"`).sees(304, "X-A: 1"),
		get("Range: bytes=0-0").answered(206, "Content-Range: bytes 0-0/2").with("a").asked("Range: bytes=0-0"),
		head().answered(200, "Content-Length: 77").sees(200, "Content-Length: 77"),
		get().answer(Answer{Header: Lines{"-Content-Length"}, Cut: true}).breaks(),
		get().dead().fails(),
	}}
	for _, door := range Doors() {
		require.NoError(t, suite.Run(t.Context(), c, door), door)
	}
	require.Error(t, suite.Run(t.Context(), c, "window"))
}

type uncached struct{}

func (uncached) Handler(next http.Handler) http.Handler             { return next }
func (uncached) Transport(base http.RoundTripper) http.RoundTripper { return base }
func (uncached) Wait(context.Context) error                         { return nil }
func (uncached) Waiting(string) int                                 { return 0 }
func (uncached) Close(context.Context) error                        { return nil }

func TestPlaceholders(t *testing.T) {
	sc := scope{now: time.Date(1994, 11, 6, 8, 49, 37, 0, time.UTC), words: map[string]string{"id": "c1"}}
	for in, want := range map[string]string{
		"plain":           "plain",
		"{now}":           "Sun, 06 Nov 1994 08:49:37 GMT",
		"{now+60}, {now}": "Sun, 06 Nov 1994 08:50:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
		"{now-37}":        "Sun, 06 Nov 1994 08:49:00 GMT",
		"{rfc850|now}":    "Sunday, 06-Nov-94 08:49:37 GMT",
		"{asctime|now}":   "Sun Nov  6 08:49:37 1994",
		"{15.04 UTC|now}": "08.49 UTC",
		`"{id}-x"`:        `"c1-x"`,
	} {
		require.Equal(t, want, sc.expand(in))
	}
	require.Panics(t, func() { sc.expand("{then}") })
	require.Panics(t, func() { sc.expand("{now+soon}") })
	require.Panics(t, func() { sc.split("no colon") })
}
