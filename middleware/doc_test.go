package middleware_test

import (
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The package comment ends with a map of the files: one line for each, and no other.
func TestPackageCommentNamesEveryFile(t *testing.T) {
	source, err := parser.ParseFile(token.NewFileSet(), "doc.go", nil, parser.PackageClauseOnly|parser.ParseComments)
	require.NoError(t, err)
	var named []string
	for _, line := range regexp.MustCompile(`(?m)^\t(\w+\.go) +\S`).FindAllStringSubmatch(source.Doc.Text(), -1) {
		named = append(named, line[1])
	}
	paths, err := filepath.Glob("*.go")
	require.NoError(t, err)
	var files []string
	for _, path := range paths {
		if !strings.HasSuffix(path, "_test.go") {
			files = append(files, path)
		}
	}
	require.ElementsMatch(t, files, named)
}
