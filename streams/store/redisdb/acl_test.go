package redisdb_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

// The documented user can do all that this package does, wherever the server is. Stores
// run their own suites with such a user (redistest.Server.Limit).
func TestLimitedUser(t *testing.T) {
	for name, start := range map[string]func(t *testing.T) redisdb.Config{
		"single": func(t *testing.T) redisdb.Config {
			s := redistest.StartDurable(t)
			s.StartReplica(t)
			return redisdb.Config{URL: s.Limit(t), Replicas: 1}
		},
		"cluster": func(t *testing.T) redisdb.Config {
			return redisdb.Config{URL: redistest.StartCluster3(t).Limit(t), Volatile: true}
		},
		"sentinel": func(t *testing.T) redisdb.Config {
			return redisdb.Config{URL: redistest.StartSentinel(t).Limit(t), Replicas: 1}
		},
	} {
		t.Run(name, func(t *testing.T) {
			db := open(t, start(t))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			wakes := redisdb.NewWakes(db, nil)
			heard := make(chan string, 8)
			wakes.On("topic", func(m string) { heard <- m })
			holder, err := db.Sole("work", wakes, nil)
			if err != nil {
				t.Fatal(err)
			}
			worked := make(chan bool, 1)
			var group sync.WaitGroup
			group.Go(func() { _ = wakes.Run(ctx) })
			group.Go(func() {
				_ = holder.Run(ctx, func(context.Context, redisdb.Held) {
					select {
					case worked <- true:
					default:
					}
				})
			})
			for what, done := range map[string]func() bool{
				"a wake-up is heard": func() bool { return len(heard) > 0 }, "the lease's work is done": func() bool { return len(worked) > 0 },
			} {
				eventually(t, what, done)
			}
			cancel()
			group.Wait()
			script := redis.NewScript(`redis.call('PUBLISH', ARGV[1], 'x') return redis.call('INCR', KEYS[1])`)
			for _, key := range []string{"tocsin:a", "tocsin:{b}:c", "tocsin:d"} {
				if got, err := db.Write(t.Context(), script, []string{key}, db.Channel("topic")); err != nil || got != int64(1) {
					t.Errorf("got %v, %v, want 1", got, err)
				}
			}
		})
	}
}

// It can do nothing else.
func TestLimitedUserRefused(t *testing.T) {
	s := redistest.StartDurable(t)
	admin := s.Client(t)
	if err := admin.Set(t.Context(), "other", "1", 0).Err(); err != nil {
		t.Fatal(err)
	}
	o, err := redis.ParseURL(s.Limit(t))
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(o)
	defer func() { _ = c.Close() }()
	for _, command := range []string{
		"GET other", "SET other 2", "DEL other", "KEYS *", "SCAN 0", "DBSIZE", "RANDOMKEY", "FLUSHALL", "FLUSHDB",
		"CONFIG SET maxmemory-policy allkeys-lru", "SHUTDOWN", "ACL LIST", "SCRIPT FLUSH", "FUNCTION FLUSH",
		"REPLICAOF NO ONE", "MONITOR", "CLIENT LIST", "PUBLISH other x", "SUBSCRIBE other",
		"PSUBSCRIBE *", "COPY tocsin:a other", "MIGRATE h 1 tocsin:a 0 1", "SORT tocsin:a BY other", "CLUSTER RESET", "MODULE LIST",
	} {
		var args []any
		for word := range strings.FieldsSeq(command) {
			args = append(args, word)
		}
		if err := c.Do(t.Context(), args...).Err(); !redis.HasErrorPrefix(err, "NOPERM") {
			t.Errorf("%s: got %v, want it refused", command, err)
		}
	}
	script := redis.NewScript(`return redis.call('GET', 'other')`)
	if err := script.Run(t.Context(), c, []string{"tocsin:a"}).Err(); err == nil || !strings.Contains(err.Error(), "can't access") {
		t.Errorf("got %v for a script that reads another's key, want it refused", err)
	}
	if err := admin.Do(t.Context(), "ACL", "LOG", "RESET").Err(); err != nil { // all of them were tried
		t.Fatal(err)
	}
}

// The rules are those of the page.
func TestLimitedUserDocumented(t *testing.T) {
	page, err := os.ReadFile("../../../docs/operations/redis.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, rules := range [][]string{redisdb.ACL(redisdb.DefaultPrefix), redisdb.SentinelACL()} {
		if rules := strings.Join(rules, " "); !strings.Contains(string(page), rules) {
			t.Errorf("got a page without %q, want these rules", rules)
		}
	}
}

// Every command of every script in this module is allowed, whichever store it is of.
func TestLimitedUserScripts(t *testing.T) {
	const root = "../../.."
	used := make(map[string]string) // command → a file that uses it
	calls := regexp.MustCompile(`redis\.p?call\('([A-Za-z]+)'`)
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasSuffix(path, "_test.go") || !strings.HasSuffix(path, ".lua") && !strings.HasSuffix(path, ".go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range calls.FindAllSubmatch(text, -1) {
			used[strings.ToUpper(string(m[1]))] = path
		}
		return err
	})
	if err != nil || len(used) < 10 {
		t.Fatalf("got %d commands, %v, want those of all scripts", len(used), err)
	}
	s := redistest.StartDurable(t)
	s.Limit(t)
	admin := s.Client(t)
	for command, path := range used {
		if err := allowed(t, admin, command); err != nil {
			t.Errorf("%s: got %v for %s, want it allowed", path, err, command)
		}
	}
	if err := allowed(t, admin, "FLUSHALL"); err == nil {
		t.Error("got FLUSHALL allowed, want it refused")
	}
}

// allowed says whether the limited user may call a command, with as many arguments as it takes.
func allowed(t *testing.T, admin redis.UniversalClient, command string) (err error) {
	t.Helper()
	args := []any{"ACL", "DRYRUN", "limited", command}
	for range 8 {
		answer, err := admin.Do(t.Context(), args...).Text()
		switch {
		case err == nil && answer == "OK":
			return nil
		case err == nil:
			return errors.New(answer)
		case !strings.Contains(err.Error(), "wrong number"):
			return err
		}
		args = append(args, "tocsin:a")
	}
	return errors.New("it takes no number of arguments")
}
