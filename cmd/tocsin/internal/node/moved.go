package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/wholefile"
)

// moveFile says in a data folder that it is moved to Redis, or was.
const moveFile = "migration.json"

// States of a move.
const (
	moveUnderWay = "under way"
	moveDone     = "done"
)

// ErrMoved: what is in the folder goes on in Redis.
var ErrMoved = errors.New("the folder was moved to Redis")

// move is what moveFile has.
type move struct {
	ID    string    `json:"id"`
	State string    `json:"state"`
	At    time.Time `json:"at"` // of the state
}

// readMove returns what a folder says of its move; nil: it was not moved.
func readMove(dir string) (*move, error) {
	raw, err := os.ReadFile(filepath.Join(dir, moveFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	m := new(move)
	if json.Unmarshal(raw, m) != nil || m.ID == "" || m.State != moveUnderWay && m.State != moveDone {
		return nil, fmt.Errorf("%s cannot be read", filepath.Join(dir, moveFile))
	}
	return m, nil
}

// write makes the folder say so, durably.
func (m *move) write(dir string) error {
	raw, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return wholefile.Replace(filepath.Join(dir, moveFile), append(raw, '\n'), 0o600)
}

// stays refuses a folder that is moved, or was: one log must not go on in two places.
// back takes it back.
func (n *Node) stays(back bool) error {
	m, err := readMove(n.dir)
	if m == nil || err != nil {
		return err
	}
	if back {
		for _, file := range []string{nameFile, seenFile, moveFile} { // a node may have had the folder
			if err := os.Remove(n.path(file)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		return wholefile.Sync(n.dir)
	}
	if m.State == moveDone {
		return fmt.Errorf("%w on %s, and goes on there: use --redis; what is here is the state of that time, and a log that goes on in two places is two logs (tocsin serve --take-back goes on here nevertheless, without what happened since)",
			ErrMoved, m.At.Format(time.DateTime))
	}
	return fmt.Errorf("%w in part: run tocsin migrate again, which goes on from where it ended (tocsin serve --take-back gives the move up)", ErrMoved)
}

// arrived refuses a folder with stores of its own, unless they were moved to the Redis
// of the mark.
func (n *Node) arrived(ctx context.Context, mark *moveMark) error {
	if err := mark.usable(ctx); err != nil {
		return err
	}
	if _, err := os.Stat(n.path(logFile)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	m, err := readMove(n.dir)
	switch {
	case err != nil:
		return err
	case m == nil || m.State != moveDone:
		return errors.New("it has stores of its own, which would not be used; give another folder with --data, or bring them to Redis: tocsin migrate --help")
	}
	there, err := mark.read(ctx)
	if err == nil && there.id != m.ID {
		err = errors.New("its stores were moved to another Redis, or under another --redis-prefix; give another folder with --data")
	}
	return err
}
