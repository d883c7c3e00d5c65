package logtest

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

func treeCases() []Case {
	return []Case{
		{"tree/root", "The tree is that of RFC 6962 over the leaves of all records, in order", treeRoot},
		{"tree/sizes", "The tree of a size never changes", treeSizes},
		{"tree/tiles", "Tile returns what the tree has, and ErrNotFound beyond", treeTiles},
		{"tree/proofs", "Every record is provably in every later tree, every tree in every later one", treeProofs},
		{"tree/durable", "A record is in the tree when Append or Note returns, also after a kill", treeDurable},
		{"tree/erase", "An erasure changes no tree", treeErase},
		{"tree/concurrent", "Side by side, a tree's root is that of its size", treeConcurrent},
	}
}

// rootOf computes the root from its definition, not with the package's code.
func rootOf(leaves []eventlog.Hash) eventlog.Hash {
	switch len(leaves) {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return leaves[0]
	}
	k := 1
	for 2*k < len(leaves) {
		k *= 2
	}
	left, right := rootOf(leaves[:k]), rootOf(leaves[k:])
	return sha256.Sum256(slices.Concat([]byte{1}, left[:], right[:]))
}

func leavesOf(records []*eventlog.Record) (leaves []eventlog.Hash) {
	for _, r := range records {
		leaves = append(leaves, r.Leaf)
	}
	return leaves
}

func treeOf(tb testing.TB, l eventlog.Log) eventlog.Tree {
	tb.Helper()
	t, err := l.Tree(tb.Context())
	if err != nil {
		tb.Fatalf("Tree: got %v, want no error", err)
	}
	return t
}

// grow appends events until the log has so many records.
func grow(tb testing.TB, l eventlog.Log, size int) {
	tb.Helper()
	var events []eventlog.Event
	for n := int(head(tb, l)); n < size; n++ {
		events = append(events, event(1000+n))
	}
	if len(events) > 0 {
		do(tb, l, events...)
	}
}

// sizes are about the edges of tiles.
func sizes() []int { return []int{1, 2, 3, 255, 256, 257, 511, 512, 513, 700} }

func treeRoot(tb testing.TB, s *Store) {
	if got, want := treeOf(tb, s.Log), (eventlog.Tree{Root: rootOf(nil)}); got != want || eventlog.EmptyTree() != want {
		tb.Errorf("of nothing: got %+v and %+v, want %+v", got, eventlog.EmptyTree(), want)
	}
	one(tb, s.Log, event(1))
	note(tb, s.Log, entry(1))
	for _, size := range sizes()[2:] {
		grow(tb, s.Log, size)
		if got, want := treeOf(tb, s.Log), (eventlog.Tree{Size: uint64(size), Root: rootOf(leavesOf(all(tb, s.Log)))}); got != want {
			tb.Errorf("size %d: got %+v, want %+v", size, got, want)
		}
	}
}

func treeSizes(tb testing.TB, s *Store) {
	grow(tb, s.Log, 700)
	for range 2 {
		leaves := leavesOf(all(tb, s.Log))
		for _, size := range append(sizes(), 0) {
			got, err := eventlog.TreeAt(tb.Context(), s.Log, uint64(size))
			if want := (eventlog.Tree{Size: uint64(size), Root: rootOf(leaves[:size])}); err != nil || got != want {
				tb.Errorf("size %d: got %+v (%v), want %+v", size, got, err, want)
			}
		}
		if _, err := eventlog.TreeAt(tb.Context(), s.Log, 701); !errors.Is(err, eventlog.ErrNotFound) {
			tb.Errorf("beyond the head: got %v, want ErrNotFound", err)
		}
		s.Log = s.Kill()
	}
}

func treeTiles(tb testing.TB, s *Store) {
	grow(tb, s.Log, 600)
	for range 2 {
		leaves := leavesOf(all(tb, s.Log))
		tests := []struct {
			level int
			n     uint64
			width int
			want  []eventlog.Hash // nil: ErrNotFound
		}{
			{0, 0, 256, leaves[:256]},
			{0, 1, 10, leaves[256:266]},
			{0, 2, 88, leaves[512:600]},
			{1, 0, 2, []eventlog.Hash{rootOf(leaves[:256]), rootOf(leaves[256:512])}},
			{0, 2, 89, nil},
			{0, 3, 1, nil},
			{1, 0, 3, nil},
			{2, 0, 1, nil},
			{0, 0, 0, nil},
			{0, 0, 257, nil},
			{-1, 0, 1, nil},
			{eventlog.MaxTileLevel + 1, 0, 1, nil},
			{0, 1 << 62, 1, nil},
		}
		for _, tt := range tests {
			got, err := s.Log.Tile(tb.Context(), tt.level, tt.n, tt.width)
			if tt.want == nil && !errors.Is(err, eventlog.ErrNotFound) || tt.want != nil && (err != nil || !slices.Equal(got, tt.want)) {
				tb.Errorf("tile %d/%d of %d: got %d hashes (%v), want %d", tt.level, tt.n, tt.width, len(got), err, len(tt.want))
			}
		}
		s.Log = s.Kill()
	}
}

