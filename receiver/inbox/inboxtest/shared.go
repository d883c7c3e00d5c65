package inboxtest

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/inbox"
)

// Shared is a backend that several processes share.
type Shared struct {
	// Open opens the inbox kept in the folder dir, as another process would. cut(true)
	// makes all that it asks of the store fail from then on, as if it were frozen or cut
	// off, and cut(false) ends that. It reads the time from time.Now.
	Open func(t *testing.T, dir string) (in Closer, cut func(bool))
	// Lease is how long a message stays out whose process does nothing.
	Lease time.Duration
	// Seen is how soon a process sees what another one brought.
	Seen time.Duration
}

// RunShared runs what is promised when several processes take from one feed. Such a
// backend passes Run, too.
func RunShared(t *testing.T, backend Shared) {
	for _, tt := range []struct {
		name string
		test func(*processes)
	}{
		{"once among processes", onceAmongProcesses},
		{"a message is out at one process", outAtOne},
		{"order per key among processes", orderAmongProcesses},
		{"take sees what others bring", seesOthers},
		{"lease renewed while at a hook", renewed},
		{"lease of the dead ends", deadReturns},
		{"outcome after the lease does not count", lateOutcome},
		{"outcome after another took over does not count", overtaken},
		{"the same process after its lease", backAtTheSame},
		{"released at the end", releasedAtEnd},
		{"states, counts and dead letters of all", ofAll},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				p := &processes{T: t, Shared: backend}
				p.a, p.cut = p.process(dir)
				p.b, _ = p.process(dir)
				defer func() {
					p.cut(false)
					p.a.check(p.a.in.Close())
					p.b.check(p.b.in.Close())
				}()
				tt.test(p)
			})
		})
	}
}

// processes are two that share an inbox; cut is of the first.
type processes struct {
	*testing.T
	Shared
	a, b *suite
	cut  func(bool)
}

func (p *processes) process(dir string) (*suite, func(bool)) {
	in, cut := p.Open(p.T, dir)
	return &suite{T: p.T, dir: dir, in: in}, cut
}

func onceAmongProcesses(p *processes) {
	p.a.append(message("a", "k"))
	if got := p.b.one(message("a", "k")); !got.Duplicate {
		p.Errorf("got %+v for a repeat at another process, want a duplicate", got)
	}
	p.b.settle(p.b.wants("a")["a"], inbox.Done, 0)
	if got := p.a.one(message("a", "k")); !got.Duplicate {
		p.Errorf("got %+v for what another process handled, want a duplicate", got)
	}
}

func outAtOne(p *processes) {
	p.a.append(message("a", ""), message("b", ""), message("c", ""))
	first, _ := p.a.take(2)
	second, _ := p.b.take(2)
	if got := slices.Concat(first, second); !equal(got, []string{"a", "b", "c"}) {
		p.Errorf("got %q, want each once", got)
	}
}

func orderAmongProcesses(p *processes) {
	p.a.append(message("a1", "k"), message("b1", "l"), message("a2", "k"))
	p.b.append(message("a3", "k"))
	got, messages := p.a.take(1)
	if !equal(got, []string{"a1"}) {
		p.Fatalf("got %q, want a1", got)
	}
	p.b.wants("b1") // a2 waits for a1, which another has
	p.a.settle(messages["a1"], inbox.Again, time.Minute)
	p.b.wants()
	<-time.After(time.Minute)
	p.b.settle(p.b.wants("a1")["a1"], inbox.Done, 0)
	p.a.settle(p.a.wants("a2")["a2"], inbox.SetAside, 0)
	p.b.wants("a3")
}

func seesOthers(p *processes) {
	taken := make(chan []inbox.Message)
	go func() {
		got, err := p.b.in.Take(p.Context(), Feed, 1)
		if err != nil {
			p.Errorf("got error %v from Take, want none", err)
		}
		taken <- got
	}()
	synctest.Wait()
	began := time.Now()
	p.a.append(message("a", ""))
	if got := <-taken; len(got) != 1 || time.Since(began) > p.Seen {
		p.Errorf("got %d messages after %v, want 1 within %v", len(got), time.Since(began), p.Seen)
	}
}

func renewed(p *processes) {
	p.a.append(message("a", "k"))
	taken := p.a.wants("a")
	<-time.After(20 * p.Lease)
	p.b.wants()
	p.a.settle(taken["a"], inbox.Done, 0)
	if n := p.b.counts().Waiting; n != 0 {
		p.Errorf("got %d waiting, want 0: it was held all the time", n)
	}
}

func deadReturns(p *processes) {
	p.a.append(message("a1", "k"), message("b1", ""), message("a2", "k"))
	p.a.wants("a1", "b1")
	p.cut(true)
	<-time.After(p.Lease / 2)
	p.b.wants()
	<-time.After(p.Lease)
	if n := p.b.counts().Running; n != 0 {
		p.Errorf("got %d running after the lease, want 0", n)
	}
	got := p.b.wants("a1", "b1") // in their places: a2 still waits
	if n := got["a1"].Attempts; n != 0 {
		p.Errorf("got %d attempts, want 0: no verdict was kept", n)
	}
}

func lateOutcome(p *processes) {
	p.a.append(message("a", "k"))
	taken := p.a.wants("a")
	p.cut(true)
	<-time.After(2 * p.Lease)
	p.cut(false)
	p.a.settle(taken["a"], inbox.Done, 0)
	p.b.wants("a")
}

func overtaken(p *processes) {
	p.a.append(message("a1", "k"), message("a2", "k"))
	taken := p.a.wants("a1")
	p.cut(true)
	<-time.After(2 * p.Lease)
	second := p.b.wants("a1")
	p.cut(false)
	<-time.After(2 * p.Lease) // what renews may not take it back
	p.a.settle(taken["a1"], inbox.Done, 0)
	p.a.wants()
	if c := p.a.counts(); c.Waiting != 2 || c.Running != 1 {
		p.Errorf("got %+v, want 2 waiting, of which 1 is out at the other process", c)
	}
	p.b.settle(second["a1"], inbox.Done, 0)
	p.a.wants("a2")
}

// A process that lost a message does not get it again while its hook still has it: the
// outcome of that hook would pass for that of the next.
func backAtTheSame(p *processes) {
	p.a.append(message("a1", "k"), message("a2", "k"))
	taken := p.a.wants("a1")
	p.cut(true)
	<-time.After(2 * p.Lease)
	p.cut(false)
	p.a.wants()
	p.a.settle(taken["a1"], inbox.Done, 0)
	<-time.After(2 * p.Lease)
	p.a.wants("a1")
}

func releasedAtEnd(p *processes) {
	p.a.append(message("a", "k"))
	p.a.wants("a")
	p.a.check(p.a.in.Close())
	p.b.wants("a")
	p.a.in, p.cut = p.Open(p.T, p.a.dir)
}

func ofAll(p *processes) {
	p.a.expect("one", time.Hour)
	p.b.outstanding("one")
	p.b.append(verification("v", "one"))
	p.a.outstanding()
	p.a.settle(p.a.wants("v")["v"], inbox.SetAside, 0)
	if c := p.b.counts(); c.Dead != 1 || c.Waiting != 0 {
		p.Errorf("got %+v, want 1 dead letter", c)
	}
	if got := p.b.dead(); len(got) != 1 || got[0].Reason != "reason of v" {
		p.Errorf("got %+v, want the dead letter of the other process", got)
	}
	p.b.check(p.b.in.Resend(p.Context(), Issuer, "v"))
	p.a.wants("v")
}
