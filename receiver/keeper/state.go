package keeper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	jsonv2 "github.com/go-json-experiment/json"

	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/streams"
)

// maxStateBytes bounds a state file that is read.
const maxStateBytes = 64 << 10

// state is what is kept of a stream across restarts. It holds no secret.
type state struct {
	Issuer   string `json:"issuer"`
	StreamID string `json:"stream_id,omitempty"`
	// Verdict is the last status that the transmitter decided by itself; nil if it is
	// of no force any more.
	Verdict *verdict `json:"verdict,omitempty"`
	// Before are the streams that there were when one was about to be created; nil if
	// none is. What is there besides is the one whose answer was lost.
	Before *[]string `json:"before,omitempty"`
	// Resumed is when a pause was last lifted.
	Resumed time.Time `json:"resumed,omitzero"`
	// View is what the process saw that kept the stream last; nil where one is alone.
	View *view `json:"view,omitempty"`
}

// verdict is a status that the transmitter decided.
type verdict struct {
	Status streams.Status `json:"status"`
	Reason string         `json:"reason,omitempty"`
	At     time.Time      `json:"at"`            // of the event
	Told   time.Time      `json:"told,omitzero"` // when it came
	// Lifted: it has been asked to lift it, once.
	Lifted bool `json:"lifted,omitempty"`
}

// keptState keeps a state, durably before it is in force.
type keptState interface {
	get() state
	// read makes what is kept what get returns. After an error the state is as it was.
	read(ctx context.Context) error
	// change lets fn change the state and keeps it if it did. fn may be called again,
	// with a newer state. After an error the state is as it was, or as it was read.
	change(ctx context.Context, fn func(*state)) error
}

// stateFile is a state in a file.
type stateFile struct {
	path string
	mu   sync.Mutex
	now  state
}

// openState reads the file at path, if there is one.
func openState(path, issuer string) (*stateFile, error) {
	f := &stateFile{path: path, now: state{Issuer: issuer}}
	return f, f.read(context.Background())
}

func (f *stateFile) read(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	file, err := os.Open(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("keeper: Config.State: %w", err)
	}
	defer func() { _ = file.Close() }()
	var s state
	raw, err := guard.ReadBody(file, maxStateBytes)
	if err == nil {
		err = jsonv2.Unmarshal(raw, &s)
	}
	if err != nil {
		return fmt.Errorf("keeper: Config.State: %s: %w", f.path, err)
	}
	if s.Issuer != f.now.Issuer {
		return fmt.Errorf("keeper: Config.State: %s is of issuer %.200q, not of %.200q: name another file", f.path, s.Issuer, f.now.Issuer)
	}
	f.now = s
	return nil
}

func (f *stateFile) get() state {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

func (f *stateFile) change(_ context.Context, fn func(*state)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	next := f.now
	fn(&next)
	if next == f.now {
		return nil
	}
	if err := write(f.path, next); err != nil {
		return fmt.Errorf("keeper: Config.State: %w", err)
	}
	f.now = next
	return nil
}

// write replaces the file as a whole: after a power cut it is the old one or the new.
func write(path string, s state) error {
	raw, err := json.MarshalIndent(s, "", "\t")
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(dir, filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = file.Write(append(raw, '\n'))
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
