package logtest_test

import (
	"context"
	"testing"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/logtest"
)

// liar is a log whose tree has a fault.
type liar struct {
	eventlog.Log
	tree func(l eventlog.Log, ctx context.Context) (eventlog.Tree, error)
	tile func(l eventlog.Log, ctx context.Context, level int, n uint64, width int) ([]eventlog.Hash, error)
}

func (l *liar) Tree(ctx context.Context) (eventlog.Tree, error) {
	if l.tree != nil {
		return l.tree(l.Log, ctx)
	}
	return l.Log.Tree(ctx)
}

func (l *liar) Tile(ctx context.Context, level int, n uint64, width int) ([]eventlog.Hash, error) {
	if l.tile != nil {
		return l.tile(l.Log, ctx, level, n, width)
	}
	return l.Log.Tile(ctx, level, n, width)
}

// Each fault of the tree turns the case red that is about it.
func TestBrokenTreesAreRed(t *testing.T) {
	late := func(l eventlog.Log, ctx context.Context) (eventlog.Tree, error) {
		t, err := l.Tree(ctx)
		if err != nil || t.Size == 0 {
			return t, err
		}
		return eventlog.TreeAt(ctx, l, t.Size-1)
	}
	leavesAlone := func(l eventlog.Log, ctx context.Context) (eventlog.Tree, error) {
		t, err := l.Tree(ctx)
		if err != nil {
			return t, err
		}
		t.Root = eventlog.EmptyTree().Root
		for seq := uint64(1); seq <= t.Size; seq++ { // a chain, not a tree
			r, err := l.Record(ctx, seq)
			if err != nil {
				return t, err
			}
			t.Root = eventlog.NodeHash(t.Root, r.Leaf)
		}
		return t, nil
	}
	skipErased := func(l eventlog.Log, ctx context.Context) (eventlog.Tree, error) {
		t, err := l.Tree(ctx)
		for seq := uint64(1); seq <= t.Size && err == nil; seq++ {
			if r, err := l.Record(ctx, seq); err == nil && r.Erased {
				t.Root[0] ^= 1
			}
		}
		return t, err
	}
	wide := func(l eventlog.Log, ctx context.Context, level int, n uint64, width int) ([]eventlog.Hash, error) {
		tile, err := l.Tile(ctx, level, n, width)
		for width > 1 && err != nil {
			width--
			tile, err = l.Tile(ctx, level, n, width)
		}
		return tile, err
	}
	shifted := func(l eventlog.Log, ctx context.Context, level int, n uint64, width int) ([]eventlog.Hash, error) {
		tile, err := l.Tile(ctx, level, n, width)
		if len(tile) > 1 {
			tile[0], tile[1] = tile[1], tile[0]
		}
		return tile, err
	}
	tests := []struct {
		name  string
		fault liar
		want  []string
	}{
		{"shows its tree late", liar{tree: late}, []string{"tree/root", "tree/durable", "tree/concurrent"}},
		{"has a chain", liar{tree: leavesAlone}, []string{"tree/root", "tree/sizes", "tree/proofs", "tree/concurrent"}},
		{"changes its tree with an erasure", liar{tree: skipErased}, []string{"tree/erase"}},
		{"fills up its tiles", liar{tile: wide}, []string{"tree/tiles"}},
		{"mixes up its tiles", liar{tile: shifted}, []string{"tree/tiles", "tree/sizes", "tree/proofs"}},
	}
	cases := make(map[string]logtest.Case)
	for _, c := range logtest.Cases() {
		cases[c.Name] = c
	}
	for _, tt := range tests {
		for _, name := range tt.want {
			if !red(t, cases[name], faultyTree(tt.fault)) {
				t.Errorf("a log that %s: got green, want red in %s", tt.name, name)
			}
		}
	}
}

// faultyTree makes stores as faulty does, with the fault around them.
func faultyTree(fault liar) logtest.Factory {
	return func(tb testing.TB) *logtest.Store {
		s := faulty(broken{}, 0)(tb)
		wrap := func(l eventlog.Log) eventlog.Log {
			n := fault
			n.Log = l
			return &n
		}
		kill, reopen := s.Kill, s.Reopen
		s.Log = wrap(s.Log)
		s.Kill = func() eventlog.Log { return wrap(kill()) }
		s.Reopen = func() eventlog.Log { return wrap(reopen()) }
		return s
	}
}
