package browsertest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// patience is how long a test waits for something that should happen within a second or two.
const patience = 20 * time.Second

// chromium returns the path of the browser. Without one, the test is skipped, loudly.
func chromium(t *testing.T) string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	fmt.Fprintf(os.Stderr, "\n*** SKIPPED: %s needs Chromium (apt-get install chromium) ***\n\n", t.Name())
	t.Skip("there is no Chromium")
	return ""
}

// tab is a tab of the browser.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu    sync.Mutex
	wrong []string // what the page has reported as wrong
}

// open starts a browser until the test ends, and opens url in it.
func open(t *testing.T, url string) *tab {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium(t)), chromedp.NoSandbox)
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx}
	messages := chromedp.Console(ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			b.mu.Lock()
			if m.IsException() || m.Type == "error" || m.Type == "warning" {
				b.wrong = append(b.wrong, m.String())
			}
			b.mu.Unlock()
		}
	}()
	require.NoError(t, chromedp.Do(ctx, chromedp.EmulateViewport(1280, 900), chromedp.Navigate(url)))
	return b
}

// errors returns what the page has reported as wrong so far.
func (b *tab) errors() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.wrong)
}

// run runs an action in the tab.
func run[T any](b *tab, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 2*patience)
	defer cancel()
	result, err := chromedp.Run(ctx, action)
	require.NoError(b.t, err)
	return result
}

// text returns what a script returns, as text.
func (b *tab) text(script string) string {
	b.t.Helper()
	return run(b, chromedp.Evaluate[string]("String("+script+")"))
}

// number returns what a script returns, as a number.
func (b *tab) number(script string) float64 {
	b.t.Helper()
	return run(b, chromedp.Evaluate[float64]("Number("+script+")"))
}

// wait waits until a script returns true.
func (b *tab) wait(script, what string) {
	b.t.Helper()
	deadline := time.Now().Add(patience)
	for b.text("Boolean("+script+")") != "true" {
		if time.Now().After(deadline) {
			b.t.Fatalf("this did not happen: %s; the page: %s", what, strings.Join(b.errors(), "; "))
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// look sets what the page is looked at with.
func (b *tab) look(width, height int64, dark bool) {
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	run(b, chromedp.EmulateViewport(width, height))
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	require.NoError(b.t, err)
}
