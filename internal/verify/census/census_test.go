package main

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// counted is a small module, by file name.
var counted = map[string]string{
	"go.mod": "module example.com/counted\n\ngo 1.26\n",
	"a.go": `// Package counted is counted. Its files are
//
//	b.go   the first one
//	c.go   one that is not built
package counted

// T is a type.
type T struct{ Field int }

// M calls down, and is called from below.
func (t *T) M() int { return low(t.Field) }

func Used() {
	first()
	second()
	// A comment is no code.
	third()

	fourth()
	fifth()
}
`,
	"b.go": `package counted

import "fmt"

var _ = (*T).M

func low(n int) int {
	var t T
	if n > 0 {
		t.M()
	}
	return t.M()
}

// A comment with a tab	` + strings.Repeat("-", 80) + `
func first() { fmt.Print("` + strings.Repeat("-", 80) + `") }

func second() {}
func third()  {}
func fourth() {}
func fifth()  {}

func again() {
	if true {
		first()
		second()
		third()
		fourth()
		fifth()
	}
}
`,
	"user/user.go": `package main

import "example.com/counted"

func main() { counted.Used() }
`,
}

func list(t *testing.T, m *module, count string, patterns ...string) string {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, m.list(&out, count, patterns))
	return out.String()
}

func TestCounts(t *testing.T) {
	dir := t.TempDir()
	for name, text := range counted {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	m, err := load(dir)
	require.NoError(t, err)

	require.Equal(t, "(root): T\n(root): T.M\n(root): T.Field\n", list(t, m, "names", "."))
	require.Equal(t, "b.go:15\n", list(t, m, "comments"))
	require.Equal(t, "     5  b.go:25 as from a.go:14\n", list(t, m, "repeated"))
	require.Empty(t, list(t, m, "repeated", "./user"))
	require.Equal(t, "(root): 1 of 7 calls between files run back up\n  order: a.go b.go\n  b.go:var, low → a.go:T.M\n", list(t, m, "calls"))
	require.Empty(t, list(t, m, "functions"))
	require.Equal(t, "     5  user/user.go\n", list(t, m, "files", "./user"))

	m.documented = true
	require.Contains(t, list(t, m, "calls"), "(root): 6 of 7 calls between files run back up\n  order: b.go c.go a.go\n")
	m.documented = false

	var out bytes.Buffer
	m.report(&out)
	require.Contains(t, out.String(), "     4     3  (root)\n")
	require.Contains(t, out.String(), "have stood before\n     5\n")
	require.Contains(t, out.String(), "     7     1  (root)\n")

	require.ErrorContains(t, m.list(&out, "names", []string{"./other"}), "no package ./other")
	require.ErrorContains(t, m.list(&out, "others", nil), `no count "others"`)
}

// Moving one file at a time does not untangle every alphabetical order, so the search begins with
// callersFirst too.
func TestBestOrderHasNoUpwardCallsWithoutCycles(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 0))
		ranks := random.Perm(12) // a file calls only those of a lower rank
		weights := map[string]map[string]int{}
		name := func(i int) string { return string(rune('a' + i)) }
		for i := range ranks {
			weights[name(i)] = map[string]int{}
			for j := range ranks {
				if ranks[j] < ranks[i] && random.IntN(3) == 0 {
					weights[name(i)][name(j)] = 1 + random.IntN(4)
				}
			}
		}
		require.Zero(t, upwardCalls(bestOrder(weights), weights), "seed %d", seed)
	}
}

func TestBestOrderOfACycle(t *testing.T) {
	weights := map[string]map[string]int{"a": {"b": 1}, "b": {"c": 3}, "c": {"a": 2}}
	require.Equal(t, []string{"b", "c", "a"}, bestOrder(weights))
}
