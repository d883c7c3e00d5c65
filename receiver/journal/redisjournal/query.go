package redisjournal

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/receiver/journal"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

const (
	// pageSize is how many entries one script returns at most.
	pageSize = 256
	// maxMerged is how many kinds one script merges at most.
	maxMerged = 512
	// scanned is about how many kinds one answer has.
	scanned = 256
	// last stands behind every Seq in the index.
	last = ":"
)

// Of returns the entries of an event.
func (j *Journal) Of(ctx context.Context, event journal.Event) ([]journal.Entry, error) {
	if !j.begin() {
		return nil, journal.ErrClosed
	}
	defer j.work.Done()
	q := journal.Query{ID: event.ID, Issuer: event.Issuer, Max: journal.MaxPage}
	list, err := j.named(ctx, eventName(event), func(e *journal.Entry) bool { return fits(q, e) && e.Feed == event.Feed })
	if err != nil {
		return nil, err
	}
	slices.SortFunc(list, func(a, b journal.Entry) int { return cmp.Compare(a.Seq, b.Seq) })
	return list, nil
}

// List returns entries, the newest first.
func (j *Journal) List(ctx context.Context, q journal.Query) ([]journal.Entry, error) {
	if err := q.Check(); err != nil {
		return nil, err
	}
	if !j.begin() {
		return nil, journal.ErrClosed
	}
	defer j.work.Done()
	switch {
	case q.ID != "":
		list, err := j.named(ctx, digest(foreign, q.ID), func(e *journal.Entry) bool { return fits(q, e) })
		slices.SortFunc(list, func(a, b journal.Entry) int { return cmp.Compare(b.Seq, a.Seq) })
		return list[:min(len(list), q.Max)], err
	case q.TransactionID != "":
		return j.newest(ctx, byTxn+digest(foreign, q.TransactionID)+":", q)
	case q.Feed == "" && q.Issuer == "" && q.Hook == "" && q.Verdict == "":
		return j.newest(ctx, byAll, q)
	}
	return j.merged(ctx, q)
}

func fits(q journal.Query, e *journal.Entry) bool {
	return kindOf(e).fits(q) && is(q.ID, e.ID) && is(q.TransactionID, e.TransactionID) && (q.Before == 0 || e.Seq < q.Before)
}

// fits reports whether q asks for entries of that kind.
func (k kind) fits(q journal.Query) bool {
	return is(q.Feed, k.feed) && is(q.Issuer, k.issuer) && is(q.Hook, k.hook) && is(string(q.Verdict), string(k.verdict))
}

func is(want, got string) bool { return want == "" || want == got }

// named returns the entries whose names by jti begin with name, and that fit.
func (j *Journal) named(ctx context.Context, name string, fits func(*journal.Entry) bool) ([]journal.Entry, error) {
	var list []journal.Entry
	from, to := "["+byID+name+":", "("+byID+name+";" // ; is behind :
	for more := true; more; {
		var page []journal.Entry
		var at string
		var err error
		if page, at, more, err = j.page(ctx, from, to, "", pageSize); err != nil {
			return nil, err
		}
		for i := range page {
			if fits(&page[i]) {
				list = append(list, page[i])
			}
		}
		from = "(" + at
	}
	return list, nil
}

// newest returns the entries whose names begin with name, and that fit q. Where q asks for
// more than the name does, it looks at all of that name, page after page.
func (j *Journal) newest(ctx context.Context, name string, q journal.Query) ([]journal.Entry, error) {
	var list []journal.Entry
	from, to := "["+name, "("+name+before(q)
	for more := true; more && len(list) < q.Max; {
		var page []journal.Entry
		var at string
		var err error
		if page, at, more, err = j.page(ctx, from, to, "rev", min(pageSize, q.Max-len(list))); err != nil {
			return nil, err
		}
		for i := range page {
			if fits(q, &page[i]) {
				list = append(list, page[i])
			}
		}
		to = "(" + at
	}
	return list, nil
}

