package storetest

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
)

// place orders items: control by arrival, then what was resent, then events.
func place(a, b *memoryItem) int {
	rank := func(it *memoryItem) int {
		switch {
		case it.Lane == streams.LaneControl:
			return 0
		case it.Resent:
			return 1
		}
		return 2
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.arrival, b.arrival),
		cmp.Compare(a.Pos.Seq, b.Pos.Seq), cmp.Compare(a.Pos.N, b.Pos.N))
}

// insert puts an item in its place.
func (s *memoryStream) insert(it *memoryItem) {
	it.Stream = s.ID
	s.items = append(s.items, it)
	slices.SortStableFunc(s.items, place)
	s.cause = true
}

// item returns the item with the jti and its index; nil if there is none.
func (s *memoryStream) item(jti string) (*memoryItem, int) {
	i := slices.IndexFunc(s.items, func(it *memoryItem) bool { return it.ID == jti })
	if i < 0 {
		return nil, i
	}
	return s.items[i], i
}

// putControl puts an item of the control lane; false if its jti is known.
func (s *memoryStream) putControl(in streams.Item) bool {
	known, _ := s.item(in.ID)
	if known != nil || slices.ContainsFunc(s.letters, func(l streams.DeadLetter) bool { return l.ID == in.ID }) {
		return false
	}
	s.arrivals++
	in.Attempts, in.Resent, in.Pos = 0, false, streams.Position{}
	s.insert(&memoryItem{Item: in, arrival: s.arrivals})
	return true
}

// Put implements [streams.Queue].
func (m *Memory) Put(ctx context.Context, items ...streams.Item) (streams.PutReport, error) {
	defer m.lock()()
	return m.put(ctx, items)
}

func (m *Memory) put(ctx context.Context, items []streams.Item) (streams.PutReport, error) {
	report := streams.PutReport{Full: make(map[string]int)}
	if err := ctx.Err(); err != nil {
		return streams.PutReport{}, err
	}
	for _, in := range items {
		s := m.streams[in.Stream]
		switch {
		case s == nil || s.Status == streams.Disabled:
			report.Gone++
		case in.Lane == streams.LaneControl:
			if s.putControl(in) {
				report.Kept++
			} else {
				report.Seen++
			}
		case in.Epoch != s.Epoch:
			report.Gone++
		case !s.place(&in):
			report.Seen++
		case s.events()+len(s.letters) >= m.maxDepth:
			report.Full[s.ID]++
		default:
			in.Attempts, in.Resent = 0, false
			s.insert(&memoryItem{Item: in})
			report.Kept++
		}
	}
	return report, nil
}

// place raises the highest position to the item's and numbers an item with a
// Ref; false if the item is not behind all that was put.
func (s *memoryStream) place(it *streams.Item) bool {
	if it.Ref.IsZero() {
		if !s.high.Before(it.Pos) {
			return false
		}
	} else {
		if it.Pos.Seq < s.high.Seq || it.Pos.Seq == s.high.Seq && !s.highRef.Before(it.Ref) {
			return false
		}
		it.Pos.N = 0
		if it.Pos.Seq == s.high.Seq {
			it.Pos.N = s.high.N + 1
		}
	}
	s.high, s.highRef = it.Pos, it.Ref
	return true
}

// events counts what the bound counts.
func (s *memoryStream) events() int {
	n := 0
	for _, it := range s.items {
		if it.Lane == streams.LaneEvents {
			n++
		}
	}
	return n
}

// free returns up to max items that can be handed out.
func (s *memoryStream) free(max int) []*memoryItem {
	var list []*memoryItem
	out := make(map[string]bool)
	for _, it := range s.items {
		switch {
		case !it.until.IsZero():
			if it.OrderKey != "" {
				out[it.OrderKey] = true
			}
		case out[it.OrderKey] || s.Status != streams.Enabled && !isUpdated(it) || len(list) >= max:
		default:
			list = append(list, it)
		}
	}
	return list
}

// Take implements [streams.Queue].
func (m *Memory) Take(ctx context.Context, id string, opts streams.TakeOptions) ([]streams.Item, error) {
	return m.take(ctx, id, opts, nil)
}

