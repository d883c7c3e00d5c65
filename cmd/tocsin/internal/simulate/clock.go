package simulate

import "container/heap"

// clock runs what is to happen in order of time, and what is to happen at the same
// time in the order in which it was asked for.
type clock struct {
	now  float64 // seconds
	seq  int
	list agenda
}

type entry struct {
	at  float64
	seq int
	do  func()
}

type agenda []entry

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return a[i].at < a[j].at || a[i].at == a[j].at && a[i].seq < a[j].seq
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)   { *a = append(*a, x.(entry)) }
func (a *agenda) Pop() any {
	old := *a
	last := old[len(old)-1]
	*a = old[:len(old)-1]
	return last
}

// after does something in d seconds.
func (c *clock) after(d float64, do func()) {
	c.seq++
	heap.Push(&c.list, entry{c.now + d, c.seq, do})
}

// run runs until nothing is left to happen.
func (c *clock) run() {
	for len(c.list) > 0 {
		e := heap.Pop(&c.list).(entry)
		c.now = e.at
		e.do()
	}
}

// station is servers with one line before them: the cores of a node, or a Redis server.
type station struct {
	clock   *clock
	servers int
	busy    int
	waiting []job
	used    float64 // seconds of all servers
}

type job struct {
	takes float64
	done  func()
}

// serve does a job in its turn, then done.
func (s *station) serve(takes float64, done func()) {
	s.waiting = append(s.waiting, job{takes, done})
	s.next()
}

func (s *station) next() {
	for s.busy < s.servers && len(s.waiting) > 0 {
		j := s.waiting[0]
		s.waiting = s.waiting[1:]
		s.busy++
		s.used += j.takes
		s.clock.after(j.takes, func() {
			s.busy--
			j.done()
			s.next()
		})
	}
}

// batcher does work for many at a time: who comes while it is under way shares the next.
type batcher[T any] struct {
	most    int
	work    func(items []T, done func())
	waiting []T
	running bool
}

func (b *batcher[T]) add(items ...T) {
	b.waiting = append(b.waiting, items...)
	b.next()
}

func (b *batcher[T]) next() {
	if b.running || len(b.waiting) == 0 {
		return
	}
	items := b.waiting[:min(len(b.waiting), b.most)]
	b.waiting = b.waiting[len(items):]
	b.running = true
	b.work(items, func() {
		b.running = false
		b.next()
	})
}
