package edge

// Known is how many keys are remembered.
func (r *Rates[K]) Known() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.young) + len(r.old)
}
