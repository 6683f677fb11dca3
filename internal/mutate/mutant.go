package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
)

// mutant is one change to one file: the bytes [start, end) give way to text.
type mutant struct {
	file       string // as named on the command line
	start, end int
	text       string
	line       int
	source     string // the line that is changed
	what       string // what is done to it
}

func (m *mutant) String() string {
	return fmt.Sprintf("%s:%d: %s\n\t%s", m.file, m.line, m.what, m.source)
}

// apply returns src with the change made.
func (m *mutant) apply(src []byte) []byte {
	out := append([]byte(nil), src[:m.start]...)
	out = append(out, m.text...)
	return append(out, src[m.end:]...)
}

// mutants returns every mutant of a Go source file, in the order of the source.
func mutants(file string, src []byte) ([]mutant, error) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, file, src, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	c := &collector{whole: map[ast.Expr]bool{}, file: file, src: src, lines: strings.Split(string(src), "\n"), tokens: fset.File(f.FileStart)}
	for _, decl := range f.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Name.Name != "String" { // names for logs are no rules
				ast.Inspect(d, c.visit)
			}
		case *ast.GenDecl:
			if d.Tok == token.VAR || d.Tok == token.CONST && !strings.Contains(c.text(d), "iota") {
				ast.Inspect(d, c.visit)
			}
		}
	}
	return c.found, nil
}

type collector struct {
	file   string
	src    []byte
	lines  []string
	tokens *token.File
	found  []mutant
	whole  map[ast.Expr]bool // conditions that are negated as a whole
}

func (c *collector) offset(p token.Pos) int { return c.tokens.Offset(p) }

func (c *collector) text(n ast.Node) string {
	return string(c.src[c.offset(n.Pos()):c.offset(n.End())])
}

func (c *collector) add(from, to token.Pos, text, what string) {
	line := c.tokens.Line(from)
	c.found = append(c.found, mutant{
		file: c.file, start: c.offset(from), end: c.offset(to), text: text,
		line: line, source: strings.TrimSpace(c.lines[line-1]), what: what,
	})
}

func (c *collector) replace(n ast.Node, text, what string) { c.add(n.Pos(), n.End(), text, what) }

// visit adds the mutants of one node.
func (c *collector) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.IfStmt:
		c.negate(n.Cond)
	case *ast.ForStmt:
		if n.Cond != nil {
			c.replace(n.Cond, "false && ("+c.text(n.Cond)+")", "never loop")
		}
	case *ast.SwitchStmt:
		if n.Tag == nil {
			c.cases(n)
		} else {
			c.labels(n)
		}
	case *ast.ReturnStmt:
		for _, r := range n.Results {
			if isCondition(r) {
				c.negate(r)
			}
		}
	case *ast.BinaryExpr:
		c.binary(n)
	case *ast.BasicLit:
		if n.Kind == token.INT {
			c.integer(n)
		}
	case *ast.Ident:
		switch n.Name {
		case "true":
			c.replace(n, "false", "true → false")
		case "false":
			c.replace(n, "true", "false → true")
		}
	case *ast.CallExpr:
		c.call(n)
	case *ast.CompositeLit:
		c.elements(n)
	case *ast.BlockStmt:
		c.statements(n.List)
	case *ast.CaseClause:
		c.statements(n.Body)
	}
	return true
}

func (c *collector) negate(cond ast.Expr) {
	c.whole[cond] = true
	c.replace(cond, "!("+c.text(cond)+")", "negate "+c.text(cond))
}

// isCondition reports whether an expression is surely a boolean one that is worth negating as a whole.
func isCondition(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return isCondition(e.X)
	case *ast.UnaryExpr:
		return e.Op == token.NOT
	case *ast.BinaryExpr:
		switch e.Op {
		case token.LAND, token.LOR, token.EQL, token.NEQ, token.LSS, token.LEQ, token.GTR, token.GEQ:
			return true
		}
	}
	return false
}

