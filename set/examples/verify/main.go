// Command verify reads a Security Event Token from standard input, verifies it with the
// keys in a file, and prints what it says.
//
//	verify -issuer https://ssf.example -audience https://app.example -jwks keys.json < token.jwt
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"strings"

	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/jose"
)

func main() {
	issuer := flag.String("issuer", "", "who must have signed it")
	audience := flag.String("audience", "", "whom it must be for")
	keys := flag.String("jwks", "", "file with the issuer's keys, a JWK set")
	flag.Parse()
	if err := verify(context.Background(), *issuer, *audience, *keys, os.Stdin, os.Stdout); err != nil {
		var refused *set.Error
		if errors.As(err, &refused) {
			log.Fatalf("refused with %s: %s", refused.Code, refused.Description) // as a receiver answers (RFC 8935 §2.4)
		}
		log.Fatal(err)
	}
}

// maxToken bounds a SET, in bytes.
const maxToken = 1 << 20

func verify(ctx context.Context, issuer, audience, keys string, in io.Reader, out io.Writer) error {
	jwks, err := os.ReadFile(keys)
	if err != nil {
		return err
	}
	found, err := jose.ParseKeySet(jwks)
	if err != nil {
		return err
	}
	verifier, err := set.NewVerifier(set.VerifierConfig{Issuer: issuer, Audience: []string{audience}, Keys: own{found}})
	if err != nil {
		return err
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxToken))
	if err != nil {
		return err
	}
	token, err := verifier.Verify(ctx, []byte(strings.TrimSpace(string(raw))))
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "jti", token.ID)
	for _, event := range token.Events {
		fmt.Fprintln(out, "event", event.Type)
	}
	if revoked, err := set.EventAs[caep.SessionRevoked](token); err == nil {
		fmt.Fprintln(out, "sessions were revoked at", revoked.EventTimestamp.UTC())
	}
	return nil
}

// own are keys from a file.
type own struct{ *jose.KeySet }

// Key finds one of them.
func (o own) Key(_ context.Context, _, kid string, alg jose.Algorithm) (*jose.PublicKey, error) {
	return o.Find(kid, alg)
}
