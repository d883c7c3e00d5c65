package sqlitedb

import "runtime"

// AwaitWaiting returns when n writes wait for their turn.
func AwaitWaiting(db *DB, n int) {
	for {
		db.commits.mu.Lock()
		got := len(db.commits.queue)
		db.commits.mu.Unlock()
		if got >= n {
			return
		}
		runtime.Gosched()
	}
}
