// Package golist lists Go packages as the go command knows them, with the export data of their
// imports.
package golist

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
)

// Package is one package. See go help list for the fields.
type Package struct {
	Dir, ImportPath, Name string

	GoFiles []string // without tests, and only those for this system
	Export  string   // the file with the export data
	Module  *Module  // nil for the standard library
}

// Module is the module of a Package.
type Module struct {
	Path, Dir string
	Main      bool
}

// List returns the packages that match the patterns, seen from dir, and all packages that they
// import. A package comes after the packages that it imports. List compiles what is not in the
// build cache.
func List(dir string, patterns ...string) ([]Package, error) {
	args := []string{"list", "-export", "-deps", "-json=Dir,ImportPath,Name,Export,GoFiles,Module"}
	cmd := exec.Command("go", append(args, patterns...)...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w: %s", err, stderr.Bytes())
	}
	var packages []Package
	for decoder := json.NewDecoder(bytes.NewReader(out)); decoder.More(); {
		var p Package
		if err := decoder.Decode(&p); err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		packages = append(packages, p)
	}
	return packages, nil
}

// Importer returns an importer of packages by their export data. The positions of their objects are
// added to fset.
func Importer(fset *token.FileSet, packages []Package) types.Importer {
	exports := make(map[string]string, len(packages))
	for _, p := range packages {
		exports[p.ImportPath] = p.Export
	}
	return importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(exports[path])
	})
}
