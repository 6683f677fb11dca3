package main

import "strings"

// experiments lists the experiments in the order of the table.
var experiments = []struct {
	name string
	run  func(*bench) ([]row, error)
}{
	{"hit", measureHits},
	{"lookup", measureLookups},
	{"proxy", measureProxy},
	{"miss", measureMisses},
	{"parallel", measureParallel},
	{"memory", measureMemory},
	{"collection", measureCollection},
	{"coalescing", measureCoalescing},
	{"revalidation", measureRevalidation},
}

func experimentNames() string {
	names := make([]string, len(experiments))
	for i, e := range experiments {
		names[i] = e.name
	}
	return strings.Join(names, ", ")
}
