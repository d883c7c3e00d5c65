package sqliteindex

import (
	"math"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// The lists of one filter lead a search: the walk goes through them and tries
// the other filters on each event. Whichever lead, the walk ends at the same
// event; so the best are those with the fewest events in the time that comes
// next. How many they have in all says little: of two long lists one may well
// be a hundred times as long as the other.

const (
	// probed is about how many events of a filter's lists are looked at to
	// tell how close they stand, of at most mostProbed lists.
	probed      = 256
	leastProbed = 16
	mostProbed  = 16
	// few is what needs no comparison.
	few = 32
	// reconsider is after how many events the walk asks first whether other
	// lists have become the better ones; it asks again after four times as many.
	reconsider = 1024
)

const (
	probeNewest = "SELECT count(*), coalesce(max(at), 0), coalesce(min(at), 0) FROM" +
		" (SELECT at FROM posting WHERE key = ? AND (at, seq) < (?, ?) AND at > ? ORDER BY at DESC, seq DESC LIMIT ?)"
	probeOldest = "SELECT count(*), coalesce(min(at), 0), coalesce(max(at), 0) FROM" +
		" (SELECT at FROM posting WHERE key = ? AND (at, seq) > (?, ?) AND at < ? ORDER BY at, seq LIMIT ?)"
)

// sight is what was seen of a list from a place on.
type sight struct {
	n           int
	first, last int64 // times of the n events
	all         bool  // there are no more
}

// leaders returns the filters whose lists may lead.
func (f *filters) leaders() []group {
	var some []group
	for _, g := range f.groups {
		if g.lists && len(g.any) <= maxLists {
			some = append(some, g)
		}
	}
	return some
}

// best returns which of groups, of which there is one, should lead from a place on.
func (w *walk) best(groups []group, from eventlog.Hit) (int, error) {
	if len(groups) == 1 {
		return 0, nil
	}
	seen := make([][]sight, len(groups))
	for i, g := range groups {
		var err error
		if seen[i], err = w.look(g.any, from); err != nil {
			return 0, err
		}
		if n, all := amount(seen[i]); all && n < few && len(seen[i]) == len(g.any) {
			return i, nil
		}
	}
	begin, end := from.Millis, w.bound()
	if begin == math.MaxInt64 { // the newest there are
		begin = math.MinInt64
		for _, list := range seen {
			for _, s := range list {
				if s.n > 0 {
					begin = max(begin, s.first)
				}
			}
		}
	}
	least, best := math.Inf(1), 0
	for i, list := range seen {
		if d := density(list, begin, end) * float64(len(groups[i].any)) / float64(len(list)); d < least {
			least, best = d, i
		}
	}
	return best, nil
}

// look looks at lists from a place on: at all, or at some that stand for all.
func (w *walk) look(lists []term, from eventlog.Hit) ([]sight, error) {
	sql := probeNewest
	if w.reverse {
		sql = probeOldest
	}
	count := min(len(lists), mostProbed)
	limit := max(probed/count, leastProbed)
	seen := make([]sight, count)
	for i := range seen {
		s := &seen[i]
		key := int64(lists[i*len(lists)/count])
		err := w.view.QueryRow(sql, key, from.Millis, int64(from.Seq), w.bound(), limit).Scan(&s.n, &s.first, &s.last)
		if err != nil {
			return nil, err
		}
		s.all = s.n < limit
	}
	return seen, nil
}

// amount is how many events were seen, and whether these are all.
func amount(seen []sight) (n int, all bool) {
	all = true
	for _, s := range seen {
		n += s.n
		all = all && s.all
	}
	return n, all
}

// density is how many events a millisecond has, by what was seen from a time
// on, on the way to another.
func density(seen []sight, begin, end int64) float64 {
	sum := 0.0
	for _, s := range seen {
		to := s.last
		if s.all {
			to = end
		}
		sum += float64(s.n) / (math.Abs(float64(begin)-float64(to)) + 1)
	}
	return sum
}
