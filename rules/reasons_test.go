package rules

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every token that a rule of this package gives as its reason has words in the table, and the table
// has no other.
func TestEveryDetailHasWords(t *testing.T) {
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	used := map[string]bool{refusedCookie: true}
	literal := func(e ast.Expr) {
		if l, ok := e.(*ast.BasicLit); ok && l.Kind == token.STRING {
			text, err := strconv.Unquote(l.Value)
			require.NoError(t, err)
			used[text] = true
		}
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				called := n.Fun
				if s, ok := called.(*ast.SelectorExpr); ok {
					called = s.Sel
				}
				if f, ok := called.(*ast.Ident); ok {
					switch f.Name {
					case "refuseResponse", "refuseRequest":
						literal(n.Args[0])
					case "validate":
						literal(n.Args[1])
					}
				}
			case *ast.KeyValueExpr:
				if k, ok := n.Key.(*ast.Ident); ok && k.Name == "Detail" {
					literal(n.Value)
				}
			case *ast.FuncDecl:
				if n.Name.Name == "RequestCacheable" {
					ast.Inspect(n, func(n ast.Node) bool {
						if r, ok := n.(*ast.ReturnStmt); ok && len(r.Results) == 2 {
							literal(r.Results[1])
						}
						return true
					})
				}
			case *ast.AssignStmt:
				for i, left := range n.Lhs {
					if s, ok := left.(*ast.SelectorExpr); ok && s.Sel.Name == "Detail" && len(n.Rhs) == len(n.Lhs) {
						literal(n.Rhs[i])
					}
				}
			}
			return true
		})
	}
	delete(used, "")
	require.Greater(t, len(used), 25, "the tokens were found")
	listed := map[string]bool{}
	for _, r := range reasons {
		require.False(t, listed[r.Token], "%s is listed twice", r.Token)
		listed[r.Token] = true
		require.Regexp(t, `^[A-Z].*\.$`, r.Text)
	}
	require.Equal(t, used, listed)
	_, ok := ReasonOf("private")
	require.True(t, ok)
	_, ok = ReasonOf("nothing")
	require.False(t, ok)
}

func TestReasonsCiteASectionUnlessTheyAreOurOwn(t *testing.T) {
	own := []string{"method-override", "target-override", "header-too-large", "forced"}
	for _, r := range reasons {
		if slices.Contains(own, r.Token) {
			require.Empty(t, r.Section, r.Token)
			continue
		}
		require.Regexp(t, `^RFC \d{4} §[\d.]+$`, r.Section, r.Token)
	}
}
