package main

import (
	"os/exec"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// processTime returns the time that a process has spent on processors.
func processTime(pid int) time.Duration {
	var t unix.Timespec
	// The id of this clock of a process contains the complement of the process's id
	// (clock_getcpuclockid).
	const scheduled = 2
	if err := unix.ClockGettime(int32(^pid<<3|scheduled), &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}

// startOnCore starts a program and keeps it to one core, counted from 1. Zero means any core.
func startOnCore(cmd *exec.Cmd, core int) error {
	var own, one unix.CPUSet
	if core == 0 || unix.SchedGetaffinity(0, &own) != nil || own.Count() < 2 {
		return cmd.Start()
	}
	for cpu, seen := 0, 0; seen < core; cpu++ {
		if own.IsSet(cpu % (len(own) * 64)) {
			seen++
			one.Zero()
			one.Set(cpu % (len(own) * 64))
		}
	}
	// A child is kept to the cores of the thread that starts it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return cmd.Start()
	}
	defer unix.SchedSetaffinity(0, &own)
	return cmd.Start()
}
