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
	"time"
)

// fate is what becomes of a mutant.
type fate int

const (
	survived fate = iota
	killed
	stillborn // it does not compile
)

// runner runs the tests of packages against mutants.
type runner struct {
	packages []string
	timeout  time.Duration
	dir      string // for the mutants' files
}

// run returns the fate of m, and the package whose tests killed it. The tree stays as it is: the changed file is laid over the
// real one by the go command.
func (r *runner) run(ctx context.Context, id int, m *mutant) (fate, string, error) {
	src, err := os.ReadFile(m.file)
	if err != nil {
		return 0, "", err
	}
	real, err := filepath.Abs(m.file)
	if err != nil {
		return 0, "", err
	}
	changed := filepath.Join(r.dir, fmt.Sprintf("%d.go", id))
	overlay := filepath.Join(r.dir, fmt.Sprintf("%d.json", id))
	mapping, err := json.Marshal(map[string]any{"Replace": map[string]string{real: changed}})
	if err != nil {
		return 0, "", err
	}
	if err := errors.Join(os.WriteFile(changed, m.apply(src), 0o600), os.WriteFile(overlay, mapping, 0o600)); err != nil {
		return 0, "", err
	}
	for _, pkg := range r.packages {
		f, err := r.test(ctx, pkg, "-overlay", overlay)
		if err != nil || f != survived {
			return f, pkg, err
		}
	}
	return survived, "", nil
}

// check makes sure that the tests pass without a mutant.
func (r *runner) check(ctx context.Context) error {
	for _, pkg := range r.packages {
		if f, err := r.test(ctx, pkg); err != nil || f != survived {
			return errors.Join(fmt.Errorf("the tests of %s fail without a mutant", pkg), err)
		}
	}
	return nil
}

// test runs the tests of one package. A mutant that hangs them is killed too.
func (r *runner) test(ctx context.Context, pkg string, flags ...string) (fate, error) {
	limited, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	args := append([]string{"test", "-vet=off", "-ldflags=-s -w", "-failfast", "-short", "-count=1"}, flags...)
	cmd := exec.CommandContext(limited, "go", append(args, pkg)...)
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
	case limited.Err() != nil:
		return killed, nil
	case bytes.Contains(out.Bytes(), []byte("[build failed]")):
		return stillborn, nil
	case errors.As(err, &exit):
		return killed, nil
	}
	return 0, err
}
