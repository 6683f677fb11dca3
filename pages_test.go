package cirque_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
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

// docs/reference.md explains every token that the rules and the middleware put into the detail
// parameter of Cache-Status, and no other.
func TestReferenceExplainsEveryDetail(t *testing.T) {
	_, tables, found := strings.Cut(pages(t)["docs/reference.md"], "\n## What detail says\n")
	require.True(t, found)
	tables, _, _ = strings.Cut(tables, "\n## ")
	explained := make(map[string]bool)
	for _, row := range regexp.MustCompile("(?m)^\\| (`[a-z][^|]*`) \\| [^|]*\\|$").FindAllStringSubmatch(tables, -1) {
		for _, name := range strings.Split(row[1], ", ") {
			explained[strings.Trim(name, "`")] = true
		}
	}
	delete(explained, "detail") // in the heads of the tables
	var source strings.Builder
	for _, pattern := range []string{"rules/*.go", "middleware/*.go"} {
		paths, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, path := range paths {
			if !strings.HasSuffix(path, "_test.go") {
				text, err := os.ReadFile(path)
				require.NoError(t, err)
				source.Write(text)
			}
		}
	}
	used := make(map[string]bool)
	for _, use := range []string{
		`refuse(?:Response|Request)\(`, `Detail: +`, `detail = `, `refusedCookie = `,
		`validate\(\w+, `, `return false, `, `bypass\([\w.]+, `, `notFilled\(`, `servesStale\(meta, `,
	} {
		tokens := regexp.MustCompile(use+`"([a-z][a-z-]+)"`).FindAllStringSubmatch(source.String(), -1)
		require.NotEmpty(t, tokens, use)
		for _, token := range tokens {
			used[token[1]] = true
			require.Contains(t, explained, token[1], "docs/reference.md does not explain it")
		}
	}
	for name := range explained {
		require.True(t, used[name] || strings.Contains(source.String(), `return "`+name+`"`), "docs/reference.md explains %s, which nothing sets", name)
	}
}

// The table of files in docs/design.md has every file of this package and every directory of Go
// code: by its own name, or by that of a directory around it. Whatever the table names exists.
func TestDesignNamesEveryFileAndPackage(t *testing.T) {
	_, table, found := strings.Cut(pages(t)["docs/design.md"], "| file or package | concern |\n")
	require.True(t, found)
	table, _, _ = strings.Cut(table, "\n\n")
	named := make(map[string]bool)
	for _, row := range strings.Split(table, "\n") {
		names, _, _ := strings.Cut(strings.TrimPrefix(row, "| "), " | ")
		for _, name := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(names, -1) {
			require.False(t, named[name[1]], "%s is named twice", name[1])
			_, err := os.Stat(name[1])
			require.NoError(t, err, "docs/design.md names it")
			named[name[1]] = true
		}
	}
	require.NoError(t, filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != "." && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata"):
			return filepath.SkipDir
		case entry.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		name := path
		if filepath.Dir(path) != "." {
			for name = filepath.Dir(path); !named[name] && name != "."; {
				name = filepath.Dir(name)
			}
		}
		require.True(t, named[name], "docs/design.md has no row for %s", path)
		return nil
	}))
}
