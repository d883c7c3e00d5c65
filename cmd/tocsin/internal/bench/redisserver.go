package bench

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

// RedisStart in place of a URL starts a redis-server from the PATH.
const RedisStart = "start"

const (
	// redisReady is how long a server that was started has to answer.
	redisReady = 10 * time.Second
	// redisChunk is how many keys are removed at a time.
	redisChunk = 500
)

// redisServer is the Redis that is measured.
type redisServer struct {
	url    string
	client redis.UniversalClient
	cmd    *exec.Cmd // nil: it is not ours
	prefix string    // of all that this run writes
	spaces int
}

// reachRedis connects to a server by its URL, or starts one in a folder.
func reachRedis(ctx context.Context, where, dir string) (_ *redisServer, err error) {
	s := &redisServer{url: where, prefix: "bench-" + rand.Text()[:8]}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close(context.WithoutCancel(ctx)))
		}
	}()
	if where == RedisStart {
		if err := s.start(ctx, dir); err != nil {
			return nil, err
		}
	}
	if s.client, err = redisdb.Connect(s.url, false); err != nil {
		return nil, err
	}
	return s, s.client.Ping(ctx).Err()
}

// start starts a server as docs/operations/redis.md recommends it: on disk, one fsync
// for each turn of its loop, nothing thrown away.
func (s *redisServer) start(ctx context.Context, dir string) error {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return errors.New("there is no redis-server in the PATH (Debian package redis-server); give the URL of one")
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	if err := l.Close(); err != nil {
		return err
	}
	home := filepath.Join(dir, "redis")
	if err := os.MkdirAll(home, 0o700); err != nil {
		return err
	}
	s.cmd = exec.CommandContext(ctx, path, "--port", port, "--bind", "127.0.0.1", "--dir", home, "--save", "",
		"--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction", "--loglevel", "warning")
	s.cmd.Stderr = os.Stderr
	if err := s.cmd.Start(); err != nil {
		s.cmd = nil
		return fmt.Errorf("starting redis-server: %w", err)
	}
	s.url = "redis://127.0.0.1:" + port
	for deadline := time.Now().Add(redisReady); ; {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", "127.0.0.1:"+port)
		if err == nil {
			return conn.Close()
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("redis-server does not answer: %w", err)
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

// space returns a prefix that nothing has been written under yet.
func (s *redisServer) space() string {
	s.spaces++
	return fmt.Sprint(s.prefix, "-", s.spaces)
}

// flags are those of a server whose stores are here, under a prefix, and others.
func (s *redisServer) flags(prefix string, others []string) []string {
	return append([]string{"--redis", s.url, "--redis-prefix", prefix, "--redis-volatile"}, others...)
}

// close ends the server, or removes from it what was written under prefix.
func (s *redisServer) close(ctx context.Context) error {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill() // nothing it holds is wanted any more
		_ = s.cmd.Wait()
	} else if s.client != nil {
		if err := s.remove(ctx); err != nil {
			return errors.Join(fmt.Errorf("removing what was measured, %s…: %w", s.prefix, err), s.client.Close())
		}
	}
	if s.client == nil {
		return nil
	}
	return s.client.Close()
}

// each calls fn with every master.
func (s *redisServer) each(ctx context.Context, fn func(ctx context.Context, c redis.UniversalClient) error) error {
	cluster, ok := s.client.(*redis.ClusterClient)
	if !ok {
		return fn(ctx, s.client)
	}
	var one sync.Mutex
	return cluster.ForEachMaster(ctx, func(ctx context.Context, c *redis.Client) error {
		one.Lock()
		defer one.Unlock()
		return fn(ctx, c)
	})
}

func (s *redisServer) remove(ctx context.Context) error {
	return s.each(ctx, func(ctx context.Context, c redis.UniversalClient) error {
		found := c.Scan(ctx, 0, s.prefix+"*", redisChunk).Iterator()
		for found.Next(ctx) {
			if err := c.Unlink(ctx, found.Val()).Err(); err != nil {
				return err
			}
		}
		return found.Err()
	})
}

// spent is what a server has done so far, of all masters together.
type spent struct {
	cpu     float64 // µs, of all its threads
	reads   float64 // of its sockets: a request, or 16 KiB of a longer one
	scripts float64
	in, out float64 // bytes on the network
	memory  float64 // bytes
}

func (a spent) minus(b spent) spent {
	return spent{a.cpu - b.cpu, a.reads - b.reads, a.scripts - b.scripts, a.in - b.in, a.out - b.out, a.memory - b.memory}
}

func (a spent) plus(b spent) spent { return a.minus(spent{}.minus(b)) }

// version is that of the server.
func (s *redisServer) version(ctx context.Context) (v string, err error) {
	err = s.each(ctx, func(ctx context.Context, c redis.UniversalClient) error {
		raw, err := c.Info(ctx, "server").Result()
		v = parseInfo(raw)["redis_version"]
		return err
	})
	return v, err
}

// spent asks what was done so far.
func (s *redisServer) spent(ctx context.Context) (sum spent, err error) {
	err = s.each(ctx, func(ctx context.Context, c redis.UniversalClient) error {
		raw, err := c.Info(ctx, "all").Result()
		if err != nil {
			return err
		}
		one, err := parseSpent(raw)
		sum = sum.plus(one)
		return err
	})
	return sum, err
}

// parseSpent reads the answer of INFO.
func parseSpent(raw string) (spent, error) {
	info := parseInfo(raw)
	var errs []error
	number := func(name, text string) float64 {
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			errs = append(errs, fmt.Errorf("the server does not tell its %s: %w", name, err))
		}
		return v
	}
	field := func(name string) float64 { return number(name, info[name]) }
	out := spent{
		cpu:   1e6 * (field("used_cpu_user") + field("used_cpu_sys")),
		reads: field("total_reads_processed"), memory: field("used_memory"),
		in: field("total_net_input_bytes"), out: field("total_net_output_bytes"),
	}
	for _, name := range []string{"cmdstat_evalsha", "cmdstat_eval"} {
		if stat, ok := info[name]; ok {
			calls, _, _ := strings.Cut(strings.TrimPrefix(stat, "calls="), ",")
			out.scripts += number(name, calls)
		}
	}
	return out, errors.Join(errs...)
}

func parseInfo(raw string) map[string]string {
	info := map[string]string{}
	for lines := bufio.NewScanner(strings.NewReader(raw)); lines.Scan(); {
		if name, value, ok := strings.Cut(strings.TrimSpace(lines.Text()), ":"); ok {
			info[name] = value
		}
	}
	return info
}

const (
	// quietLook is how long one looks whether a server is quiet, quietScripts how many
	// scripts it may run meanwhile: nodes look by themselves, too.
	quietLook    = 400 * time.Millisecond
	quietScripts = 80
)

// quiet waits until nodes have done what is behind a load, such as fan-out to nobody.
func (s *redisServer) quiet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, waitTime)
	defer cancel()
	for {
		used, err := s.during(ctx, func() error { return pause(ctx, quietLook) })
		if err != nil || used.scripts <= quietScripts {
			return err
		}
	}
}

// during returns what the server did while fn ran.
func (s *redisServer) during(ctx context.Context, fn func() error) (spent, error) {
	before, err := s.spent(ctx)
	if err != nil {
		return spent{}, err
	}
	if err := fn(); err != nil {
		return spent{}, err
	}
	after, err := s.spent(ctx)
	return after.minus(before), err
}
