package browsertest

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/console"
	"github.com/cirquecache/cirque/middleware"
)

// wantNoErrors fails the test if the browser has reported something as wrong: an error of the
// script, a violation of the policy, a request that failed.
func (b *tab) wantNoErrors() {
	b.t.Helper()
	require.Empty(b.t, b.errors(), "on the console of the browser")
}

// rows returns how many rows of the tail match a selector.
func rows(selector string) string {
	return "document.querySelectorAll(`#tail > li " + selector + "`).length"
}

func TestPageLoadsAndItsPlotsMove(t *testing.T) {
	s := newSite(t, console.Config{})
	s.load("/a", "/b", "/private", "/missing")
	b := open(t, s.url)
	b.wait(`document.getElementById("live").textContent === "live"`, "the stream is live")
	path := `document.querySelector("#p-requests path")?.getAttribute("d") || ""`
	b.wait(path+` !== ""`, "a plot is drawn")
	first := b.text(path)
	b.wait(path+" !== "+fmt.Sprintf("%q", first), "the plot moves")
	b.wait(`parseFloat(document.getElementById("t-ratio").textContent) > 30`, "the hit ratio is shown")
	b.wait(`[...document.querySelectorAll("#results tbody .name")].some((e) => e.textContent.startsWith("pass"))`, "results are listed")
	b.wait(`document.querySelector("#uncached code")?.textContent === "private"`, "the reason is listed")
	b.wait(`document.querySelector("#uncached .url")?.textContent.endsWith("/private")`, "with an example")
	b.wait(`document.querySelector("#top .url")?.textContent.endsWith("/a")`, "URLs are listed")
	for _, kind := range []string{"misses", "bytes", "origin"} {
		b.text(`document.querySelector("input[name=kind][value=` + kind + `]").click()`)
		b.wait(`document.querySelectorAll("#top tbody .url").length > 0`, "URLs are listed by "+kind)
	}
	for _, window := range []string{"60", "900", "3600"} {
		b.text(`document.querySelector("input[name=window][value='` + window + `']").click()`)
		b.wait(`document.getElementById("live").textContent === "live"`, "the window changes")
	}
	hosts := b.text(`[...new Set(performance.getEntriesByType("resource").map((e) => new URL(e.name).host))].join()`)
	require.Equal(t, strings.TrimPrefix(s.admin.URL, "http://"), hosts, "it asks nothing of other servers")
	b.wantNoErrors()
}

func TestFilterFilters(t *testing.T) {
	s := newSite(t, console.Config{})
	s.load("/a", "/b", "/private", "/missing")
	b := open(t, s.url)
	b.wait(rows(".c-hit")+" > 0 && "+rows(".c-pass")+" > 0", "hits and others come")
	apply := func(fields string) {
		b.text(`(() => { const f = document.getElementById("filter"); f.reset(); Object.entries(` + fields + `).forEach(([name, value]) => { f.elements[name].value = value; }); f.requestSubmit(); })()`)
	}
	only := func(what, wanted string) {
		t.Helper()
		b.wait(rows("")+" > 3", "filtered requests come: "+what)
		require.Equal(t, b.number(rows("")), b.number(rows(wanted)), what)
	}
	apply(`{ result: "pass" }`)
	only("by result", ".c-pass")
	apply(`{ status: "4xx" }`)
	only("by class of status", `summary span:nth-child(3)`)
	require.Equal(t, "404", b.text(`[...new Set([...document.querySelectorAll("#tail summary span:nth-child(3)")].map((e) => e.textContent))].join()`))
	apply(`{ path: "/b" }`)
	only("by path", `.url[title$="/b"]`)
	apply(`{ host: "nonesuch" }`)
	time.Sleep(2 * time.Second)
	require.Zero(t, b.number(rows("")), "no host fits")
	b.text(`document.querySelector("#filter button[type=reset]").click()`)
	b.wait(rows(".c-hit")+" > 0 && "+rows(".c-pass")+" > 0", "all come again")
	b.wantNoErrors()
}

