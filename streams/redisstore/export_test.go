package redisstore

// Abandon ends what the store runs, as a kill of its process does: nothing is saved.
func (s *Store) Abandon() {
	s.activity.stop()
	s.mu.Lock()
	s.closed = true
	close(s.closing)
	s.mu.Unlock()
	s.background.Wait()
}
