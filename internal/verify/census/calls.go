package main

import (
	"fmt"
	"go/ast"
	"go/types"
	"path/filepath"
	"slices"
	"strings"
)

// call is a use of a function or method of one file in another file of the package. A function that
// a file uses several times counts once.
type call struct {
	from, to, name string   // two file names, and the function's name
	callee         string   // the name with the receiver's type
	callers        []string // the declarations in from that use it
}

func (c *call) String() string {
	return fmt.Sprintf("%s:%s → %s:%s", c.from, strings.Join(c.callers, ", "), c.to, c.callee)
}

// callGraph has the calls between the files of a package.
type callGraph struct {
	order  []string // of the files: the one that bestOrder finds
	total  int
	upward []*call // calls from a file to one before it, by file names
}

// calls returns the calls between the files of p.
func (p *pkg) calls() callGraph {
	type edge struct{ from, to, name string }
	edges := map[edge]*call{}
	weights := map[string]map[string]int{}
	for _, f := range p.files {
		from := filepath.Base(p.path(f))
		weights[from] = map[string]int{}
		for _, declaration := range f.Decls {
			ast.Inspect(declaration, func(n ast.Node) bool {
				ident, ok := n.(*ast.Ident)
				if !ok {
					return true
				}
				used, ok := p.info.Uses[ident].(*types.Func)
				if !ok || used.Pkg() != p.types {
					return true
				}
				e := edge{from, filepath.Base(p.fset.Position(used.Origin().Pos()).Filename), used.Name()}
				if e.from == e.to {
					return true
				}
				c := edges[e]
				if c == nil {
					c = &call{from: e.from, to: e.to, name: e.name, callee: qualified(used.Signature().Recv(), used.Name())}
					edges[e] = c
					weights[e.from][e.to]++
				}
				if caller := p.declared(declaration); !slices.Contains(c.callers, caller) {
					c.callers = append(c.callers, caller)
				}
				return true
			})
		}
	}
	g := callGraph{order: bestOrder(weights), total: len(edges)}
	for _, c := range edges {
		if slices.Index(g.order, c.from) > slices.Index(g.order, c.to) {
			g.upward = append(g.upward, c)
		}
	}
	slices.SortFunc(g.upward, func(a, b *call) int { return strings.Compare(a.String(), b.String()) })
	return g
}

// declared returns the name of the function that d declares, or "var" for another declaration.
func (p *pkg) declared(d ast.Decl) string {
	f, ok := d.(*ast.FuncDecl)
	if !ok {
		return "var"
	}
	object := p.info.Defs[f.Name].(*types.Func)
	return qualified(object.Signature().Recv(), f.Name.Name)
}

// qualified returns name after the type of the receiver, if there is one.
func qualified(receiver *types.Var, name string) string {
	if receiver == nil {
		return name
	}
	t := receiver.Type()
	if pointer, ok := t.(*types.Pointer); ok {
		t = pointer.Elem()
	}
	if named, ok := t.(*types.Named); ok {
		return named.Obj().Name() + "." + name
	}
	return name // of an interface without a name
}

// bestOrder returns an order of the files in which few calls run back up. It moves one file at a
// time to the place that avoids most such calls, until no move avoids any.
func bestOrder(weights map[string]map[string]int) []string {
	var order []string
	for name := range weights {
		order = append(order, name)
	}
	slices.Sort(order)
	for better := true; better; {
		better = false
		for _, name := range slices.Clone(order) {
			at := slices.Index(order, name)
			best, gain, sum := at, 0, 0
			// Ahead of order[i], the file's calls to it run down, and calls from it run up.
			for i := at - 1; i >= 0; i-- {
				sum += weights[name][order[i]] - weights[order[i]][name]
				if sum > gain {
					best, gain = i, sum
				}
			}
			sum = 0
			for i := at + 1; i < len(order); i++ {
				sum += weights[order[i]][name] - weights[name][order[i]]
				if sum > gain {
					best, gain = i, sum
				}
			}
			if gain > 0 {
				order = slices.Insert(slices.Delete(order, at, at+1), best, name)
				better = true
			}
		}
	}
	return order
}
