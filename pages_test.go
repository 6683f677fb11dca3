package cirque_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/middleware"
)

// body returns the source text of a function's body, with one tab less of indentation.
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

// pages returns the text of the README, CONTRIBUTING.md and the docs, by path.
func pages(t *testing.T) map[string]string {
	paths, err := filepath.Glob("docs/*.md")
	require.NoError(t, err)
	all := make(map[string]string)
	for _, path := range append(paths, "README.md", "CONTRIBUTING.md") {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		all[path] = string(text)
	}
	return all
}

// The Go code in the pages is copied from examples, which are compiled and tested.
func TestCodeInPagesIsFromExamples(t *testing.T) {
	blocks := regexp.MustCompile("(?s)(?:<!-- (\\S+) (\\S+) -->\n)?```go\n(.*?)```")
	found := 0
	for path, text := range pages(t) {
		for _, block := range blocks.FindAllStringSubmatch(text, -1) {
			file, function, code := block[1], block[2], block[3]
			require.NotEmpty(t, file, "%s names no example for this code:\n%s", path, code)
			require.Contains(t, body(t, file, function), "\n"+code, "%s differs from %s", path, function)
			require.LessOrEqual(t, strings.Count(code, "\n"), 10, "%s is too long for a page", function)
			found++
		}
	}
	require.GreaterOrEqual(t, found, 3)
}

// Each link to a file, and to a heading in it, has a target.
func TestLinksInPagesHaveTargets(t *testing.T) {
	links := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for path, text := range pages(t) {
		for _, link := range links.FindAllStringSubmatch(text, -1) {
			target, anchor, _ := strings.Cut(link[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			file := path
			if target != "" {
				file = filepath.Join(filepath.Dir(path), target)
			}
			info, err := os.Stat(file)
			require.NoError(t, err, "%s links to %s", path, link[1])
			if anchor != "" && !info.IsDir() {
				text, err := os.ReadFile(file)
				require.NoError(t, err)
				require.Contains(t, anchors(string(text)), anchor, "%s links to %s", path, link[1])
			}
		}
	}
}

// anchors returns the names by which links can refer to the headings of a page.
func anchors(text string) (all []string) {
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		name := strings.ToLower(regexp.MustCompile(`[^\w -]`).ReplaceAllString(heading[1], ""))
		all = append(all, strings.ReplaceAll(name, " ", "-"))
	}
	return all
}

// If a page names file.go:function, that function exists.
func TestFunctionsInPagesExist(t *testing.T) {
	found := 0
	for path, text := range pages(t) {
		for _, name := range regexp.MustCompile("`([\\w/]+\\.go):(\\w+)`").FindAllStringSubmatch(text, -1) {
			source, err := os.ReadFile(name[1])
			require.NoError(t, err, "%s names %s", path, name[0])
			declared := regexp.MustCompile(`(?m)^func (\([^)]*\) )?` + name[2] + `\(`).Match(source)
			require.True(t, declared, "%s names %s", path, name[0])
			found++
		}
	}
	require.Greater(t, found, 50)
}

// docs/reference.md has a row for every field of middleware.Config, every phase and every package.
func TestReferenceIsComplete(t *testing.T) {
	var named []string // in the first column of a table
	for _, row := range regexp.MustCompile("(?m)^\\| (`[^|]*`) \\|").FindAllStringSubmatch(pages(t)["docs/reference.md"], -1) {
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
	goFiles, err := filepath.Glob("*/*.go")
	require.NoError(t, err)
	for _, file := range goFiles {
		if !strings.HasSuffix(file, "_test.go") {
			require.Contains(t, named, filepath.Dir(file), "a package")
		}
	}
}
