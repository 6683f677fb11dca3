package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// fate is the result of running the tests with a mutant.
type fate int

const (
	survived fate = iota
	killed
	stillborn // it does not compile
)

// runner runs the tests of packages against mutants.
type runner struct {
	pkg      *pkg
	packages []string // the packages whose tests are run, in this order
	dir      string   // for the compiled tests
	mutants  []mutant

	alone map[int]bool // mutants that are compiled alone, by index
	tests []testBinary // with all other mutants
}

// testBinary is the compiled tests of a package.
type testBinary struct {
	pkg, path, dir string
	limit          time.Duration // a run that takes longer counts as hanging
}

// newRunner compiles the tests with all mutants behind switches, and checks the tests.
func newRunner(ctx context.Context, p *pkg, packages []string, all []mutant, dir string) (*runner, error) {
	r := &runner{pkg: p, packages: packages, dir: dir, mutants: all}
	files, alone, err := p.withSwitches(all)
	if err != nil {
		return nil, err
	}
	r.alone = alone
	var ok bool
	if r.tests, ok, err = r.compile(ctx, "all", files); err != nil {
		return nil, err
	} else if !ok {
		return nil, errors.New("mutate: the tests do not compile with switches")
	}
	return r, r.check(ctx)
}

// check sets the time limits of the tests. It returns an error if the tests fail without a mutant.
// It is called before the first mutant and after the last, because a test that fails for another
// reason, such as a changed document that it reads, would count as killing every mutant.
func (r *runner) check(ctx context.Context) error {
	for i := range r.tests {
		t := &r.tests[i]
		t.limit = time.Minute
		begin := time.Now()
		f, err := t.run(ctx, 0, "")
		if err != nil {
			return err
		}
		if f != survived {
			return fmt.Errorf("mutate: the tests of %s fail without a mutant", t.pkg)
		}
		t.limit = 10*time.Second + 5*time.Since(begin)
	}
	return nil
}

// compile compiles the tests of all packages. The files in changed replace those of the package;
// the source tree stays as it is. ok is false if the tests do not compile.
func (r *runner) compile(ctx context.Context, name string, changed map[string][]byte) (tests []testBinary, ok bool, err error) {
	dir := filepath.Join(r.dir, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, false, err
	}
	replace := map[string]string{}
	for file, text := range changed {
		replace[filepath.Join(r.pkg.dir, file)] = filepath.Join(dir, file)
		if err := os.WriteFile(filepath.Join(dir, file), text, 0o600); err != nil {
			return nil, false, err
		}
	}
	mapping, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return nil, false, err
	}
	overlay := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlay, mapping, 0o600); err != nil {
		return nil, false, err
	}
	for i, pkg := range r.packages {
		t := testBinary{pkg: pkg, path: filepath.Join(dir, fmt.Sprintf("%d.test", i)), dir: filepath.Join(r.pkg.dir, pkg)}
		cmd := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-ldflags=-s -w", "-overlay", overlay, "-o", t.path, pkg)
		cmd.Dir = r.pkg.dir
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		switch {
		case ctx.Err() != nil:
			return nil, false, ctx.Err()
		case errors.As(err, &exit):
			return nil, false, nil
		case err != nil:
			return nil, false, fmt.Errorf("%w: %s", err, out)
		}
		tests = append(tests, t)
	}
	return tests, true, nil
}

// run returns the fate of a mutant, and the package whose tests killed it.
func (r *runner) run(ctx context.Context, i int) (fate, string, error) {
	m, number, tests := &r.mutants[i], i+1, r.tests
	if r.alone[i] {
		name := fmt.Sprint("mutant", i)
		defer os.RemoveAll(filepath.Join(r.dir, name))
		compiled, ok, err := r.compile(ctx, name, map[string][]byte{m.file: m.apply(r.pkg.sources[m.file])})
		if err != nil || !ok {
			return stillborn, "", err
		}
		for i := range compiled {
			compiled[i].limit = r.tests[i].limit
		}
		number, tests = 0, compiled
	}
	for _, t := range tests {
		// The tests of the mutated file are quick and kill most mutants.
		if own := r.ownTests(m.file); own != "" && t.pkg == "." {
			if f, err := t.run(ctx, number, own); err != nil || f != survived {
				return f, t.pkg, err
			}
		}
		if f, err := t.run(ctx, number, ""); err != nil || f != survived {
			return f, t.pkg, err
		}
	}
	return survived, "", nil
}

var testFunction = regexp.MustCompile(`(?m)^func (Test\w+|Fuzz\w+|Example\w*)\(`)

// ownTests returns a pattern of the tests in the test files named after file, or "" if there are
// none.
func (r *runner) ownTests(file string) string {
	files, _ := filepath.Glob(filepath.Join(r.pkg.dir, strings.TrimSuffix(file, ".go")+"_*test.go"))
	var names []string
	for _, f := range files {
		src, _ := os.ReadFile(f)
		for _, match := range testFunction.FindAllSubmatch(src, -1) {
			names = append(names, string(match[1]))
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "^(" + strings.Join(names, "|") + ")$"
}

// run runs the tests that match pattern with a mutant, given by its index plus one. 0 means no
// mutant.
func (t *testBinary) run(ctx context.Context, mutant int, pattern string) (fate, error) {
	limited, cancel := context.WithTimeout(ctx, t.limit)
	defer cancel()
	cmd := exec.CommandContext(limited, t.path, "-test.failfast", "-test.short", "-test.run="+pattern)
	cmd.Dir = t.dir
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", mutantVariable, mutant))
	cmd.WaitDelay = time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return 0, ctx.Err()
	case err == nil:
		return survived, nil
	case limited.Err() != nil, errors.As(err, &exit):
		return killed, nil
	}
	return 0, err
}
