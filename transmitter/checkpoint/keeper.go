package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/vault"
)

// DefaultEvery is what a Config's zero value stands for.
const DefaultEvery = time.Second

// turns is how often a head is signed anew because others signed meanwhile.
const turns = 20

// lastTime bounds the signature at the end.
const lastTime = 5 * time.Second

// Errors of a log that is not the one that was signed.
var (
	// ErrOldLog: the log ends before a signed checkpoint.
	ErrOldLog = errors.New("the log ends before a checkpoint that was signed")
	// ErrOtherLog: the log has other records than a signed checkpoint.
	ErrOtherLog = errors.New("the log is not the one that a checkpoint was signed of")
	// ErrWitness: a cosignature is of no configured witness, or of a
	// checkpoint that is not ours.
	ErrWitness = errors.New("checkpoint: no cosignature of a configured witness on a checkpoint of this log")
)

// What ends the errors of Open: of a folder, and of a store that shares a server with the log.
const (
	restoreFiles  = "restore the log.db that belongs to this admin.db, or a later one; " + secondHistory
	restoreServer = "give the server back what it had when that was signed, or later; " + secondHistory
	secondHistory = "new records on this one would be a second history beside one that others may hold signed"
)

// Log is what is signed.
type Log interface {
	eventlog.Prover
	Wait(ctx context.Context, after uint64) error
}

// Config says what to sign. Store and Log are required.
type Config struct {
	Store Store
	Log   Log
	// Vault encrypts the key where it is stored; nil: it is in clear. What is in clear
	// already is encrypted by Open. With a locked one nothing is signed.
	Vault *vault.Vault
	// Origin of the log; "": the one signed under last, and if there was none
	// nothing is signed.
	Origin string
	// Witnesses are the verifier keys of witnesses whose cosignatures are
	// accepted.
	Witnesses []string
	// Seen is the path of a file in which the last checkpoint is kept too, for a
	// store that may lose what it had with the log: what is there must be in the
	// log. "": in none.
	Seen string
	// Every is how often a growing log is signed; 0: 1 s.
	Every time.Duration
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Logger is told of failures; nil: slog.Default.
	Logger *slog.Logger
}

// Keeper signs the heads of one log. Safe for concurrent use.
type Keeper struct {
	cfg       Config
	key       Key
	origin    string
	witnesses []note.Verifier

	mu         sync.Mutex // held while one is signed
	last       *Checkpoint
	remembered eventlog.Tree // in the file
}

