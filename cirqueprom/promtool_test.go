package cirqueprom_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/cirqueprom"
	"github.com/cirquecache/cirque/internal/verify/snapshot"
)

// tool returns the path of a program, and skips the test if it is not installed.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("SKIPPED: %s is not installed (apt-get install prometheus): nothing was checked with it", name)
	}
	return path
}

// promtool runs promtool, which must find nothing to say.
func promtool(t *testing.T, input []byte, args ...string) string {
	t.Helper()
	command := exec.Command(tool(t, "promtool"), args...)
	command.Stdin = bytes.NewReader(input)
	output, err := command.CombinedOutput()
	require.NoError(t, err, "promtool %s:\n%s", strings.Join(args, " "), output)
	return string(output)
}

func TestPromtoolAcceptsTheMetrics(t *testing.T) {
	full, _ := snapshot.Full()
	collector, err := cirqueprom.New(fixed(full))
	require.NoError(t, err)
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(collector)
	families, err := registry.Gather()
	require.NoError(t, err)
	var text bytes.Buffer
	for _, family := range families {
		_, err := expfmt.MetricFamilyToText(&text, family)
		require.NoError(t, err)
	}
	require.Empty(t, promtool(t, text.Bytes(), "check", "metrics"))
}

func TestPromtoolAcceptsTheRules(t *testing.T) {
	promtool(t, nil, "check", "rules", "--lint=all", "--lint-fatal", "alerts.yml")
}

func TestEachAlertFiresWhenItShouldAndOnlyThen(t *testing.T) {
	var tests []byte
	for _, file := range []string{"alerts_test.yml", "alerts_day_test.yml"} {
		promtool(t, nil, "test", "rules", file)
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		tests = append(tests, text...)
	}
	for _, alert := range alerts(t) {
		fires := regexp.MustCompile(`alertname: ` + alert + "\n +exp_alerts:\n").Match(tests)
		require.True(t, fires, "%s fires in no test", alert)
		silent := regexp.MustCompile(`alertname: ` + alert + "\n +exp_alerts: \\[\\]\n").Match(tests)
		require.True(t, silent, "%s is silent in no test", alert)
	}
}

// alerts returns the names of the alerts.
func alerts(t *testing.T) (names []string) {
	rules, err := os.ReadFile("alerts.yml")
	require.NoError(t, err)
	for _, alert := range regexp.MustCompile(`(?m)^ +- alert: (\w+)$`).FindAllStringSubmatch(string(rules), -1) {
		names = append(names, alert[1])
	}
	require.NotEmpty(t, names)
	return names
}

// panel is what the tests read of a panel of the dashboard.
type panel struct {
	ID          int
	Type        string
	Title       string
	Description string
	GridPos     struct{ H, W, X, Y int }
	FieldConfig struct{ Defaults struct{ Unit string } }
	Targets     []struct{ Expr, LegendFormat string }
}

func dashboard(t *testing.T) []panel {
	text, err := os.ReadFile("dashboard.json")
	require.NoError(t, err)
	var d struct{ Panels []panel }
	require.NoError(t, json.Unmarshal(text, &d))
	require.NotEmpty(t, d.Panels)
	return d.Panels
}

func TestEachPanelSaysWhatItShows(t *testing.T) {
	ids, cells := map[int]bool{}, map[[2]int]string{}
	for _, p := range dashboard(t) {
		require.False(t, ids[p.ID], "two panels have the id %d", p.ID)
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				require.Less(t, x, 24, p.Title)
				require.Empty(t, cells[[2]int{x, y}], "%s lies on another panel", p.Title)
				cells[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		require.NotEmpty(t, p.Title)
		require.NotEmpty(t, p.Description, p.Title)
		require.NotEmpty(t, p.FieldConfig.Defaults.Unit, p.Title)
		require.NotEmpty(t, p.Targets, p.Title)
		for _, target := range p.Targets {
			require.NotEmpty(t, target.LegendFormat, p.Title)
		}
	}
}

// The dashboard shows every metric, and names no other.
func TestDashboardShowsEveryMetric(t *testing.T) {
	shown := map[string]bool{}
	for _, p := range dashboard(t) {
		for _, target := range p.Targets {
			for _, name := range regexp.MustCompile(`cirque_\w+`).FindAllString(target.Expr, -1) {
				shown[strings.TrimSuffix(name, "_bucket")] = true
			}
		}
	}
	for name := range described(t) {
		require.True(t, shown[name], "the dashboard does not show %s", name)
		delete(shown, name)
	}
	require.Empty(t, shown, "metrics that there are not")
}
