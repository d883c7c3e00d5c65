package signer

import (
	"bytes"

	"github.com/tocsin-ssf/tocsin/set/delivery/edge"
)

// MayAsk reports whether the server of a socket answers a peer.
func MayAsk(users []int, p edge.Peer, known bool) bool { return mayAsk(users)(p, known) }

// Heard reads an answer out of a frame, and the keys that it announces.
func Heard(frame []byte) int {
	var said heard
	if newFrames(bytes.NewBuffer(bytes.Clone(frame))).read(&said) != nil {
		return 0
	}
	keys, _, err := announced(said)
	if err != nil {
		return 0
	}
	return keys.Len()
}

// Again reads a request out of a frame and writes it; false if it is none.
func Again(frame []byte) ([]byte, bool) {
	var ask request
	if newFrames(bytes.NewBuffer(bytes.Clone(frame))).read(&ask) != nil {
		return nil, false
	}
	_, _, _ = ask.input()
	var out bytes.Buffer
	if newFrames(&out).write(ask) != nil {
		return nil, false
	}
	return out.Bytes(), true
}
