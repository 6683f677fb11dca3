package eviction_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDocNamesEveryFile(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	var named []string
	for _, row := range regexp.MustCompile(`(?m)^//\t(\w+\.go) +\w`).FindAllSubmatch(doc, -1) {
		named = append(named, string(row[1]))
	}
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	var present []string
	for _, file := range files {
		if file != "doc.go" && !strings.HasSuffix(file, "_test.go") {
			present = append(present, file)
		}
	}
	require.ElementsMatch(t, present, named)
}
