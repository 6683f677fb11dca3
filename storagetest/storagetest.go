// Package storagetest checks that a [cirque.Storage] keeps the rules that the interface states.
//
// A Storage's own test calls [Run]:
//
//	func TestStorage(t *testing.T) {
//		storagetest.Run(t, func(t testing.TB) cirque.Storage {
//			return mystore.New(t.TempDir())
//		}, storagetest.Features{Seeking: true})
//	}
//
// Run it with -race: some rules are about concurrent use.
package storagetest

import (
	"context"
	"testing"
	"time"

	"github.com/cirquecache/cirque"
)

// Features declares what a Storage can do beyond what every Storage does. The cases of declared
// features must pass; those of other features are skipped. The zero value declares nothing.
type Features struct {
	// Streaming says that the Storage is a [cirque.StreamingStorage].
	Streaming bool

	// Seeking says that hits on stored entries can seek.
	Seeking bool

	// Budget makes an instance that draws on budget. It is nil if the Storage has no Budget.
	Budget func(t testing.TB, budget *cirque.Budget) cirque.Storage

	// Reopen closes storage, which newStorage has made, and opens another instance on the same
	// data. It is nil if the entries do not outlive the process.
	Reopen func(t testing.TB, storage cirque.Storage) cirque.Storage
}

// Run tests the rules of [cirque.Storage], each in a subtest. Each subtest calls newStorage for an
// instance of its own; newStorage must register the closing of the instance with t.Cleanup. A
// failure states the rule that was broken. No other test may run at the same time, because one case
// counts the goroutines of the process.
func Run(t *testing.T, newStorage func(t testing.TB) cirque.Storage, features Features) {
	for _, c := range cases() {
		t.Run(c.name, func(t *testing.T) { c.test(t, newStorage, features) })
	}
}

// need is the feature that a case tests.
type need int

const (
	needNothing need = iota
	needStreaming
	needNoStreaming
	needSeeking
	needNoSeeking
	needBudget
	needStreamingBudget
	needReopen
)

func (n need) met(f Features) bool {
	switch n {
	case needStreaming:
		return f.Streaming
	case needNoStreaming:
		return !f.Streaming
	case needSeeking:
		return f.Seeking
	case needNoSeeking:
		return !f.Seeking
	case needBudget:
		return f.Budget != nil
	case needStreamingBudget:
		return f.Budget != nil && f.Streaming
	case needReopen:
		return f.Reopen != nil
	}
	return true
}

// testCase tests one rule.
type testCase struct {
	name  string
	rule  string
	needs need
	run   func(e *env)
}

func cases() []testCase {
	var all []testCase
	for _, group := range [][]testCase{
		writeCases, abortCases, keyCases, metaCases, purgeCases, replaceCases, readCases, concurrencyCases,
		streamingCases, unlinkCases, budgetCases, reopenCases, sharedCases, statsCases, listCases,
	} {
		all = append(all, group...)
	}
	return all
}

// deadline limits the time of a case, in case the storage hangs: the context that the case passes
// to the storage ends then.
var deadline = 30 * time.Second

func (c testCase) test(t testing.TB, newStorage func(t testing.TB) cirque.Storage, features Features) {
	if !c.needs.met(features) {
		t.Skip("the Features do not declare what this case needs")
	}
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	t.Cleanup(cancel)
	e := &env{TB: t, ctx: ctx, rule: c.rule, features: features}
	if c.needs != needBudget && c.needs != needStreamingBudget {
		e.use(newStorage(t))
	}
	c.run(e)
}
