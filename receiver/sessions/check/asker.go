package check

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"strings"
)

// TokenHeader is the header in which who asks shows the token. Authorization is the
// user's own.
const TokenHeader = "X-Tocsin-Token"

// MinTokenBytes is the shortest token.
const MinTokenBytes = 16

// asker tells who may ask an endpoint.
type asker struct {
	wanted bool
	token  [sha256.Size]byte
}

// newAsker returns who may ask at listen: who has the token, or anybody on this machine
// if there is none.
func newAsker(listen, token string) (asker, []error) {
	var errs []error
	if !local(listen) && token == "" {
		errs = append(errs, fmt.Errorf("check: Listen is %q, want loopback or a socket, or a Token: whoever reaches the endpoint learns who is locked out", listen))
	}
	if token != "" && len(token) < MinTokenBytes {
		errs = append(errs, fmt.Errorf("check: Token has %d bytes, want at least %d", len(token), MinTokenBytes))
	}
	return asker{token != "", sha256.Sum256([]byte(token))}, errs
}

// local reports whether only this machine reaches what is served at addr.
func local(addr string) bool {
	if strings.HasPrefix(addr, "/") || strings.HasPrefix(addr, "@") {
		return true
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// may reports whether the asker has the token, or is on this machine if there is none.
func (a asker) may(r *http.Request) bool {
	if a.wanted {
		got := sha256.Sum256([]byte(r.Header.Get(TokenHeader)))
		return subtle.ConstantTimeCompare(got[:], a.token[:]) == 1
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return true // a socket has no address
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
