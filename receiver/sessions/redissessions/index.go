package redissessions

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/sessions"
)

// Scripts on the two sets of one digest. listScript also removes some of the sessions
// that are over, and lets the sets live as long as the last session in them.
//
//	KEYS: ids, ends
//	ARGV: id, its end, now (milliseconds), how many to sweep
const (
	listScript = `
redis.call('ZADD', KEYS[1], 0, ARGV[1])
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
for _, id in ipairs(redis.call('ZRANGE', KEYS[2], '-inf', ARGV[3], 'BYSCORE', 'LIMIT', 0, ARGV[4])) do
	redis.call('ZREM', KEYS[1], id)
	redis.call('ZREM', KEYS[2], id)
end
local last = redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')
if last[2] then
	local left = string.format('%.0f', math.max(last[2] - ARGV[3], 1))
	redis.call('PEXPIRE', KEYS[1], left)
	redis.call('PEXPIRE', KEYS[2], left)
end
return 0`
	unlistScript = `
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return 0`
)

// record is a session as it is kept.
type record struct {
	Keys     []sessions.Digest `json:"-"`
	Digests  []byte            `json:"digests"` // Keys, one after the other
	Begun    int64             `json:"begun"`   // microseconds, as are the others
	Expires  int64             `json:"expires,omitempty"`
	Deadline int64             `json:"deadline"`
}

func (r record) bearer() sessions.Bearer {
	var expires time.Time
	if r.Expires != 0 {
		expires = time.UnixMicro(r.Expires)
	}
	return sessions.NewBearer(r.Keys, time.UnixMicro(r.Begun), expires)
}

// Add keeps a session.
func (s *Store) Add(ctx context.Context, session sessions.Session) error {
	if err := session.Check(); err != nil {
		return err
	}
	old, err := s.records(ctx, session.ID)
	if err != nil {
		return err
	}
	now, deadline := s.cfg.Index.Now(), s.cfg.Index.Deadline(session)
	r := record{Keys: session.Bearer().Keys(), Begun: session.Begun.UnixMicro(), Deadline: deadline.UnixMicro()}
	if !session.Expires.IsZero() {
		r.Expires = session.Expires.UnixMicro()
	}
	pipe := s.client.Pipeline()
	for _, d := range old[session.ID].Keys {
		if !slices.Contains(r.Keys, d) || !deadline.After(now) {
			pipe.Eval(ctx, unlistScript, s.setsOf(d), session.ID)
		}
	}
	if deadline.After(now) {
		for _, d := range r.Keys {
			pipe.Eval(ctx, listScript, s.setsOf(d), session.ID, deadline.UnixMilli(), now.UnixMilli(), swept)
		}
		pipe.Set(ctx, s.sessionKey(session.ID), r.marshal(), ttl(deadline, now))
	} else {
		pipe.Del(ctx, s.sessionKey(session.ID))
	}
	return exec(ctx, pipe)
}

// Find returns sessions in scope, in the order of their IDs, without their Members.
func (s *Store) Find(ctx context.Context, scope receiver.Scope, until time.Time, after string, max int) ([]sessions.Session, error) {
	clauses, err := sessions.FindClauses(scope, max)
	if err != nil {
		return nil, err
	}
	var found []sessions.Session
	for _, c := range clauses {
		page, err := s.findClause(ctx, c, until, after, max)
		if err != nil {
			return nil, err
		}
		found = append(found, page...)
	}
	return sessions.Page(found, max), nil
}

