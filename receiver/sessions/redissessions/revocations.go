package redissessions

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/sessions"
)

// swept is how many marks that have expired a change takes along.
const swept = 50

// changeScript merges changes as sessions.Mark.With does and tells the feed of those
// that changed something. A version is a time in microseconds, or one more than the last,
// so that it also grows where a server has lost its latest changes. The numbers are
// below 2^53. It returns the mark of each clause as it is now.
//
//	KEYS: marks, ends, version, feed
//	ARGV: now, retention, sweep, maxFeed, op, at, then clause and alone (0 or 1) of each
func changeScript() string {
	return `
local now, retention, op, at = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[5], tonumber(ARGV[6])
local function text(n) return n and string.format('%.0f', n) or '' end
for _, clause in ipairs(redis.call('ZRANGE', KEYS[2], '-inf', '(' .. ARGV[1], 'BYSCORE', 'LIMIT', 0, ARGV[3])) do
	redis.call('HDEL', KEYS[1], clause)
	redis.call('ZREM', KEYS[2], clause)
end
local marks = {}
for i = 7, #ARGV, 2 do
	local clause = ARGV[i]
	local raw = redis.call('HGET', KEYS[1], clause) or '::0:0'
	local u, s, denied, version = string.match(raw, '^(%-?%d*):(%-?%d*):(%d):(%d+)$')
	local till, since, was = tonumber(u), tonumber(s), denied
	if op ~= 'allow' and (not till or at > till) then till = at end
	if op ~= 'revoke' and (not since or at >= since) and not (op == 'deny' and ARGV[i + 1] == '1') then
		since, denied = at, op == 'deny' and '1' or '0'
	end
	if text(till) ~= u or text(since) ~= s or denied ~= was then
		local last = redis.call('GET', KEYS[3]) or '0'
		local time = redis.call('TIME')
		version = text(math.max(tonumber(last) + 1, tonumber(time[1]) * 1000000 + tonumber(time[2])))
		raw = text(till) .. ':' .. text(since) .. ':' .. denied .. ':' .. version
		redis.call('SET', KEYS[3], version)
		redis.call('HSET', KEYS[1], clause, raw)
		if denied == '1' then
			redis.call('ZREM', KEYS[2], clause)
		else
			redis.call('ZADD', KEYS[2], text(math.max(till or since, since or till) + retention), clause)
		end
		redis.call('XADD', KEYS[4], 'MAXLEN', '~', ARGV[4], '*', 'clause', clause, 'mark', raw, 'last', last)
	end
	marks[#marks + 1] = raw
end
local version = redis.call('GET', KEYS[3])
if version then redis.call('SET', KEYS[3], version) end
return marks`
}

// Revoke ends the sessions in scope that began at or before until.
func (s *Store) Revoke(ctx context.Context, scope receiver.Scope, until time.Time) error {
	return s.change(ctx, sessions.OpRevoke, scope, "", until)
}

// Deny ends the sessions in scope and lets none be good until Allow.
func (s *Store) Deny(ctx context.Context, scope receiver.Scope, by string, at time.Time) error {
	return s.change(ctx, sessions.OpDeny, scope, by, at)
}

// Allow takes back what Deny said at or before at.
func (s *Store) Allow(ctx context.Context, scope receiver.Scope, by string, at time.Time) error {
	return s.change(ctx, sessions.OpAllow, scope, by, at)
}

// State returns what checks read.
func (s *Store) State() *sessions.State { return s.state }

func (s *Store) change(ctx context.Context, op sessions.Op, scope receiver.Scope, by string, at time.Time) error {
	now := s.cfg.Revocations.Now()
	changes, err := sessions.Changes(op, scope, by, at, now)
	if err != nil {
		return err
	}
	if err := s.state.Room(changes); err != nil {
		return err
	}
	names := map[sessions.Op]string{sessions.OpRevoke: "revoke", sessions.OpDeny: "deny", sessions.OpAllow: "allow"}
	args := []any{now.UnixMicro(), s.cfg.Revocations.Retention.Microseconds(), swept, s.cfg.MaxFeed, names[op], changes[0].At}
	for _, c := range changes {
		args = append(args, string(c.Clause), c.Clause.Alone())
	}
	marks, err := s.write(ctx, redis.NewScript(changeScript()), args)
	if err != nil {
		return fmt.Errorf("redissessions: %w", err)
	}
	if len(marks) != len(changes) {
		return errors.New("redissessions: the server gave another number of marks than there are clauses")
	}
	for i, raw := range marks {
		mark, version, err := parseMark(raw)
		if err != nil {
			return err
		}
		s.state.Apply(changes[i].Clause, mark, version)
	}
	return nil
}

// write changes marks and returns them. Where replicas did not acknowledge in time the
// server has the change all the same; a repeat changes nothing, and waits for them anew: it
// writes the version again.
func (s *Store) write(ctx context.Context, script *redis.Script, args []any) ([]string, error) {
	if s.cfg.DB == nil {
		return script.Run(ctx, s.client, s.keys(), args...).StringSlice()
	}
	answer, err := s.cfg.DB.Write(ctx, script, s.keys(), args...)
	if err != nil {
		return nil, err
	}
	list, _ := answer.([]any)
	marks := make([]string, len(list))
	for i := range list {
		marks[i], _ = list[i].(string)
	}
	return marks, nil
}

// keys are those of the revocations, all in one slot.
func (s *Store) keys() []string {
	at := s.cfg.Prefix + ":{gate}:"
	return []string{at + "marks", at + "ends", at + "version", at + "feed"}
}

// parseMark reads until, since, denied and version as the script writes them.
func parseMark(raw string) (mark sessions.Mark, version uint64, err error) {
	parts := strings.Split(raw, ":")
	if len(parts) != 4 {
		return mark, 0, errors.New("redissessions: a mark of another form")
	}
	until, untilErr := parseTime(parts[0])
	since, sinceErr := parseTime(parts[1])
	version, versionErr := strconv.ParseUint(parts[3], 10, 64)
	if err := errors.Join(untilErr, sinceErr, versionErr); err != nil {
		return mark, 0, fmt.Errorf("redissessions: a mark of another form: %w", err)
	}
	return sessions.Mark{Until: until, Since: since, Denied: parts[2] == "1"}, version, nil
}

func parseTime(text string) (int64, error) {
	if text == "" {
		return sessions.Never, nil
	}
	return strconv.ParseInt(text, 10, 64)
}
