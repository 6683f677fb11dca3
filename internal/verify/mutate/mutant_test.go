package main

import (
	"bytes"
	"fmt"
	"go/format"
	"go/importer"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const source = `package rules

type kind struct{}

var names = []string{"a", "b"}

const size = 3

func (k kind) String() string { return "k" }

func drop() {}

func rule(x, y int, s string, on bool) (n int) {
	if x < y && on {
		n = 7
	}
	switch {
	case x == 1, y == 1:
		n++
	}
	switch s + s {
	case "s":
		return 1
	}
	switch x {
	case 1, 2:
		return 1
	case 3:
		drop()
	}
	for on {
		on = false
	}
	return max(x, y)
}
`

// rules returns a package with one file, rules.go.
func rules(source string) *pkg {
	return &pkg{dir: "/rules", sources: map[string][]byte{"rules.go": []byte(source)}}
}

func TestMutants(t *testing.T) {
	found, err := rules(source).collect([]string{"rules.go"})
	require.NoError(t, err)
	var what []string
	for _, m := range found {
		what = append(what, m.what)
		changed := m.apply([]byte(source))
		_, err := format.Source(changed)
		require.NoError(t, err, m.String())
		require.NotEqual(t, source, string(changed))
	}
	require.ElementsMatch(t, []string{
		`drop "a"`, `drop "b"`, "3 → 4",
		"negate x < y && on", "drop on", "drop x < y", "< → <=", "delete n = 7", "7 → 8",
		"negate x == 1", "drop x == 1", "negate y == 1", "drop y == 1", "1 → 2", "1 → 2", "delete n++",
		`drop case "s"`, "1 → 2",
		"drop case 1", "drop case 2", "1 → 2", "2 → 3", "1 → 2", "drop case 3", "3 → 4", "delete drop()",
		"never loop", "delete on = false", "false → true", "max → min",
	}, what)
	require.Equal(t, "rules.go:14: < → <=\n\tif x < y && on {", found[slices.Index(what, "< → <=")].String())

	for _, broken := range []string{"package", "package rules\nvar a int = true", "package rules"} {
		_, err = rules(broken).collect([]string{"rules.go"})
		require.Error(t, err)
	}
	_, err = rules(source).collect([]string{"others.go"})
	require.ErrorContains(t, err, "no file others.go")
}

// TestSwitches checks that the text with all mutants behind switches compiles, and that
// withSwitches returns the mutants that it left out.
func TestSwitches(t *testing.T) {
	p := rules(source)
	p.importer = importer.Default()
	all, err := p.collect([]string{"rules.go"})
	require.NoError(t, err)
	files, alone, err := p.withSwitches(all)
	require.NoError(t, err)
	c, err := p.check(files)
	require.NoError(t, err)
	require.Empty(t, c.errs)
	text := string(files["rules.go"])
	for i, m := range all {
		require.Equal(t, m.what == "3 → 4" && m.source == "const size = 3", alone[i], m.String())
		if !alone[i] {
			require.Regexp(t, fmt.Sprintf(`(case %d:|activeMutant != %[1]d )`, i+1), text)
		}
	}
	require.Contains(t, text, `var names = []string{func() string { switch activeMutant { case 1: return "-mutant-"; }; return "a" }(), `)

	// Without panic the function lacks a return, and an array's length must be a constant.
	p = rules("package rules\n\nfunc f(x int) int {\n\tif x > 1 {\n\t\treturn 1\n\t}\n\tpanic(x)\n}\n\nvar a = [2]int{1}\n\nfunc g() int64 { return -1 }\n")
	p.importer = importer.Default()
	all, err = p.collect([]string{"rules.go"})
	require.NoError(t, err)
	_, alone, err = p.withSwitches(all)
	require.NoError(t, err)
	var what []string
	for i := range alone {
		what = append(what, all[i].what)
	}
	require.ElementsMatch(t, []string{"negate x > 1", "> → >=", "1 → 2", "1 → 2", "delete panic(x)", "2 → 3", "1 → 2"}, what)
}

func TestSample(t *testing.T) {
	all, err := rules(source).collect([]string{"rules.go"})
	require.NoError(t, err)
	pick := func(seed uint64, n int) []mutant {
		return sample(append([]mutant(nil), all...), seed, n)
	}
	require.Equal(t, all, pick(1, 0))
	require.Equal(t, all, pick(1, len(all)))
	require.Len(t, pick(1, 5), 5)
	require.Equal(t, pick(1, 5), pick(1, 5))
	require.NotEqual(t, pick(1, 5), pick(2, 5))
}

// TestLoadTakesEveryFile checks that no rule file escapes mutation without -files.
func TestLoadTakesEveryFile(t *testing.T) {
	p, err := load("../../../rules")
	require.NoError(t, err)
	all, err := filepath.Glob("../../../rules/*.go")
	require.NoError(t, err)
	var want []string
	for _, file := range all {
		if name := filepath.Base(file); !strings.HasSuffix(name, "_test.go") {
			want = append(want, name)
		}
	}
	require.NotEmpty(t, want)
	require.ElementsMatch(t, want, slices.Collect(maps.Keys(p.sources)))
}

// TestRun tries mutants of a small module: one that its test does not notice, one that it notices,
// one that makes it hang, one that must be compiled alone, and one that does not compile.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":        "module example.com/rules\n\ngo 1.26\n",
		"rules.go":      "package rules\n\nconst most = 10\n\nfunc Small(n int) bool { return n < most }\n",
		"rules_test.go": "package rules\n\nimport \"testing\"\n\nfunc TestSmall(t *testing.T) {\n\tif !Small(3) || Small(20) {\n\t\tt.Fail()\n\t}\n}\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	p, err := load(dir)
	require.NoError(t, err)
	src := p.sources["rules.go"]
	change := func(old, text string) mutant {
		at := bytes.Index(src, []byte(old))
		return mutant{
			file: "rules.go", start: at, end: at + len(old), text: text, typ: "bool", fixed: old == "10",
			what: text, line: 5,
		}
	}
	tries := []struct {
		mutant
		want fate
	}{
		{change("n < most", "n <= most"), survived},
		{change("n < most", "n > most"), killed},
		{change("n < most", "func() bool { for { } }()"), killed},
		{change("10", "30"), killed},
		{change("10", "ten"), stillborn},
	}
	var all []mutant
	for _, try := range tries {
		all = append(all, try.mutant)
	}
	r, err := newRunner(t.Context(), p, []string{"."}, all, t.TempDir())
	require.NoError(t, err)
	r.tests[0].limit = 2 * time.Second
	rep := &report{files: map[string]*tally{}}
	for i, try := range tries {
		got, pkg, err := r.run(t.Context(), i)
		require.NoError(t, err)
		require.Equal(t, try.want, got, try.what)
		rep.add(&all[i], got, pkg)
	}
	now, err := os.ReadFile(filepath.Join(dir, "rules.go"))
	require.NoError(t, err)
	require.Equal(t, src, now)

	var out bytes.Buffer
	rep.print(&out)
	require.Equal(t, 1, rep.unexplained)
	require.Contains(t, out.String(), "survived rules.go:5: n <= most")
	require.Regexp(t, `rules\.go +4 +3 +0 +1 +75\.0% +\. 3`, out.String())

	require.NoError(t, os.WriteFile(filepath.Join(dir, "rules_test.go"), []byte("package rules\n\nfunc init() { panic(1) }\n"), 0o600))
	_, err = newRunner(t.Context(), p, []string{"."}, all[:3], t.TempDir())
	require.ErrorContains(t, err, "without a mutant")
}
