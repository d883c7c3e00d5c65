package signer

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/tocsin-ssf/tocsin/set/delivery/edge"
	"github.com/tocsin-ssf/tocsin/set/jose"
)

const (
	// idleTime is how long a connection may have nothing to ask.
	idleTime = 2 * time.Minute
	// frameTime bounds a frame that has begun, and the writing of an answer.
	frameTime = 5 * time.Second
	// paceTime is how long a request waits at most for its turn where there is a rate.
	paceTime = 2 * time.Second
	// tallyEvery is how often it is told what was signed.
	tallyEvery = time.Minute
)

// Key is a key that a server signs with.
type Key struct {
	Public *jose.PublicKey
	Signer crypto.Signer
}

// ServerConfig says what a [Server] signs, and for whom.
type ServerConfig struct {
	// Keys in the order in which they are announced; required.
	Keys []Key
	// Users are the ids of users who may ask, beside the process's own.
	Users []int
	// Rate is how many signatures a second each key makes; what is over waits a moment,
	// then it is refused. 0: any number.
	Rate float64
	// Logger is told who signed with which key how often; nil: slog.Default.
	Logger *slog.Logger
}

// Server signs for those who may ask it. It signs what the algorithm of a key signs, and
// nothing else: it cannot see what a digest is of. Safe for concurrent use.
type Server struct {
	cfg     ServerConfig
	keys    map[string]*key
	list    answer
	tally   *tally
	allowed func(edge.Peer, bool) bool

	mu    sync.Mutex
	conns map[net.Conn]struct{} // guarded by mu
}

type key struct {
	Key
	pace *rate.Limiter // nil: none
}

// NewServer returns a server that does not listen yet.
func NewServer(cfg ServerConfig) (*Server, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if n := len(cfg.Keys); n == 0 || n > MaxKeys {
		return nil, fmt.Errorf("signer: %d keys, want 1 to %d", n, MaxKeys)
	}
	s := &Server{
		cfg: cfg, keys: make(map[string]*key, len(cfg.Keys)), tally: newTally(),
		allowed: mayAsk(cfg.Users), conns: make(map[net.Conn]struct{}),
	}
	for _, k := range cfg.Keys {
		if _, err := jose.Hold(k.Public, k.Signer); err != nil {
			return nil, fmt.Errorf("signer: %w", err)
		}
		if s.keys[k.Public.ID()] != nil {
			return nil, fmt.Errorf("signer: two keys with the kid %s", k.Public.ID())
		}
		one := &key{Key: k}
		if cfg.Rate > 0 {
			one.pace = rate.NewLimiter(rate.Limit(cfg.Rate), max(1, int(cfg.Rate/10)))
		}
		s.keys[k.Public.ID()] = one
		s.list.Keys = append(s.list.Keys, k.Public)
	}
	return s, nil
}

// Serve answers on l until ctx ends; then it closes l, lets what is being signed end, and
// returns nil.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	var work sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		cancel()
		s.hurry()
		work.Wait()
		s.tell(context.WithoutCancel(ctx))
	}()
	context.AfterFunc(ctx, func() { _ = l.Close() }) // Accept tells that it is closed
	work.Go(func() { s.tellEvery(ctx) })
	pause := time.Duration(0)
	for {
		conn, err := l.Accept()
		if ctx.Err() != nil {
			if conn != nil {
				_ = conn.Close() // it came too late
			}
			return nil
		}
		if err != nil { // too many files, say: that passes
			pause = min(max(2*pause, time.Millisecond), time.Second)
			s.cfg.Logger.ErrorContext(ctx, "the signer could not take a connection", slog.Any("err", err))
			if errors.Is(err, net.ErrClosed) {
				return err
			}
			<-time.After(pause)
			continue
		}
		pause = 0
		work.Go(func() { s.talk(ctx, conn) })
	}
}

// mayAsk returns who may: the process's own user and those listed, by the kernel's word.
// Where the kernel says nothing the modes of socket and folder decide.
func mayAsk(users []int) func(edge.Peer, bool) bool {
	return func(p edge.Peer, known bool) bool {
		if !known {
			return runtime.GOOS != "linux"
		}
		return p.UID == ownUser() || slices.Contains(users, p.UID)
	}
}