// cases negates each condition of a switch without a tag. Of one with several, each is dropped.
func (c *collector) cases(n *ast.SwitchStmt) {
	for _, clause := range n.Body.List {
		list := clause.(*ast.CaseClause).List
		for _, cond := range list {
			c.negate(cond)
			if len(list) > 1 {
				c.replace(cond, "false && ("+c.text(cond)+")", "drop "+c.text(cond))
			}
		}
	}
}

// labels drops the labels of a switch with a tag, one at a time.
func (c *collector) labels(n *ast.SwitchStmt) {
	for _, clause := range n.Body.List {
		list := clause.(*ast.CaseClause).List
		for i, label := range list {
			what := "drop case " + c.text(label)
			switch {
			case len(list) == 1:
				// The whole clause goes.
				c.add(clause.Pos(), clause.End(), "", what)
			case i > 0:
				c.add(list[i-1].End(), label.End(), "", what)
			default:
				c.add(label.Pos(), list[1].Pos(), "", what)
			}
		}
	}
}

// other is what an operator is shifted to.
var other = map[token.Token]token.Token{
	token.LSS: token.LEQ, token.LEQ: token.LSS, token.GTR: token.GEQ, token.GEQ: token.GTR,
	token.EQL: token.NEQ, token.NEQ: token.EQL,
	token.ADD: token.SUB, token.SUB: token.ADD, token.MUL: token.QUO, token.QUO: token.MUL,
}

func (c *collector) binary(n *ast.BinaryExpr) {
	switch n.Op {
	case token.LAND, token.LOR:
		c.replace(n, c.text(n.X), "drop "+c.text(n.Y))
		c.replace(n, c.text(n.Y), "drop "+c.text(n.X))
		return
	}
	op, ok := other[n.Op]
	negated := c.whole[n] && (n.Op == token.EQL || n.Op == token.NEQ)
	if !ok || negated || n.Op == token.ADD && (isText(n.X) || isText(n.Y)) {
		return
	}
	c.add(n.OpPos, n.OpPos+token.Pos(len(n.Op.String())), op.String(), n.Op.String()+" → "+op.String())
}

// isText reports whether an expression is a string literal, to which + is no arithmetic.
func isText(e ast.Expr) bool {
	lit, ok := e.(*ast.BasicLit)
	return ok && lit.Kind == token.STRING
}

func (c *collector) integer(n *ast.BasicLit) {
	value, err := strconv.ParseInt(n.Value, 0, 64)
	if err != nil {
		return
	}
	c.replace(n, strconv.FormatInt(value+1, 10), fmt.Sprintf("%d → %d", value, value+1))
}

// call exchanges min and max.
func (c *collector) call(n *ast.CallExpr) {
	f, ok := n.Fun.(*ast.Ident)
	if !ok {
		return
	}
	switch f.Name {
	case "min":
		c.replace(f, "max", "min → max")
	case "max":
		c.replace(f, "min", "max → min")
	}
}

// elements drops the strings of a list, one at a time: names of fields, mostly.
func (c *collector) elements(n *ast.CompositeLit) {
	for _, e := range n.Elts {
		if isText(e) {
			c.replace(e, `"-mutant-"`, "drop "+c.text(e))
		}
	}
}

// statements deletes those whose absence still compiles: calls, assignments to what is declared elsewhere, and jumps.
func (c *collector) statements(list []ast.Stmt) {
	for _, s := range list {
		switch s := s.(type) {
		case *ast.ExprStmt, *ast.IncDecStmt, *ast.BranchStmt:
			if b, ok := s.(*ast.BranchStmt); ok && b.Tok == token.FALLTHROUGH {
				continue
			}
			c.replace(s, "", "delete "+c.text(s))
		case *ast.AssignStmt:
			if s.Tok != token.DEFINE {
				c.replace(s, "", "delete "+c.text(s))
			}
		}
	}
}
