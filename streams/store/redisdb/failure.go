package redisdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"
)

// ErrReplicas: fewer replicas than configured acknowledged a write in time, or the disk
// did not. The server itself may have it; call again to know more.
var ErrReplicas = errors.New("redisdb: not acknowledged by enough replicas")

// ErrAway: the server cannot be reached, or is failing over, for longer than a call is
// tried again. It may have done what it was asked; call again to know more.
var ErrAway = errors.New("redisdb: the server is away")

// ErrRefused: the server's settings would lose what it acknowledges. It is asked again
// at the next connect.
var ErrRefused = errors.New("redisdb: the server does not do")

// errRole is of a server that is no master, or none any more; errLoading of one that has
// just been started.
var (
	errRole    = errors.New("connect to the master")
	errLoading = errors.New("it loads what it has on disk")
)

// remedy is what helps where a call failed.
type remedy int

const (
	none  remedy = iota // it is answered
	again               // it is sent again at once
	later               // it is sent again after a pause
)

// remedyOf looks at how a call failed, and prepares it for being sent again.
func (db *DB) remedyOf(p *pending) remedy {
	err := p.Err
	switch {
	case err == nil, errors.Is(err, ErrReplicas), errors.Is(err, ErrRefused):
		return none
	case redis.HasErrorPrefix(err, "NOSCRIPT") && !p.text:
		p.text = true
		return again
	case redis.HasErrorPrefix(err, "ASK "):
		p.asking = lastWord(err)
		return again
	case redis.HasErrorPrefix(err, "NOREPLICAS"): // min-replicas-to-write
		p.Err = fmt.Errorf("%w: %w", ErrReplicas, err)
		return none
	case redis.HasErrorPrefix(err, "unknown command 'WAITAOF'") && db.knowsDisk.CompareAndSwap(true, false):
		return again // an older server took over
	}
	if p.asking = ""; passes(err) {
		return later
	}
	return none
}

// passes says whether an error is that of a server that is away, or of who takes over.
func passes(err error) bool {
	for _, prefix := range []string{
		"MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN", "READONLY", "MASTERDOWN", "LOADING",
		"UNBLOCKED", "WAIT cannot be used with replica", "WAITAOF cannot be used with replica", // it became one meanwhile
	} {
		if redis.HasErrorPrefix(err, prefix) {
			return true
		}
	}
	var network net.Error
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, redis.ErrPoolTimeout) || errors.Is(err, errRole) || errors.Is(err, errLoading) ||
		errors.As(err, &network) && !errors.Is(err, context.Canceled)
}

// lastWord returns the address of ASK slot host:port.
func lastWord(err error) string {
	words := strings.Fields(err.Error())
	return words[len(words)-1]
}
