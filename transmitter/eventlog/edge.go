package eventlog

import "golang.org/x/mod/sumdb/tlog"

// Edge is the right edge of a tree: of each level the hashes of the tile that
// is not full. With it the root is known without reading, and grows leaf by
// leaf at the cost of about one hash each. The zero value is that of an empty
// tree. It is not safe for concurrent use.
type Edge struct {
	size   uint64
	levels [MaxTileLevel + 1][]Hash
}

// Size returns the number of leaves.
func (e *Edge) Size() uint64 { return e.size }

// Tile returns the hashes of a level's tile that is not full; shared memory.
func (e *Edge) Tile(level int) []Hash { return e.levels[level] }

// Node is the root of a full tile: hash number N of a level.
type Node struct {
	Level int
	N     uint64
	Hash  Hash
}

// Add appends a leaf and calls full with each node that it completes, from
// below.
func (e *Edge) Add(leaf Hash, full func(Node)) {
	e.size++
	hash := leaf
	for level, n := 0, e.size; ; level++ {
		tile := append(e.levels[level], hash)
		e.levels[level] = tile
		if len(tile) < TileWidth {
			return
		}
		hash = SubtreeRoot(tile)
		e.levels[level] = tile[:0]
		n /= TileWidth
		full(Node{Level: level + 1, N: n - 1, Hash: hash})
	}
}

// LoadEdge returns the edge of a tree of a size. read returns the hashes of a
// level from one number on, up to the level's last. Error: read's; ErrProof if
// it returns another number of them.
func LoadEdge(size uint64, read func(level int, from uint64, width int) ([]Hash, error)) (*Edge, error) {
	e := &Edge{size: size}
	for level, count := 0, size; count > 0; level, count = level+1, count/TileWidth {
		width := int(count % TileWidth)
		if width == 0 {
			continue
		}
		tile, err := read(level, count-uint64(width), width)
		if err != nil {
			return nil, err
		}
		if len(tile) != width {
			return nil, ErrProof
		}
		e.levels[level] = append(make([]Hash, 0, TileWidth), tile...)
	}
	return e, nil
}

// Clone returns a copy that grows by itself.
func (e *Edge) Clone() *Edge {
	c := &Edge{size: e.size}
	for i, tile := range e.levels {
		c.levels[i] = append(make([]Hash, 0, len(tile)), tile...)
	}
	return c
}

// Tree returns the tree.
func (e *Edge) Tree() Tree {
	read := func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			height, n := tlog.SplitStoredHashIndex(x)
			level, within := height/TileHeight, height%TileHeight
			first := int(uint64(n) << within % TileWidth)
			part := append(make([]Hash, 0, TileWidth), e.levels[level][first:first+1<<within]...)
			out[i] = tlog.Hash(SubtreeRoot(part))
		}
		return out, nil
	}
	// Of a tree's root only subtrees within the tiles at the edge are asked for.
	root, err := tlog.TreeHash(int64(e.size), tlog.HashReaderFunc(read))
	if err != nil { // impossible: read never fails
		return Tree{}
	}
	return Tree{Size: e.size, Root: Hash(root)}
}