func TestPurgeFromThePageMakesTheNextRequestAMiss(t *testing.T) {
	s := newSite(t, console.Config{})
	b := open(t, s.url)
	press := func(action, says string) {
		t.Helper()
		s.get("/a")
		require.Contains(t, s.get("/a"), "; hit")
		b.text(`document.querySelector("[data-do=` + action + `]").click()`)
		if action == "all" {
			b.wait(`document.getElementById("sure").open`, "the page asks first")
			require.Contains(t, s.get("/a"), "; hit")
			run(b, chromedp.Click(`#sure button[value="yes"]`))
		}
		b.wait(`document.getElementById("answer").textContent.includes("`+says+`")`, says)
		require.NotContains(t, s.get("/a"), "; hit", "after %s", action)
	}
	run(b, chromedp.SendKeys(`#ask [name="url"]`, s.front.URL+"/a"))
	press("purge", "Purged: the next request")
	press("soft", "Marked as stale")
	b.text(`document.querySelector("#ask details").open = true`)
	run(b, chromedp.SendKeys(`#ask [name="group"]`, "g"))
	press("group", "Purged all responses of this group")
	press("all", "Purged everything")
	b.wait(`document.querySelectorAll("#purges li .url").length >= 3`, "the log shows them")

	s.get("/a")
	b.text(`document.querySelector("[data-do=all]").click()`)
	b.wait(`document.getElementById("sure").open`, "the page asks first")
	run(b, chromedp.KeyEvent(kb.Escape))
	b.wait(`!document.getElementById("sure").open`, "Escape means no")
	require.Contains(t, s.get("/a"), "; hit", "nothing was purged")
	b.wantNoErrors()
}

func TestPageListsWhatIsStored(t *testing.T) {
	s := newSite(t, console.Config{})
	for _, path := range []string{"/a", "/b", "/private"} {
		s.get(path)
	}
	require.NoError(t, s.cache.Wait(t.Context()))
	b := open(t, s.url)
	const shown = `document.querySelectorAll("#stored tbody tr").length`
	b.text(`document.getElementById("stored-form").requestSubmit()`)
	b.wait(shown+" === 2", "what may be stored is listed")
	run(b, chromedp.SendKeys(`#stored-form [name="path"]`, "/b"))
	b.text(`document.getElementById("stored-form").requestSubmit()`)
	b.wait(shown+" === 1", "a path selects")
	b.text(`document.querySelector("#stored tbody button").click()`)
	b.wait(`!document.getElementById("explanation").hidden`, "an entry can be asked about")
	b.wantNoErrors()
}

type explanation []string

func (e explanation) Lines() []string { return e }

func TestExplainShowsItsText(t *testing.T) {
	s := newSite(t, console.Config{Explain: func(_ *middleware.Cache, r *http.Request) console.Explanation {
		return explanation{"Of " + r.URL.Path, "Vary: Accept-Language selected the variant for " + r.Header.Get("Accept-Language")}
	}})
	s.load("/a", "/private")
	b := open(t, s.url)
	b.text(`document.querySelector("#ask details").open = true`)
	run(b, chromedp.SendKeys(`#ask [name="url"]`, s.front.URL+"/x"))
	run(b, chromedp.SendKeys(`#ask [name="fields"]`, "Accept-Language: de"))
	run(b, chromedp.Click(`[data-do="explain"]`))
	b.wait(`document.getElementById("explanation").textContent === "Of /x\nVary: Accept-Language selected the variant for de"`, "it explains")
	b.wait(`document.querySelectorAll("#top button").length > 0`, "URLs are listed")
	b.text(`document.querySelector("#top button").click()`)
	b.wait(`document.getElementById("explanation").textContent.startsWith("Of /a\n")`, "a URL of a list is explained")
	b.wantNoErrors()
}

// The cache itself says why, for a request with header fields.
func TestPageShowsWhatTheCacheExplains(t *testing.T) {
	s := newSite(t, console.Config{})
	for _, language := range []string{"de", "fr"} {
		r, err := http.NewRequest("GET", s.front.URL+"/vary", nil)
		require.NoError(t, err)
		r.Header.Set("Accept-Language", language)
		response, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
	}
	require.NoError(t, s.cache.Wait(t.Context()))
	b := open(t, s.url)
	b.text(`document.querySelector("#ask details").open = true`)
	run(b, chromedp.SendKeys(`#ask [name="url"]`, s.front.URL+"/vary"))
	run(b, chromedp.SendKeys(`#ask [name="fields"]`, "Accept-Language: de"))
	run(b, chromedp.Click(`[data-do="explain"]`))
	b.wait(`document.getElementById("explanation").textContent.includes("Vary: Accept-Language selected the variant for de")`, "the variant is named")
	b.wantNoErrors()
}

