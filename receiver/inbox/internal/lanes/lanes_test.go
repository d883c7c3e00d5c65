package lanes_test

import (
	"context"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/inbox/internal/lanes"
	"pgregory.net/rapid"
)

// Whatever is added, settled and waited for: of a lane only the head is out, in order
// of arrival, nothing is out before it is due, and nothing is lost or kept back.
func TestOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(1_000_000, 0)
		s := lanes.New(func() time.Time { return now })
		waiting := map[byte][]lanes.Entry{} // the model: lane 0 is in no order
		out := map[uint64]byte{}
		seq := uint64(0)
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				seq++
				lane := rapid.Byte().Draw(t, "lane") % 4
				e := lanes.Entry{Seq: seq, Feed: "f", Lane: lanes.Key{lane}, Ordered: lane > 0}
				s.Add(e)
				waiting[lane] = append(waiting[lane], e)
			},
			"take": func(t *rapid.T) {
				ctx, cancel := context.WithCancel(context.Background())
				cancel() // do not wait
				got, _ := s.Take(ctx, "f", rapid.IntRange(1, 5).Draw(t, "max"))
				for _, e := range got {
					lane := e.Lane[0]
					if _, twice := out[e.Seq]; twice || e.Due.After(now) {
						t.Fatalf("got %d out twice or before it is due", e.Seq)
					}
					if lane > 0 && waiting[lane][0].Seq != e.Seq {
						t.Fatalf("got %d of lane %d, want %d first", e.Seq, lane, waiting[lane][0].Seq)
					}
					out[e.Seq] = lane
				}
			},
			"settle": func(t *rapid.T) {
				for id, lane := range out {
					delete(out, id)
					switch rapid.IntRange(0, 2).Draw(t, "verdict") {
					case 0:
						s.Remove(id)
						for i, e := range waiting[lane] {
							if e.Seq == id {
								waiting[lane] = append(waiting[lane][:i:i], waiting[lane][i+1:]...)
								break
							}
						}
					case 1:
						s.Return(id, now.Add(time.Minute), true)
					case 2:
						s.Return(id, time.Time{}, false)
					}
					return
				}
			},
			"wait": func(*rapid.T) { now = now.Add(time.Minute) },
			"": func(t *rapid.T) {
				n, oldest := 0, uint64(0)
				for _, list := range waiting {
					n += len(list)
					for _, e := range list {
						if oldest == 0 || e.Seq < oldest {
							oldest = e.Seq
						}
					}
				}
				if got := s.Oldest("f"); got != oldest {
					t.Fatalf("oldest: got %d, want %d", got, oldest)
				}
				if c := s.Count("f"); c.Waiting != n || c.Out != len(out) || s.Total() != n {
					t.Fatalf("got %+v, want %d waiting and %d out", c, n, len(out))
				}
			},
		})
	})
}

// Calls that overlap may add in another order than that of arrival.
func TestAddOutOfOrder(t *testing.T) {
	s := lanes.New(time.Now)
	for _, seq := range []uint64{1, 4, 2, 3} {
		s.Add(lanes.Entry{Seq: seq, Feed: "f", Ordered: true})
	}
	for want := uint64(1); want <= 4; want++ {
		got, err := s.Take(t.Context(), "f", 10)
		if err != nil || len(got) != 1 || got[0].Seq != want {
			t.Fatalf("got %v, %v, want %d", got, err, want)
		}
		s.Remove(want)
	}
}