func (s *Store) findClause(ctx context.Context, c sessions.Clause, until time.Time, after string, max int) ([]sessions.Session, error) {
	first, now := c.Digests()[0], s.cfg.Index.Now().UnixMicro()
	var page []sessions.Session
	for from := "(" + after; len(page) < max; {
		if from == "(" {
			from = "-"
		}
		ids, err := s.client.ZRangeArgs(ctx, redis.ZRangeArgs{
			Key: s.setsOf(first)[0], Start: from, Stop: "+", ByLex: true, Count: int64(max),
		}).Result()
		if err != nil {
			return nil, fmt.Errorf("redissessions: find: %w", err)
		}
		records, err := s.records(ctx, ids...)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			r, ok := records[id]
			if b := r.bearer(); ok && r.Deadline > now && r.Begun <= until.UnixMicro() && b.Meets(c) && len(page) < max {
				page = append(page, sessions.Session{ID: id, Begun: b.Begun(), Expires: b.Expires()})
			}
		}
		if len(ids) < max {
			break
		}
		from = "(" + ids[len(ids)-1]
	}
	return page, nil
}

// Lookup returns whose a session is.
func (s *Store) Lookup(ctx context.Context, id string) (sessions.Bearer, error) {
	records, err := s.records(ctx, id)
	if err != nil {
		return sessions.Bearer{}, err
	}
	r, ok := records[id]
	if !ok || r.Deadline <= s.cfg.Index.Now().UnixMicro() {
		return sessions.Bearer{}, sessions.ErrUnknown
	}
	return r.bearer(), nil
}

// Remove forgets sessions.
func (s *Store) Remove(ctx context.Context, ids ...string) error {
	for part := range slices.Chunk(ids, batch) {
		records, err := s.records(ctx, part...)
		if err != nil {
			return err
		}
		pipe := s.client.Pipeline()
		for id, r := range records {
			for _, d := range r.Keys {
				pipe.Eval(ctx, unlistScript, s.setsOf(d), id)
			}
			pipe.Del(ctx, s.sessionKey(id))
		}
		if err := exec(ctx, pipe); err != nil {
			return err
		}
	}
	return nil
}

// records returns those that there are, by id.
func (s *Store) records(ctx context.Context, ids ...string) (map[string]record, error) {
	pipe := s.client.Pipeline()
	answers := make([]*redis.StringCmd, len(ids))
	for i, id := range ids {
		answers[i] = pipe.Get(ctx, s.sessionKey(id))
	}
	if err := exec(ctx, pipe); err != nil {
		return nil, err
	}
	records := make(map[string]record)
	for i, answer := range answers {
		var r record
		raw, err := answer.Bytes()
		if errors.Is(err, redis.Nil) {
			continue
		}
		if err := json.Unmarshal(raw, &r); err != nil {
			return nil, fmt.Errorf("redissessions: a session of another form: %w", err)
		}
		r.Keys = sessions.Clause(r.Digests).Digests()
		records[ids[i]] = r
	}
	return records, nil
}

func (r record) marshal() []byte {
	for _, d := range r.Keys {
		r.Digests = append(r.Digests, d[:]...)
	}
	raw, _ := json.Marshal(r) // texts and numbers
	return raw
}

func (s *Store) sessionKey(id string) string {
	sum := sha256.Sum256([]byte(id))
	return s.cfg.Prefix + ":session:" + hex.EncodeToString(sum[:sessions.DigestSize])
}

// setsOf are the keys of the sets of one digest, in one slot.
func (s *Store) setsOf(d sessions.Digest) []string {
	at := s.cfg.Prefix + ":of:{" + hex.EncodeToString(d[:]) + "}:"
	return []string{at + "ids", at + "ends"}
}

// exec carries a pipeline out. What is not there is no error of it.
func exec(ctx context.Context, pipe redis.Pipeliner) error {
	if pipe.Len() == 0 {
		return nil
	}
	answers, err := pipe.Exec(ctx)
	if err == nil {
		return nil
	}
	for _, answer := range answers {
		if err := answer.Err(); err != nil && !errors.Is(err, redis.Nil) {
			return fmt.Errorf("redissessions: %w", err)
		}
	}
	if !errors.Is(err, redis.Nil) {
		return fmt.Errorf("redissessions: %w", err)
	}
	return nil
}
