package cirqueotel_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/cirquecache/cirque/cirqueotel"
	"github.com/cirquecache/cirque/internal/verify/snapshot"
)

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

// The README names every metric, and each beside the one of cirqueprom that means the same.
func TestReadmeNamesEveryMetric(t *testing.T) {
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	operate, err := os.ReadFile("../docs/operate.md")
	require.NoError(t, err)
	named := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| (`cirque\\.[^|]+) \\| ([^|]+) \\|$").FindAllStringSubmatch(string(text), -1) {
		for _, name := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[1], -1) {
			require.False(t, named[name[1]], "%s is named twice", name[1])
			named[name[1]] = true
		}
		for _, name := range regexp.MustCompile("`(cirque_[^`]+)`").FindAllStringSubmatch(row[2], -1) {
			require.Contains(t, string(operate), "| `"+name[1]+"` |")
		}
	}
	full, _ := snapshot.Full()
	reader := sdkmetric.NewManualReader()
	_, err = cirqueotel.Observe(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)), fixed(full))
	require.NoError(t, err)
	for name := range collect(t, reader) {
		require.True(t, named[name], "the README does not name %s", name)
		delete(named, name)
	}
	for _, name := range []string{"cirque.request.duration", "cirque.request.first_byte", "cirque.lock_wait.duration"} {
		require.True(t, named[name], name)
		delete(named, name)
	}
	require.Empty(t, named, "metrics that there are not")
}