func TestLoginInABrowser(t *testing.T) {
	const token = "correct horse battery"
	s := newSite(t, console.Config{Token: token})
	b := open(t, s.url)
	run(b, chromedp.SendKeys(`input[name="token"]`, "wrong"))
	run(b, chromedp.KeyEvent(kb.Enter))
	b.wait(`document.body?.textContent.includes("That is not the token.")`, "a wrong token is refused")
	run(b, chromedp.SendKeys(`input[name="token"]`, token))
	b.text(`document.querySelector("button").click()`)
	b.wait(`document.getElementById("live")?.textContent === "live"`, "the page opens")
	require.Equal(t, s.url, b.text("location.href"))
	require.Empty(t, b.text("document.cookie"), "no script can read the session")
	run(b, chromedp.Click("#logout"))
	b.wait(`document.querySelector('input[name="token"]')`, "the form is back")
}

func TestSeveralCachesCanBeSelected(t *testing.T) {
	s := newSite(t, console.Config{Caches: []*middleware.Cache{newCache(t, "Other")}})
	s.load("/a")
	b := open(t, s.url)
	b.wait(`document.querySelectorAll("#results tbody tr").length > 0`, "the first cache is shown")
	b.text(`(() => { const s = document.getElementById("cache"); s.value = "Other"; s.dispatchEvent(new Event("change")); })()`)
	b.wait(`document.getElementById("foot").textContent.includes("Cache Other") && document.querySelectorAll("#results tbody tr").length === 0`, "the other one is shown")
	b.wantNoErrors()
}

func TestPause(t *testing.T) {
	s := newSite(t, console.Config{})
	s.load("/a")
	b := open(t, s.url)
	b.wait(rows("")+" > 0", "requests come")
	run(b, chromedp.Click("#pause"))
	b.wait(`document.getElementById("live").textContent === "paused"`, "it pauses")
	page := b.text("document.getElementById('main').textContent")
	time.Sleep(2500 * time.Millisecond)
	require.Equal(t, page, b.text("document.getElementById('main').textContent"))
	run(b, chromedp.Click("#pause"))
	b.wait("document.getElementById('main').textContent !== "+fmt.Sprintf("%q", "")+" && document.getElementById('live').textContent === 'live'", "it goes on")
	b.wantNoErrors()
}

// The page can be used by keyboard, and says to a screen reader what it shows.
func TestKeyboardAndScreenReader(t *testing.T) {
	s := newSite(t, console.Config{})
	s.load("/a", "/private")
	b := open(t, s.url)
	b.wait(`document.querySelectorAll("#p-requests path").length > 0`, "a plot is drawn")
	require.Empty(t, b.text(`[...document.querySelectorAll("input, select, textarea")].filter((e) => !e.labels.length).map((e) => e.outerHTML).join()`), "all have labels")
	require.Empty(t, b.text(`[...document.querySelectorAll("button")].filter((e) => !(e.textContent.trim() || e.ariaLabel)).map((e) => e.outerHTML).join()`), "all have names")
	require.Empty(t, b.text(`[...document.querySelectorAll("svg")].filter((e) => e.ariaHidden !== "true" && !e.ariaLabel).map((e) => e.outerHTML).join()`), "plots have names")
	require.Empty(t, b.text(`[...document.querySelectorAll("section, fieldset")].filter((e) => !e.ariaLabel && !e.querySelector("#" + (e.getAttribute("aria-labelledby") || "none")) && !e.querySelector("legend")).map((e) => e.outerHTML).join()`), "parts have names")

	run(b, chromedp.Focus("#p-requests .plot"))
	run(b, chromedp.KeyEvent(kb.ArrowLeft))
	b.wait(`/^\d\d:\d\d:\d\d: .*hit/.test(document.querySelector("#p-requests [aria-live]").textContent)`, "the values at the cursor are spoken")
	run(b, chromedp.Focus("#p-requests summary"))
	run(b, chromedp.KeyEvent(kb.Enter))
	b.wait(`document.querySelectorAll("#p-requests table tbody tr").length > 5`, "the plot has a table")
	run(b, chromedp.Focus(`input[name="kind"][value="hits"]`))
	run(b, chromedp.KeyEvent(kb.ArrowRight))
	b.wait(`document.getElementById("top-unit").textContent === "Misses"`, "the arrow keys choose")
	run(b, chromedp.Focus("#tail summary"))
	run(b, chromedp.KeyEvent(kb.Enter))
	b.wait(`document.querySelector("#tail details[open] .steps")`, "a request opens")
	b.text("document.activeElement.blur()")
	time.Sleep(2500 * time.Millisecond)
	require.Equal(t, "true", b.text(`Boolean(document.querySelector("#tail details[open]"))`), "it stays while it is open")
	require.NotEqual(t, "none", b.text(`(() => { const e = document.querySelector("#pause"); e.focus({ focusVisible: true }); return getComputedStyle(e).outlineStyle; })()`), "the focus can be seen")
	b.wantNoErrors()
}

