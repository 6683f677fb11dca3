package main

import (
	"bytes"
	"go/format"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const source = `package rules

var names = []string{"a", "b"}

const size = 3

func (k kind) String() string { return "k" }

func rule(x, y int, on bool) (n int) {
	if x < y && on {
		n = 7
	}
	switch {
	case x == 1, y == 1:
		n++
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

func TestMutants(t *testing.T) {
	found, err := mutants("rules.go", []byte(source))
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
		"drop case 1", "drop case 2", "1 → 2", "2 → 3", "1 → 2", "drop case 3", "3 → 4", "delete drop()",
		"never loop", "delete on = false", "false → true", "max → min",
	}, what)
	require.Equal(t, "rules.go:10: < → <=\n\tif x < y && on {", found[indexOf(what, "< → <=")].String())

	_, err = mutants("broken.go", []byte("package"))
	require.Error(t, err)
}

func indexOf(list []string, s string) int {
	for i, e := range list {
		if e == s {
			return i
		}
	}
	return -1
}

func TestSample(t *testing.T) {
	all, err := mutants("rules.go", []byte(source))
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

// TestRun tries mutants of a module of its own: one that its test notices, one that it doesn't, one that hangs it, and one
// that is no Go.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":        "module example.com/rules\n\ngo 1.26\n",
		"rules.go":      "package rules\n\nfunc Small(n int) bool { return n < 10 }\n",
		"rules_test.go": "package rules\n\nimport \"testing\"\n\nfunc TestSmall(t *testing.T) {\n\tif !Small(3) || Small(20) {\n\t\tt.Fail()\n\t}\n}\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	t.Chdir(dir)
	src, err := os.ReadFile("rules.go")
	require.NoError(t, err)
	at := bytes.Index(src, []byte("n < 10"))
	change := func(text string) *mutant {
		return &mutant{file: "rules.go", start: at, end: at + len("n < 10"), text: text, what: text, line: 3}
	}
	r := &runner{packages: []string{"."}, timeout: time.Minute, dir: t.TempDir()}
	require.NoError(t, r.check(t.Context()))
	rep := &report{files: map[string]*tally{}}
	for i, tc := range []struct {
		text string
		want fate
	}{
		{"n <= 10", survived},
		{"n > 10", killed},
		{"func() bool { for { } }()", killed},
		{"n < ten", stillborn},
	} {
		if tc.text == "func() bool { for { } }()" {
			r.timeout = 2 * time.Second
		}
		m := change(tc.text)
		got, pkg, err := r.run(t.Context(), i, m)
		require.NoError(t, err)
		require.Equal(t, tc.want, got, tc.text)
		rep.add(m, got, pkg)
	}
	now, err := os.ReadFile("rules.go")
	require.NoError(t, err)
	require.Equal(t, src, now)

	var out bytes.Buffer
	rep.print(&out)
	require.Equal(t, 1, rep.unexplained)
	require.Contains(t, out.String(), "survived rules.go:3: n <= 10")
	require.Regexp(t, `rules\.go +3 +2 +0 +1 +66\.7% +\. 2`, out.String())

	require.NoError(t, os.WriteFile("rules_test.go", []byte("package rules\n\nfunc init() { panic(1) }\n"), 0o600))
	require.ErrorContains(t, r.check(t.Context()), "without a mutant")
}
