package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tocsin-ssf/tocsin/streams/redisstore"
	"github.com/tocsin-ssf/tocsin/streams/sqlitestore"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/auth/redisauth"
	"github.com/tocsin-ssf/tocsin/transmitter/checkpoint"
	"github.com/tocsin-ssf/tocsin/transmitter/checkpoint/redischeckpoint"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/redislog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/sqlitelog"
	"github.com/tocsin-ssf/tocsin/transmitter/keys"
	"github.com/tocsin-ssf/tocsin/transmitter/keys/rediskeys"
	"github.com/tocsin-ssf/tocsin/transmitter/vault"
	"github.com/tocsin-ssf/tocsin/transmitter/vault/redisvault"
)

// ErrNoFolder: there is nothing to move.
var ErrNoFolder = errors.New("there is no data folder")

// MoveConfig says what to move to Redis.
type MoveConfig struct {
	// Dir is the data folder; no server may run on it.
	Dir string
	// Redis is where it goes.
	Redis redisdb.Config
	// Progress, if set, is told how far it has come.
	Progress func(MoveProgress)
	// Crash, if set, is called at the named points of the work (tests).
	Crash func(point string)
}

// MoveProgress says how far a step has come.
type MoveProgress struct {
	Step     string
	Done, Of uint64 // Of 0: nobody knows of how many
	Beside   string // what else has been done; empty: nothing
}

// Moved tells of a move.
type Moved struct {
	Records        uint64  `json:"records"`
	Erased         uint64  `json:"erased"`
	Root           []byte  `json:"root"` // of the tree over the records, the same in both
	Checkpoints    uint64  `json:"checkpoints"`
	SourceIDs      uint64  `json:"source_ids"`
	Administration uint64  `json:"administration"` // applications, clients, sources, webhooks, marks
	Streams        uint64  `json:"streams"`
	Subjects       uint64  `json:"subjects"`
	Items          uint64  `json:"items"` // that wait
	DeadLetters    uint64  `json:"dead_letters"`
	Resumed        bool    `json:"resumed"` // it went on from where an earlier one ended
	Seconds        float64 `json:"seconds"`
}

// mover is a move with what it has open.
type mover struct {
	cfg    MoveConfig
	mark   *moveMark
	id     string
	places map[string]string
	told   Moved
	sets   struct{ streams, of, subjects, items uint64 } // that were moved

	log     *sqlitelog.Log
	state   *sqlitestore.Store
	admin   *auth.SQLite
	keys    keys.Store
	vault   vault.Store
	heads   checkpoint.Exporter
	toLog   *redislog.Log
	toState *redisstore.Store
	toAdmin *redisauth.Backend
	toKeys  *rediskeys.Store
	toVault *redisvault.Store
	toHeads *redischeckpoint.Store
	closers []func() error
}

// Migrate moves a data folder to Redis: all of its log, streams and administration, as
// it is. Killed, it goes on from where it was when it is run again; until it is
// complete nothing serves either of the two. The folder is not changed but for a file
// that says that it was moved.
//
// Errors (by errors.Is): ErrNoFolder; sqlitedb.ErrLocked if a server runs on the
// folder; ErrOccupied if the Redis has another installation; those of Open about a
// folder that is not whole.
func Migrate(ctx context.Context, cfg MoveConfig) (_ *Moved, err error) {
	if !Exists(cfg.Dir) {
		return nil, fmt.Errorf("%w %s", ErrNoFolder, cfg.Dir)
	}
	began := time.Now()
	m := &mover{cfg: cfg}
	defer func() { err = errors.Join(err, m.close()) }()
	lock, err := sqlitedb.LockFolder(cfg.Dir)
	if err != nil {
		return nil, err
	}
	m.closers = append(m.closers, lock.Unlock)
	db, err := redisdb.Open(ctx, cfg.Redis)
	if err != nil {
		return nil, err
	}
	m.closers = append(m.closers, db.Close)
	m.mark = newMoveMark(db)
	if err := m.openSource(ctx); err != nil {
		return nil, fmt.Errorf("opening the data folder %s: %w", cfg.Dir, err)
	}
	done, err := m.begin(ctx)
	if err != nil {
		return nil, err
	}
	if err := m.openTarget(ctx, db); err != nil {
		return nil, fmt.Errorf("opening the stores in Redis: %w", err)
	}
	if err := m.moveAll(ctx, done); err != nil {
		return nil, err
	}
	m.told.Seconds = time.Since(began).Seconds()
	return &m.told, nil
}

