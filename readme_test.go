package cirque_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/middleware"
)

// body returns the source text of a function's body, without its indentation.
func body(t *testing.T, file, function string) string {
	source, err := os.ReadFile(file)
	require.NoError(t, err)
	parsed, err := parser.ParseFile(token.NewFileSet(), file, source, 0)
	require.NoError(t, err)
	for _, decl := range parsed.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok && f.Name.Name == function {
			text := string(source[f.Body.Lbrace : f.Body.Rbrace-1]) // positions count from 1
			return strings.ReplaceAll(text, "\n\t", "\n")
		}
	}
	t.Fatalf("%s has no function %s", file, function)
	return ""
}

func TestReadmeCodeIsThatOfExamples(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)(?:<!-- (\\S+) (\\S+) -->\n)?```go\n(.*?)```").FindAllStringSubmatch(string(readme), -1)
	require.NotEmpty(t, blocks)
	for _, block := range blocks {
		file, function, code := block[1], block[2], block[3]
		require.NotEmpty(t, file, "no example is named for:\n%s", code)
		require.Contains(t, body(t, file, function), "\n"+code, "README.md differs from %s", function)
		require.LessOrEqual(t, strings.Count(code, "\n"), 10, "%s is to be short", function)
	}
}

func TestReadmeTablesAreComplete(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	var named []string // in the first column of a table
	for _, row := range regexp.MustCompile("(?m)^\\| (`[^|]*`) \\|").FindAllStringSubmatch(string(readme), -1) {
		for _, name := range strings.Split(row[1], ", ") {
			named = append(named, strings.Trim(name, "`"))
		}
	}
	config := reflect.TypeFor[middleware.Config]()
	for i := range config.NumField() {
		require.Contains(t, named, config.Field(i).Name, "a field of middleware.Config")
	}
	for phase := cirque.PhaseDisabled; phase <= cirque.PhaseRevalidatedNoCache; phase++ {
		require.Contains(t, named, phase.String(), "a phase")
	}
}
