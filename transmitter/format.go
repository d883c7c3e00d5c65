package transmitter

import (
	"context"
	"sync"
	"time"
)

const (
	// formatAge is how late a change of an application's preferred format counts.
	formatAge = time.Second
	// maxFormats bounds the applications whose format is remembered.
	maxFormats = 4096
)

// formats remembers for a moment which subject format an application prefers:
// an event for very many streams asks for each of them.
type formats struct {
	mu    sync.Mutex
	known map[string]format
}

type format struct {
	name string
	read time.Time
}

func (f *formats) get(owner string, now time.Time) (string, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	known, ok := f.known[owner]
	age := now.Sub(known.read)
	return known.name, ok && age >= 0 && age < formatAge
}

func (f *formats) put(owner, name string, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.known[owner]; f.known == nil || !ok && len(f.known) >= maxFormats {
		f.known = make(map[string]format)
	}
	f.known[owner] = format{name, now}
}

// subjectFormat returns the subject format an application prefers, "" if it
// has none or it cannot be told.
func (t *Transmitter) subjectFormat(ctx context.Context, owner string) string {
	now := t.cfg.Now()
	if name, ok := t.formats.get(owner, now); ok {
		return name
	}
	app, err := t.cfg.Applications.Application(ctx, owner)
	if err != nil {
		return ""
	}
	t.formats.put(owner, app.SubjectFormat, now)
	return app.SubjectFormat
}
