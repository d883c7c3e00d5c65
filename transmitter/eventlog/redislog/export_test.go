package redislog

import "time"

// Waiting says whether somebody waits who has asked the server after a time.
func Waiting(l *Log, since time.Time) bool {
	l.looks.mu.Lock()
	looking := l.looks.running != nil
	l.looks.mu.Unlock()
	l.place.mu.Lock()
	defer l.place.mu.Unlock()
	return !looking && l.place.grown != nil && l.place.looked.After(since)
}
