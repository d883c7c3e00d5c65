package transmitter

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/profile"
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
// has none or was removed meanwhile. An error is a failure of the store.
func (t *Transmitter) subjectFormat(ctx context.Context, owner string) (string, error) {
	now := t.cfg.Now()
	if name, ok := t.formats.get(owner, now); ok {
		return name, nil
	}
	app, err := t.cfg.Applications.Application(ctx, owner)
	if err != nil && !errors.Is(err, auth.ErrNotFound) {
		return "", err
	}
	name := app.SubjectFormat
	if form, err := profile.Parse(app.Profile); name == "" && err == nil {
		name = form.SubjectFormat
	}
	t.formats.put(owner, name, now)
	return name, nil
}