// page returns entries whose names are between from and to, the name of the last, and
// whether there are more.
func (j *Journal) page(ctx context.Context, from, to, order string, most int) (list []journal.Entry, at string, more bool, err error) {
	answer, err := j.run(ctx, j.span, from, to, order, most, maxBatchBytes)
	if err != nil {
		return nil, "", false, err
	}
	list, at, err = entriesOf(answer[1:])
	return list, at, redisdb.Text(answer[0]) == "more", err
}

// entriesOf reads names, each with the kind and what is kept under it, and returns the last
// name.
func entriesOf(answer []any) (list []journal.Entry, at string, err error) {
	if len(answer)%3 != 0 {
		return nil, "", errAnswer
	}
	for part := range slices.Chunk(answer, 3) {
		if at = redisdb.Text(part[0]); len(at) < seqSize {
			return nil, "", errAnswer
		}
		k, _, err := readSums(redisdb.Text(part[1]))
		if err != nil {
			return nil, "", err
		}
		e, err := entryOf(at[len(at)-seqSize:], k, redisdb.Text(part[2]))
		if err != nil {
			return nil, "", err
		}
		list = append(list, e)
	}
	return list, at, nil
}

// before is the end of q in names.
func before(q journal.Query) string {
	if q.Before == 0 || q.Before >= 1e16 {
		return last
	}
	return seqName(q.Before)
}

// merged returns the entries of the kinds that fit q.
func (j *Journal) merged(ctx context.Context, q journal.Query) ([]journal.Entry, error) {
	var kinds []string
	err := j.eachKind(ctx, func(name string, k kind, _ sums) {
		if k.fits(q) {
			kinds = append(kinds, name)
		}
	})
	if err != nil || len(kinds) == 0 {
		return nil, err
	}
	var list []journal.Entry
	for at := before(q); len(list) < q.Max; {
		page, more, err := j.mergePage(ctx, kinds, at, min(pageSize, q.Max-len(list)))
		if err != nil {
			return nil, err
		}
		list = append(list, page...)
		if !more || len(page) == 0 {
			break
		}
		at = seqName(page[len(page)-1].Seq)
	}
	return list[:min(len(list), q.Max)], nil
}

// mergePage returns the newest entries of kinds before a place, and whether there are more.
// Where one script cannot merge them all it asks several, and keeps what all of them know.
func (j *Journal) mergePage(ctx context.Context, kinds []string, at string, most int) (list []journal.Entry, more bool, err error) {
	var known uint64 // from here on
	for part := range slices.Chunk(kinds, maxMerged) {
		args := []any{at, most, maxBatchBytes}
		for _, name := range part {
			args = append(args, byKind+name+":")
		}
		answer, err := j.run(ctx, j.merge, args...)
		if err != nil {
			return nil, false, err
		}
		page, _, err := entriesOf(answer[1:])
		if err != nil {
			return nil, false, err
		}
		list = append(list, page...)
		if redisdb.Text(answer[0]) == "more" && len(page) > 0 {
			more, known = true, max(known, page[len(page)-1].Seq)
		}
	}
	list = slices.DeleteFunc(list, func(e journal.Entry) bool { return e.Seq < known })
	slices.SortFunc(list, func(a, b journal.Entry) int { return cmp.Compare(b.Seq, a.Seq) })
	return list, more, nil
}

// States returns the state of each hook about a lane.
func (j *Journal) States(ctx context.Context, lane journal.Digest) (map[string]journal.State, error) {
	if !j.begin() {
		return nil, journal.ErrClosed
	}
	defer j.work.Done()
	ctx, cancel := context.WithTimeout(ctx, j.cfg.Timeout)
	defer cancel()
	raw, err := j.cfg.DB.Client().HGet(ctx, j.keys.states, base64.RawURLEncoding.EncodeToString(lane[:])).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("redisjournal: %w", err)
	}
	states := map[string]journal.State{}
	for line := range strings.Lines(raw) {
		words := strings.Fields(line)
		if len(words) != 3 {
			return nil, errAnswer
		}
		hook, hookErr := readWord(words[0])
		effect, effectErr := readWord(words[1])
		at, timeErr := strconv.ParseInt(words[2], 10, 64)
		if err := errors.Join(hookErr, effectErr, timeErr); err != nil {
			return nil, err
		}
		states[hook] = journal.State{Effect: effect, Time: time.UnixMilli(at)}
	}
	return states, nil
}

