package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// module is a module whose packages are type checked.
type module struct {
	dir      string
	packages []*pkg
	used     map[string]bool // by key: the objects that a package other than their own uses
}

// pkg is one package, without its tests.
type pkg struct {
	name, short string
	module      *module
	fset        *token.FileSet
	files       []*ast.File
	info        *types.Info
	types       *types.Package
}

// load type checks the packages of the module in dir.
func load(dir string) (*module, error) {
	cmd := exec.Command("go", "list", "-export", "-deps", "-json=Dir,ImportPath,Name,Export,GoFiles,Module", "./...")
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w: %s", err, stderr.Bytes())
	}
	type listing struct {
		Dir, ImportPath, Name, Export string
		GoFiles                       []string
		Module                        *struct {
			Path, Dir string
			Main      bool
		}
	}
	var ours []listing
	exports := map[string]string{}
	for decoder := json.NewDecoder(bytes.NewReader(out)); decoder.More(); {
		var l listing
		if err := decoder.Decode(&l); err != nil {
			return nil, err
		}
		exports[l.ImportPath] = l.Export
		if l.Module != nil && l.Module.Main {
			ours = append(ours, l)
		}
	}
	m := &module{used: map[string]bool{}}
	fset := token.NewFileSet()
	imports := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	for _, l := range ours {
		m.dir = l.Module.Dir
		p := &pkg{
			name: l.Name, short: strings.TrimPrefix(strings.TrimPrefix(l.ImportPath, l.Module.Path), "/"), module: m, fset: fset,
			info: &types.Info{Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{}},
		}
		if p.short == "" {
			p.short = "(root)"
		}
		for _, name := range l.GoFiles {
			f, err := parser.ParseFile(fset, filepath.Join(l.Dir, name), nil, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				return nil, err
			}
			p.files = append(p.files, f)
		}
		config := types.Config{Importer: imports}
		if p.types, err = config.Check(l.ImportPath, fset, p.files, p.info); err != nil {
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

// key names an object alike in its own package and in those that import it: by where it is
// declared.
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

func (p *pkg) lines(f *ast.File) int { return p.fset.File(f.Pos()).LineCount() - 1 }