// talk serves one connection.
func (s *Server) talk(ctx context.Context, conn net.Conn) {
	defer conn.Close() // what was answered is with the kernel
	who, known := edge.PeerOf(edge.ConnContext(ctx, conn))
	f := newFrames(conn)
	hello := greeting{Protocol: protocol, Version: Version}
	switch {
	case !s.allowed(who, known):
		hello.Error = &Refusal{CodePeer, "this user may not ask"}
		s.cfg.Logger.WarnContext(ctx, "refused a user who may not ask for signatures", slog.Int("uid", who.UID), slog.Int("pid", who.PID))
	case !s.enter(conn):
		hello.Error = &Refusal{CodeBusy, "too many connections"}
		s.cfg.Logger.WarnContext(ctx, "refused a connection: there are too many", slog.Int("connections", MaxConns))
	default:
		defer s.leave(conn)
	}
	_ = conn.SetDeadline(time.Now().Add(frameTime)) // a connection that has none fails at once
	if f.write(hello) != nil || hello.Error != nil {
		return
	}
	for ctx.Err() == nil {
		_ = conn.SetDeadline(time.Now().Add(idleTime))
		if ctx.Err() != nil { // hurry may have come before
			return
		}
		if f.begin() != nil {
			return
		}
		_ = conn.SetDeadline(time.Now().Add(frameTime))
		var ask request
		if err := f.read(&ask); err != nil {
			if errors.Is(err, errFrame) {
				_ = f.write(answer{Error: &Refusal{CodeMalformed, err.Error()}}) // and no more
			}
			return
		}
		said := s.answer(ctx, ask, who)
		_ = conn.SetDeadline(time.Now().Add(frameTime))
		if f.write(said) != nil {
			return
		}
	}
}

func (s *Server) answer(ctx context.Context, ask request, who edge.Peer) answer {
	switch ask.Op {
	case opList:
		return s.list
	case opSign:
		signature, refusal := s.sign(ctx, ask)
		if refusal != nil {
			s.cfg.Logger.WarnContext(ctx, "a signature was refused", slog.Int("uid", who.UID), slog.Int("pid", who.PID),
				slog.String("code", refusal.Code), slog.String("description", refusal.Description))
			return answer{Error: refusal}
		}
		s.tally.add(signed{kid: ask.KeyID, uid: who.UID, pid: who.PID})
		return answer{Signature: signature}
	}
	return answer{Error: &Refusal{CodeMalformed, "no such op"}}
}

// sign signs what a key signs, or says why not. Nothing of the input is told.
func (s *Server) sign(ctx context.Context, ask request) (signature []byte, no *Refusal) {
	k := s.keys[ask.KeyID]
	if k == nil {
		return nil, &Refusal{CodeUnknownKey, "there is no such key here"}
	}
	if ask.Algorithm != k.Public.Algorithm() {
		return nil, &Refusal{CodeAlgorithm, "the key serves " + string(k.Public.Algorithm()) + " alone"}
	}
	input, opts, no := ask.input()
	if no != nil {
		return nil, no
	}
	if k.pace != nil {
		waiting, cancel := context.WithTimeout(ctx, paceTime)
		defer cancel()
		if k.pace.Wait(waiting) != nil {
			return nil, &Refusal{CodeBusy, "more signatures are asked for than the key may make in a second"}
		}
	}
	defer func() {
		if p := recover(); p != nil {
			signature, no = nil, &Refusal{CodeFailed, "what holds the key failed"}
			s.cfg.Logger.ErrorContext(ctx, "what holds a key panicked", slog.String("kid", ask.KeyID),
				slog.String("panic", edge.PanicText(p)), slog.String("stack", string(debug.Stack())))
		}
	}()
	signature, err := k.Signer.Sign(randomness(), input, opts)
	if err != nil {
		s.cfg.Logger.ErrorContext(ctx, "what holds a key did not sign", slog.String("kid", ask.KeyID), slog.Any("err", err))
		return nil, &Refusal{CodeFailed, "what holds the key did not sign; its log says why"}
	}
	return signature, nil
}

// enter counts a connection, if there is room for it.
func (s *Server) enter(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.conns) >= MaxConns {
		return false
	}
	s.conns[conn] = struct{}{}
	return true
}

func (s *Server) leave(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
}

// hurry ends the waiting of connections that ask for nothing.
func (s *Server) hurry() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.conns {
		_ = conn.SetReadDeadline(time.Now())
	}
}
