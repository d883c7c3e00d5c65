package checkpointtest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/tocsin-ssf/tocsin/transmitter/checkpoint"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// RunShared runs what is promised when several processes sign the heads of one log.
// Such a backend passes Run, too.
func RunShared(t *testing.T, open Open) {
	for _, tt := range []struct {
		name string
		test func(*processes)
	}{
		{"one key among processes that begin at once", oneKey},
		{"one history of two signers, contracts.md §9", oneHistory},
		{"a head is signed once", signedOnce},
		{"no second history beside another's, contracts.md §9", noSecondHistory},
		{"one of two of one size", oneOfTwo},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.test(&processes{T: t, open: open, dir: t.TempDir()}) })
	}
}

type processes struct {
	*testing.T
	open Open
	dir  string
}

func (p *processes) check(err error) {
	p.Helper()
	if err != nil {
		p.Fatalf("got %v, want no error", err)
	}
}

// keeper is that of another process.
func (p *processes) keeper(log checkpoint.Log) *checkpoint.Keeper {
	p.Helper()
	k, err := checkpoint.Open(p.Context(), checkpoint.Config{Store: p.open(p.T, p.dir), Log: log, Origin: "ssf.example/log"})
	p.check(err)
	return k
}

// Log is a log in memory, of at most 255 records.
type Log struct {
	mu   sync.Mutex
	edge eventlog.Edge
}

// Add adds n records, which are told apart from another log's by kind.
func (l *Log) Add(n int, kind byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range n {
		l.edge.Add(eventlog.Hash{byte(l.edge.Size()), kind}, func(eventlog.Node) {})
	}
}

// Tree returns the head.
func (l *Log) Tree(context.Context) (eventlog.Tree, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.edge.Tree(), nil
}

// Tile returns hashes of the tree.
func (l *Log) Tile(_ context.Context, level int, _ uint64, width int) ([]eventlog.Hash, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.edge.Tile(level)[:width]), nil
}

// Wait is not waited for.
func (l *Log) Wait(context.Context, uint64) error { return errors.New("nobody adds") }

func oneKey(p *processes) {
	stores := make([]checkpoint.Store, 5)
	for i := range stores {
		stores[i] = p.open(p.T, p.dir)
	}
	verifiers := make([]string, len(stores))
	var group sync.WaitGroup
	for i, s := range stores {
		group.Go(func() {
			k, _, err := s.Key(p.Context())
			if err != nil {
				p.Error(err)
			}
			verifiers[i] = k.Verifier("x")
		})
	}
	group.Wait()
	if slices.Sort(verifiers); verifiers[0] != verifiers[len(verifiers)-1] {
		p.Errorf("got %q, want one key", verifiers)
	}
}

func oneHistory(p *processes) {
	log := new(Log)
	keepers := []*checkpoint.Keeper{p.keeper(log), p.keeper(log)}
	var group sync.WaitGroup
	for _, k := range keepers {
		group.Go(func() {
			for range 40 {
				log.Add(1, 0)
				if _, err := k.Sign(p.Context()); err != nil {
					p.Errorf("Sign: got %v, want no error", err)
				}
			}
		})
	}
	group.Wait()
	key, err := keepers[0].Verifier()
	p.check(err)
	v, err := note.NewVerifier(key)
	p.check(err)
	all, err := keepers[1].All(p.Context(), 0, checkpoint.MaxPage)
	if err != nil || len(all) < 2 || all[len(all)-1].Size != 80 {
		p.Fatalf("got %d checkpoints (%v), want some up to 80", len(all), err)
	}
	for _, c := range all {
		then, err := eventlog.TreeAt(p.Context(), log, c.Size)
		if err != nil || then != c.Tree {
			p.Errorf("checkpoint of %d: got root %x, want %x (%v)", c.Size, c.Root, then.Root, err)
		}
		if _, err := note.Open(c.Text, note.VerifierList(v)); err != nil {
			p.Errorf("checkpoint of %d: got %v, want one of the log's key", c.Size, err)
		}
	}
}

func signedOnce(p *processes) {
	log := new(Log)
	a, b := p.keeper(log), p.keeper(log)
	log.Add(3, 0)
	first, err := a.Sign(p.Context())
	p.check(err)
	again, err := b.Sign(p.Context())
	p.check(err)
	if !again.Made.Equal(first.Made.Truncate(time.Millisecond)) || string(again.Text) != string(first.Text) {
		p.Errorf("got %+v, want what the other signed, %+v", again, first)
	}
}

// A process whose log became another one signs nothing, though it has not seen what the
// other process signed meanwhile, and though no checkpoint is of that size.
func noSecondHistory(p *processes) {
	log, other := new(Log), new(Log)
	log.Add(5, 0)
	other.Add(5, 0)
	a, b := p.keeper(log), p.keeper(other)
	_, err := b.Sign(p.Context()) // both go on from it
	p.check(err)
	log.Add(5, 0)
	last, err := a.Sign(p.Context())
	p.check(err)
	for _, tt := range []struct {
		name string
		add  int
		want error
	}{{"shorter", 1, checkpoint.ErrOldLog}, {"of the same size", 4, checkpoint.ErrOtherLog}, {"longer", 10, checkpoint.ErrOtherLog}} {
		other.Add(tt.add, 1)
		if c, err := b.Sign(p.Context()); !errors.Is(err, tt.want) {
			p.Errorf("%s: got %d (%v), want %v", tt.name, c.Size, err, tt.want)
		}
	}
	if got, err := a.Last(p.Context()); err != nil || got.Tree != last.Tree {
		p.Errorf("got %+v (%v), want %+v", got.Tree, err, last.Tree)
	}
	log.Add(1, 0)
	if _, err := a.Sign(p.Context()); err != nil {
		p.Errorf("the right log goes on: got %v, want no error", err)
	}
}

func oneOfTwo(p *processes) {
	stores := []checkpoint.Store{p.open(p.T, p.dir), p.open(p.T, p.dir)}
	var after eventlog.Tree
	for size := range uint64(20) {
		errs := make([]error, len(stores))
		made := make([]checkpoint.Checkpoint, len(stores))
		var group sync.WaitGroup
		for i, s := range stores {
			c := checkpoint.Checkpoint{Origin: "x", Made: time.Now(), Text: []byte("x\n" + strings.Repeat("y", i) + "\n")}
			c.Size, c.Root[0], c.Root[1] = size, byte(i), 1
			made[i] = c
			group.Go(func() { errs[i] = s.Add(p.Context(), c, after) })
		}
		group.Wait()
		for i := range errs {
			if errs[i] == nil {
				after = made[i].Tree
				if !errors.Is(errs[1-i], checkpoint.ErrFork) {
					p.Errorf("got %v and %v, want one of them and ErrFork", errs[0], errs[1])
				}
			}
		}
		if last, err := stores[0].Last(p.Context()); err != nil || last.Tree != after || last.Size != size {
			p.Fatalf("got %+v (%v), want the one that was stored, %+v", last.Tree, err, after)
		}
	}
}
