package guard

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// MaxURLBytes bounds an address that somebody else names.
const MaxURLBytes = 2048

// CheckURL parses raw and reports whether it may be called under p: an absolute
// https URL (http only for loopback and with [Policy.InsecureLoopback]) with a host,
// without user information and fragment, of at most [MaxURLBytes] bytes.
//
// A literal IP address outside p gives an error for which [Blocked] is true. A name
// is not resolved here; the client judges what it resolves to when it connects.
func CheckURL(raw string, p Policy) (*url.URL, error) {
	if len(raw) > MaxURLBytes {
		return nil, fmt.Errorf("URL has %d bytes, more than %d", len(raw), MaxURLBytes)
	}
	if strings.ContainsRune(raw, '#') { // url.Parse does not tell an empty fragment from none
		return nil, errors.New("URL has a fragment")
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("not a URL") // the parser's text repeats the input
	}
	if err := check(u, p); err != nil {
		return nil, err
	}
	return u, nil
}

func check(u *url.URL, p Policy) error {
	host := u.Hostname()
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return errors.New("URL is not https")
	case u.Opaque != "" || host == "":
		return errors.New("URL has no host")
	case u.User != nil:
		return errors.New("URL has user information")
	case u.Fragment != "":
		return errors.New("URL has a fragment")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return errors.New("URL has no valid port")
		}
	}
	addr, err := netip.ParseAddr(host)
	literal := err == nil
	addr = addr.Unmap()
	if u.Scheme == "http" {
		local := strings.EqualFold(host, "localhost") || literal && addr.IsLoopback()
		if !p.InsecureLoopback || !local {
			return errors.New("URL is not https")
		}
		return nil
	}
	if literal {
		return newJudge(p).address(addr)
	}
	return nil
}