// Text of clients is shown as text, wherever it appears.
func TestHostileTextIsShownAsText(t *testing.T) {
	s := newSite(t, console.Config{Explain: func(_ *middleware.Cache, r *http.Request) console.Explanation {
		return explanation{`<img src=x onerror="window.pwned=1">`}
	}})
	paths := []string{
		`/<script>window.pwned=1</script>`,
		`/"><img src=x onerror=window.pwned=1>`,
		`/'onmouseover='window.pwned=1'`,
		`/private/javascript:window.pwned=1`,
		"/private/\u202egpj.exe<b>bold</b>",
		`/private/{{constructor.constructor('window.pwned=1')()}}`,
	}
	cache := s.cache.Handler(http.HandlerFunc(answer))
	ask := func() {
		for _, path := range paths {
			r := httptest.NewRequest("GET", "http://site.example/", nil)
			r.RequestURI, r.URL = path, &url.URL{Path: path}
			r.Host = "site.example"
			cache.ServeHTTP(httptest.NewRecorder(), r)
		}
		r := httptest.NewRequest("GET", "http://site.example/private/x", nil)
		r.Host, r.Method = `"><script>window.pwned=1</script>`, "GET"
		cache.ServeHTTP(httptest.NewRecorder(), r)
		r = httptest.NewRequest("POST", "http://site.example/", nil)
		r.Method = "<script>window.pwned=1</script>"
		cache.ServeHTTP(httptest.NewRecorder(), r)
	}
	b := open(t, s.url)
	b.wait(`document.getElementById("live").textContent === "live"`, "the stream is live")
	for range 3 {
		ask()
		time.Sleep(time.Second)
	}
	b.wait(`document.body.textContent.includes("/<script>window.pwned=1</script>")`, "it is shown as text")
	b.wait(`document.body.textContent.includes("\\u202egpj.exe<b>bold</b>")`, "control characters are shown")
	b.text(`document.querySelectorAll("details").forEach((e) => { e.open = true; })`)
	b.text(`document.querySelector("#top button, #uncached button").click()`)
	b.wait(`document.getElementById("explanation").textContent.includes("onerror")`, "the explanation is text, too")
	require.Equal(t, "undefined", b.text("typeof window.pwned"))
	require.Zero(t, b.number(`document.querySelectorAll("main script, main img, main b[onmouseover], a[href^=javascript]").length`))
	require.Equal(t, "1", b.text(`document.scripts.length`))
	b.wantNoErrors()
}

// Another site can neither purge nor show the page in a frame.
func TestOtherSitesCanDoNothing(t *testing.T) {
	s := newSite(t, console.Config{})
	s.get("/a")
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<iframe id="frame" src="%[1]s"></iframe>
<form id="form" method="post" enctype="text/plain" action="%[1]spurge" target="out"><input name='{"kind":"all","x":"' value='"}'></form><iframe name="out"></iframe>`, s.url)
	}))
	defer evil.Close()
	b := open(t, strings.Replace(evil.URL, "127.0.0.1", "localhost", 1))
	post := `fetch("` + s.url + `purge", { method: "POST", mode: "no-cors", credentials: "include", body: '{"kind":"all"}' })`
	b.text(`window.sent = 0, ` + post + `.finally(() => { sent++; })`)
	b.text(`fetch("` + s.url + `stats.json").then(() => { window.read = "yes"; }, () => { window.read = "no"; })`)
	b.text(`document.getElementById("form").submit()`)
	b.wait("sent === 1 && window.read", "the requests are over")
	time.Sleep(500 * time.Millisecond)
	require.Equal(t, "no", b.text("window.read"), "it cannot read the numbers")
	require.Contains(t, s.get("/a"), "; hit", "nothing was purged")
	refused := strings.Join(b.errors(), "\n")
	require.Contains(t, refused, "frame", "the browser refuses to show the page in a frame")
}
