package cirque_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The comment of a package of many files lists them, one line for each.
func TestPackageCommentsNameEveryFile(t *testing.T) {
	for _, dir := range []string{"diskcache", "eviction", "middleware", "rules"} {
		doc, err := os.ReadFile(filepath.Join(dir, "doc.go"))
		require.NoError(t, err)
		named := []string{"doc.go"}
		for _, row := range regexp.MustCompile(`(?m)^//\t(\w+\.go) +\S`).FindAllSubmatch(doc, -1) {
			if name := string(row[1]); name != "doc.go" {
				named = append(named, name)
			}
		}
		paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
		require.NoError(t, err)
		paths = slices.DeleteFunc(paths, func(path string) bool { return strings.HasSuffix(path, "_test.go") })
		for i := range paths {
			paths[i] = filepath.Base(paths[i])
		}
		require.ElementsMatch(t, paths, named, dir)
	}
}
