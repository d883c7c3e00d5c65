package redisinbox

import "time"

// woken returns a channel that is closed when something may be due that was not.
func (f *feed) woken() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.wake
}

// wakeUp lets those that wait in Take look.
func (f *feed) wakeUp() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ring()
}

func (f *feed) ring() {
	close(f.wake)
	f.wake = make(chan struct{})
}

// hear is told of what a process brought: the digest of a feed, or nothing, if it may be
// any.
func (b *Inbox) hear(digest string) {
	b.mu.Lock()
	var feeds []*feed
	for _, f := range b.feeds {
		if digest == "" || digest == f.digest {
			feeds = append(feeds, f)
		}
	}
	b.mu.Unlock()
	for _, f := range feeds {
		f.hear()
	}
}

// hear lets those that wait look at once, or, where another process was listened to a
// moment ago, a moment later: of many wake-ups in a row few are answered.
func (f *feed) hear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.late {
		return
	}
	wait := wakeDelay - time.Since(f.heard)
	if wait <= 0 {
		f.heard = time.Now()
		f.ring()
		return
	}
	f.late = true
	time.AfterFunc(wait, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.late, f.heard = false, time.Now()
		f.ring()
	})
}
