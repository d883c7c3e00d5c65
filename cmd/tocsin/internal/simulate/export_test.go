package simulate

// Line lets jobs that take as long come at gaps before servers, and returns how long
// they waited on average, and what the servers worked.
func Line(servers int, takes float64, jobs int, gap func() float64) (wait, used float64) {
	c := new(clock)
	s := &station{clock: c, servers: servers}
	at, sum := 0.0, 0.0
	for range jobs {
		at += gap()
		came := at
		c.after(at, func() { s.serve(takes, func() { sum += c.now - came - takes }) })
	}
	c.run()
	return sum / float64(jobs), s.used
}

// Batches lets n items come at gaps, and returns the sizes of the batches.
func Batches(takes float64, most int, gap float64, n int) (sizes []int) {
	c := new(clock)
	b := &batcher[int]{most: most, work: func(items []int, done func()) {
		sizes = append(sizes, len(items))
		c.after(takes, done)
	}}
	for i := range n {
		c.after(float64(i)*gap, func() { b.add(i) })
	}
	c.run()
	return sizes
}

// Walked returns how busy nodes and the log's server were on a walk.
func Walked(c *Costs, s Scenario) (node, redis float64) {
	w := walk(c, s, s.Rate)
	for _, n := range w.nodes {
		node += n.used
	}
	took := float64(w.events) / s.Rate // on average
	return node / took / float64(s.Nodes*s.Cores), w.servers[0].used / took
}

// SlotOf is the slot of a hash tag.
var SlotOf = slotOf
