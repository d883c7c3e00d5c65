package set_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// keyring is a key source of one issuer; wellknown has one that fetches.
type keyring struct{ keys *jose.KeySet }

func (k keyring) Key(_ context.Context, _, kid string, alg jose.Algorithm) (*jose.PublicKey, error) {
	return k.keys.Find(kid, alg)
}

// A transmitter signs a SET, a receiver verifies it and reads its event.
func Example() {
	key, err := jose.Generate(jose.RS256)
	if err != nil {
		log.Fatal(err)
	}
	signer, err := jose.NewSigner(key, set.HeaderType)
	if err != nil {
		log.Fatal(err)
	}
	compact, err := set.Builder{
		Issuer:        "https://idp.example.com",
		ID:            "24c63fb56e5a2d77a6b512616ca9fa24",
		Audience:      []string{"https://rp.example.com"},
		IssuedAt:      time.Unix(1763999940, 0),
		TransactionID: "8675309",
		Subject:       subject.Email("jdoe@example.com"),
		Event:         set.Event{Type: caep.SessionRevokedType, Payload: []byte(`{"initiating_entity":"admin"}`)},
	}.Sign(signer)
	if err != nil {
		log.Fatal(err)
	}

	verifier, err := set.NewVerifier(set.VerifierConfig{
		Issuer:   "https://idp.example.com",
		Audience: []string{"https://rp.example.com"},
		Keys:     keyring{jose.NewKeySet(key.Public())},
	})
	if err != nil {
		log.Fatal(err)
	}
	token, err := verifier.Verify(context.Background(), []byte(compact))
	if err != nil {
		log.Fatal(err)
	}
	event, err := set.EventAs[caep.SessionRevoked](token)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(token.ID, event.InitiatingEntity)
	// Output: 24c63fb56e5a2d77a6b512616ca9fa24 admin
}

// A refusal is what the transmitter is told.
func ExampleVerifier_Verify() {
	verifier, err := set.NewVerifier(set.VerifierConfig{
		Issuer:   "https://idp.example.com",
		Audience: []string{"https://rp.example.com"},
		Keys:     keyring{jose.NewKeySet()},
	})
	if err != nil {
		log.Fatal(err)
	}
	_, err = verifier.Verify(context.Background(), []byte("eyJhbGciOiJub25lIiwidHlwIjoic2VjZXZlbnQrand0In0.e30."))
	var refusal *set.Error
	if errors.As(err, &refusal) {
		fmt.Println(refusal.Code, "-", refusal.Description)
	}
	// Output: invalid_key - the signature algorithm is not allowed
}

// Claims are a function of the builder: signing again says the same.
func ExampleBuilder_Claims() {
	claims, err := set.Builder{
		Issuer:   "https://idp.example.com",
		ID:       "756E69717565",
		Audience: []string{"https://rp.example.com"},
		IssuedAt: time.Unix(1763999940, 0),
		Subject:  subject.Opaque("f67e39a0"),
		Event:    set.Event{Type: "urn:ietf:params:scim:event:prov:delete"},
	}.Claims()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(claims))
	// Output: {"iss":"https://idp.example.com","jti":"756E69717565","iat":1763999940,"aud":"https://rp.example.com","sub_id":{"format":"opaque","id":"f67e39a0"},"events":{"urn:ietf:params:scim:event:prov:delete":{}}}
}

// Parse shows a SET that nobody has verified.
func ExampleParse() {
	token, err := set.Parse([]byte("eyJ0eXAiOiJzZWNldmVudCtqd3QiLCJhbGciOiJub25lIn0." +
		"eyJpc3MiOiJodHRwczovL2EiLCJqdGkiOiIxIiwiaWF0IjoxLCJldmVudHMiOnsidXJuOngiOnt9fX0."))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(token.Issuer, token.Type(), token.Header.Algorithm)
	// Output: https://a urn:x none
}
