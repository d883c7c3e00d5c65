package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/transparency-dev/formats/proof"

	"github.com/tocsin-ssf/tocsin/transmitter/checkpoint"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// MaxProofBytes bounds a proof.
const MaxProofBytes = 16 << 20

// maxTurns bounds the replays of an event that a jti is looked for in.
const maxTurns = 64

// version of a proof's format.
const version = 1

// Errors that callers branch on.
var (
	// ErrProof: the proof does not prove what it says.
	ErrProof = errors.New("audit: the proof does not hold")
	// ErrNoSet: no SET of the event has the jti.
	ErrNoSet = errors.New("audit: no SET of the event has that jti")
)

// Proof shows that an event is in a log. It needs nothing else but the log's
// verifier key.
type Proof struct {
	Version int `json:"version"`
	// ID is the event's id; nothing proves it.
	ID   string `json:"id"`
	Leaf Leaf   `json:"leaf"`
	// Canonical and Salt are what the leaf commits to (base64 in JSON); none if
	// Erased or Withheld.
	Canonical []byte `json:"canonical,omitempty"`
	Salt      []byte `json:"salt,omitempty"`
	// Erased: the bytes are gone; ErasedBy are the places of the entries that
	// say so.
	Erased   bool     `json:"erased,omitempty"`
	ErasedBy []uint64 `json:"erased_by,omitempty"`
	// Withheld: the event is for others too, whose names are not for the
	// reader; the commitment stands for its bytes.
	Withheld bool `json:"withheld,omitempty"`
	// Set says which SET came of the event; nil: none was asked for.
	Set *Set `json:"set,omitempty"`
	// Inclusion is a proof of https://c2sp.org/tlog-proof with the checkpoint.
	// Its extra data is the leaf, unless that is known by its hash alone.
	Inclusion string `json:"inclusion"`
}

// Leaf has the parts of a leaf (see eventlog.Leaf).
type Leaf struct {
	Seq        uint64        `json:"seq"`
	Recorded   int64         `json:"recorded_ms"`
	Kind       eventlog.Kind `json:"kind"`
	Commitment []byte        `json:"commitment,omitempty"` // none if erased
	Hash       []byte        `json:"hash"`
}

// Set is a SET that came of an event (see eventlog.Record.JTI).
type Set struct {
	JTI       string `json:"jti"`
	StreamID  string `json:"stream_id"`
	EventType string `json:"event_type"`
	N         uint32 `json:"n"`
}

// Prover is what a proof is made of.
type Prover interface {
	eventlog.Prover
	Entries(ctx context.Context, kind eventlog.Kind, ref string, span eventlog.Span) ([]*eventlog.Record, error)
}

// Prove returns the proof that a record is in the tree of a checkpoint, whose
// size is at least the record's number. withhold keeps its bytes back.
func Prove(ctx context.Context, log Prover, c checkpoint.Checkpoint, rec *eventlog.Record, withhold bool) (*Proof, error) {
	hashes, err := eventlog.ProveInclusion(ctx, log, c.Size, rec.Seq)
	if err != nil {
		return nil, err
	}
	p := &Proof{
		Version: version, ID: rec.ID, Erased: rec.Erased,
		Leaf: Leaf{Seq: rec.Seq, Recorded: rec.Recorded.UnixMilli(), Kind: rec.Kind, Hash: rec.Leaf[:]},
	}
	inclusion := proof.TLogProof{Index: rec.Seq - 1, Hashes: hashes, Checkpoint: c.Text}
	if rec.Erased {
		if p.ErasedBy, err = erasedBy(ctx, log, rec.Seq); err != nil {
			return nil, err
		}
	} else {
		commitment := eventlog.Commitment(&rec.Salt, rec.Canonical)
		leaf := eventlog.Leaf(rec.Seq, rec.Recorded, rec.Kind, commitment)
		p.Leaf.Commitment, inclusion.ExtraData = commitment[:], leaf[:]
		if p.Withheld = withhold; !withhold {
			p.Canonical, p.Salt = rec.Canonical, rec.Salt[:]
		}
	}
	p.Inclusion = string(inclusion.Marshal())
	return p, nil
}

