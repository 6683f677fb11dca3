package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"strings"

	"github.com/cirquecache/cirque/internal/verify/internal/golist"
)

// module has the packages of a module, type checked.
type module struct {
	dir        string
	packages   []*pkg
	documented bool            // the order of files is that of the package comment, if it lists them
	used       map[string]bool // by key: the objects that a package other than their own uses
}

// pkg is one package, without its tests.
type pkg struct {
	name, short string // short is the path within the module, or "(root)"
	module      *module
	fset        *token.FileSet
	files       []*ast.File
	sources     map[*ast.File][]byte
	info        *types.Info
	types       *types.Package
}

// load type checks the packages of the module in dir.
func load(dir string) (*module, error) {
	listed, err := golist.List(dir, "./...")
	if err != nil {
		return nil, err
	}
	fset := token.NewFileSet()
	imports := golist.Importer(fset, listed)
	m := &module{used: map[string]bool{}}
	for _, l := range listed {
		if l.Module == nil || !l.Module.Main {
			continue
		}
		m.dir = l.Module.Dir
		p, err := m.check(l, fset, imports)
		if err != nil {
			return nil, err
		}
		m.packages = append(m.packages, p)
		for _, object := range p.info.Uses {
			if object.Pkg() != nil && object.Pkg().Path() != l.ImportPath {
				m.used[p.key(object)] = true
			}
		}
	}
	return m, nil
}

// check parses and type checks one package.
func (m *module) check(l golist.Package, fset *token.FileSet, imports types.Importer) (*pkg, error) {
	p := &pkg{
		name: l.Name, short: strings.TrimPrefix(strings.TrimPrefix(l.ImportPath, l.Module.Path), "/"), module: m, fset: fset,
		sources: map[*ast.File][]byte{},
		info:    &types.Info{Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{}},
	}
	if p.short == "" {
		p.short = "(root)"
	}
	for _, name := range l.GoFiles {
		path := filepath.Join(l.Dir, name)
		src, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		f, err := parser.ParseFile(fset, path, src, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		p.files = append(p.files, f)
		p.sources[f] = src
	}
	config := types.Config{Importer: imports}
	var err error
	p.types, err = config.Check(l.ImportPath, fset, p.files, p.info)
	return p, err
}

// key returns a name for an object that is the same in its own package and in those that import it:
// the place of its declaration.
func (p *pkg) key(object types.Object) string {
	switch o := object.(type) {
	case *types.Func:
		object = o.Origin()
	case *types.Var:
		object = o.Origin()
	}
	at := p.fset.Position(object.Pos())
	return fmt.Sprintf("%s:%d:%s", at.Filename, at.Line, object.Name())
}

// path returns the file's path within the module.
func (p *pkg) path(f *ast.File) string {
	path, err := filepath.Rel(p.module.dir, p.fset.File(f.Pos()).Name())
	if err != nil {
		return p.fset.File(f.Pos()).Name()
	}
	return path
}

// lines returns the number of lines of f.
func (p *pkg) lines(f *ast.File) int { return bytes.Count(p.sources[f], []byte("\n")) }
