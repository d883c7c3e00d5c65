package simulate_test

import (
	"math/rand/v2"
	"testing"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/simulate"
)

// A line before one server whose jobs all take as long waits as Pollaczek and
// Khinchine have it: ρ/(2(1-ρ)) of a job; regular arrivals do not wait at all.
func TestStation(t *testing.T) {
	const takes, jobs = 1e-3, 200_000
	for _, busy := range []float64{0.3, 0.7, 0.9} {
		random := rand.New(rand.NewPCG(3, 4))
		wait, used := simulate.Line(1, takes, jobs, func() float64 { return random.ExpFloat64() * takes / busy })
		want := takes * busy / (2 * (1 - busy))
		if !near(wait, want, 0.06) || !near(used, takes*jobs, 1e-9) {
			t.Errorf("%v busy: got a wait of %v and %v used, want %v and %v", busy, wait, used, want, takes*jobs)
		}
	}
	if wait, _ := simulate.Line(1, takes, 1000, func() float64 { return takes * 1.01 }); wait > 1e-9 {
		t.Errorf("regular: got a wait of %v, want none", wait)
	}
	// Two servers take jobs that come three in two times as long: half a job is waited for by none.
	if wait, _ := simulate.Line(2, takes, 1000, func() float64 { return takes / 1.9 }); wait > 1e-9 {
		t.Errorf("two servers: got a wait of %v, want none", wait)
	}
}

// What comes while a batch is at work shares the next.
func TestBatcher(t *testing.T) {
	// One comes each second, a batch takes three and a half and at most three go along.
	got := simulate.Batches(3.5, 3, 1, 8)
	want := []int{1, 3, 3, 1}
	if len(got) != len(want) {
		t.Fatalf("got batches of %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("got batches of %v, want %v", got, want)
		}
	}
}

// What events use on their way is what was reckoned of them.
func TestWalkUses(t *testing.T) {
	c, s := plain(), one()
	s.Rate = 3000
	row, err := simulate.Run(c, s)
	if err != nil {
		t.Fatal(err)
	}
	node, redis := simulate.Walked(c, s)
	if want := use(t, row, "node CPU"); !near(node, want, 0.001) {
		t.Errorf("node CPU: got %v on the way, want %v", node, want)
	}
	if want := use(t, row, "Redis CPU (server of the log)"); !near(redis, want, 0.01) {
		t.Errorf("Redis CPU: got %v on the way, want %v", redis, want)
	}
}

// Where nothing waits, the way takes what its parts take: 100 µs, the append with its
// replica, a look at the log, the match, the put, the take, 150 µs, half of the receiver.
func TestWalkAlone(t *testing.T) {
	c, s := plain(), one()
	s.Rate = 0.1
	row, err := simulate.Run(c, s)
	if err != nil {
		t.Fatal(err)
	}
	const trips = 2 + 1 + 1 + 1 + 1
	want := 0.1 + trips*0.5 + 0.020 + 0.001 + 0.010 + 0.005 + 0.150 + 20
	if !near(row.P50, want, 0.002) {
		t.Errorf("got %v ms, want %v", row.P50, want)
	}
}
