package backchannel

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/tocsin-ssf/tocsin/receiver"
)

// MaxRemembered bounds the actions of which it is remembered whom they have reached.
const MaxRemembered = 1024

// memory knows how far unfinished actions have come.
type memory struct {
	mu      sync.Mutex
	actions map[string]*progress
	order   []string // keys, the oldest first
}

// of returns the progress of an action, new if it is not known.
func (m *memory) of(key string) *progress {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known := m.actions[key]; known != nil {
		return known
	}
	if len(m.order) >= MaxRemembered {
		delete(m.actions, m.order[0])
		m.order = slices.Delete(m.order, 0, 1)
	}
	p := &progress{steps: map[step]error{}}
	m.actions[key] = p
	m.order = append(m.order, key)
	return p
}

func (m *memory) forget(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.actions, key)
	m.order = slices.DeleteFunc(m.order, func(k string) bool { return k == key })
}

// step is one logout token of an action: for whom, and the party's place.
type step struct {
	target Target
	party  int
}

// progress is how the steps of an action ended.
type progress struct {
	mu    sync.Mutex
	steps map[step]error
}

// finished reports whether a step succeeded, or failed for good.
func (p *progress) finished(s step) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	err, tried := p.steps[s]
	return tried && (err == nil || receiver.IsPermanent(err))
}

func (p *progress) note(s step, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.steps[s] = err
}

// verdict returns the errors of steps to be tried again; without such, those of steps
// that failed for good, as a permanent one; nil if there is none. Those that failed for
// good are then forgotten: if the action comes again, somebody has sent it again.
func (p *progress) verdict() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var again, never []error
	for _, err := range p.steps {
		switch {
		case receiver.IsPermanent(err):
			never = append(never, err)
		case err != nil:
			again = append(again, err)
		}
	}
	if len(again) > 0 {
		return some(again)
	}
	maps.DeleteFunc(p.steps, func(_ step, err error) bool { return err != nil })
	return receiver.Permanent(some(never))
}

// some joins errors, of many the first few.
func some(errs []error) error {
	const most = 5
	if more := len(errs) - most; more > 0 {
		errs = append(errs[:most:most], fmt.Errorf("and %d more", more))
	}
	return errors.Join(errs...)
}
