package redislog

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// importAtOnce is how many records, source ids or keys of entries one script takes in.
const importAtOnce = segmentSize

var _ eventlog.Importer = (*Log)(nil)

// Create opens the log as Open does; where there is none it makes it with an identity
// in place of one of its own, to take in another's records. Error:
// eventlog.ErrOtherLog if the log that is there has another identity.
func Create(ctx context.Context, cfg Config, id eventlog.Identity) (*Log, error) {
	return open(ctx, cfg, &id)
}

// Import implements eventlog.Importer.
func (l *Log) Import(ctx context.Context, records []eventlog.Stored) error {
	if err := l.begin(); err != nil {
		return err
	}
	defer l.work.Done()
	for i := range records {
		if err := records[i].Check(); err != nil {
			return fmt.Errorf("redislog: import: record %d: %w", records[i].Seq, err)
		}
	}
	for len(records) > 0 {
		n, err := l.importSome(ctx, records)
		if err != nil {
			return fmt.Errorf("redislog: import: %w", err)
		}
		records = records[n:]
	}
	return nil
}

// importSome takes in some of the records, at least one, and returns how many.
func (l *Log) importSome(ctx context.Context, records []eventlog.Stored) (int, error) {
	b := l.place.base()
	if first := records[0].Seq; first == 0 || first > b.size+1 {
		return 0, fmt.Errorf("%w: record %d does not follow on %d", eventlog.ErrOtherLog, first, b.size)
	}
	if records[0].Seq <= b.size {
		return l.compare(ctx, records[:min(b.size-records[0].Seq+1, uint64(len(records)))])
	}
	size := 0
	for i := range records {
		size += len(records[i].Canonical) + rowSize
		if i == importAtOnce || i > 0 && size > maxBatchBytes {
			records = records[:i]
			break
		}
		if records[i].Seq != b.size+1+uint64(i) || records[i].RecordedMillis < b.millis {
			return 0, fmt.Errorf("%w: record %d is not in order", eventlog.ErrOtherLog, records[i].Seq)
		}
	}
	return l.importPage(ctx, b, records)
}

// importPage writes records behind a base; none if the log has grown meanwhile.
func (l *Log) importPage(ctx context.Context, b base, records []eventlog.Stored) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	was := b.head
	list := make([]*eventlog.Record, len(records))
	var nodes []eventlog.Node
	for i := range records {
		s := &records[i]
		list[i] = &eventlog.Record{Seq: s.Seq, Kind: s.Kind, Recorded: time.UnixMilli(s.RecordedMillis), Canonical: s.Canonical, Leaf: eventlog.Hash(s.Leaf), Erased: s.Canonical == nil}
		if s.Canonical != nil {
			list[i].Salt = [eventlog.SaltSize]byte(s.Salt)
		}
		b.edge.Add(list[i].Leaf, func(n eventlog.Node) { nodes = append(nodes, n) })
	}
	last := list[len(list)-1]
	keys, args := l.compared(was)
	args = append(args, last.Seq, last.Leaf[:], last.Recorded.UnixMilli())
	keys, args = l.segmentArgs(keys, args, list)
	for _, n := range nodes {
		keys = append(keys, l.keys.nodes(n.Level, n.N/eventlog.TileWidth))
		args = append(args, strconv.FormatUint(n.N%eventlog.TileWidth*eventlog.HashSize, 10), n.Hash[:])
	}
	t, err := l.tell(ctx, was, keys, args)
	if err != nil {
		return 0, err
	}
	if t.code == codeOK {
		l.place.jump(b.edge, head{size: last.Seq, leaf: last.Leaf, millis: last.Recorded.UnixMilli()})
		return len(records), nil
	}
	return 0, l.reach(ctx, t.head)
}

// tell runs the script of an import and takes in what it told.
func (l *Log) tell(ctx context.Context, was head, keys []string, args []any) (*told, error) {
	asked := time.Now()
	answer, err := l.db.Write(ctx, l.scripts.importing, keys, args...)
	if err != nil {
		return nil, err
	}
	t, err := toldOf(answer)
	if err != nil {
		return nil, err
	}
	return t, l.take(was, t, asked)
}

// compare compares records that the log has with those that are to be taken in.
func (l *Log) compare(ctx context.Context, records []eventlog.Stored) (int, error) {
	segment, at := placeOf(records[0].Seq)
	records = records[:min(len(records), segmentSize-at)]
	have, err := l.tile(ctx, 0, segment, at, len(records))
	if err != nil {
		return 0, err
	}
	for i := range records {
		if i >= len(have) || have[i] != eventlog.Hash(records[i].Leaf) {
			return 0, fmt.Errorf("%w: record %d differs", eventlog.ErrOtherLog, records[i].Seq)
		}
	}
	return len(records), nil
}

// ImportSourceKeys implements eventlog.Importer.
func (l *Log) ImportSourceKeys(ctx context.Context, keys []eventlog.SourceKey) error {
	if err := l.begin(); err != nil {
		return err
	}
	defer l.work.Done()
	for chunk := range slices.Chunk(keys, importAtOnce) {
		var ids, values []byte
		for _, k := range chunk {
			if k.Seq > maxSeq || k.Millis < 0 || k.Millis > maxSeq {
				return fmt.Errorf("redislog: import: a source id of record %d is out of range", k.Seq)
			}
			ids, values = append(ids, k.Key[:]...), appendValue(values, k.Digest, k.Seq, k.Millis)
		}
		if err := l.writeImport(ctx, func(ctx context.Context) (any, error) {
			return l.db.Write(ctx, l.scripts.importKeys, []string{l.keys.head, l.keys.ids, l.keys.order}, l.name, ids, values)
		}); err != nil {
			return err
		}
	}
	return nil
}

// ImportEntryRefs implements eventlog.Importer.
func (l *Log) ImportEntryRefs(ctx context.Context, refs []eventlog.EntryRef) error {
	if err := l.begin(); err != nil {
		return err
	}
	defer l.work.Done()
	for chunk := range slices.Chunk(refs, importAtOnce) {
		var text []byte
		for _, r := range chunk {
			text = appendRef(text, r.Kind, r.Key, r.Seq)
		}
		if err := l.writeImport(ctx, func(ctx context.Context) (any, error) {
			return l.db.Write(ctx, l.scripts.importRefs, []string{l.keys.head, l.keys.refs}, l.name, text)
		}); err != nil {
			return err
		}
	}
	return nil
}

// writeImport makes a call that answers with a word.
func (l *Log) writeImport(ctx context.Context, call func(context.Context) (any, error)) error {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	answer, err := call(ctx)
	if err != nil {
		return fmt.Errorf("redislog: import: %w", err)
	}
	if redisdb.Text(answer) != codeOK {
		return fmt.Errorf("%w: there is another log at its place", ErrLost)
	}
	return nil
}