// take takes for the holder of a partition, or, with nil, for a poll.
func (m *Memory) take(ctx context.Context, id string, opts streams.TakeOptions, by *memoryPartition) ([]streams.Item, error) {
	for {
		m.mu.Lock()
		m.tick()
		s, err := m.find(id)
		if by != nil && by.check(id) != nil {
			err = streams.ErrNotHeld
		}
		if err != nil {
			m.mu.Unlock()
			return nil, err
		}
		if list := s.free(opts.Max); len(list) > 0 || !opts.Wait {
			defer m.mu.Unlock()
			var items []streams.Item
			for _, it := range list {
				it.until, it.worker = time.Now().Add(opts.Lease), by != nil
				items = append(items, it.Item)
			}
			return items, nil
		}
		if err := m.wait(ctx); err != nil {
			return nil, err
		}
	}
}

// Settle implements [streams.Queue].
func (m *Memory) Settle(_ context.Context, id string, outcomes []streams.Outcome, health *streams.Health) ([]streams.Item, error) {
	defer m.lock()()
	return m.settle(id, outcomes, health)
}

func (m *Memory) settle(id string, outcomes []streams.Outcome, health *streams.Health) ([]streams.Item, error) {
	s, err := m.find(id)
	if err != nil {
		return nil, err
	}
	var items []streams.Item
	for _, o := range outcomes {
		it, i := s.item(o.ID)
		if it == nil {
			if l, err := s.letter(o.ID); err == nil && o.Verdict == streams.Delivered {
				s.letters = slices.Delete(s.letters, l, l+1)
			}
			continue
		}
		it.until = time.Time{}
		if o.Verdict == streams.Failed || o.Verdict == streams.Refused {
			it.Attempts++
		}
		switch {
		case o.Verdict == streams.Failed && o.After > 0:
			it.until = time.Now().Add(o.After)
		case o.Verdict == streams.Refused:
			s.bury(it, o.Code, o.Description)
		case o.Verdict == streams.Delivered:
			s.items = slices.Delete(s.items, i, i+1)
		}
		items = append(items, it.Item)
	}
	s.cause = true
	if health != nil {
		s.health = *health
		s.backingOff = health.NextDue.After(time.Now())
	}
	return items, nil
}

// bury makes a dead letter of an item.
func (s *memoryStream) bury(it *memoryItem, code, text string) {
	s.items = slices.DeleteFunc(s.items, func(o *memoryItem) bool { return o == it })
	s.letters = append(s.letters, streams.DeadLetter{Item: it.Item, Code: code, Description: text, At: time.Now()})
}

// Extend implements [streams.Queue].
func (m *Memory) Extend(_ context.Context, id string, ids []string, lease time.Duration) error {
	defer m.lock()()
	s, err := m.find(id)
	if err != nil {
		return err
	}
	for _, jti := range ids {
		if it, _ := s.item(jti); it != nil && !it.until.IsZero() {
			it.until = time.Now().Add(lease)
		}
	}
	return nil
}

// More implements [streams.Queue].
func (m *Memory) More(_ context.Context, id string) (bool, error) {
	defer m.lock()()
	s, err := m.find(id)
	if err != nil {
		return false, err
	}
	return len(s.free(1)) > 0, nil
}

// Ready implements [streams.Queue].
func (m *Memory) Ready(ctx context.Context, max int) ([]string, error) {
	return m.ready(ctx, max, func(string) bool { return true })
}

// ready is Ready for some of the streams.
func (m *Memory) ready(ctx context.Context, max int, of func(stream string) bool) ([]string, error) {
	for {
		m.mu.Lock()
		m.tick()
		var ids []string
		for _, s := range m.order {
			if of(s.ID) && len(ids) < max && s.cause && s.push() && !s.backingOff && len(s.free(1)) > 0 {
				s.cause = false
				ids = append(ids, s.ID)
			}
		}
		if len(ids) > 0 {
			m.mu.Unlock()
			return ids, nil
		}
		if err := m.wait(ctx); err != nil {
			return nil, err
		}
	}
}

// Health implements [streams.Queue].
func (m *Memory) Health(_ context.Context, id string) (streams.Health, error) {
	defer m.lock()()
	s, err := m.find(id)
	if err != nil {
		return streams.Health{}, err
	}
	return s.health, nil
}

