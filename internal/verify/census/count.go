package main

import (
	"go/ast"
	"go/types"
	"slices"
	"strings"
	"unicode/utf8"
)

// exportedName is a name that users of a package see.
type exportedName struct{ name, key string }

// exported returns the exported names of p: at the top level, and of exported types the methods,
// fields and interface methods that are declared in p.
func (p *pkg) exported() []exportedName {
	var names []exportedName
	add := func(name string, object types.Object) {
		if object.Exported() && object.Pkg() == p.types {
			names = append(names, exportedName{name, p.key(object)})
		}
	}
	scope := p.types.Scope()
	for _, name := range scope.Names() {
		object := scope.Lookup(name)
		if !object.Exported() {
			continue
		}
		add(name, object)
		declared, ok := object.(*types.TypeName)
		if !ok || declared.IsAlias() {
			continue
		}
		named := declared.Type().(*types.Named)
		for method := range named.Methods() {
			add(name+"."+method.Name(), method)
		}
		switch t := named.Underlying().(type) {
		case *types.Struct:
			for field := range t.Fields() {
				if !field.Embedded() {
					add(name+"."+field.Name(), field)
				}
			}
		case *types.Interface:
			for method := range t.ExplicitMethods() {
				add(name+"."+method.Name(), method)
			}
		}
	}
	return names
}

type function struct {
	file, name string
	lines      int
}

type file struct {
	path  string
	lines int
}

// functions returns the functions and methods of p with their lengths, from the line of func to
// that of the last brace.
func (p *pkg) functions() []function {
	var all []function
	for _, f := range p.files {
		for _, declaration := range f.Decls {
			if d, ok := declaration.(*ast.FuncDecl); ok && d.Body != nil {
				lines := p.fset.Position(d.End()).Line - p.fset.Position(d.Pos()).Line + 1
				all = append(all, function{p.path(f), d.Name.Name, lines})
			}
		}
	}
	return all
}

// wideComments counts the comment lines of f that reach beyond maxComment, tabs counting for four
// columns.
func (p *pkg) wideComments(f *ast.File) int {
	wide := 0
	for _, group := range f.Comments {
		for _, comment := range group.List {
			column := p.fset.Position(comment.Pos()).Column - 1
			for i, line := range strings.Split(comment.Text, "\n") {
				width := utf8.RuneCountInString(line)
				if i == 0 {
					width += 4 * column // what stands before a comment line is tabs
					if !strings.HasPrefix(line, "//") {
						width -= 3 * column
					}
				}
				if width > maxComment && column < 8 {
					wide++
				}
			}
		}
	}
	return wide
}

// callGraph is how the files of a package call each other.
type callGraph struct {
	order  []string // of the files: the one in which the fewest calls run back up
	total  int
	upward []string // the calls that do: from, to, and what is called
}

// calls returns the calls from one file of p to a function or method in another. A function that is
// called by one file from several places counts once.
func (p *pkg) calls() callGraph {
	fileOf := func(object types.Object) string {
		name := p.fset.Position(object.Pos()).Filename
		return name[strings.LastIndexByte(name, '/')+1:]
	}
	type edge struct{ from, to, name string }
	var edges []edge
	known := map[edge]bool{}
	for ident, object := range p.info.Uses {
		f, ok := object.(*types.Func)
		if !ok || f.Pkg() != p.types {
			continue
		}
		from := p.fset.Position(ident.Pos()).Filename
		e := edge{from[strings.LastIndexByte(from, '/')+1:], fileOf(f.Origin()), f.Name()}
		if e.from != e.to && !known[e] {
			known[e] = true
			edges = append(edges, e)
		}
	}
	weights := map[string]map[string]int{}
	for _, f := range p.files {
		weights[p.path(f)[strings.LastIndexByte(p.path(f), '/')+1:]] = map[string]int{}
	}
	for _, e := range edges {
		weights[e.from][e.to]++
	}
	c := callGraph{order: bestOrder(weights), total: len(edges)}
	for _, e := range edges {
		if slices.Index(c.order, e.from) > slices.Index(c.order, e.to) {
			c.upward = append(c.upward, e.from+" → "+e.to+": "+e.name)
		}
	}
	slices.Sort(c.upward)
	return c
}

// bestOrder returns an order of the files in which few calls run back up: it moves one file at a
// time to where that helps most, until nothing does.
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
			for i := at - 1; i >= 0; i-- { // ahead of others: calls to them run down then, calls from them up
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
