package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/checkpoint"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

const (
	// maxFindings bounds what a report tells one by one.
	maxFindings = 100
	// page is how many records, nodes or checkpoints are asked for at once.
	page = 1000
)

// Log is a log as it is stored, with the checkpoints that were signed of it.
type Log interface {
	eventlog.Archive
	// Checkpoints returns stored ones as checkpoint.Store.All does.
	Checkpoints(ctx context.Context, from uint64, max int) ([]checkpoint.Checkpoint, error)
}

// Options say what a log is checked against. All may be empty.
type Options struct {
	// Key is the log's verifier key; without it no signature is verified, and
	// none may be given in Since.
	Key string
	// Since are checkpoints that were seen before and kept elsewhere.
	Since [][]byte
	// Progress, if set, is told how many records were read.
	Progress func(done, total uint64)
}

// Problem says what is wrong in one word.
type Problem string

// The problems.
const (
	Changed   Problem = "changed"    // a record's bytes are not those of its leaf
	Lost      Problem = "lost"       // a record's bytes are gone, and no entry says that it was erased
	Missing   Problem = "missing"    // a record is not there
	Disorder  Problem = "disorder"   // a record's time is before the one before it
	TreeDiffs Problem = "tree"       // a stored node of the tree is not that of the records
	Unsigned  Problem = "signature"  // a stored checkpoint is not signed by the key
	Shorter   Problem = "shorter"    // the log ends before a checkpoint: cut, or an older copy
	Other     Problem = "other_tree" // the log has other records than a checkpoint: changed, reordered, or a fork
	Malformed Problem = "malformed"  // an entry about erasures cannot be read
)

// Finding is something wrong with a log.
type Finding struct {
	Problem Problem `json:"problem"`
	Seq     uint64  `json:"seq"` // the record, or the size of the checkpoint
	Text    string  `json:"text"`
}

// Report is what Check found.
type Report struct {
	Records     uint64 `json:"records"`
	Events      uint64 `json:"events"`
	Entries     uint64 `json:"entries"`
	Erased      uint64 `json:"erased"`
	Root        []byte `json:"root"`        // of all records, as they are
	Checkpoints int    `json:"checkpoints"` // stored ones that hold
	Since       int    `json:"since"`       // given ones that hold
	// Findings are the first of them, in order; Found counts all.
	Findings []Finding `json:"findings"`
	Found    int       `json:"found"`
}

// Sound reports whether nothing was found.
func (r *Report) Sound() bool { return r.Found == 0 }

// head is a checkpoint that the log shall hold.
type head struct {
	tree  eventlog.Tree
	since bool
}

// checker is the state of one Check.
type checker struct {
	log    Log
	opts   Options
	report Report

	heads  []head // by size, those that were not come to yet
	edge   eventlog.Edge
	nodes  [eventlog.MaxTileLevel + 1]stored
	millis int64
	// shifted: a record is missing, so that no later tree can be compared.
	shifted bool
	gone    []eventlog.Seqs // without bytes
	erased  []eventlog.Seqs // as entries say
	failed  error
}

// stored are nodes of a level, read ahead.
type stored struct {
	from  uint64
	nodes []eventlog.Hash
	ended bool
}

// Check reads the whole log and reports what is wrong with it. Its error is of
// a store that cannot be read, of a wrong key or, by errors.Is
// checkpoint.ErrSignature, of a given checkpoint that the log did not sign.
func Check(ctx context.Context, log Log, opts Options) (*Report, error) {
	c := &checker{log: log, opts: opts}
	if err := c.given(); err != nil {
		return nil, err
	}
	// Checkpoints first: the log that is read afterwards must have them all.
	if err := c.signed(ctx); err != nil {
		return nil, err
	}
	slices.SortStableFunc(c.heads, func(a, b head) int { return cmp.Compare(a.tree.Size, b.tree.Size) })
	total, err := log.Head(ctx)
	if err != nil {
		return nil, err
	}
	c.compare()
	for {
		// A server goes on writing meanwhile, and erasing: what it erased is
		// told by an entry further on, so all is read that there is.
		records, err := log.Stored(ctx, c.report.Records, page)
		if err != nil {
			return nil, err
		}
		if len(records) == 0 {
			break
		}
		for i := range records {
			c.record(ctx, &records[i])
		}
		if c.failed != nil {
			return nil, c.failed
		}
		if opts.Progress != nil {
			opts.Progress(min(c.report.Records, total), total)
		}
	}
	c.end()
	return &c.report, nil
}

