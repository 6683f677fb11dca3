package console

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/middleware"
	"github.com/cirquecache/cirque/stats"
)

func TestPurges(t *testing.T) {
	s := newSite(t, Config{})
	answerOf := func(body string) (a answer) {
		t.Helper()
		w := s.post("purge", body)
		require.Equal(t, http.StatusOK, w.Code, w.Body)
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &a))
		return a
	}
	for _, body := range []string{
		`{"kind":"url","url":"http://site.example/a"}`,
		`{"kind":"url","url":" http://site.example/a ","cache":"Cirque","soft":true}`,
		`{"kind":"group","url":"http://site.example/","group":"g"}`,
		`{"kind":"all"}`,
		`{"kind":"url","url":"http://other.example/a","fields":"Host: site.example\nAccept: text/html\n\n"}`,
	} {
		s.get("/a")
		require.Contains(t, s.get("/a"), "; hit")
		a := answerOf(body)
		require.Equal(t, !strings.Contains(body, "other.example"), a.OK, "%s: %+v", body, a)
		if a.OK {
			require.NotContains(t, s.get("/a"), "; hit", body)
		}
	}
	require.Equal(t, answer{Message: "Nothing was stored for this URL."}, answerOf(`{"kind":"url","url":"http://site.example/nonesuch"}`))

	log := s.console.sources[0].latestPurges()
	kinds := ""
	for _, line := range log {
		kinds += line.Kind + " " + line.Result + ", "
	}
	require.Equal(t, "key nothing stored, key nothing stored, all done, group done, key done, key done, ", kinds, "the latest first")
	require.True(t, log[4].Soft)
	require.Equal(t, []string{"g"}, log[3].Groups)
	require.Equal(t, "http://site.example/a", log[5].URL)
}

func TestInvalidFormsAreRefused(t *testing.T) {
	s := newSite(t, Config{})
	s.get("/")
	for body, message := range map[string]string{
		"":                                     "not a valid form",
		"[]":                                   "not a valid form",
		`{"kind":"all","cache":"x"}`:           "no such cache",
		`{"kind":"url"}`:                       "must begin with http",
		`{"kind":"url","url":"/"}`:             "must begin with http",
		`{"kind":"url","url":"javascript:x"}`:  "must begin with http",
		`{"kind":"url","url":"http://a:b@c/"}`: "must begin with http",
		`{"kind":"url","url":"http:///x"}`:     "must begin with http",
		`{"kind":"","url":"http://a/"}`:        "say what to purge",
		`{"kind":"group","url":"http://a/"}`:   "say what to purge",
		`{"kind":"url","url":"http://a/","fields":"x"}`:                                            "Name: value",
		`{"kind":"url","url":"http://a/","fields":"a b:c"}`:                                        "Name: value",
		`{"kind":"url","url":"http://a/","fields":"` + strings.Repeat(`a:b\n`, maxFields+1) + `"}`: "at most 50",
		`{"kind":"all","group":"` + strings.Repeat("x", maxForm) + `"}`:                            "not a valid form",
	} {
		w := s.post("purge", body)
		require.Equal(t, http.StatusBadRequest, w.Code, body)
		require.Contains(t, w.Body.String(), message)
	}
	require.Contains(t, s.get("/"), "; hit")
	require.Equal(t, http.StatusNotFound, s.ask("GET", "nonesuch", "").Code)
	require.Equal(t, http.StatusNotFound, s.ask("GET", "stats.json?cache=x", "").Code)
	require.Equal(t, http.StatusNotFound, s.ask("GET", "events?cache=x", "").Code)
}

type explanation struct{ Said []string }

func (e explanation) Lines() []string { return e.Said }

func TestExplain(t *testing.T) {
	s := newSite(t, Config{Explain: func(c *middleware.Cache, r *http.Request) Explanation {
		return explanation{[]string{"of " + r.URL.String(), "in " + r.Header.Get("Accept-Language"), "by " + c.Stats().Name, "a\u202eb"}}
	}})
	w := s.post("explain", `{"url":"http://site.example/x?<script>","fields":"Accept-Language: de"}`)
	require.Equal(t, http.StatusOK, w.Code)
	var a answer
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &a))
	require.Equal(t, "of http://site.example/x?<script>\nin de\nby Cirque\n"+`a\u202eb`, a.Text)
	require.NotNil(t, a.Detail)
	require.NotContains(t, w.Body.String(), "<script>", "markup is escaped in the JSON, too")
	require.Equal(t, http.StatusBadRequest, s.post("explain", `{}`).Code)
}

func TestStatsAreTheSnapshot(t *testing.T) {
	s := newSite(t, Config{})
	s.get("/")
	s.get("/")
	var snapshot stats.Snapshot
	require.NoError(t, json.Unmarshal(s.ask("GET", "stats.json", "").Body.Bytes(), &snapshot))
	require.EqualValues(t, 1, snapshot.Requests[stats.Handler][stats.Hit])
	require.Equal(t, "Cirque", snapshot.Name)
	require.Equal(t, http.StatusOK, s.ask("HEAD", "stats.json?cache=Cirque", "").Code)
	require.Equal(t, http.StatusMethodNotAllowed, s.ask("HEAD", "events", "").Code, "a stream does not end")
}

func TestStoredIsListedByHostAndPath(t *testing.T) {
	s := newSite(t, Config{})
	for _, path := range []string{"/blog/1", "/blog/2", "/other?<script>"} {
		s.get(path)
	}
	list := func(body string) storedPage {
		w := s.post("stored", body)
		require.Equal(t, http.StatusOK, w.Code)
		require.NotContains(t, w.Body.String(), "<script>", "markup is escaped in the JSON, too")
		var page storedPage
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &page))
		return page
	}
	all := list(`{}`)
	require.True(t, all.OK)
	require.Len(t, all.Entries, 3)
	require.Empty(t, all.Next)
	require.Len(t, list(`{"path":"/blog/"}`).Entries, 2)
	require.Empty(t, list(`{"host":"nonesuch.example"}`).Entries)
	one := list(`{"path":"/blog/1"}`).Entries[0]
	require.Equal(t, http.StatusOK, one.Status)
	require.True(t, one.Whole)
	require.Contains(t, one.URL, "/blog/1")
	require.NotEmpty(t, list(`{"cursor":"damaged"}`).Message)
	require.Equal(t, http.StatusBadRequest, s.post("stored", `{"cache":"none"}`).Code)
	require.Equal(t, http.StatusBadRequest, s.post("stored", `[]`).Code)
}
