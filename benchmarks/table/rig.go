package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"time"
)

// rigCommand is the first argument that makes this program a rig: a separate process in which
// something is measured, with its own heap and garbage collections. The main process drives it over
// stdin and stdout, one line of JSON each way. It ends with stdin.
const rigCommand = "rig"

// rig is what can be measured in a process.
type rig struct {
	// operations by name. Each does n of its kind.
	operations map[string]func(n int)
	// experiments by name. Each measures by itself.
	experiments map[string]func() (map[string]float64, error)
	// address is where the rig serves, if it does.
	address string
}

// rigs by name. Each is set up with the arguments that it was started with.
var rigs = map[string]func(args []string) (*rig, error){
	"hit":        newHitRig,
	"lookup":     newLookupRig,
	"serve":      newServeRig,
	"load":       newLoadRig,
	"fetch":      newFetchRig,
	"store":      newStoreRig,
	"memory":     newMemoryRig,
	"collection": newCollectionRig,
	"coalesce":   newCoalesceRig,
	"revalidate": newRevalidateRig,
}

// order is a line to a rig; reply is its answer. The rig sends the first reply without an order,
// once it is ready.
type order struct {
	Do  string
	For time.Duration // zero for experiments
}

type reply struct {
	Error   string             `json:",omitempty"`
	Address string             `json:",omitempty"`
	Sample  sample             `json:",omitzero"`
	Figures map[string]float64 `json:",omitempty"`
}

// runRig runs this program as a rig.
func runRig(args []string) int {
	out := json.NewEncoder(os.Stdout)
	setUp := rigs[args[0]]
	if setUp == nil {
		_ = out.Encode(reply{Error: "no such rig: " + args[0]})
		return 1
	}
	r, err := setUp(args[1:])
	if err != nil {
		_ = out.Encode(reply{Error: err.Error()})
		return 1
	}
	_ = out.Encode(reply{Address: r.address})
	in := json.NewDecoder(os.Stdin)
	for {
		var o order
		if err := in.Decode(&o); err != nil {
			return 0
		}
		answer, err := r.obey(o)
		if err != nil {
			answer.Error = err.Error()
		}
		_ = out.Encode(answer)
	}
}

func (r *rig) obey(o order) (reply, error) {
	if o.For == 0 {
		measure := r.experiments[o.Do]
		if measure == nil {
			return reply{}, fmt.Errorf("no such experiment: %s", o.Do)
		}
		figures, err := measure()
		return reply{Figures: figures}, err
	}
	operation := r.operations[o.Do]
	if operation == nil {
		return reply{}, fmt.Errorf("no such operation: %s; there are %v", o.Do, slices.Sorted(maps.Keys(r.operations)))
	}
	stop, err := profile(o.Do)
	if err != nil {
		return reply{}, err
	}
	defer stop()
	return reply{Sample: takeSample(o.For, operation)}, nil
}

// takeSample repeats the operation for d.
func takeSample(d time.Duration, operation func(n int)) sample {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	waited := readMetrics(mutexWait)[mutexWait]
	cpu, start := processTime(os.Getpid()), time.Now()
	s := sample{}
	for n := 1; ; {
		operation(n)
		s.Ops += n
		s.Wall = time.Since(start)
		if s.Wall >= d {
			break
		}
		// Each step takes about a tenth of the remaining time, so that reading the clock costs
		// nothing.
		n = max(1, min(2*n, int(float64(s.Ops)*float64(d-s.Wall)/float64(s.Wall)/10)))
	}
	s.CPU = processTime(os.Getpid()) - cpu
	s.Waited = time.Duration((readMetrics(mutexWait)[mutexWait] - waited) * float64(time.Second))
	runtime.ReadMemStats(&after)
	s.Allocs, s.Bytes = after.Mallocs-before.Mallocs, after.TotalAlloc-before.TotalAlloc
	return s
}

// profileVariable tells a rig how the names of its profiles begin.
const profileVariable = "TABLE_PROFILE"

// profile profiles a slice, if profiles are wanted. It overwrites the profile of the previous
// slice.
func profile(operation string) (stop func(), err error) {
	name := os.Getenv(profileVariable)
	if name == "" {
		return func() {}, nil
	}
	name += "-" + path.Base(operation)
	f, err := os.Create(name + ".cpu.prof")
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, err
	}
	return func() {
		pprof.StopCPUProfile()
		_ = f.Close()
		if f, err := os.Create(name + ".allocs.prof"); err == nil {
			_ = pprof.Lookup("allocs").WriteTo(f, 0)
			_ = f.Close()
		}
	}, nil
}

// profileHeap writes a profile of the heap, if profiles are wanted.
func profileHeap(experiment string) error {
	name := os.Getenv(profileVariable)
	if name == "" {
		return nil
	}
	f, err := os.Create(name + "-" + experiment + ".heap.prof")
	if err != nil {
		return err
	}
	defer f.Close()
	return pprof.Lookup("heap").WriteTo(f, 0)
}

// process is a rig, as the main process sees it, or another program.
type process struct {
	cmd     *exec.Cmd
	in      *json.Encoder
	out     *json.Decoder
	address string
}

// setting is how a process runs.
type setting struct {
	procs int // GOMAXPROCS; zero for as many as there are cores
	core  int // which of the cores it is kept to, from 1 on; zero for any
}

// startRig starts a rig, which ends with the experiment.
func (b *bench) startRig(s setting, name string, args ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(b.ctx, self, append([]string{rigCommand, name}, args...)...)
	if b.profiles != "" {
		file := name
		for _, arg := range args {
			if !strings.ContainsAny(arg, "/{") { // no URL, and no JSON
				file += "-" + arg
			}
		}
		cmd.Env = append(cmd.Environ(), profileVariable+"="+filepath.Join(b.profiles, file))
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := b.start(s, cmd)
	if err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, in: json.NewEncoder(in), out: json.NewDecoder(out)}
	ready, err := p.reply()
	if err != nil {
		return nil, fmt.Errorf("rig %s: %w", name, err)
	}
	p.address = ready.Address
	return p, nil
}

// start starts a program that ends with the experiment, and returns what it prints.
func (b *bench) start(s setting, cmd *exec.Cmd) (io.Reader, error) {
	cmd.Stderr = os.Stderr
	cmd.WaitDelay = 5 * time.Second
	if s.procs > 0 {
		cmd.Env = append(cmd.Environ(), "GOMAXPROCS="+strconv.Itoa(s.procs))
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := startOnCore(cmd, s.core); err != nil {
		return nil, err
	}
	b.cleanups = append(b.cleanups, func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return bufio.NewReader(out), nil
}

func (p *process) reply() (reply, error) {
	var r reply
	err := p.out.Decode(&r)
	if err == nil && r.Error != "" {
		err = errors.New(r.Error)
	}
	return r, err
}

// do repeats an operation for d.
func (p *process) do(operation string, d time.Duration) (sample, error) {
	if err := p.in.Encode(order{operation, d}); err != nil {
		return sample{}, err
	}
	r, err := p.reply()
	return r.Sample, err
}

// measure runs one of the rig's experiments.
func (p *process) measure(experiment string) (map[string]float64, error) {
	if err := p.in.Encode(order{Do: experiment}); err != nil {
		return nil, err
	}
	r, err := p.reply()
	return r.Figures, err
}

// contender makes a contender of one of the rig's operations.
func (p *process) contender(operation string) contender {
	return contender{operation, func(d time.Duration) (sample, error) { return p.do(operation, d) }}
}