func treeProofs(tb testing.TB, s *Store) {
	grow(tb, s.Log, 700)
	ctx, leaves := tb.Context(), leavesOf(all(tb, s.Log))
	var trees []eventlog.Tree
	for _, size := range sizes() {
		to := eventlog.Tree{Size: uint64(size), Root: rootOf(leaves[:size])}
		trees = append(trees, to)
		for _, from := range append(trees, eventlog.EmptyTree()) {
			proof, err := eventlog.ProveConsistency(ctx, s.Log, from.Size, to.Size)
			if err == nil {
				err = eventlog.CheckConsistency(proof, from, to)
			}
			if err != nil {
				tb.Errorf("from %d to %d: got %v, want no error", from.Size, size, err)
			}
			from.Root[0] ^= 1
			if eventlog.CheckConsistency(proof, from, to) == nil {
				tb.Errorf("from another tree of %d to %d: got no error", from.Size, size)
			}
		}
		for _, seq := range sizes() {
			proof, err := eventlog.ProveInclusion(ctx, s.Log, uint64(size), uint64(seq))
			if seq > size {
				if !errors.Is(err, eventlog.ErrNotFound) {
					tb.Errorf("record %d in a tree of %d: got %v, want ErrNotFound", seq, size, err)
				}
				continue
			}
			if err == nil {
				err = eventlog.CheckInclusion(proof, to, uint64(seq), leaves[seq-1])
			}
			if err != nil {
				tb.Errorf("record %d in a tree of %d: got %v, want no error", seq, size, err)
			}
			if other := leaves[seq%size]; size > 1 && eventlog.CheckInclusion(proof, to, uint64(seq), other) == nil {
				tb.Errorf("another record as %d of %d: got no error", seq, size)
			}
		}
	}
}

func treeDurable(tb testing.TB, s *Store) {
	for i, size := range sizes() {
		grow(tb, s.Log, size-1)
		if i%2 == 0 {
			one(tb, s.Log, event(i))
		} else {
			note(tb, s.Log, entry(i))
		}
		want := treeOf(tb, s.Log)
		if want.Size != uint64(size) {
			tb.Fatalf("got a tree of %d, want %d", want.Size, size)
		}
		s.Log = s.Kill()
		if got := treeOf(tb, s.Log); got != want {
			tb.Errorf("size %d after a kill: got %+v, want %+v", size, got, want)
		}
	}
	want := treeOf(tb, s.Log)
	if got := treeOf(tb, s.Reopen()); got != want {
		tb.Errorf("opened again: got %+v, want %+v", got, want)
	}
}

func treeErase(tb testing.TB, s *Store) {
	grow(tb, s.Log, 300)
	want := treeOf(tb, s.Log)
	erase(tb, s.Log, 1, 200, 256, 257, 300)
	for range 2 {
		if got := treeOf(tb, s.Log); got != want {
			tb.Errorf("got %+v, want %+v", got, want)
		}
		s.Log = s.Kill()
	}
}

func treeConcurrent(tb testing.TB, s *Store) {
	ctx := tb.Context()
	var wg sync.WaitGroup
	seen := make([][]eventlog.Tree, 4)
	for i := range seen {
		wg.Go(func() {
			for n := range 75 {
				a, err := s.Log.Append(context.WithoutCancel(ctx), event(10_000*i+n))
				t, treeErr := s.Log.Tree(ctx)
				if err != nil || treeErr != nil || t.Size < a[0].Seq {
					tb.Errorf("got record %+v and a tree of %d (%v, %v), want one that has it", a, t.Size, err, treeErr)
					return
				}
				seen[i] = append(seen[i], t)
			}
		})
	}
	wg.Wait()
	leaves := leavesOf(all(tb, s.Log))
	for _, t := range slices.Concat(seen...) {
		if want := rootOf(leaves[:t.Size]); t.Root != want {
			tb.Errorf("a tree of %d seen while it grew: got root %x, want %x", t.Size, t.Root, want)
		}
	}
}
