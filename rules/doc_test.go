package rules

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDocNamesEachFileOnce(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	var named []string
	for _, row := range regexp.MustCompile(`(?m)^//\t(\w+\.go) `).FindAllStringSubmatch(string(doc), -1) {
		named = append(named, row[1])
	}
	var files []string
	all, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, file := range all {
		if file != "doc.go" && !strings.HasSuffix(file, "_test.go") {
			files = append(files, file)
		}
	}
	require.ElementsMatch(t, files, named)
}
