package conformance

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEveryRequirementHasOneAnswer(t *testing.T) {
	known := map[string]bool{}
	for _, c := range Cases() {
		require.False(t, known[c.Name], "two cases are named %q", c.Name)
		require.NotEmpty(t, c.Steps, c.Name)
		known[c.Name] = true
	}
	for _, r := range Requirements() {
		answers := 0
		for _, given := range []bool{len(r.Cases)+len(r.KeptBy) > 0, r.NotKept != "", r.NotObservable != ""} {
			if given {
				answers++
			}
		}
		require.Equal(t, 1, answers, "%s: %s", r.Section, r.Rule)
		require.Regexp(t, `^RFC \d+ §\d[\d.]*(, (RFC \d+ )?§\d[\d.]*)*$`, r.Section)
		require.True(t, strings.HasSuffix(r.Rule, "."), r.Rule)
		for _, name := range r.KeptBy {
			require.True(t, known[name], "%s: no case is named %q", r.Section, name)
		}
	}
}

func TestSurvivorsNameExistingLines(t *testing.T) {
	for _, s := range Survivors() {
		src, err := os.ReadFile(filepath.Join("..", "..", "..", s.File))
		require.NoError(t, err)
		lines := strings.Split(string(src), "\n")
		require.True(t, slices.ContainsFunc(lines, func(line string) bool { return strings.TrimSpace(line) == s.Source }), "%s: %s", s.File, s.Source)
	}
}

func TestTableIsCurrent(t *testing.T) {
	var want strings.Builder
	require.NoError(t, WriteTable(&want))
	got, err := os.ReadFile("../../../docs/conformance.md")
	require.NoError(t, err)
	require.Equal(t, want.String(), string(got), "run go generate ./internal/verify/conformance")
}
