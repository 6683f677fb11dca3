package main

import (
	"fmt"
	"go/ast"
	"go/types"
	"maps"
	"path/filepath"
	"regexp"
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
	order  []string // of the files: the one that bestOrder finds, or that of the package comment
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
	g := callGraph{order: p.documentedOrder(weights), total: len(edges)}
	if g.order == nil {
		g.order = bestOrder(weights)
	}
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

// documentedOrder returns the files in the order in which the package comment lists them: one to a
// line, after a tab. Files that it does not list follow. It is nil if no order is listed or wanted.
func (p *pkg) documentedOrder(weights map[string]map[string]int) (order []string) {
	if !p.module.documented {
		return nil
	}
	for _, f := range p.files {
		for _, line := range regexp.MustCompile(`(?m)^\t(\w+\.go) +\S`).FindAllStringSubmatch(f.Doc.Text(), -1) {
			order = append(order, line[1])
		}
	}
	if order == nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(weights)) {
		if !slices.Contains(order, name) {
			order = append(order, name)
		}
	}
	return order
}

// bestOrder returns an order of the files in which few calls run back up. It improves two orders,
// the alphabetical one and callersFirst, and returns the better result.
func bestOrder(weights map[string]map[string]int) []string {
	best := improve(slices.Sorted(maps.Keys(weights)), weights)
	if other := improve(callersFirst(weights), weights); upwardCalls(other, weights) < upwardCalls(best, weights) {
		best = other
	}
	return best
}

// callersFirst returns an order in which each file is ahead of those that it calls, except within
// cycles. It is the depth-first postorder, reversed.
func callersFirst(weights map[string]map[string]int) []string {
	var order []string
	visited := map[string]bool{}
	var visit func(name string)
	visit = func(name string) {
		if visited[name] {
			return
		}
		visited[name] = true
		for _, called := range slices.Sorted(maps.Keys(weights[name])) {
			visit(called)
		}
		order = append(order, name)
	}
	for _, name := range slices.Sorted(maps.Keys(weights)) {
		visit(name)
	}
	slices.Reverse(order)
	return order
}

// upwardCalls counts the calls that run back up in order.
func upwardCalls(order []string, weights map[string]map[string]int) (n int) {
	for i, from := range order {
		for _, to := range order[:i] {
			n += weights[from][to]
		}
	}
	return n
}

// improve moves one file at a time to the place that avoids most calls that run back up, until no
// move avoids any.
func improve(order []string, weights map[string]map[string]int) []string {
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