// given reads the checkpoints that were kept elsewhere.
func (c *checker) given() error {
	for _, text := range c.opts.Since {
		if c.opts.Key == "" {
			return fmt.Errorf("%w: a checkpoint cannot be verified without the key", checkpoint.ErrKey)
		}
		seen, err := checkpoint.Parse(text, c.opts.Key)
		if err != nil {
			return err
		}
		c.heads = append(c.heads, head{seen.Tree, true})
	}
	return nil
}

// signed reads the stored checkpoints.
func (c *checker) signed(ctx context.Context) error {
	for from := uint64(0); ; {
		list, err := c.log.Checkpoints(ctx, from, page)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return nil
		}
		for _, s := range list {
			if from = s.Size + 1; c.opts.Key != "" {
				read, err := checkpoint.Parse(s.Text, c.opts.Key)
				if errors.Is(err, checkpoint.ErrKey) {
					return err
				}
				if err != nil || read.Tree != s.Tree {
					c.find(Unsigned, s.Size, "the stored checkpoint of %d records is not signed by the key: forged, or of another origin", s.Size)
					continue
				}
			}
			c.heads = append(c.heads, head{s.Tree, false})
		}
	}
}

func (c *checker) find(p Problem, seq uint64, format string, args ...any) {
	c.report.Found++
	if len(c.report.Findings) < maxFindings {
		c.report.Findings = append(c.report.Findings, Finding{p, seq, fmt.Sprintf(format, args...)})
	}
}

// record checks the next record.
func (c *checker) record(ctx context.Context, s *eventlog.Stored) {
	r := &c.report
	if want := r.Records + 1; s.Seq != want {
		if s.Seq == want+1 {
			c.find(Missing, want, "record %d is missing", want)
		} else {
			c.find(Missing, want, "records %d to %d are missing", want, s.Seq-1)
		}
		c.shifted = true
	}
	r.Records = s.Seq
	if s.RecordedMillis < c.millis {
		c.find(Disorder, s.Seq, "record %d was recorded before the one before it", s.Seq)
	}
	c.millis = max(c.millis, s.RecordedMillis)
	if s.Kind == eventlog.KindEvent {
		r.Events++
	} else {
		r.Entries++
	}
	leaf := c.leaf(s)
	if !c.shifted {
		c.edge.Add(leaf, func(n eventlog.Node) { c.node(ctx, n) })
		c.compare()
	}
}

// leaf checks the bytes of a record and returns the leaf hash that it has in
// the tree: of its bytes where they are, else the stored one.
func (c *checker) leaf(s *eventlog.Stored) (leaf eventlog.Hash) {
	copy(leaf[:], s.Leaf)
	if len(s.Leaf) != eventlog.HashSize {
		c.find(Changed, s.Seq, "record %d has no leaf", s.Seq)
	}
	if s.Canonical == nil && s.Salt == nil {
		c.report.Erased++
		if n := len(c.gone); n > 0 && c.gone[n-1][1]+1 == s.Seq {
			c.gone[n-1][1] = s.Seq
		} else {
			c.gone = append(c.gone, eventlog.Seqs{s.Seq, s.Seq})
		}
		return leaf
	}
	if len(s.Salt) != eventlog.SaltSize || s.Canonical == nil || leaf != leafOf(s) {
		c.find(Changed, s.Seq, "record %d was changed: it is not what its leaf commits to", s.Seq)
		return leaf
	}
	if s.Kind != eventlog.KindErasure && s.Kind != eventlog.KindRetention {
		return leaf
	}
	rec, err := eventlog.Load(*s)
	if err == nil {
		var runs []eventlog.Seqs
		runs, err = rec.Erasures()
		c.erased = append(c.erased, runs...)
	}
	if err != nil {
		c.find(Malformed, s.Seq, "record %d does not say what was erased", s.Seq)
	}
	return leaf
}

