package conformance

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// masked stands for what a report does not show.
const masked = "***"

// shortestSecret is the length below which a text is not looked for: it would hide
// half of a report, and is no secret.
const shortestSecret = 6

// Mask hides secrets in evidence: those that it was told of wherever they stand, and
// what is a secret by its place, as the value of an Authorization header. Its zero
// value hides the latter. It is safe for concurrent use.
type Mask struct {
	mu      sync.RWMutex
	secrets []string // the forms in which each may stand, the longest first
}

// Hide adds secrets: access tokens, client secrets, Authorization headers.
func (m *Mask) Hide(secrets ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, secret := range secrets {
		if len(secret) < shortestSecret {
			continue
		}
		for _, form := range forms(secret) {
			if !slices.Contains(m.secrets, form) {
				m.secrets = append(m.secrets, form)
			}
		}
	}
	slices.SortFunc(m.secrets, func(a, b string) int { return len(b) - len(a) })
}

// forms returns how a secret stands in texts, in JSON, in forms and URLs, and in basic
// credentials.
func forms(secret string) []string {
	quoted, err := json.Marshal(secret)
	if err != nil {
		quoted = []byte(`""`)
	}
	all := []string{
		secret, strings.Trim(string(quoted), `"`), url.QueryEscape(secret), url.PathEscape(secret),
		base64.StdEncoding.EncodeToString([]byte(secret)),
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(s string) bool { return s == "" })
}

var (
	// A member of JSON or a parameter of a form that is a secret by its name.
	secretMember    = regexp.MustCompile(`(?i)("(?:access_token|refresh_token|id_token|client_secret|client_assertion|password|authorization_header|endpoint_url_token)"\s*:\s*)"(?:[^"\\]|\\.)*"?`)
	secretParameter = regexp.MustCompile(`(?i)\b((?:access_token|refresh_token|token|client_secret|client_assertion|password)=)[^&\s"]+`)
	// A signature of a compact JWS: without it what is shown cannot be sent again.
	signature    = regexp.MustCompile(`\b(ey[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]{2,}\.)[A-Za-z0-9_-]{8,}`)
	secretHeader = regexp.MustCompile(`(?i)^(authorization|proxy-authorization|cookie|set-cookie|dpop)$`)
)

// Text returns s without what is to be hidden.
func (m *Mask) Text(s string) string {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, secret := range m.secrets {
		s = strings.ReplaceAll(s, secret, masked)
	}
	s = secretMember.ReplaceAllString(s, `$1"`+masked+`"`)
	s = secretParameter.ReplaceAllString(s, "${1}"+masked)
	return signature.ReplaceAllString(s, "${1}"+masked)
}

// header returns a header's value without what is to be hidden: of a credential, its
// scheme is shown.
func (m *Mask) header(name, value string) string {
	if !secretHeader.MatchString(name) {
		return m.Text(value)
	}
	if scheme, rest, ok := strings.Cut(value, " "); ok && rest != "" && strings.HasSuffix(strings.ToLower(name), "authorization") {
		return m.Text(scheme) + " " + masked
	}
	return masked
}
