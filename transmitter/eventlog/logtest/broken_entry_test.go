package logtest_test

import (
	"context"
	"slices"
	"testing"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/logtest"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/sqlitelog"
)

// noter is a log whose entries and erasures have a fault.
type noter struct {
	eventlog.Log
	note    func(l eventlog.Log, ctx context.Context, e []eventlog.Entry) ([]eventlog.Appended, error)
	entries func(l eventlog.Log, ctx context.Context, kind eventlog.Kind, ref string, s eventlog.Span) ([]*eventlog.Record, error)
	erase   func(l eventlog.Log, ctx context.Context, seqs []uint64) (int, error)
}

func (n *noter) Note(ctx context.Context, e ...eventlog.Entry) ([]eventlog.Appended, error) {
	if n.note != nil {
		return n.note(n.Log, ctx, e)
	}
	return n.Log.Note(ctx, e...)
}

func (n *noter) Entries(ctx context.Context, kind eventlog.Kind, ref string, s eventlog.Span) ([]*eventlog.Record, error) {
	if n.entries != nil {
		return n.entries(n.Log, ctx, kind, ref, s)
	}
	return n.Log.Entries(ctx, kind, ref, s)
}

func (n *noter) Erase(ctx context.Context, seqs ...uint64) (int, error) {
	if n.erase != nil {
		return n.erase(n.Log, ctx, seqs)
	}
	return n.Log.Erase(ctx, seqs...)
}

// Each fault of entries and erasures turns the case red that is about it.
func TestBrokenEntriesAreRed(t *testing.T) {
	tests := []struct {
		name  string
		fault noter
		want  []string
	}{
		{"notes backwards", noter{note: func(l eventlog.Log, ctx context.Context, e []eventlog.Entry) ([]eventlog.Appended, error) {
			e = slices.Clone(e)
			slices.Reverse(e)
			for i := range e {
				e[i].Kind++
			}
			return l.Note(ctx, e...)
		}}, []string{"entry/order", "entry/refs"}},
		{"notes without keys", noter{note: func(l eventlog.Log, ctx context.Context, e []eventlog.Entry) ([]eventlog.Appended, error) {
			e = slices.Clone(e)
			for i := range e {
				e[i].Refs = nil
			}
			return l.Note(ctx, e...)
		}}, []string{"entry/refs", "entry/durable", "entry/refuses"}},
		{"notes one by one", noter{note: func(l eventlog.Log, ctx context.Context, e []eventlog.Entry) (out []eventlog.Appended, err error) {
			for _, one := range e {
				a, err := l.Note(ctx, one)
				if err != nil {
					return nil, err
				}
				out = append(out, a...)
			}
			return out, nil
		}}, []string{"entry/all-or-none"}},
		{"knows no bounds", noter{entries: func(l eventlog.Log, ctx context.Context, kind eventlog.Kind, ref string, s eventlog.Span) ([]*eventlog.Record, error) {
			s.Before = 0
			return l.Entries(ctx, kind, ref, s)
		}}, []string{"entry/refs"}},
		{"erases nothing", noter{erase: func(_ eventlog.Log, _ context.Context, seqs []uint64) (int, error) {
			return len(seqs), nil
		}}, []string{"erase/record", "erase/repeat", "erase/entry"}},
		{"erases too much", noter{erase: func(l eventlog.Log, ctx context.Context, seqs []uint64) (int, error) {
			for _, seq := range slices.Clone(seqs) {
				seqs = append(seqs, seq+1)
			}
			return l.Erase(ctx, seqs...)
		}}, []string{"erase/others"}},
	}
	cases := make(map[string]logtest.Case)
	for _, c := range logtest.Cases() {
		cases[c.Name] = c
	}
	for _, tt := range tests {
		for _, name := range tt.want {
			if !red(t, cases[name], faultyNoter(tt.fault)) {
				t.Errorf("a log that %s: got green, want red in %s", tt.name, name)
			}
		}
	}
}

// faultyNoter makes stores as faulty does, with the fault around them.
func faultyNoter(fault noter) logtest.Factory {
	return func(tb testing.TB) *logtest.Store {
		s := faulty(broken{}, 0)(tb)
		wrap := func(l eventlog.Log) eventlog.Log {
			n := fault
			n.Log = l
			return &n
		}
		kill, reopen := s.Kill, s.Reopen
		s.Log, s.KeyMemory = wrap(s.Log), sqlitelog.DefaultKeyMemory
		s.Kill = func() eventlog.Log { return wrap(kill()) }
		s.Reopen = func() eventlog.Log { return wrap(reopen()) }
		return s
	}
}
