package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"strconv"
	"strings"
)

// mutant is one change to one file: text replaces the bytes [start, end), which are an expression
// or a statement.
type mutant struct {
	file       string
	start, end int
	text       string
	typ        string // type of the expression; "" for a statement
	fixed      bool   // the expression must be a constant
	line       int
	source     string // the changed line
	what       string // describes the change
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

// mutants returns every mutant of one file, in the order of the source.
func (p *pkg) mutants(file string, in *checked) []mutant {
	f, src := in.files[file], p.sources[file]
	c := &collector{
		whole: map[ast.Expr]bool{}, file: file, src: src, lines: strings.Split(string(src), "\n"),
		tokens: in.fset.File(f.FileStart), in: in, imports: map[string]bool{},
	}
	for _, i := range f.Imports {
		path, _ := strconv.Unquote(i.Path.Value)
		c.imports[path] = i.Name == nil
	}
	for _, decl := range f.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Name.Name != "String" { // the names in logs are no rules
				ast.Inspect(d, c.visit)
			}
		case *ast.GenDecl:
			c.fixed = d.Tok == token.CONST
			if d.Tok == token.VAR || d.Tok == token.CONST && !strings.Contains(c.text(d), "iota") {
				ast.Inspect(d, c.visit)
			}
			c.fixed = false
		}
	}
	return c.found
}

type collector struct {
	file    string
	src     []byte
	lines   []string
	tokens  *token.File
	in      *checked
	imports map[string]bool // whether the import has its default name, by path
	found   []mutant
	whole   map[ast.Expr]bool // conditions that are negated as a whole
	fixed   bool
}

func (c *collector) offset(p token.Pos) int { return c.tokens.Offset(p) }

func (c *collector) text(n ast.Node) string {
	return string(c.src[c.offset(n.Pos()):c.offset(n.End())])
}

// replace adds the mutant in which text replaces n. Its line is that of at.
func (c *collector) replace(n ast.Node, at token.Pos, text, what string) {
	line := c.tokens.Line(at)
	m := mutant{
		file: c.file, start: c.offset(n.Pos()), end: c.offset(n.End()), text: text, fixed: c.fixed,
		line: line, source: strings.TrimSpace(c.lines[line-1]), what: what,
	}
	if e, ok := n.(ast.Expr); ok {
		m.typ = c.typeOf(e)
		// Some constants, such as the 1 of -1, are untyped.
		basic, ok := c.in.info.Types[e].Type.(*types.Basic)
		m.fixed = m.fixed || ok && basic.Info()&types.IsUntyped != 0 && basic.Info()&types.IsBoolean == 0
	}
	c.found = append(c.found, m)
}

// typeOf returns the type of an expression as the file would write it. A type that the file cannot
// name gets an invalid name; it then does not compile behind a switch.
func (c *collector) typeOf(e ast.Expr) string {
	t := c.in.info.Types[e].Type
	if t == nil {
		return "invalid"
	}
	return types.TypeString(types.Default(t), func(p *types.Package) string {
		switch {
		case p == c.in.pkg:
			return ""
		case c.imports[p.Path()]:
			return p.Name()
		}
		return "unknown_" + p.Name()
	})
}

// visit adds the mutants of one node.
func (c *collector) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.IfStmt:
		c.negate(n.Cond)
	case *ast.ForStmt:
		if n.Cond != nil {
			c.replace(n.Cond, n.Cond.Pos(), "false && ("+c.text(n.Cond)+")", "never loop")
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
			c.replace(n, n.Pos(), "false", "true → false")
		case "false":
			c.replace(n, n.Pos(), "true", "false → true")
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
	c.replace(cond, cond.Pos(), "!("+c.text(cond)+")", "negate "+c.text(cond))
}

// isCondition reports whether an expression is certainly boolean, by its syntax, and can be negated
// as a whole.
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

