package set_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/delivery"
)

var update = flag.Bool("update", false, "rewrite testdata/vectors.json")

// claims are those of every vector, before its change.
const claims = `{"iss":"https://idp.example.com/tenant","jti":"24c63fb56e5a2d77","iat":1763999940,"aud":"https://rp.example.com","txn":"8675309",` +
	`"sub_id":{"format":"iss_sub","iss":"https://idp.example.com/tenant","sub":"145234573"},` +
	`"events":{"https://schemas.openid.net/secevent/caep/event-type/session-revoked":{"initiating_entity":"policy","event_timestamp":1763999900}}}`

const (
	issClaim    = `"iss":"https://idp.example.com/tenant","jti"`
	jtiClaim    = `"jti":"24c63fb56e5a2d77"`
	iatClaim    = `"iat":1763999940`
	audClaim    = `"aud":"https://rp.example.com"`
	txnClaim    = `"txn":"8675309"`
	subjectJSON = `{"format":"iss_sub","iss":"https://idp.example.com/tenant","sub":"145234573"}`
	eventsJSON  = `{"https://schemas.openid.net/secevent/caep/event-type/session-revoked":{"initiating_entity":"policy","event_timestamp":1763999900}}`
	payloadJSON = `{"initiating_entity":"policy","event_timestamp":1763999900}`
)

// verdict is what a verifier says: "" and "", or code and description.
type verdict struct {
	Err         delivery.Code `json:"err,omitempty"`
	Description string        `json:"description,omitempty"`
}

const (
	request = delivery.CodeInvalidRequest
	key     = delivery.CodeInvalidKey
	failed  = delivery.CodeAuthenticationFailed
)

var (
	accepted     = verdict{}
	notJWS       = verdict{request, "the SET is not a compact JWS"}
	notJWE       = verdict{request, "the SET is not a compact JWE"}
	tooLarge     = verdict{request, "the SET is too large"}
	notJSON      = verdict{request, "the claims are not JSON or have a member twice"}
	notObject    = verdict{request, "the claims are not a JSON object"}
	badEvents    = verdict{request, "events must be an object with one JSON object for each event type URI"}
	badType      = verdict{request, "typ must be secevent+jwt"}
	badSubject   = verdict{request, "the subject identifier is invalid"}
	noSubject    = verdict{request, "sub_id is missing"}
	hasSub       = verdict{request, "a SET must not have sub"}
	hasExp       = verdict{request, "a SET must not have exp"}
	expired      = verdict{request, "the SET has expired"}
	twoPlaces    = verdict{request, "the subject is inside the event beside sub_id"}
	innerTwo     = verdict{request, "the subjects inside the events are not the same"}
	twoSubjects  = verdict{request, "the subject inside the event is another than sub_id"}
	inFuture     = verdict{request, "iat lies in the future"}
	badAlgorithm = verdict{key, "the signature algorithm is not allowed"}
	badSignature = verdict{failed, "the signature does not verify"}
	badIssuer    = verdict{delivery.CodeInvalidIssuer, "iss is not the issuer of this stream"}
	badAudience  = verdict{delivery.CodeInvalidAudience, "aud does not name this receiver"}
)

func wrong(description string) verdict { return verdict{request, description} }

// change is a vector: the claims with old replaced by new, or a header, or a
// whole token, and the verdict on it.
type change struct {
	name     string // begins with the requirement
	old, new string // in the claims
	header   string // "" is the usual one
	bend     func(compact string) string
	want     verdict

	// What makes the verdict another one, and which. A vector without it must get
	// the same verdict from a verifier that tolerates everything.
	tolerances set.Tolerances
	tolerant   verdict
}

// body returns the claims.
func (c change) body(t testing.TB) string {
	t.Helper()
	switch {
	case c.old == "" && c.new == "":
		return claims
	case c.old == "":
		return c.new
	case strings.Count(claims, c.old) != 1:
		t.Fatalf("%s: %q is not once in the claims", c.name, c.old)
	}
	return strings.Replace(claims, c.old, c.new, 1)
}

func (c change) compact(t testing.TB) string {
	t.Helper()
	body := c.body(t)
	head := header
	if c.header != "" {
		head = c.header
	}
	compact := sign(t, head, body)
	if c.bend != nil {
		compact = c.bend(compact)
	}
	return compact
}

// judge returns the verdict and checks what holds for all: a refusal is an
// *Error without token, whose text gives nothing of the SET away.
func judge(t testing.TB, v *set.Verifier, compact string) verdict {
	t.Helper()
	tok, err := v.Verify(t.Context(), []byte(compact))
	if err == nil {
		if tok == nil || tok.Compact() != compact {
			t.Errorf("accepted: got %v, want the token as it came", tok)
		}
		return accepted
	}
	var refusal *set.Error
	if !errors.As(err, &refusal) {
		t.Fatalf("got %v, want a *set.Error", err)
	}
	if tok != nil {
		t.Errorf("refused: got a token, want nil")
	}
	if strings.Contains(err.Error(), "145234573") {
		t.Errorf("got %q, want nothing of the subject (SEC-04)", err)
	}
	if got, want := refusal.Failure(), (delivery.Failure{Err: refusal.Code, Description: refusal.Description}); got != want {
		t.Errorf("Failure: got %v, want %v", got, want)
	}
	return verdict{refusal.Code, refusal.Description}
}

// maxVectorBytes keeps the tokens that are merely long out of the file.
const maxVectorBytes = 8 << 10

// vector is a line of testdata/vectors.json: a token for issuer
// https://idp.example.com/tenant and audience https://rp.example.com at
// 2025-11-24T16:00:00Z, signed with testdata/key.json (kid "test"), with the
// verdicts of a strict verifier and of one that tolerates everything.
type vector struct {
	Name     string  `json:"name"`
	Compact  string  `json:"compact"`
	Strict   verdict `json:"strict"`
	Tolerant verdict `json:"tolerant"`
}

// Every rule of SSF §4 and RFC 8417 §2, each tolerance both ways.
func TestVectors(t *testing.T) {
	strict, loosest := newVerifier(t, set.Tolerances{}), newVerifier(t, everything())
	var list []vector
	names := map[string]bool{}
	for _, c := range changes() {
		t.Run(c.name, func(t *testing.T) {
			if names[c.name] {
				t.Fatal("got the name twice, want it once")
			}
			names[c.name] = true
			compact := c.compact(t)
			if got := judge(t, strict, compact); got != c.want {
				t.Errorf("strict: got %q, want %q", got, c.want)
			}
			tolerant := c.want
			if c.tolerances != (set.Tolerances{}) {
				tolerant = c.tolerant
				if got := judge(t, newVerifier(t, c.tolerances), compact); got != tolerant {
					t.Errorf("with its tolerance: got %q, want %q", got, tolerant)
				}
			}
			if got := judge(t, loosest, compact); got != tolerant {
				t.Errorf("with every tolerance: got %q, want %q", got, tolerant)
			}
			if len(compact) <= maxVectorBytes {
				list = append(list, vector{c.name, compact, c.want, tolerant})
			}
		})
	}
	compareVectors(t, list)
}

func compareVectors(t *testing.T, list []vector) {
	t.Helper()
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(list); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("testdata/vectors.json", out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(read(t, "vectors.json"), out.Bytes()) {
		t.Error("got other tokens or verdicts than testdata/vectors.json, want the same; see -update")
	}
}
