// Package storetest is the suite that every [streams.Store] passes. Each
// sentence of the contracts in package streams, and of docs/contracts.md §3
// and §4, is a case named after it.
//
// [Memory] is the contracts in their simplest form: the model that the suite
// compares stores with, and a store for other packages' tests.
package storetest

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/tocsin-ssf/tocsin/streams"
)

// Options say how a store is to be opened.
type Options struct {
	// MaxDepth bounds a queue, its dead letters counted; zero is the store's default.
	MaxDepth int
}

// Harness is one place of storage, for example a folder, and the store that
// is open on it, one at a time.
type Harness interface {
	// Open opens the store. Its clock is time.Now.
	Open(ctx context.Context, opts Options) (streams.Store, error)
	// Close ends the store as at a clean end of the process.
	Close() error
	// Kill ends the store as a killed process does: what follows sees only
	// what was durable, and nothing of the store runs on.
	Kill() error
}

// Run runs the suite. place makes a fresh place of storage. Every case runs
// in a bubble of testing/synctest, so no case waits in real time; a store
// must start nothing before Open and leave nothing running after Close.
func Run(t *testing.T, place func(testing.TB) Harness) {
	for _, c := range cases() {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.run(newFixture(t, place(t), Options{}))
			})
		})
	}
}

// testCase is one promise.
type testCase struct {
	name string
	run  func(*fixture)
}

// cases are all promises.
func cases() []testCase {
	var all []testCase
	for _, part := range []struct {
		name  string
		cases []testCase
	}{
		{"Registry", registryCases()},
		{"Activity", activityCases()},
		{"Subjects", subjectCases()},
		{"Match", matchCases()},
		{"Put", putCases()},
		{"Take", takeCases()},
		{"Settle", settleCases()},
		{"Ready", readyCases()},
		{"Depth", depthCases()},
		{"Glance", glanceCases()},
		{"DeadLetters", deadLetterCases()},
		{"Erase", eraseCases()},
		{"Reopen", reopenCases()},
		{"Concurrent", concurrentCases()},
		{"Model", modelCases()},
	} {
		for _, c := range part.cases {
			all = append(all, testCase{part.name + "/" + c.name, c.run})
		}
	}
	return all
}
