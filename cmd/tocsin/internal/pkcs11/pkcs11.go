// Package pkcs11 opens the keys of a hardware security module for a signer. It has them in
// a binary that was built with the tag pkcs11 alone: that needs cgo, and loads the module's
// library into the process, which is why nothing but a signer does.
package pkcs11

import (
	"errors"
	"strings"

	"github.com/tocsin-ssf/tocsin/set/jose"
)

// ErrNotBuilt: this binary has no PKCS #11.
var ErrNotBuilt = errors.New("this tocsin was built without PKCS #11; build one with it: make build-pkcs11 (needs a C compiler)")

// Config says where the keys are.
type Config struct {
	// Module is the path of the module's library, Token the label of the token in it.
	Module, Token string
	// PIN of the token's user.
	PIN string
	// Keys are the labels of the keys to sign with, in this order, each with the algorithm
	// before it where it is not the natural one of its type (PS256=LABEL); nil: all
	// pairs that the token has.
	Keys []string
}

// Named splits the name of a key from the algorithm before it; "" if there is none.
func Named(text string) (jose.Algorithm, string) {
	before, after, ok := strings.Cut(text, "=")
	if alg, err := jose.ParseAlgorithm(before); ok && err == nil {
		return alg, after
	}
	return "", text
}
