package browsertest

import (
	"bufio"
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

var (
	shots = flag.String("shots", "", "write screenshots into this directory: light and dark, at desktop and phone width")
	write = flag.Bool("write", false, "write ../../docs/console.png anew")
	warm  = flag.Duration("warm", 5*time.Second, "how long the demo runs before the screenshots")
)

// startDemo runs the example with its visitors until the test ends, and returns the URL of the
// console.
func startDemo(t *testing.T) string {
	chromium(t)
	program := filepath.Join(t.TempDir(), "reverseproxy")
	build := exec.Command("go", "build", "-o", program, "./examples/reverseproxy")
	build.Dir = "../.."
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	ctx, stop := context.WithCancel(context.Background())
	run := exec.CommandContext(ctx, program, "-listen", "127.0.0.1:0", "-demo", "-console", "127.0.0.1:0", "-stale-if-error", "1m")
	run.Cancel = func() error { return run.Process.Signal(syscall.SIGTERM) }
	stdout, err := run.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, run.Start())
	t.Cleanup(func() {
		stop()
		_ = run.Wait()
	})
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if at := regexp.MustCompile(`^console at (\S+)`).FindStringSubmatch(lines.Text()); at != nil {
			return at[1]
		}
	}
	t.Fatal("the example has not said where the console is")
	return ""
}

// The demo of the README fills the page, which fits on a desktop and on a phone. This makes the
// screenshot in the README, with -write.
func TestDemoFillsThePage(t *testing.T) {
	url := startDemo(t)
	b := open(t, url)
	b.look(1280, 900, false)
	b.wait(`document.querySelectorAll("#tail li").length > 5`, "requests appear")
	time.Sleep(*warm)
	b.wait(`parseFloat(document.getElementById("t-ratio").textContent) > 20`, "there is a hit ratio")
	for _, id := range []string{"results", "top"} {
		b.wait(`document.querySelectorAll("#`+id+` tbody tr").length > 3`, id+" has rows")
	}
	for _, width := range []int64{1280, 390} {
		for _, dark := range []bool{false, true} {
			b.look(width, 900, dark)
			time.Sleep(300 * time.Millisecond) // the plots are drawn anew
			require.LessOrEqual(t, int64(b.number("document.documentElement.scrollWidth")), width, "nothing is wider than the page")
			all := run(b, chromedp.FullScreenshot(100))
			require.NotEmpty(t, all)
			if *shots != "" {
				scheme := map[bool]string{false: "light", true: "dark"}[dark]
				require.NoError(t, os.WriteFile(filepath.Join(*shots, scheme+"-"+strconv.FormatInt(width, 10)+".png"), all, 0o666))
			}
		}
	}
	if *write {
		b.look(1280, 900, false)
		b.text("scrollTo(0, 0)")
		height := b.number(`document.getElementById("p-curve").closest("section").getBoundingClientRect().bottom`)
		b.look(1280, int64(height)+16, false)
		time.Sleep(time.Second)
		require.NoError(t, os.WriteFile("../../docs/console.png", run(b, chromedp.CaptureScreenshot()), 0o666))
	}
	b.wantNoErrors()
}
