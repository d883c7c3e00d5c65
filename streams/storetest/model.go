package storetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"pgregory.net/rapid"
)

// modelCases do what comes to mind to a store and to the model side by side:
// both must give the same answers.
func modelCases() []testCase {
	return []testCase{
		{"Queue", func(x *fixture) { x.compare(queueSteps) }},
		{"Match", func(x *fixture) { x.compare(matchSteps) }},
	}
}

// pair is a store and the model, with what a run draws from.
type pair struct {
	*fixture
	t     *rapid.T
	model *Memory
	ids   []string // the streams of this run
	seq   uint64
	jti   int
}

// compare runs steps in random order, many times, each on streams of its own.
func (x *fixture) compare(steps func(*pair) map[string]func()) {
	model, run := NewMemory(x.opts), 0
	rapid.Check(x, func(t *rapid.T) {
		run++
		p := &pair{fixture: x, t: t, model: model, ids: []string{fmt.Sprintf("r%d-a", run), fmt.Sprintf("r%d-b", run)}}
		defer func() {
			for _, id := range p.ids {
				p.same("Delete", x.store.Delete(x.ctx, id), model.Delete(x.ctx, id))
			}
		}()
		for _, id := range p.ids {
			s := base(id)
			if rapid.Bool().Draw(t, "none") {
				s.DefaultSubjects = streams.SubjectsNone
			}
			p.same("Create", x.store.Create(x.ctx, s, 0), model.Create(x.ctx, s, 0))
		}
		actions := make(map[string]func(*rapid.T))
		for name, step := range steps(p) {
			actions[name] = func(*rapid.T) { step() }
		}
		t.Repeat(actions)
	})
}

// same fails the run unless store and model gave the same.
func (p *pair) same(what string, got, want any) {
	p.t.Helper()
	if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); g != w {
		p.t.Fatalf("%s: got %s, want %s", what, g, w)
	}
}

func (p *pair) stream() string { return rapid.SampledFrom(p.ids).Draw(p.t, "stream") }

// both runs a call on the store and on the model.
func (p *pair) both(what string, call func(streams.Store) (any, error)) {
	p.t.Helper()
	got, err := call(p.store)
	want, wantErr := call(p.model)
	p.same(what, fmt.Sprint(got, " ", err), fmt.Sprint(want, " ", wantErr))
}

// describe is all that is to be the same of items.
func describe(items []streams.Item) string {
	var list []string
	for _, it := range items {
		list = append(list, fmt.Sprintf("%s(lane %d pos %v ref %v key %q attempts %d resent %v epoch %d added %d)", it.ID, it.Lane, it.Pos, it.Ref,
			it.OrderKey, it.Attempts, it.Resent, it.Epoch*uint64(1-it.Lane), it.Added.UnixNano()))
	}
	return strings.Join(list, " ")
}

