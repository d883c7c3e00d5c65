package sqlitejournal

import (
	"context"
	"errors"

	"github.com/tocsin-ssf/tocsin/receiver/journal"
	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
)

// forgetPerEntry is how many old rows a record drops for each entry: more than one,
// so that forgetting catches up.
const forgetPerEntry = 2

// Record keeps entries durably.
func (j *Journal) Record(ctx context.Context, entries ...journal.Entry) error {
	for i := range entries {
		if err := entries[i].Check(); err != nil {
			return err
		}
	}
	return closed(j.db.Write(ctx, func(tx *sqlitedb.Tx) error {
		for i := range entries {
			if err := j.record(tx, &entries[i]); err != nil {
				return err
			}
		}
		return j.forget(tx, entries)
	}))
}

func (j *Journal) record(tx *sqlitedb.Tx, e *journal.Entry) error {
	var old int64
	var was string
	err := tx.QueryRow("SELECT seq, verdict FROM entry WHERE jti = ? AND issuer = ? AND feed = ? AND hook = ? AND effect = ?",
		e.ID, e.Issuer, e.Feed, e.Hook, e.Effect).Scan(&old, &was)
	switch {
	case err == nil && journal.Verdict(was) == journal.Done && !e.Verdict.Settled():
		return nil
	case err == nil:
		err = drop(tx, old)
	case errors.Is(err, sqlitedb.ErrNoRows):
		err = nil
	}
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO entry (feed, issuer, jti, hook, effect, type, txn, scope, time, rule, verdict, attempt, ended, detail, err, at, took)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		e.Feed, e.Issuer, e.ID, e.Hook, e.Effect, e.Type, e.TransactionID, e.Scope, e.Time.UnixMilli(), e.Rule,
		string(e.Verdict), e.Attempt, max(e.Ended, journal.Unknown), journal.CutText(e.Detail), journal.CutText(e.Err),
		e.At.UnixMilli(), e.Took.Milliseconds())
	if err != nil {
		return err
	}
	if _, err := tx.Exec("UPDATE kept SET n = n + 1 WHERE name = 'entry'"); err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO total (rule, hook, effect, verdict, entries, ended, unknown) VALUES (?, ?, ?, ?, 1, ?, ?)