// Depth implements [streams.Queue].
func (m *Memory) Depth(_ context.Context, id string) (streams.Depth, error) {
	defer m.lock()()
	s, err := m.find(id)
	if err != nil {
		return streams.Depth{}, err
	}
	return s.depth(), nil
}

func (s *memoryStream) depth() streams.Depth {
	d := streams.Depth{Items: len(s.items), Dead: len(s.letters)}
	for _, it := range s.items {
		if !it.until.IsZero() {
			d.Leased++
		}
		if d.Oldest.IsZero() || it.Added.Before(d.Oldest) {
			d.Oldest = it.Added
		}
	}
	return d
}

// Depths implements [streams.Queue].
func (m *Memory) Depths(_ context.Context, max int) (streams.Depth, map[string]streams.Depth, error) {
	defer m.lock()()
	var total streams.Depth
	all := make(map[string]streams.Depth)
	var ids []string
	for _, s := range m.order {
		d := s.depth()
		total.Items += d.Items
		total.Leased += d.Leased
		total.Dead += d.Dead
		if d.Items == 0 {
			continue
		}
		if total.Oldest.IsZero() || d.Oldest.Before(total.Oldest) {
			total.Oldest = d.Oldest
		}
		all[s.ID] = d
		ids = append(ids, s.ID)
	}
	slices.SortFunc(ids, func(a, b string) int { return all[b].Items - all[a].Items })
	for _, id := range ids[min(max, len(ids)):] {
		delete(all, id)
	}
	return total, all, nil
}

// Purge implements [streams.Queue].
func (m *Memory) Purge(_ context.Context, id string) (int, error) {
	defer m.lock()()
	s, err := m.find(id)
	if err != nil {
		return 0, err
	}
	n := len(s.items)
	s.items = nil
	return n, nil
}

// Expire implements [streams.Queue].
func (m *Memory) Expire(_ context.Context, before time.Time, max int) (map[string]int, error) {
	defer m.lock()()
	expired := make(map[string]int)
	for _, s := range m.order {
		for _, it := range slices.Clone(s.items) {
			if it.until.IsZero() && it.Added.Before(before) && max > 0 {
				s.bury(it, "expired", "")
				expired[s.ID]++
				max--
			}
		}
	}
	return expired, nil
}

// DeadLetters implements [streams.DeadLetters].
func (m *Memory) DeadLetters(_ context.Context, id, after string, max int) ([]streams.DeadLetter, string, error) {
	defer m.lock()()
	s, err := m.find(id)
	if err != nil {
		return nil, "", err
	}
	from := 0
	if after != "" {
		if from, err = strconv.Atoi(after); err != nil || from < 0 {
			return nil, "", errors.New("storetest: malformed place")
		}
	}
	from = min(from, len(s.letters))
	page := slices.Clone(s.letters[from:min(from+max, len(s.letters))])
	if from+len(page) == len(s.letters) {
		return page, "", nil
	}
	return page, strconv.Itoa(from + len(page)), nil
}

// letter returns the index of a dead letter.
func (s *memoryStream) letter(jti string) (int, error) {
	i := slices.IndexFunc(s.letters, func(l streams.DeadLetter) bool { return l.ID == jti })
	if i < 0 {
		return i, streams.ErrNotFound
	}
	return i, nil
}

// Resend implements [streams.DeadLetters].
func (m *Memory) Resend(_ context.Context, id, jti string) error {
	defer m.lock()()
	s, err := m.find(id)
	if err != nil {
		return err
	}
	i, err := s.letter(jti)
	if err != nil {
		return err
	}
	it := &memoryItem{Item: s.letters[i].Item}
	it.Resent, it.OrderKey, it.Added, it.Epoch = true, "", time.Now(), s.Epoch
	if it.Lane == streams.LaneControl {
		s.arrivals++
		it.arrival = s.arrivals
	}
	s.letters = slices.Delete(s.letters, i, i+1)
	s.insert(it)
	return nil
}

// Drop implements [streams.DeadLetters].
func (m *Memory) Drop(_ context.Context, id, jti string) error {
	defer m.lock()()
	s, err := m.find(id)
	if err != nil {
		return err
	}
	i, err := s.letter(jti)
	if err != nil {
		return err
	}
	s.letters = slices.Delete(s.letters, i, i+1)
	return nil
}
