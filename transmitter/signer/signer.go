// Package signer is how a transmitter has its signing keys in another process, which signs
// and never hands a key out: the protocol between the two, the [Server] that holds the
// keys, and the [Client] of the transmitter (docs/operations/signer.md).
//
// They speak over a Unix socket, in frames: four bytes of length, big-endian, then so many
// bytes of JSON, at most [MaxFrame]. The server begins with a greeting; then the client
// asks and the server answers, one after the other on a connection, and there may be
// [MaxConns] connections.
//
//	→ {"protocol":"tocsin-signer","version":1}
//	← {"op":"list"}
//	→ {"keys":[{"kty":"RSA","kid":…,"alg":"RS256",…},…]}
//	← {"op":"sign","kid":…,"alg":"RS256","digest":…}
//	→ {"signature":…}  or  {"error":{"code":"unknown_key","description":…}}
//
// What is signed is a SHA-256 digest, in base64, for EdDSA the JWS signing input itself
// (member message); the signature is as [crypto.Signer] gives it, so that of ES256 in ASN.1.
package signer

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-ssf/tocsin/set/jose"
)

const (
	// Version of the protocol, in the greeting.
	Version = 1
	// MaxFrame bounds a frame in bytes: a message of [jose.MaxCompactBytes] in base64,
	// and what is around it.
	MaxFrame = 96 << 10
	// MaxKeys bounds the keys of a server.
	MaxKeys = 32
	// MaxConns bounds the connections to a server.
	MaxConns = 64

	protocol   = "tocsin-signer"
	opList     = "list"
	opSign     = "sign"
	digestSize = 32 // of SHA-256, which all our algorithms have
)

// Codes of a [Refusal].
const (
	CodeMalformed  = "malformed"   // not a request of this protocol
	CodePeer       = "peer"        // this user may not ask
	CodeUnknownKey = "unknown_key" // no such key here
	CodeAlgorithm  = "algorithm"   // not the algorithm of the key
	CodeInput      = "input"       // not what the algorithm signs
	CodeBusy       = "busy"        // too many connections, or signatures a second
	CodeFailed     = "failed"      // what holds the key did not sign
)

// Refusal is a server's answer that is no signature.
type Refusal struct {
	Code        string `json:"code"`
	Description string `json:"description,omitempty"`
}

// Error tells code and description.
func (r *Refusal) Error() string {
	return fmt.Sprintf("the signer refuses: %.40s (%.200s)", r.Code, r.Description)
}

// greeting is what the server says first.
type greeting struct {
	Protocol string   `json:"protocol"`
	Version  int      `json:"version"`
	Error    *Refusal `json:"error,omitempty"`
}

type request struct {
	Op        string         `json:"op"`
	KeyID     string         `json:"kid,omitempty"`
	Algorithm jose.Algorithm `json:"alg,omitempty"`
	Digest    []byte         `json:"digest,omitempty"`
	Message   []byte         `json:"message,omitempty"`
}

type answer struct {
	Keys      []*jose.PublicKey `json:"keys,omitempty"`
	Signature []byte            `json:"signature,omitempty"`
	Error     *Refusal          `json:"error,omitempty"`
}

// heard is an answer as it is read: keys are parsed by whoever asked for them.
type heard struct {
	Keys      []jsontext.Value `json:"keys"`
	Signature []byte           `json:"signature"`
	Error     *Refusal         `json:"error"`
}

var errFrame = errors.New("signer: not a frame of the protocol")

// frames reads and writes the frames of one connection.
type frames struct {
	in  *bufio.Reader
	out io.Writer
	buf []byte // of what is written
}

func newFrames(conn io.ReadWriter) *frames {
	return &frames{in: bufio.NewReader(conn), out: conn}
}

// begin waits for the first byte of a frame.
func (f *frames) begin() error {
	_, err := f.in.Peek(1)
	return err
}

// read reads a frame into v. Members that v does not have are a fault.
func (f *frames) read(v any) error {
	var head [4]byte
	if _, err := io.ReadFull(f.in, head[:]); err != nil {
		return err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size == 0 || size > MaxFrame {
		return fmt.Errorf("%w: %d bytes, at most %d", errFrame, size, MaxFrame)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(f.in, body); err != nil {
		return err
	}
	if err := jsonv2.Unmarshal(body, v, jsonv2.RejectUnknownMembers(true)); err != nil {
		return fmt.Errorf("%w: not its JSON", errFrame) // the library's text may repeat what came
	}
	return nil
}

func (f *frames) write(v any) error {
	body, err := jsonv2.Marshal(v)
	if err != nil {
		return fmt.Errorf("signer: %w", err)
	}
	if len(body) > MaxFrame {
		return fmt.Errorf("%w: %d bytes, at most %d", errFrame, len(body), MaxFrame)
	}
	f.buf = binary.BigEndian.AppendUint32(f.buf[:0], uint32(len(body))) //nolint:gosec // bounded above
	f.buf = append(f.buf, body...)
	_, err = f.out.Write(f.buf)
	return err
}
