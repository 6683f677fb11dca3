package cirqueprom_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/internal/verify/snapshot"
)

// docs/operate.md has a row for each metric, with its type and its labels, and a section for each
// alert.
func TestOperateListsEveryMetricAndAlert(t *testing.T) {
	text, err := os.ReadFile("../docs/operate.md")
	require.NoError(t, err)
	full, _ := snapshot.Full()
	families, labels := gather(t, fixed(full)), described(t)
	listed := 0
	for _, row := range regexp.MustCompile("(?m)^\\| `(cirque_\\w+)` \\| (\\w+) \\| ([^|]*)\\| ([^|]+) \\|").FindAllStringSubmatch(string(text), -1) {
		name, kind, names, meaning := row[1], row[2], row[3], row[4]
		require.Contains(t, families, name, "docs/operate.md lists a metric that there is not")
		require.Equal(t, strings.ToLower(families[name].GetType().String()), kind, name)
		require.Equal(t, strings.TrimPrefix(strings.TrimPrefix(labels[name], "cache"), ","), strings.NewReplacer("`", "", " ", "").Replace(names), "labels of %s", name)
		require.NotEmpty(t, strings.TrimSpace(meaning), name)
		listed++
	}
	require.Equal(t, len(labels), listed, "metrics that docs/operate.md lists once each")

	rules, err := os.ReadFile("alerts.yml")
	require.NoError(t, err)
	for _, alert := range alerts(t) {
		require.Contains(t, string(text), "\n### "+alert+"\n", "docs/operate.md has no section for it")
		require.Contains(t, string(rules), "docs/operate.md#"+strings.ToLower(alert)+"\n")
	}
	require.Equal(t, len(alerts(t)), strings.Count(string(text), "\n### Cirque"))
}

// The code in the README is that of the example, which is compiled.
func TestCodeInReadmeIsTheExample(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	example, err := os.ReadFile("example_test.go")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(readme), -1)
	require.Len(t, blocks, 1)
	require.Contains(t, strings.ReplaceAll(string(example), "\n\t", "\n"), "\n"+blocks[0][1])
}