// erasedBy returns the places of the entries that say that a record was erased.
// All such entries since are looked at: it is a rare question.
func erasedBy(ctx context.Context, log Prover, seq uint64) (places []uint64, err error) {
	for _, kind := range []eventlog.Kind{eventlog.KindErasure, eventlog.KindRetention} {
		for after := seq; ; {
			entries, err := log.Entries(ctx, kind, eventlog.RefAll, eventlog.Span{After: after, Max: page})
			if err != nil {
				return nil, err
			}
			if len(entries) == 0 {
				break
			}
			for _, e := range entries {
				after = e.Seq
				runs, err := e.Erasures()
				if err == nil && slices.ContainsFunc(runs, func(r eventlog.Seqs) bool { return r[0] <= seq && seq <= r[1] }) {
					places = append(places, e.Seq)
				}
			}
		}
	}
	slices.Sort(places)
	return places, nil
}

// AddSet adds the proof that the SET with a jti came of the record, on one of
// the streams. Error: ErrNoSet; also if its bytes are not there.
func (p *Proof) AddSet(rec *eventlog.Record, jti string, streams ...string) error {
	if rec.Erased || p.Withheld || len(rec.Mapped) == 0 {
		return ErrNoSet
	}
	for _, stream := range streams {
		for n := range uint32(len(rec.Mapped) * maxTurns) {
			if rec.JTI(stream, n) == jti {
				p.Set = &Set{JTI: jti, StreamID: stream, EventType: typeOf(rec, n), N: n}
				return nil
			}
		}
	}
	return ErrNoSet
}

func typeOf(rec *eventlog.Record, n uint32) string { return rec.Mapped[int(n)%len(rec.Mapped)].Type }

// Verified is what a proof has shown.
type Verified struct {
	Checkpoint checkpoint.Checkpoint
	// Record is the record; its ID is not proven. Of one that was erased or
	// withheld only the place is known, and if withheld the time and the kind.
	Record *eventlog.Record
}

// ParseProof reads a proof. Error: ErrProof.
func ParseProof(text []byte) (*Proof, error) {
	p := new(Proof)
	if err := json.Unmarshal(text, p); err != nil {
		return nil, fmt.Errorf("%w: it is no proof: %w", ErrProof, err)
	}
	if p.Version != version {
		return nil, fmt.Errorf("%w: it is of version %d, and %d is known", ErrProof, p.Version, version)
	}
	return p, nil
}

// Verify checks the proof with the log's verifier key. Errors (by errors.Is):
// ErrProof; checkpoint.ErrSignature, checkpoint.ErrKey.
func (p *Proof) Verify(key string) (*Verified, error) {
	var inclusion proof.TLogProof
	if err := inclusion.Unmarshal([]byte(p.Inclusion)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProof, err)
	}
	c, err := checkpoint.Parse(inclusion.Checkpoint, key)
	if err != nil {
		return nil, err
	}
	rec, err := p.record()
	if err != nil {
		return nil, err
	}
	if inclusion.Index != p.Leaf.Seq-1 {
		return nil, fmt.Errorf("%w: it is of place %d, not of %d", ErrProof, inclusion.Index+1, p.Leaf.Seq)
	}
	if err := eventlog.CheckInclusion(inclusion.Hashes, c.Tree, p.Leaf.Seq, rec.Leaf); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProof, err)
	}
	if s := p.Set; s != nil {
		if len(rec.Mapped) == 0 || rec.JTI(s.StreamID, s.N) != s.JTI || typeOf(rec, s.N) != s.EventType {
			return nil, fmt.Errorf("%w: the jti is not of this event", ErrProof)
		}
	}
	return &Verified{Checkpoint: c, Record: rec}, nil
}

// record returns the record that the proof is of, its leaf verified as far as
// its parts are there.
func (p *Proof) record() (*eventlog.Record, error) {
	stored := eventlog.Stored{
		Seq: p.Leaf.Seq, ID: p.ID, RecordedMillis: p.Leaf.Recorded, Kind: p.Leaf.Kind, Salt: p.Salt, Canonical: p.Canonical, Leaf: p.Leaf.Hash,
	}
	rec, err := eventlog.Load(stored)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProof, err)
	}
	switch {
	case p.Canonical != nil:
		err = rec.Verify()
	case p.Withheld:
		if len(p.Leaf.Commitment) != eventlog.HashSize {
			err = errors.New("it has no commitment")
		} else if eventlog.LeafHash(eventlog.Leaf(rec.Seq, rec.Recorded, rec.Kind, eventlog.Hash(p.Leaf.Commitment))) != rec.Leaf {
			err = eventlog.ErrLeaf
		}
	case !p.Erased:
		err = errors.New("it has no bytes, and does not say why")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProof, err)
	}
	return rec, nil
}