// begin marks both ends, and reports whether all is there already, and was served since
// perhaps.
func (m *mover) begin(ctx context.Context) (done bool, err error) {
	here, err := readMove(m.cfg.Dir)
	if err != nil {
		return false, err
	}
	there, err := m.mark.read(ctx)
	if err != nil {
		return false, err
	}
	if here != nil && here.State == moveDone {
		return false, fmt.Errorf("%w on %s already", ErrMoved, here.At.Format(time.DateTime))
	}
	fresh := here == nil
	if fresh {
		here = &move{ID: rand.Text(), State: moveUnderWay, At: time.Now().UTC()}
	}
	if there.id == "" {
		if err := m.mark.vacant(ctx); err != nil {
			return false, err
		}
	}
	if fresh {
		if err := here.write(m.cfg.Dir); err != nil {
			return false, err
		}
		m.crash("migrate.marked-here")
	}
	m.id, m.places, m.told.Resumed = here.ID, there.places, there.id == here.ID
	if err := m.mark.write(ctx, m.mark.begin, m.id, m.cfg.Dir); err != nil {
		if fresh && errors.Is(err, ErrOccupied) { // nothing was begun
			err = errors.Join(err, os.Remove(filepath.Join(m.cfg.Dir, moveFile)))
		}
		return false, err
	}
	m.crash("migrate.marked-there")
	return there.state == moveDone && there.id == m.id, nil
}

// openSource opens the stores of the folder, and makes sure that they belong together.
func (m *mover) openSource(ctx context.Context) (err error) {
	path := func(file string) string { return filepath.Join(m.cfg.Dir, file) }
	if m.log, err = sqlitelog.Open(ctx, sqlitelog.Config{Path: path(logFile)}); err != nil {
		return err
	}
	m.closers = append(m.closers, m.log.Close)
	if m.state, err = sqlitestore.Open(ctx, sqlitestore.Config{Path: path(stateFile)}); err != nil {
		return err
	}
	m.closers = append(m.closers, m.state.Close)
	if m.admin, err = auth.OpenSQLite(ctx, path(adminFile)); err != nil {
		return err
	}
	m.closers = append(m.closers, m.admin.Close)
	store := auth.NewStore(m.admin)
	m.keys, m.heads, m.vault = keys.NewStore(store.DB()), checkpoint.NewStore(store.DB()), vault.NewStore(store.DB())
	if err := follows(ctx, m.log, m.state, restoreFiles); err != nil {
		return err
	}
	// That the log is the one that was signed.
	_, err = checkpoint.Open(ctx, checkpoint.Config{Store: m.heads, Log: m.log, Vault: vault.Locked()})
	return err
}

// openTarget opens the stores in Redis, the log with the identity of the folder's.
func (m *mover) openTarget(ctx context.Context, db *redisdb.DB) error {
	id, err := m.log.Identity(ctx)
	if err != nil {
		return err
	}
	if m.toLog, err = redislog.Create(ctx, redislog.Config{DB: db}, id); err != nil {
		return err
	}
	m.closers = append(m.closers, m.toLog.Close)
	if m.toState, err = redisstore.Open(ctx, redisstore.Config{DB: db}); err != nil {
		return err
	}
	m.closers = append(m.closers, m.toState.Close)
	m.toAdmin, m.toKeys, m.toHeads, m.toVault = redisauth.New(db), rediskeys.New(db), redischeckpoint.New(db), redisvault.New(db)
	return nil
}

// close closes all, last opened first.
func (m *mover) close() error {
	var errs []error
	for i := len(m.closers) - 1; i >= 0; i-- {
		errs = append(errs, m.closers[i]())
	}
	return errors.Join(errs...)
}

func (m *mover) crash(point string) {
	if m.cfg.Crash != nil {
		m.cfg.Crash(point)
	}
}

// to tells how far a step has come; of 0: nobody knows.
func (m *mover) to(step string, done, of uint64) {
	m.progress(MoveProgress{Step: step, Done: done, Of: of})
}

func (m *mover) progress(p MoveProgress) {
	if m.cfg.Progress != nil {
		m.cfg.Progress(p)
	}
}
