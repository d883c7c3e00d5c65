package bench

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
	"github.com/tocsin-ssf/tocsin/transmitter/mapping"
)

// What tests see of the inside.
var (
	Percentile = percentile
	SentAt     = sentAt
)

// Line is what calls of two sizes tell of a call and of an item.
var Line = line

// Spent is what a Redis did.
type Spent struct{ CPU, Reads, Scripts, In, Out, Memory float64 }

// ParseSpent reads the answer of INFO.
func ParseSpent(info string) (Spent, error) {
	s, err := parseSpent(info)
	return Spent{s.cpu, s.reads, s.scripts, s.in, s.out, s.memory}, err
}

// MapRecord maps the record of a vendor that is measured.
func MapRecord(format string) (mapping.Record, error) {
	_, one, err := recordOf(format)
	if err != nil {
		return mapping.Record{}, err
	}
	return one()
}

// Judge judges rounds by a bound.
func Judge(atLeast bool, target float64, rounds []Round) Result {
	w := workload{name: "w"}
	if atLeast {
		return w.atLeast(target, "u", rounds)
	}
	return w.atMost(target, "u", rounds)
}

// Event is a load's next event with a subject of its own.
func Event(eventType string) []byte { return newLoad().body(sendCall{Type: eventType, Batch: 1}) }

// CPU is what a process has used.
func CPU(pid int) (time.Duration, error) { return cpuOf(pid) }

// RawAppend has writers append rows to a raw log, and returns its size.
func RawAppend(t *testing.T, writers, rows int, row string) int {
	t.Helper()
	l, err := newRawLog(filepath.Join(t.TempDir(), "raw"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rate(appendCall{Writers: writers, Records: rows}, func(int) error { return l.append([]byte(row)) }); err != nil {
		t.Error(err)
	}
	written, err := os.ReadFile(l.file.Name())
	if err != nil {
		t.Error(err)
	}
	if err := l.close(); err != nil {
		t.Error(err)
	}
	if strings.Repeat(row, len(written)/len(row)) != string(written) {
		t.Error("got rows that are not whole")
	}
	return len(written)
}

// Chosen are the names of the workloads that run.
func Chosen(cfg Config) []string {
	var names []string
	for _, w := range choose(cfg) {
		names = append(names, w.name)
	}
	return names
}

// Counts say how often what searches look for comes.
type Counts struct {
	Busy     map[string]int // events by busy account
	Networks map[string]int // by network and type
	Types    int
	Last     time.Time
}

// Counted counts synthetic events.
func Counted(n int, end time.Time) Counts {
	s := newSynthetic(n, end)
	c := Counts{Busy: map[string]int{}, Networks: map[string]int{}}
	types := map[string]bool{}
	for i := range s.busy() {
		c.Busy[busyAccount(i)] = 0
	}
	for i := range s.networks() {
		for _, typ := range eventTypes() {
			c.Networks[network(i).String()+" "+typ] = 0
		}
	}
	for i := range n {
		e := s.event("", i)
		if _, busy := c.Busy[e.Attributes.Identifier]; busy {
			c.Busy[e.Attributes.Identifier]++
		}
		p, _ := e.Attributes.Address.Prefix(16)
		c.Networks[p.String()+" "+e.Type]++
		types[e.Type], c.Last = true, e.Time
	}
	c.Types = len(types)
	return c
}

// Lose takes an event out of one list of the index in a folder, and another
// out of all, and returns how many rows it took.
func Lose(t *testing.T, dir string) int64 {
	t.Helper()
	db, err := openPlain(t.Context(), filepath.Join(dir, "index.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var lost int64
	err = db.Write(t.Context(), func(tx *sqlitedb.Tx) error {
		for _, sql := range []string{"DELETE FROM mention WHERE seq = 7", "DELETE FROM event WHERE seq = 8"} {
			r, err := tx.Exec(sql)
			if err != nil {
				return err
			}
			lost += r.Changes
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lost
}

// Gate checks n revoked users at a gate, and returns how many were refused.
func Gate(t *testing.T, n int) (refused int) {
	gate, claims, err := revokedUsers(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range claims {
		if gate.Claims(c) == sessions.Revoked {
			refused++
		}
	}
	return refused
}

// CloseRound is a round of n SETs that close a gate.
func CloseRound(t *testing.T, n int) Round {
	from, err := newTransmitter(t.Context(), jose.RS256)
	if err != nil {
		t.Fatal(err)
	}
	defer from.close()
	b := &bench{dir: t.TempDir()}
	if b.floor, err = newFloor(b.dir); err != nil {
		t.Fatal(err)
	}
	c, err := b.closing(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	r, err := b.closeRound(t.Context(), c, from, n)
	if err = errors.Join(err, c.close(), b.floor.close()); err != nil {
		t.Fatal(err)
	}
	return r
}
