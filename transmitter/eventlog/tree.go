package eventlog

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// The tree over the log is that of RFC 6962 §2.1: the record at seq is its
// leaf at index seq-1, events and entries alike, erased or not. It is read as
// the tiles of https://c2sp.org/tlog-tiles: tile n of a level has the roots
// of consecutive subtrees of 256^level leaves, from number n*256 on.
const (
	// TileHeight is the height of a tile, TileWidth the hashes of a full one.
	TileHeight = 8
	TileWidth  = 1 << TileHeight
	// MaxTileLevel is beyond every log that can be.
	MaxTileLevel = 7
)

// ErrProof: a proof does not prove what it is for.
var ErrProof = errors.New("eventlog: the proof does not hold")

// Hash is a node of the tree.
type Hash = [HashSize]byte

// Tree is the head of the tree over the first records of a log.
type Tree struct {
	Size uint64 // records
	Root Hash
}

// EmptyTree is that of a log without records.
func EmptyTree() Tree {
	root, err := tlog.TreeHash(0, nil)
	if err != nil { // impossible: nothing is read
		return Tree{}
	}
	return Tree{Root: Hash(root)}
}

// Prover gives out the tree over all records. Safe for concurrent use.
type Prover interface {
	// Tree returns the tree over the records up to the head. A record is in
	// it when Append or Note returns, and the tree of a size never changes.
	Tree(ctx context.Context) (Tree, error)
	// Tile returns the first width hashes (1 to TileWidth) of tile n of a
	// level. Error: ErrNotFound unless the tree has all of them.
	Tile(ctx context.Context, level int, n uint64, width int) ([]Hash, error)
}

// TreeAt returns the tree as it was at a size. Error: ErrNotFound beyond the
// head; ErrProof if the tiles are not those of the tree.
func TreeAt(ctx context.Context, p Prover, size uint64) (Tree, error) {
	head, err := p.Tree(ctx)
	if err != nil || size == head.Size {
		return head, err
	}
	if size > head.Size {
		return Tree{}, ErrNotFound
	}
	root, err := tlog.TreeHash(int64(size), hashes(ctx, p, head))
	if err != nil {
		return Tree{}, proofError(err)
	}
	return Tree{Size: size, Root: Hash(root)}, nil
}

// ProveInclusion returns the proof (RFC 6962 §2.1.1) that the record at seq is
// in the tree of a size. Errors as for TreeAt.
func ProveInclusion(ctx context.Context, p Prover, size, seq uint64) ([]Hash, error) {
	head, err := p.Tree(ctx)
	if err != nil {
		return nil, err
	}
	if seq < 1 || seq > size || size > head.Size {
		return nil, ErrNotFound
	}
	proof, err := tlog.ProveRecord(int64(size), int64(seq-1), hashes(ctx, p, head))
	return plain(proof), proofError(err)
}

// ProveConsistency returns the proof (RFC 6962 §2.1.2) that the tree of size
// to begins with all that the tree of size from has. From an empty tree, and
// from a tree to itself, it is empty. Errors as for TreeAt.
func ProveConsistency(ctx context.Context, p Prover, from, to uint64) ([]Hash, error) {
	head, err := p.Tree(ctx)
	if err != nil {
		return nil, err
	}
	if from > to || to > head.Size {
		return nil, ErrNotFound
	}
	if from == 0 || from == to {
		return nil, nil
	}
	proof, err := tlog.ProveTree(int64(to), int64(from), hashes(ctx, p, head))
	return plain(proof), proofError(err)
}

// CheckInclusion reports whether the proof shows that the tree has the leaf at
// seq. Error: ErrProof.
func CheckInclusion(proof []Hash, t Tree, seq uint64, leaf Hash) error {
	if seq < 1 || seq > t.Size {
		return ErrProof
	}
	if err := tlog.CheckRecord(nodes(proof), int64(t.Size), tlog.Hash(t.Root), int64(seq-1), tlog.Hash(leaf)); err != nil {
		return fmt.Errorf("%w: record %d is not in the tree of %d", ErrProof, seq, t.Size)
	}
	return nil
}

// CheckConsistency reports whether the proof shows that the later tree begins
// with the earlier one. Error: ErrProof.
func CheckConsistency(proof []Hash, from, to Tree) error {
	switch {
	case from.Size == 0 && from == EmptyTree() && len(proof) == 0, from == to && len(proof) == 0:
		return nil
	case from.Size == 0 || from.Size >= to.Size:
	case tlog.CheckTree(nodes(proof), int64(to.Size), tlog.Hash(to.Root), int64(from.Size), tlog.Hash(from.Root)) == nil:
		return nil
	}
	return fmt.Errorf("%w: the tree of %d does not go on from that of %d", ErrProof, to.Size, from.Size)
}

// hashes reads nodes of the tree from tiles, which it verifies.
func hashes(ctx context.Context, p Prover, t Tree) tlog.HashReader {
	return tlog.TileHashReader(tlog.Tree{N: int64(t.Size), Hash: tlog.Hash(t.Root)}, tiles{ctx, p})
}

// tiles reads the tiles of one call. It lives as long as that, so it may hold
// the call's context.
type tiles struct {
	ctx context.Context // tlog's interface has none
	p   Prover
}

func (tiles) Height() int { return TileHeight }

func (tiles) SaveTiles([]tlog.Tile, [][]byte) {}

func (r tiles) ReadTiles(list []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(list))
	for i, t := range list {
		h, err := r.p.Tile(r.ctx, t.L, uint64(t.N), t.W)
		if err != nil {
			return nil, fmt.Errorf("tile %d/%d: %w", t.L, t.N, &readError{err})
		}
		data[i] = TileData(h)
	}
	return data, nil
}

// TileData returns the bytes of a tile: its hashes, one behind the other.
func TileData(tile []Hash) []byte {
	b := make([]byte, 0, len(tile)*HashSize)
	for i := range tile {
		b = append(b, tile[i][:]...)
	}
	return b
}

// readError is a failure to read a tile, not a wrong tile.
type readError struct{ error }

func (e *readError) Unwrap() error { return e.error }

// proofError tells tiles that do not match from a store that fails.
func proofError(err error) error {
	var read *readError
	if err == nil || errors.As(err, &read) && !errors.Is(err, ErrNotFound) {
		return err
	}
	return fmt.Errorf("%w: the stored tree is damaged: %w", ErrProof, err)
}

func plain(proof []tlog.Hash) []Hash {
	out := make([]Hash, len(proof))
	for i := range proof {
		out[i] = Hash(proof[i])
	}
	return out
}

func nodes(proof []Hash) []tlog.Hash {
	out := make([]tlog.Hash, len(proof))
	for i := range proof {
		out[i] = tlog.Hash(proof[i])
	}
	return out
}

// NodeHash returns the hash of an inner node (RFC 6962 §2.1).
func NodeHash(left, right Hash) Hash { return Hash(tlog.NodeHash(tlog.Hash(left), tlog.Hash(right))) }

// SubtreeRoot returns the root over a power of two of nodes side by side, which
// it overwrites.
func SubtreeRoot(level []Hash) Hash {
	for n := len(level); n > 1; n /= 2 {
		for i := range n / 2 {
			level[i] = NodeHash(level[2*i], level[2*i+1])
		}
	}
	return level[0]
}
