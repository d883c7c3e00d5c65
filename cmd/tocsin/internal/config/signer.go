package config

import (
	"fmt"
	"strings"
)

// SignerSettings say which process holds the signing keys (docs/operations/signer.md).
type SignerSettings struct {
	Signer string `help:"Process that holds the signing keys, tocsin signer: unix: and the path of its socket. Default: they are made and kept here." placeholder:"unix:PATH" group:"Keys:"`
}

// SignerPath returns the path of its socket; "": there is none.
func (s SignerSettings) SignerPath() (string, error) {
	if s.Signer == "" {
		return "", nil
	}
	path, ok := strings.CutPrefix(s.Signer, "unix:")
	if !ok || path == "" {
		return "", fmt.Errorf("--signer: got %q, want unix: and the path of a socket", s.Signer)
	}
	return path, nil
}