// leafOf computes the leaf hash of a record that has its bytes.
func leafOf(s *eventlog.Stored) eventlog.Hash {
	commitment := eventlog.Commitment((*[eventlog.SaltSize]byte)(s.Salt), s.Canonical)
	return eventlog.LeafHash(eventlog.Leaf(s.Seq, time.UnixMilli(s.RecordedMillis), s.Kind, commitment))
}

// node compares a node with the stored one. Those that the store does not have
// yet it makes when it is opened.
func (c *checker) node(ctx context.Context, n eventlog.Node) {
	s := &c.nodes[n.Level]
	if n.N >= s.from+uint64(len(s.nodes)) && !s.ended && c.failed == nil {
		nodes, err := c.log.StoredNodes(ctx, n.Level, n.N, page)
		c.failed = err
		s.from, s.nodes, s.ended = n.N, nodes, len(nodes) == 0
	}
	if n.N < s.from+uint64(len(s.nodes)) && s.nodes[n.N-s.from] != n.Hash {
		size := (n.N + 1) << (eventlog.TileHeight * n.Level)
		c.find(TreeDiffs, size, "the stored tree over the records up to %d is not theirs", size)
	}
}

// compare compares the tree, as far as it is read, with the heads of its size.
func (c *checker) compare() {
	for len(c.heads) > 0 && c.heads[0].tree.Size == c.edge.Size() {
		h := c.heads[0]
		c.heads = c.heads[1:]
		switch {
		case c.edge.Tree() != h.tree:
			c.find(Other, h.tree.Size, "the first %d records are not those of %s", h.tree.Size, h.name())
		case h.since:
			c.report.Since++
		default:
			c.report.Checkpoints++
		}
	}
}

func (h head) name() string {
	if h.since {
		return fmt.Sprintf("the given checkpoint of %d", h.tree.Size)
	}
	return fmt.Sprintf("the stored checkpoint of %d", h.tree.Size)
}

// end judges what can be judged only when all was read.
func (c *checker) end() {
	tree := c.edge.Tree()
	c.report.Root = tree.Root[:]
	for _, h := range c.heads {
		if c.shifted && h.tree.Size <= c.report.Records {
			c.find(Other, h.tree.Size, "the first %d records are not those of %s: some are missing", h.tree.Size, h.name())
			continue
		}
		c.find(Shorter, h.tree.Size, "the log ends at record %d, before %s: its tail was cut, or it is an older copy", c.report.Records, h.name())
	}
	slices.SortFunc(c.erased, func(a, b eventlog.Seqs) int { return cmp.Compare(a[0], b[0]) })
	for _, run := range c.gone {
		for _, lost := range outside(run, c.erased) {
			c.find(Lost, lost[0], "records %d to %d have no bytes and no entry says that they were erased", lost[0], lost[1])
		}
	}
	slices.SortStableFunc(c.report.Findings, func(a, b Finding) int { return cmp.Compare(a.Seq, b.Seq) })
}

// outside returns the parts of a run that no run of a list has, which is
// sorted by first numbers.
func outside(run eventlog.Seqs, list []eventlog.Seqs) (parts []eventlog.Seqs) {
	next := run[0]
	for _, r := range list {
		if r[0] > run[1] {
			break
		}
		if r[0] > next {
			parts = append(parts, eventlog.Seqs{next, r[0] - 1})
		}
		if r[1] >= run[1] {
			return parts
		}
		next = max(next, r[1]+1)
	}
	return append(parts, eventlog.Seqs{next, run[1]})
}
