package main

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"

	"github.com/cirquecache/cirque/internal/verify/internal/golist"
)

// pkg is the package to mutate, without mutants.
type pkg struct {
	dir      string
	sources  map[string][]byte // by file name
	importer types.Importer
}

// load reads the package in dir: all its files, except tests and files for other systems.
func load(dir string) (*pkg, error) {
	// switchFile imports os and strconv. The package itself is listed last, after its imports.
	listed, err := golist.List(dir, "os", "strconv", ".")
	if err != nil {
		return nil, err
	}
	own := listed[len(listed)-1]
	p := &pkg{
		dir: own.Dir, sources: map[string][]byte{},
		importer: golist.Importer(token.NewFileSet(), listed),
	}
	for _, name := range own.GoFiles {
		if p.sources[name], err = os.ReadFile(filepath.Join(p.dir, name)); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// checked is the result of type checking.
type checked struct {
	fset  *token.FileSet
	files map[string]*ast.File
	info  *types.Info
	pkg   *types.Package
	errs  []types.Error
}

// check type checks the package, with the files in changed added or in place of its own. The error
// is a syntax error; type errors are in checked.errs.
func (p *pkg) check(changed map[string][]byte) (*checked, error) {
	c := &checked{
		fset: token.NewFileSet(), files: map[string]*ast.File{},
		info: &types.Info{Types: map[ast.Expr]types.TypeAndValue{}},
	}
	var files []*ast.File
	parse := func(name string, src []byte) error {
		f, err := parser.ParseFile(c.fset, name, src, parser.SkipObjectResolution)
		c.files[name] = f
		files = append(files, f)
		return err
	}
	for name, src := range p.sources {
		if changed[name] == nil {
			if err := parse(name, src); err != nil {
				return nil, err
			}
		}
	}
	for name, src := range changed {
		if err := parse(name, src); err != nil {
			return nil, err
		}
	}
	config := types.Config{Importer: p.importer, Error: func(err error) {
		var e types.Error
		if errors.As(err, &e) && !e.Soft {
			c.errs = append(c.errs, e)
		}
	}}
	c.pkg, _ = config.Check(p.dir, c.fset, files, c.info) // the returned error is the first of errs
	return c, nil
}