// Open returns the keeper of a log, after it has made sure that the log still
// is the one that was signed last. It starts nothing.
//
// Errors (by errors.Is): ErrOldLog, ErrOtherLog; ErrKey of a witness.
func Open(ctx context.Context, cfg Config) (*Keeper, error) {
	if cfg.Store == nil || cfg.Log == nil || cfg.Every < 0 {
		return nil, errors.New("checkpoint: Config.Store and Config.Log are required, Config.Every is not negative")
	}
	if cfg.Every == 0 {
		cfg.Every = DefaultEvery
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	k := &Keeper{cfg: cfg, origin: cfg.Origin}
	for _, text := range cfg.Witnesses {
		v, err := witness(text)
		if err != nil {
			return nil, err
		}
		k.witnesses = append(k.witnesses, v)
	}
	key, origin, err := openKey(ctx, &cfg)
	if err != nil {
		return nil, err
	}
	k.key = key
	if k.origin == "" {
		k.origin = origin
	} else if origin != "" && origin != k.origin {
		cfg.Logger.WarnContext(ctx, "the log's checkpoints have another origin from now on; whoever verifies them needs the new key", "before", origin, "now", k.origin)
	}
	last, err := cfg.Store.Last(ctx)
	if err != nil && !errors.Is(err, ErrNone) {
		return nil, err
	}
	if err == nil {
		if err := k.follows(ctx, last); err != nil {
			return nil, fmt.Errorf("%w; %s", err, k.whatToDo())
		}
		k.last = &last
	}
	if err := k.seen(ctx); err != nil {
		return nil, err
	}
	return k, nil
}

func (k *Keeper) whatToDo() string {
	if k.cfg.Seen != "" {
		return restoreServer
	}
	return restoreFiles
}

// follows reports whether the log goes on from a checkpoint.
func (k *Keeper) follows(ctx context.Context, c Checkpoint) error {
	now, err := k.cfg.Log.Tree(ctx)
	if err != nil {
		return err
	}
	if now.Size < c.Size {
		return fmt.Errorf("%w: it has %d records and %d were signed", ErrOldLog, now.Size, c.Size)
	}
	then, err := eventlog.TreeAt(ctx, k.cfg.Log, c.Size)
	if errors.Is(err, eventlog.ErrProof) {
		return fmt.Errorf("%w: %w", ErrOtherLog, err)
	}
	if err != nil {
		return err
	}
	if then != c.Tree {
		return fmt.Errorf("%w: its first %d records are others", ErrOtherLog, c.Size)
	}
	return nil
}

// Verifier returns the key that others verify the checkpoints with. Error:
// ErrNone if the log has no origin yet.
func (k *Keeper) Verifier() (string, error) {
	if k.origin == "" {
		return "", ErrNone
	}
	return k.key.Verifier(k.origin), nil
}

// Sign signs the log's head, unless it was signed before, and returns the
// checkpoint. It is durable before the signature leaves.
//
// Several keepers with one store sign one history: each goes on from the last
// checkpoint of all. One that is gone from the store, because the server that has it
// now never did, is put back, so that whoever goes on from an older one is stopped.
//
// Errors (by errors.Is): ErrNone if the log has no origin yet; ErrOldLog,
// ErrOtherLog, ErrFork if the head does not go on from the last one; ErrBehind if
// others sign all the time.
func (k *Keeper) Sign(ctx context.Context) (Checkpoint, error) {
	if k.origin == "" {
		return Checkpoint{}, ErrNone
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for again := 0; ; again++ {
		c, err := k.sign(ctx)
		if !errors.Is(err, ErrBehind) || again == turns {
			k.remember(ctx)
			return c, err
		}
	}
}

func (k *Keeper) sign(ctx context.Context) (Checkpoint, error) {
	tree, err := k.cfg.Log.Tree(ctx)
	if err != nil {
		return Checkpoint{}, err
	}
	if k.last != nil && k.last.Tree == tree && k.last.Origin == k.origin {
		return *k.last, nil
	}
	after, err := k.catchUp(ctx)
	if err != nil {
		return Checkpoint{}, err
	}
	// Once more: it must be as long as what others have signed.
	if tree, err = k.cfg.Log.Tree(ctx); err != nil {
		return Checkpoint{}, err
	}
	if k.last != nil {
		if err := k.follows(ctx, *k.last); err != nil {
			return Checkpoint{}, err
		}
		if k.last.Tree == tree && k.last.Origin == k.origin {
			return *k.last, nil
		}
	}
	c, err := k.key.sign(k.origin, tree, k.cfg.Now())
	if err != nil {
		return Checkpoint{}, err
	}
	if err := k.cfg.Store.Add(ctx, c, after); err != nil {
		return Checkpoint{}, err
	}
	k.last = &c
	return c, nil
}

// catchUp takes over what others have signed since, and puts back what the store has
// lost. It returns the tree of the last checkpoint of the store.
func (k *Keeper) catchUp(ctx context.Context) (eventlog.Tree, error) {
	last, err := k.cfg.Store.Last(ctx)
	if err != nil && !errors.Is(err, ErrNone) {
		return eventlog.Tree{}, err
	}
	switch {
	case k.last == nil || k.last.Tree == last.Tree:
	case k.last.Size > last.Size:
		return k.last.Tree, k.putBack(ctx, last.Tree)
	default: // it has to go on from both
		if err := k.follows(ctx, *k.last); err != nil {
			return eventlog.Tree{}, err
		}
	}
	if err == nil {
		k.last = &last
	}
	return last.Tree, nil
}

// putBack stores the last checkpoint again, behind the tree of the one that the store has.
func (k *Keeper) putBack(ctx context.Context, stored eventlog.Tree) error {
	k.cfg.Logger.ErrorContext(ctx, "a checkpoint that was signed is gone from the store, and is put back", "size", k.last.Size, "stored", stored.Size)
	lost, err := k.key.sign(k.last.Origin, k.last.Tree, k.last.Made) // the same text, without cosignatures
	if err != nil {
		return err
	}
	return k.cfg.Store.Add(ctx, lost, stored)
}

// leave makes sure, where the log is not to be gone on with, that the store has the last
// checkpoint: a log that lost records may have lost it with them, and who knows of neither
// would go on from an older one.
func (k *Keeper) leave(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for again := 0; k.last != nil; again++ {
		stored, err := k.cfg.Store.Last(ctx)
		if err != nil && !errors.Is(err, ErrNone) {
			return err
		}
		if stored.Size >= k.last.Size {
			return nil
		}
		if err := k.putBack(ctx, stored.Tree); !errors.Is(err, ErrBehind) || again == turns {
			return err
		}
	}
	return nil
}

// Covering returns a checkpoint of a tree with the record at seq: the last one
// if it has it, else a new one. Errors: eventlog.ErrNotFound beyond the head;
// as for Sign.
func (k *Keeper) Covering(ctx context.Context, seq uint64) (Checkpoint, error) {
	k.mu.Lock()
	last := k.last
	k.mu.Unlock()
	if last != nil && last.Size >= seq {
		return *last, nil
	}
	c, err := k.Sign(ctx)
	if err == nil && c.Size < seq {
		err = eventlog.ErrNotFound
	}
	return c, err
}

// Last returns the last checkpoint with its cosignatures; if there is none it
// is signed now.
func (k *Keeper) Last(ctx context.Context) (Checkpoint, error) {
	c, err := k.cfg.Store.Last(ctx)
	if errors.Is(err, ErrNone) || err == nil && c.Origin != k.origin && k.origin != "" {
		return k.Sign(ctx)
	}
	return c, err
}

// Cosigned returns the latest checkpoint that a witness has cosigned, by the
// name of its key. Error: ErrNone.
func (k *Keeper) Cosigned(ctx context.Context, witness string) (Checkpoint, error) {
	return k.cfg.Store.Cosigned(ctx, witness)
}

// All returns stored checkpoints: see Store.All.
func (k *Keeper) All(ctx context.Context, from uint64, max int) ([]Checkpoint, error) {
	return k.cfg.Store.All(ctx, from, max)
}

// Cosign stores the cosignatures of configured witnesses under a checkpoint of
// ours, whose text with them is given, and returns how many. Error: ErrWitness.
func (k *Keeper) Cosign(ctx context.Context, text []byte) (int, error) {
	if len(text) > MaxBytes {
		return 0, fmt.Errorf("%w: more than %d bytes", ErrWitness, MaxBytes)
	}
	n, err := note.Open(text, note.VerifierList(k.witnesses...))
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrWitness, err)
	}
	var size uint64
	if _, err := fmt.Sscanf(secondLine(n.Text), "%d", &size); err != nil {
		return 0, fmt.Errorf("%w: its size is no number", ErrWitness)
	}
	ours, err := k.cfg.Store.At(ctx, size)
	if errors.Is(err, ErrNone) || err == nil && !strings.HasPrefix(string(ours.Text), n.Text+"\n") {
		return 0, fmt.Errorf("%w: it is not one of ours, or not kept any more", ErrWitness)
	}
	if err != nil {
		return 0, err
	}
	for _, sig := range n.Sigs {
		line := fmt.Sprintf("— %s %s\n", sig.Name, sig.Base64)
		if err := k.cfg.Store.Cosign(ctx, size, sig.Name, sig.Hash, line); err != nil {
			return 0, err
		}
	}
	return len(n.Sigs), nil
}

// Run signs the log's head whenever it has grown, at most once in Every, until
// ctx ends, and then a last time. Error: of a log that cannot be gone on with.
func (k *Keeper) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		after := uint64(0)
		if c, err := k.Sign(ctx); err == nil {
			after = c.Size
		} else if ctx.Err() == nil {
			k.cfg.Logger.ErrorContext(ctx, "the head of the log could not be signed", "err", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(k.cfg.Every):
			if err := k.cfg.Log.Wait(ctx, after); err != nil && ctx.Err() == nil {
				return fmt.Errorf("checkpoint: %w", errors.Join(err, k.leave(ctx)))
			}
		}
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastTime)
	defer cancel()
	if _, err := k.Sign(end); err != nil {
		return fmt.Errorf("checkpoint: the last one: %w", err)
	}
	return nil
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

func secondLine(text string) string {
	_, rest, _ := strings.Cut(text, "\n")
	return firstLine(rest)
}