// Denials returns which hooks others have deny one of whom.
func (j *Journal) Denials(ctx context.Context, issuer string, whom journal.Whom) (map[string]time.Time, error) {
	list := map[string]time.Time{}
	if !j.begin() {
		return nil, journal.ErrClosed
	}
	defer j.work.Done()
	var fields []string
	for _, of := range whom.Digests() {
		fields = append(fields, base64.RawURLEncoding.EncodeToString(of[:]))
	}
	if fields == nil {
		return list, nil
	}
	ctx, cancel := context.WithTimeout(ctx, j.cfg.Timeout)
	defer cancel()
	texts, err := j.cfg.DB.Client().HMGet(ctx, j.keys.denials, fields...).Result()
	if err != nil {
		return nil, fmt.Errorf("redisjournal: %w", err)
	}
	mine := digest(foreign, issuer)
	for _, text := range texts {
		for line := range strings.Lines(redisdb.Text(text)) {
			words := strings.Fields(line)
			if len(words) != 3 {
				return nil, errAnswer
			}
			hook, hookErr := readWord(words[0])
			at, timeErr := strconv.ParseInt(words[2], 10, 64)
			if err := errors.Join(hookErr, timeErr); err != nil {
				return nil, err
			}
			if words[1] != mine {
				journal.Later(list, hook, time.UnixMilli(at))
			}
		}
	}
	return list, nil
}

// sums are those of a kind.
type sums struct{ entries, ended, unknown int }

// eachKind calls do for every kind of which there are entries. A kind that comes or goes
// meanwhile may be missing.
func (j *Journal) eachKind(ctx context.Context, do func(name string, k kind, s sums)) error {
	seen := map[string]bool{} // a scan may return one twice
	for cursor := uint64(0); ; {
		pairs, next, err := j.scanKinds(ctx, cursor)
		if err != nil {
			return err
		}
		for i := 0; i+1 < len(pairs); i += 2 {
			if seen[pairs[i]] {
				continue
			}
			seen[pairs[i]] = true
			k, s, err := readSums(pairs[i+1])
			if err != nil {
				return err
			}
			do(pairs[i], k, s)
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

func (j *Journal) scanKinds(ctx context.Context, cursor uint64) (pairs []string, next uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, j.cfg.Timeout)
	defer cancel()
	pairs, next, err = j.cfg.DB.Client().HScan(ctx, j.keys.kinds, cursor, "", scanned).Result()
	if err != nil {
		return nil, 0, fmt.Errorf("redisjournal: %w", err)
	}
	return pairs, next, nil
}

// readSums reads "ENTRIES ENDED UNKNOWN KIND".
func readSums(raw string) (kind, sums, error) {
	var s sums
	for _, to := range []*int{&s.entries, &s.ended, &s.unknown} {
		var text string
		text, raw, _ = strings.Cut(raw, " ")
		n, err := strconv.Atoi(text)
		if err != nil {
			return kind{}, s, errAnswer
		}
		*to = n
	}
	k, err := readKind(raw)
	return k, s, err
}

// Totals returns the sums.
func (j *Journal) Totals(ctx context.Context) ([]journal.Total, error) {
	if !j.begin() {
		return nil, journal.ErrClosed
	}
	defer j.work.Done()
	all := map[journal.Total]*journal.Total{} // by the names in it
	err := j.eachKind(ctx, func(_ string, k kind, s sums) {
		of := journal.Total{Rule: k.rule, Hook: k.hook, Effect: k.effect, Verdict: k.verdict}
		if all[of] == nil {
			sum := of
			all[of] = &sum
		}
		sum := all[of]
		sum.Entries, sum.Ended, sum.Unknown = sum.Entries+s.entries, sum.Ended+s.ended, sum.Unknown+s.unknown
	})
	if err != nil {
		return nil, err
	}
	var list []journal.Total
	for _, sum := range all {
		list = append(list, *sum)
	}
	slices.SortFunc(list, func(a, b journal.Total) int {
		return cmp.Or(cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Hook, b.Hook), cmp.Compare(a.Effect, b.Effect), cmp.Compare(a.Verdict, b.Verdict))
	})
	return list, nil
}