// known draws jtis that may be on a queue.
func (p *pair) known() []string {
	n := rapid.IntRange(1, 4).Draw(p.t, "jtis")
	var ids []string
	for range n {
		back := rapid.IntRange(0, 12).Draw(p.t, "back")
		ids = append(ids, fmt.Sprint("j", max(p.jti-back, 0)))
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// queueSteps are what can happen to a queue.
func queueSteps(p *pair) map[string]func() {
	ctx := p.ctx
	return map[string]func(){
		"put": func() {
			var items []streams.Item
			for range rapid.IntRange(1, 6).Draw(p.t, "n") {
				p.seq++
				p.jti++
				it := event(p.stream(), p.seq, rapid.SampledFrom([]string{"", "a", "b"}).Draw(p.t, "key"))
				it.ID = fmt.Sprint("j", p.jti)
				it.Epoch = rapid.Uint64Range(1, 2).Draw(p.t, "epoch")
				if rapid.IntRange(0, 9).Draw(p.t, "again") == 0 {
					it.Pos.Seq -= min(3, it.Pos.Seq)
				}
				items = append(items, it)
			}
			p.both("Put", func(s streams.Store) (any, error) {
				r, err := s.Put(ctx, items...)
				return report(r), err
			})
		},
		"put released": func() {
			p.seq++
			id, ref := p.stream(), rapid.Uint64Range(1, 3).Draw(p.t, "ref")
			back := min(rapid.Uint64Range(0, 2).Draw(p.t, "earlier"), p.seq-1)
			var items []streams.Item
			for range rapid.IntRange(1, 3).Draw(p.t, "n") {
				p.jti++
				it := released(id, p.seq-back, ref, 0)
				it.ID = fmt.Sprint("j", p.jti)
				items, ref = append(items, it), ref+1
			}
			p.both("Put", func(s streams.Store) (any, error) {
				r, err := s.Put(ctx, items...)
				return report(r), err
			})
		},
		"put control": func() {
			p.jti++
			it := control(p.stream(), p.known()[0])
			if rapid.Bool().Draw(p.t, "updated") {
				it.Type = streams.TypeStreamUpdated
			}
			p.both("Put", func(s streams.Store) (any, error) {
				r, err := s.Put(ctx, it)
				return report(r), err
			})
		},
		"take": func() {
			id, n := p.stream(), rapid.IntRange(1, 5).Draw(p.t, "max")
			p.both("Take", func(s streams.Store) (any, error) {
				items, err := s.Take(ctx, id, streams.TakeOptions{Max: n, Lease: lease})
				return describe(items), err
			})
		},
		"settle": func() {
			id := p.stream()
			var outcomes []streams.Outcome
			for _, jti := range p.known() {
				o := streams.Outcome{ID: jti, Verdict: streams.Verdict(rapid.IntRange(0, 3).Draw(p.t, "verdict")), Code: "c"}
				if o.Verdict == streams.Failed && rapid.Bool().Draw(p.t, "after") {
					o.After = 2 * lease
				}
				outcomes = append(outcomes, o)
			}
			p.both("Settle", func(s streams.Store) (any, error) {
				items, err := s.Settle(ctx, id, outcomes, nil)
				slices.SortFunc(items, func(a, b streams.Item) int { return strings.Compare(a.ID, b.ID) })
				return describe(items), err
			})
		},
		"extend": func() {
			id, ids := p.stream(), p.known()
			p.both("Extend", func(s streams.Store) (any, error) { return nil, s.Extend(ctx, id, ids, lease) })
		},
		"purge": func() {
			id := p.stream()
			p.both("Purge", func(s streams.Store) (any, error) { return s.Purge(ctx, id) })
		},
		"expire": func() {
			before := time.Now().Add(-lease)
			p.both("Expire", func(s streams.Store) (any, error) { return s.Expire(ctx, before, 1000) })
		},
		"resend": func() {
			id, jti := p.stream(), p.known()[0]
			p.both("Resend", func(s streams.Store) (any, error) { return nil, s.Resend(ctx, id, jti) })
		},
		"drop": func() {
			id, jti := p.stream(), p.known()[0]
			p.both("Drop", func(s streams.Store) (any, error) { return nil, s.Drop(ctx, id, jti) })
		},
		"status": func() {
			id, to := p.stream(), rapid.SampledFrom([]streams.Status{streams.Enabled, streams.Enabled, streams.Paused, streams.Disabled}).Draw(p.t, "to")
			p.both("Update", func(s streams.Store) (any, error) {
				u, err := s.Update(ctx, id, func(s *streams.Stream) ([]streams.Item, error) {
					if to == streams.Disabled && s.Status != to && s.Epoch < 2 {
						s.Epoch++
					}
					s.Status = to
					return nil, nil
				})
				return fmt.Sprint(u.Status, u.Epoch), err
			})
		},
		"time": func() { time.Sleep(lease / 2) },
		"restart": func() {
			if rapid.IntRange(0, 3).Draw(p.t, "restart") == 0 {
				p.reopen(rapid.Bool().Draw(p.t, "kill"))
				p.model.Restart(p.opts)
			}
		},
		"drain what is ready": p.drain,
		"":                    p.check,
	}
}

// check compares what can be asked without changing anything.
func (p *pair) check() {
	for _, id := range p.ids {
		p.both("Depth", func(s streams.Store) (any, error) {
			d, err := s.Depth(p.ctx, id)
			return fmt.Sprint(d.Items, d.Leased, d.Dead), err
		})
		p.both("More", func(s streams.Store) (any, error) { return s.More(p.ctx, id) })
		p.both("DeadLetters", func(s streams.Store) (any, error) {
			page, next, err := s.DeadLetters(p.ctx, id, "", 1000)
			var list []streams.Item
			for _, l := range page {
				list = append(list, l.Item)
			}
			return describe(list) + next, err
		})
	}
}

// drain does as a sender does: it takes from what Ready tells of until
// nothing is there. Afterwards no work that is due may be left unknown.
func (p *pair) drain() {
	for {
		ctx, cancel := context.WithTimeout(p.ctx, patience)
		ids, err := p.store.Ready(ctx, 1)
		cancel()
		if err != nil {
			break
		}
		for p.more(ids[0]) {
			p.both("Take", func(s streams.Store) (any, error) {
				items, err := s.Take(p.ctx, ids[0], streams.TakeOptions{Max: 3, Lease: lease})
				return describe(items), err
			})
		}
	}
	for _, id := range p.ids {
		if p.more(id) {
			p.t.Fatalf("stream %s has work that Ready never told of", id)
		}
	}
}

// matchSteps are what can happen to subjects, and events that ask for them.
func matchSteps(p *pair) map[string]func() {
	ctx := p.ctx
	return map[string]func(){
		"add": func() {
			id, sub := p.stream(), p.subject()
			p.both("Add", func(s streams.Store) (any, error) { return nil, s.Add(ctx, id, sub, 12) })
		},
		"remove": func() {
			id, sub := p.stream(), p.subject()
			p.both("Remove", func(s streams.Store) (any, error) { return nil, s.Remove(ctx, id, sub, 12) })
		},
		"match": func() {
			q := streams.Query{Seq: 1, Type: typeA}
			for range rapid.IntRange(1, 3).Draw(p.t, "subjects") {
				q.Subjects = append(q.Subjects, p.subject())
			}
			p.both("Match", func(s streams.Store) (any, error) {
				found, err := s.Match(ctx, q)
				return candidates(found), err
			})
		},
		"restart": func() {
			if rapid.IntRange(0, 7).Draw(p.t, "restart") == 0 {
				p.reopen(rapid.Bool().Draw(p.t, "kill"))
			}
		},
		"": func() {
			for _, id := range p.ids {
				p.both("SubjectCount", func(s streams.Store) (any, error) { return s.SubjectCount(ctx, id) })
			}
		},
	}
}

// subject draws one of a few subjects that have much in common.
func (p *pair) subject() subject.Identifier {
	value := func(name string) string { return rapid.SampledFrom([]string{"1", "2"}).Draw(p.t, name) }
	if rapid.IntRange(0, 2).Draw(p.t, "complex") == 0 {
		return subject.Opaque(value("id"))
	}
	members := make(map[string]subject.Identifier)
	for _, name := range []string{"user", "tenant", "device"} {
		if rapid.Bool().Draw(p.t, "has "+name) {
			members[name] = subject.Opaque(value(name))
		}
	}
	if len(members) == 0 {
		members["user"] = subject.Opaque(value("user"))
	}
	id, err := subject.Complex(members)
	if err != nil {
		p.t.Fatalf("complex subject: %v", err)
	}
	return id
}
