package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// The numbers of two cores: one for the measured process, one for the processes that load or serve
// it.
const (
	measuredCore = 1
	otherCore    = 2
)

// measureProxy returns the rows about hits through examples/reverseproxy, over loopback.
func measureProxy(b *bench) ([]row, error) {
	alone := setting{procs: 1, core: measuredCore}
	origin, err := b.startRig(setting{procs: 1, core: otherCore}, "serve", serveOrigin)
	if err != nil {
		return nil, err
	}
	program, err := b.build("github.com/cirquecache/cirque/examples/reverseproxy")
	if err != nil {
		return nil, err
	}
	fields := make(map[string][]field)
	var servers []*process
	for _, front := range []string{handler, transport} {
		p, err := b.startProxy(alone, program, "-origin", origin.address, "-front", front)
		if err != nil {
			return nil, err
		}
		for _, size := range sizes {
			header, err := getHit(p.address + pathOf(size))
			if err != nil {
				return nil, err
			}
			fields[pathOf(size)] = captured(header)
		}
		servers = append(servers, p)
	}
	captures, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	for _, kind := range []string{serveBare, serveCanned} {
		p, err := b.startRig(alone, "serve", kind, string(captures))
		if err != nil {
			return nil, err
		}
		servers = append(servers, p)
	}

	const connections = "16"
	var targets []string
	for _, server := range servers {
		for _, size := range sizes {
			targets = append(targets, server.address+pathOf(size))
		}
	}
	load, err := b.startRig(setting{procs: 1, core: otherCore}, "load", append([]string{connections}, targets...)...)
	if err != nil {
		return nil, err
	}
	var rows []row
	for _, size := range sizes {
		var contenders []contender
		for _, server := range servers {
			contenders = append(contenders, loaded(load, server.address+pathOf(size), server))
		}
		samples, err := b.contest(contenders...)
		if err != nil {
			return nil, err
		}
		rows = append(rows, proxyRows(size, samples[0], samples[1], samples[2], samples[3])...)
	}
	return rows, nil
}

func proxyRows(bytes int, handler, transport, bare, canned []sample) []row {
	against := "bare handler: " + rate(perSecond(bare, sample.cpu))
	compare := func(samples []sample) (spread, string) {
		share := ratio(bare, samples, sample.cpu)
		return share, fmt.Sprintf("%s of its throughput, %.2f by the clock", times(share), ratio(bare, samples, sample.wall).median)
	}
	front, frontText := compare(handler)
	_, behindText := compare(transport)
	return []row{{
		what:     fmt.Sprintf("hits of %s through the example, -front handler, one core", size(float64(bytes))),
		against:  against,
		measured: rate(perSecond(handler, sample.cpu)),
		result:   frontText,
		wanted:   "≥ 0.95",
		verdict:  metIf(front.median >= 0.95),
	}, {
		what:     "the same, -front transport",
		against:  against,
		measured: rate(perSecond(transport, sample.cpu)),
		result: fmt.Sprintf("%s; %s of a ReverseProxy's whose origin costs nothing", behindText,
			times(ratio(canned, transport, sample.cpu))),
	}}
}

// loaded makes a contender of one of load's operations. Only the processor time of the measured
// processes counts, so that neither the load itself nor other processes distort it.
func loaded(load *process, operation string, measured ...*process) contender {
	spent := func() (d time.Duration) {
		for _, p := range measured {
			d += processTime(p.cmd.Process.Pid)
		}
		return d
	}
	return contender{operation, func(d time.Duration) (sample, error) {
		before := spent()
		s, err := load.do(operation, d)
		s.CPU = spent() - before
		return s, err
	}}
}

// build builds a program and returns its file.
func (b *bench) build(pkg string) (file string, err error) {
	dir, err := os.MkdirTemp("", "table")
	if err != nil {
		return "", err
	}
	b.cleanups = append(b.cleanups, func() { _ = os.RemoveAll(dir) })
	file = filepath.Join(dir, filepath.Base(pkg))
	out, err := exec.CommandContext(b.ctx, "go", "build", "-o", file, pkg).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build %s: %w\n%s", pkg, err, out)
	}
	return file, nil
}

// startProxy starts the example on a free port.
func (b *bench) startProxy(s setting, program string, args ...string) (*process, error) {
	cmd := exec.CommandContext(b.ctx, program, append([]string{"-listen", "127.0.0.1:0"}, args...)...)
	out, err := b.start(s, cmd)
	if err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("%s: %w", program, err)
	}
	_, address, found := strings.Cut(line, " from the cache at ")
	if !found {
		return nil, fmt.Errorf("%s printed %q", program, line)
	}
	return &process{cmd: cmd, address: strings.TrimSpace(address)}, nil
}