ON CONFLICT DO UPDATE SET entries = entries + 1, ended = ended + excluded.ended, unknown = unknown + excluded.unknown`,
		e.Rule, e.Hook, e.Effect, string(e.Verdict), max(e.Ended, 0), e.Ended < 0)
	if err == nil {
		err = j.hear(tx, e)
	}
	if err != nil || !e.Told() {
		return err
	}
	return j.tell(tx, e)
}

// hear keeps the word that an entry is.
func (j *Journal) hear(tx *sqlitedb.Tx, e *journal.Entry) error {
	until, back := e.TakesBack()
	for _, of := range e.Whom.Digests() {
		var seq, at int64
		err := tx.QueryRow("SELECT seq, time FROM denial WHERE whom = ? AND hook = ? AND issuer = ?", of[:], e.Hook, e.Issuer).Scan(&seq, &at)
		known := err == nil
		if err != nil && !errors.Is(err, sqlitedb.ErrNoRows) {
			return err
		}
		denies := e.Effect == journal.WordDeny && (!known || at <= e.Time.UnixMilli())
		if known && (denies || back && at <= until) {
			if err := dropRow(tx, "denial", seq); err != nil {
				return err
			}
		}
		if !denies {
			continue
		}
		_, err = tx.Exec("INSERT INTO denial (whom, hook, issuer, time) VALUES (?, ?, ?, ?)", of[:], e.Hook, e.Issuer, e.Time.UnixMilli())
		if err != nil {
			return err
		}
		if _, err := tx.Exec("UPDATE kept SET n = n + 1 WHERE name = 'denial'"); err != nil {
			return err
		}
	}
	return nil
}

// dropRow deletes a row of a table that is counted.
func dropRow(tx *sqlitedb.Tx, table string, seq int64) error {
	if _, err := tx.Exec("DELETE FROM "+table+" WHERE seq = ?", seq); err != nil {
		return err
	}
	_, err := tx.Exec("UPDATE kept SET n = n - 1 WHERE name = ?", table)
	return err
}

// tell remembers the state that the hook was told, unless it knows a newer one.
func (j *Journal) tell(tx *sqlitedb.Tx, e *journal.Entry) error {
	var seq, at int64
	err := tx.QueryRow("SELECT seq, time FROM state WHERE lane = ? AND hook = ?", e.Lane[:], e.Hook).Scan(&seq, &at)
	switch {
	case errors.Is(err, sqlitedb.ErrNoRows):
		_, err = tx.Exec("UPDATE kept SET n = n + 1 WHERE name = 'state'")
	case err == nil && at > e.Time.UnixMilli():
		return nil
	case err == nil:
		_, err = tx.Exec("DELETE FROM state WHERE seq = ?", seq)
	}
	if err != nil {
		return err
	}
	_, err = tx.Exec("INSERT INTO state (lane, hook, effect, time, at) VALUES (?, ?, ?, ?, ?)",
		e.Lane[:], e.Hook, e.Effect, e.Time.UnixMilli(), j.cfg.Now().UnixMilli())
	return err
}

// drop deletes an entry and takes it out of the sums.
func drop(tx *sqlitedb.Tx, seq int64) error {
	var rule, hook, effect, verdict string
	var ended int64
	err := tx.QueryRow("SELECT rule, hook, effect, verdict, ended FROM entry WHERE seq = ?", seq).Scan(&rule, &hook, &effect, &verdict, &ended)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE total SET entries = entries - 1, ended = ended - ?, unknown = unknown - ?
WHERE rule = ? AND hook = ? AND effect = ? AND verdict = ?`, max(ended, 0), ended < 0, rule, hook, effect, verdict)
	if err != nil {
		return err
	}
	if _, err := tx.Exec("DELETE FROM total WHERE rule = ? AND hook = ? AND effect = ? AND verdict = ? AND entries = 0", rule, hook, effect, verdict); err != nil {
		return err
	}
	if _, err := tx.Exec("DELETE FROM entry WHERE seq = ?", seq); err != nil {
		return err
	}
	_, err = tx.Exec("UPDATE kept SET n = n - 1 WHERE name = 'entry'")
	return err
}

// forget drops entries, states and denials that are too old or too many: for each that was
// recorded a few.
func (j *Journal) forget(tx *sqlitedb.Tx, recorded []journal.Entry) error {
	limit, words := forgetPerEntry*len(recorded), 0
	for i := range recorded {
		words += forgetPerEntry * len(recorded[i].Whom) / journal.DigestSize
	}
	for range limit {
		seq, err := j.oldest(tx, "entry", "SELECT seq, at FROM entry ORDER BY seq LIMIT 1")
		if err != nil {
			return err
		}
		if seq == 0 {
			break
		}
		if err := drop(tx, seq); err != nil {
			return err
		}
	}
	for range limit {
		seq, err := j.oldest(tx, "state", "SELECT seq, at FROM state ORDER BY seq LIMIT 1")
		if err != nil {
			return err
		}
		if seq == 0 {
			break
		}
		if err := dropRow(tx, "state", seq); err != nil {
			return err
		}
	}
	for range words { // of no age
		seq, err := j.oldest(tx, "denial", "SELECT seq, 9223372036854775807 FROM denial ORDER BY seq LIMIT 1")
		if err != nil || seq == 0 {
			return err
		}
		if err := dropRow(tx, "denial", seq); err != nil {
			return err
		}
	}
	return nil
}

// oldest returns the oldest row of a table if it is to go, else 0.
func (j *Journal) oldest(tx *sqlitedb.Tx, table, first string) (int64, error) {
	var seq, at, n int64
	if err := tx.QueryRow(first).Scan(&seq, &at); err != nil {
		if errors.Is(err, sqlitedb.ErrNoRows) {
			return 0, nil
		}
		return 0, err
	}
	if err := tx.QueryRow("SELECT n FROM kept WHERE name = ?", table).Scan(&n); err != nil {
		return 0, err
	}
	if n > int64(j.cfg.MaxEntries) || at < j.cfg.Now().Add(-j.cfg.Remember).UnixMilli() {
		return seq, nil
	}
	return 0, nil
}
