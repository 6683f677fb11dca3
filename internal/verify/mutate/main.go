// Command mutate changes the caching rules in one place at a time and reports the changes that the
// tests do not notice. Run it at the root of the module. Without -files, it takes all files of the
// package:
//
//	go run ./internal/verify/mutate                 # about ten minutes
//	go run ./internal/verify/mutate -seed 7 -n 20   # a sample
//	go run ./internal/verify/mutate -files reuse.go,storing.go
//	go run ./internal/verify/mutate -dir . -files vary.go,vary_record.go \
//		-packages .,./internal/verify/conformance
//
// A mutant negates a condition, drops a clause of a condition, drops a case, changes a bound or an
// operator, changes a number, a truth value or a name in a list, or deletes a statement. It is
// killed when a test fails, hangs, or panics. All mutants are compiled into one test binary for
// each package, behind switches. The survivors that internal/verify/conformance does not explain
// are printed. If there are any, the exit status is 1.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"maps"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
)

func main() {
	log.SetFlags(0)
	var (
		seed     = flag.Uint64("seed", 1, "`seed` of the sample")
		n        = flag.Int("n", 0, "`number` of mutants to try; 0: all")
		dir      = flag.String("dir", "./rules", "`directory` of the package to mutate")
		files    = flag.String("files", "", "comma-separated `files` of the package to mutate; empty: all of them")
		packages = flag.String("packages", ".,../internal/verify/conformance", "comma-separated `packages` whose tests are run, in this order; paths are relative to dir")
		jobs     = flag.Int("j", 2, "`number` of mutants to try at a time")
		list     = flag.Bool("list", false, "list the mutants and try none")
		verbose  = flag.Bool("v", false, "print the result of every mutant")
	)
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	p, err := load(*dir)
	if err != nil {
		log.Fatal(err)
	}
	chosen := slices.Sorted(maps.Keys(p.sources))
	if *files != "" {
		chosen = strings.Split(*files, ",")
	}
	all, err := p.collect(chosen)
	if err != nil {
		log.Fatal(err)
	}
	all = sample(all, *seed, *n)
	if *list {
		for i := range all {
			fmt.Println(&all[i])
		}
		return
	}
	temp, err := os.MkdirTemp("", "mutate")
	if err != nil {
		log.Fatal(err)
	}
	unexplained, err := run(ctx, p, strings.Split(*packages, ","), all, temp, *jobs, *verbose)
	os.RemoveAll(temp)
	if err != nil {
		log.Fatal(err)
	}
	if unexplained > 0 {
		os.Exit(1)
	}
}

// run tries the mutants and prints the report.
func run(ctx context.Context, p *pkg, packages []string, all []mutant, dir string, jobs int, verbose bool) (unexplained int, err error) {
	r, err := newRunner(ctx, p, packages, all, dir)
	if err != nil {
		return 0, err
	}
	rep, err := try(ctx, r, jobs, verbose)
	rep.print(os.Stdout)
	if err == nil {
		err = r.check(ctx)
	}
	return rep.unexplained, err
}

// collect returns the mutants of files.
func (p *pkg) collect(files []string) ([]mutant, error) {
	c, err := p.check(nil)
	if err != nil {
		return nil, err
	}
	if len(c.errs) > 0 {
		return nil, c.errs[0]
	}
	var all []mutant
	for _, file := range files {
		if c.files[file] == nil {
			return nil, fmt.Errorf("mutate: no file %s in %s", file, p.dir)
		}
		all = append(all, p.mutants(file, c)...)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("mutate: nothing to change in %s", strings.Join(files, ", "))
	}
	return all, nil
}

// sample returns n of the mutants, chosen by seed, or all if n is zero.
func sample(all []mutant, seed uint64, n int) []mutant {
	if n <= 0 || n >= len(all) {
		return all
	}
	rand.New(rand.NewPCG(seed, 0)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:n]
}

// try runs every mutant, several at a time. After an error the report covers the mutants that were
// run.
func try(ctx context.Context, r *runner, jobs int, verbose bool) (*report, error) {
	rep := &report{files: map[string]*tally{}}
	var mu sync.Mutex
	workers, ctx := errgroup.WithContext(ctx)
	workers.SetLimit(jobs)
	for i := range r.mutants {
		workers.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			f, pkg, err := r.run(ctx, i)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			rep.add(&r.mutants[i], f, pkg)
			if verbose {
				fmt.Printf("%s %s\n", []string{"survived", "killed", "stillborn"}[f], &r.mutants[i])
			}
			return nil
		})
	}
	return rep, workers.Wait()
}
