package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/audit"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/checkpoint"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/keys"
	"github.com/tocsin-ssf/tocsin/transmitter/vault"
)

// How much is read at once: of all that is in memory there are two such pages at most.
const (
	movePage    = 1024
	moveStreams = 32
)

// placeEnd is the place of a step that is done.
const placeEnd = "end"

// ErrDiffers: what arrived is not what left.
var ErrDiffers = errors.New("what is in Redis is not what is in the folder")

// moveAll does the steps, and looks at what came of them. done: all is in Redis, and
// only the folder does not say so.
func (m *mover) moveAll(ctx context.Context, done bool) error {
	steps := []func(context.Context) error{
		m.moveLog, m.moveAdmin, m.moveStreams, m.moveRest, m.checkLog, m.checkStreams, m.end,
	}
	if done { // it may have been served since
		steps = []func(context.Context) error{m.former}
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	here := move{ID: m.id, State: moveDone, At: time.Now().UTC()}
	return here.write(m.cfg.Dir)
}

// end lets Redis be served.
func (m *mover) end(ctx context.Context) error {
	m.crash("migrate.checked")
	if err := m.mark.write(ctx, m.mark.ends, m.id); err != nil {
		return err
	}
	m.crash("migrate.done-there")
	return nil
}

// former tells of what was moved and checked before.
func (m *mover) former(ctx context.Context) error {
	t, err := m.log.Tree(ctx)
	m.told.Records, m.told.Root = t.Size, t.Root[:]
	return err
}

// moveLog takes the records, the memory of source ids and the keys of entries along.
func (m *mover) moveLog(ctx context.Context) error {
	head, err := m.log.Head(ctx)
	if err != nil {
		return err
	}
	after, err := m.toLog.Head(ctx)
	if err != nil {
		return err
	}
	for after < head {
		records, err := m.log.Stored(ctx, after, movePage)
		if err != nil {
			return err
		}
		if len(records) == 0 {
			return fmt.Errorf("record %d is missing in the folder (tocsin event verify-log says more)", after+1)
		}
		if err := m.toLog.Import(ctx, records); err != nil {
			return err
		}
		after = records[len(records)-1].Seq
		m.to("records", after, head)
		m.crash("migrate.records")
	}
	err = moveStep(ctx, m, "source ids", m.log.SourceKeys, func(page []eventlog.SourceKey) error {
		m.told.SourceIDs += uint64(len(page))
		m.to("source ids", m.told.SourceIDs, 0)
		return m.toLog.ImportSourceKeys(ctx, page)
	})
	if err != nil {
		return err
	}
	return moveStep(ctx, m, "keys of entries", m.log.EntryRefs, func(page []eventlog.EntryRef) error {
		return m.toLog.ImportEntryRefs(ctx, page)
	})
}

// moveStep moves a list page by page from the place where an earlier move ended.
func moveStep[T any](ctx context.Context, m *mover, step string, read func(context.Context, string, int) ([]T, string, error), write func([]T) error) error {
	place := m.places[step]
	for place != placeEnd {
		page, next, err := read(ctx, place, movePage)
		if err != nil {
			return err
		}
		if err := write(page); err != nil {
			return err
		}
		if place = next; place == "" {
			place = placeEnd
		}
		m.crash("migrate." + step)
		if err := m.mark.write(ctx, m.mark.save, m.id, step, place); err != nil {
			return err
		}
	}
	return nil
}

// moveAdmin takes along what admin.db has, what is encrypted as it is, with the sealed key
// that opens it. It is small, and done again as a whole.
func (m *mover) moveAdmin(ctx context.Context) error {
	if err := vault.Copy(ctx, m.vault, m.toVault); err != nil {
		return err
	}
	if err := keys.Copy(ctx, m.keys, m.toKeys); err != nil {
		return err
	}
	m.crash("migrate.keys")
	err := auth.Copy(ctx, m.admin, m.toAdmin, time.Now(), func(n int) {
		m.told.Administration += uint64(n)
		m.to("applications, clients, sources", m.told.Administration, 0)
		m.crash("migrate.applications")
	})
	if err != nil {
		return err
	}
	done := uint64(0)
	return checkpoint.Copy(ctx, m.heads, m.toHeads, func(n int) {
		done += uint64(n)
		m.to("checkpoints", done, 0)
		m.crash("migrate.checkpoints")
	})
}

// moveStreams takes streams along with all that they have.
func (m *mover) moveStreams(ctx context.Context) error {
	count, err := m.state.StreamCount(ctx)
	if err != nil {
		return err
	}
	m.sets.of = uint64(count)
	place := m.places["streams"]
	for place != placeEnd {
		page, next, err := m.state.KeptStreams(ctx, place, moveStreams)
		if err != nil {
			return err
		}
		for _, k := range page {
			if err := m.moveStream(ctx, k); err != nil {
				return fmt.Errorf("stream %s: %w", k.Stream.ID, err)
			}
			m.sets.streams++
			m.tellStreams()
			m.crash("migrate.stream")
		}
		if place = next; place == "" {
			place = placeEnd
		}
		if err := m.mark.write(ctx, m.mark.save, m.id, "streams", place); err != nil {
			return err
		}
	}
	return nil
}

func (m *mover) moveStream(ctx context.Context, k streams.Kept) error {
	if err := m.toState.ImportStream(ctx, k); err != nil {
		return err
	}
	id := k.Stream.ID
	err := pages(ctx, m.state.Interests, id, func(page []streams.Interest) error {
		m.sets.subjects += uint64(len(page))
		m.tellStreams()
		m.crash("migrate.subjects")
		return m.toState.ImportInterests(ctx, id, page)
	})
	if err != nil {
		return err
	}
	err = pages(ctx, m.state.Items, id, func(page []streams.Item) error {
		m.sets.items += uint64(len(page))
		m.tellStreams()
		m.crash("migrate.items")
		return m.toState.ImportItems(ctx, id, page)
	})
	if err != nil {
		return err
	}
	return pages(ctx, m.state.DeadLetters, id, func(page []streams.DeadLetter) error {
		m.crash("migrate.dead letters")
		return m.toState.ImportDeadLetters(ctx, id, page)
	})
}

// tellStreams tells how many streams have come along, of this run, and what they have.
func (m *mover) tellStreams() {
	m.progress(MoveProgress{
		Step: "streams", Done: m.sets.streams, Of: m.sets.of,
		Beside: fmt.Sprintf("%d subjects, %d SETs", m.sets.subjects, m.sets.items),
	})
}

// pages reads what a stream has, page by page.
func pages[T any](ctx context.Context, read func(context.Context, string, string, int) ([]T, string, error), stream string, fn func([]T) error) error {
	for place, more := "", true; more; more = place != "" {
		page, next, err := read(ctx, stream, place, movePage)
		if err != nil {
			return err
		}
		if err := fn(page); err != nil {
			return err
		}
		place = next
	}
	return nil
}

// moveRest takes along which ids were used, and the places of followers.
func (m *mover) moveRest(ctx context.Context) error {
	err := moveStep(ctx, m, "used ids", m.state.UsedIDs, func(page []string) error { return m.toState.ImportUsedIDs(ctx, page) })
	if err != nil {
		return err
	}
	cursors, err := m.state.AllCursors(ctx)
	for follower, seq := range cursors {
		if err == nil {
			err = m.toState.SaveCursor(ctx, follower, seq)
		}
	}
	return err
}

// arrivedLog is the log in Redis with its checkpoints, as an audit reads it.
type arrivedLog struct {
	eventlog.Archive
	checkpoint.Store
}

// Checkpoints implements audit.Log.
func (l arrivedLog) Checkpoints(ctx context.Context, from uint64, max int) ([]checkpoint.Checkpoint, error) {
	return l.All(ctx, from, max)
}

// checkLog computes the tree anew of what is in Redis: every leaf of its record, the
// root of the leaves, and whether each checkpoint is one of that tree, with the key of
// the folder. The root must be that of the folder.
func (m *mover) checkLog(ctx context.Context) error {
	want, err := m.log.Tree(ctx)
	if err != nil {
		return err
	}
	opts := audit.Options{Progress: func(done, of uint64) { m.to("records checked", done, of) }}
	if opts.Key, err = m.heads.Verifier(ctx); err != nil && !errors.Is(err, checkpoint.ErrNone) {
		return err
	}
	if last, err := m.heads.Last(ctx); err == nil {
		opts.Since = append(opts.Since, last.Text)
	} else if !errors.Is(err, checkpoint.ErrNone) {
		return err
	}
	report, err := audit.Check(ctx, arrivedLog{m.toLog, m.toHeads}, opts)
	if err != nil {
		return err
	}
	if !report.Sound() {
		return fmt.Errorf("%w: %s", ErrDiffers, report.Findings[0].Text)
	}
	now, err := m.toLog.Tree(ctx)
	if err != nil {
		return err
	}
	if now != want || !bytes.Equal(report.Root, want.Root[:]) {
		return fmt.Errorf("%w: a tree of %d with root %x, want %d and %x", ErrDiffers, now.Size, now.Root, want.Size, want.Root)
	}
	m.told.Records, m.told.Erased, m.told.Root = uint64(report.Records), uint64(report.Erased), report.Root
	m.told.Checkpoints = uint64(report.Checkpoints)
	return nil
}

// checkStreams compares streams, how much waits and how many subjects they have.
func (m *mover) checkStreams(ctx context.Context) error {
	for place, more := "", true; more; more = place != "" {
		page, next, err := m.state.KeptStreams(ctx, place, moveStreams)
		if err != nil {
			return err
		}
		for _, k := range page {
			if err := m.checkStream(ctx, k); err != nil {
				return fmt.Errorf("stream %s: %w", k.Stream.ID, err)
			}
			m.told.Streams++
			m.to("streams checked", m.told.Streams, m.sets.of)
		}
		place = next
	}
	return nil
}

func (m *mover) checkStream(ctx context.Context, k streams.Kept) error {
	id := k.Stream.ID
	stream, err1 := m.toState.Stream(ctx, id)
	health, err2 := m.toState.Health(ctx, id)
	there, err3 := m.toState.Depth(ctx, id)
	subjects, err4 := m.toState.SubjectCount(ctx, id)
	here, err5 := m.state.Depth(ctx, id)
	had, err6 := m.state.SubjectCount(ctx, id)
	if err := errors.Join(err1, err2, err3, err4, err5, err6); err != nil {
		return err
	}
	items := here.Items
	if there.Items != items { // one jti waits once there
		var err error
		if items, err = m.distinct(ctx, id); err != nil {
			return err
		}
	}
	switch {
	case !reflect.DeepEqual(stream, k.Stream), !reflect.DeepEqual(health, k.Health):
		return fmt.Errorf("%w: its configuration or status", ErrDiffers)
	case there.Items != items, there.Dead != here.Dead, subjects != had:
		return fmt.Errorf("%w: %d SETs, %d dead letters and %d subjects, want %d, %d and %d",
			ErrDiffers, there.Items, there.Dead, subjects, items, here.Dead, had)
	}
	m.told.Items += uint64(there.Items)
	m.told.DeadLetters += uint64(there.Dead)
	m.told.Subjects += uint64(subjects)
	return nil
}

// distinct counts what waits by jti.
func (m *mover) distinct(ctx context.Context, stream string) (int, error) {
	ids := make(map[string]struct{})
	err := pages(ctx, m.state.Items, stream, func(page []streams.Item) error {
		for i := range page {
			ids[page[i].ID] = struct{}{}
		}
		return nil
	})
	return len(ids), err
}