// cases negates each condition of a switch without a tag. If a case has several conditions, it also
// drops each.
func (c *collector) cases(n *ast.SwitchStmt) {
	for _, clause := range n.Body.List {
		list := clause.(*ast.CaseClause).List
		for _, cond := range list {
			c.negate(cond)
			if len(list) > 1 {
				c.replace(cond, cond.Pos(), "false && ("+c.text(cond)+")", "drop "+c.text(cond))
			}
		}
	}
}

// labels drops the labels of a switch with a tag, one at a time: it replaces them by a label that
// no value equals.
func (c *collector) labels(n *ast.SwitchStmt) {
	for _, clause := range n.Body.List {
		for _, label := range clause.(*ast.CaseClause).List {
			other := "127"
			if c.isText(label) {
				other = `"-mutant-"`
			}
			c.replace(label, label.Pos(), other, "drop case "+c.text(label))
		}
	}
}

// other has the operator that replaces each operator.
var other = map[token.Token]token.Token{
	token.LSS: token.LEQ, token.LEQ: token.LSS, token.GTR: token.GEQ, token.GEQ: token.GTR,
	token.EQL: token.NEQ, token.NEQ: token.EQL,
	token.ADD: token.SUB, token.SUB: token.ADD, token.MUL: token.QUO, token.QUO: token.MUL,
}

func (c *collector) binary(n *ast.BinaryExpr) {
	switch n.Op {
	case token.LAND, token.LOR:
		c.replace(n, n.Pos(), c.text(n.X), "drop "+c.text(n.Y))
		c.replace(n, n.Pos(), c.text(n.Y), "drop "+c.text(n.X))
		return
	}
	op, ok := other[n.Op]
	negated := c.whole[n] && (n.Op == token.EQL || n.Op == token.NEQ)
	if !ok || negated || n.Op == token.ADD && c.isText(n) {
		return
	}
	shifted := string(c.src[c.offset(n.Pos()):c.offset(n.OpPos)]) + op.String() + string(c.src[c.offset(n.OpPos)+len(n.Op.String()):c.offset(n.End())])
	c.replace(n, n.OpPos, shifted, n.Op.String()+" → "+op.String())
}

// isText reports whether an expression is a string. Then + is not arithmetic.
func (c *collector) isText(e ast.Expr) bool {
	basic, ok := c.in.info.Types[e].Type.Underlying().(*types.Basic)
	return ok && basic.Info()&types.IsString != 0
}

func (c *collector) integer(n *ast.BasicLit) {
	value, err := strconv.ParseInt(n.Value, 0, 64)
	if err != nil {
		return
	}
	c.replace(n, n.Pos(), strconv.FormatInt(value+1, 10), fmt.Sprintf("%d → %d", value, value+1))
}

// call exchanges min and max.
func (c *collector) call(n *ast.CallExpr) {
	f, ok := n.Fun.(*ast.Ident)
	if !ok {
		return
	}
	if opposite := map[string]string{"min": "max", "max": "min"}[f.Name]; opposite != "" {
		c.replace(n, n.Pos(), opposite+c.text(n)[len(f.Name):], f.Name+" → "+opposite)
	}
}

// elements drops the strings of a list, one at a time. Most are field names.
func (c *collector) elements(n *ast.CompositeLit) {
	for _, e := range n.Elts {
		if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			c.replace(e, e.Pos(), `"-mutant-"`, "drop "+c.text(e))
		}
	}
}

// statements deletes statements without which the file may still compile: calls, assignments to
// variables declared elsewhere, and jumps.
func (c *collector) statements(list []ast.Stmt) {
	for _, s := range list {
		switch s := s.(type) {
		case *ast.ExprStmt, *ast.IncDecStmt, *ast.BranchStmt:
			if b, ok := s.(*ast.BranchStmt); ok && b.Tok == token.FALLTHROUGH {
				continue
			}
			c.replace(s, s.Pos(), "", "delete "+c.text(s))
		case *ast.AssignStmt:
			if s.Tok != token.DEFINE {
				c.replace(s, s.Pos(), "", "delete "+c.text(s))
			}
		}
	}
}
