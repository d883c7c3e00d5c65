package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/wellknown"
)

type setCmd struct {
	Decode setDecodeCmd `cmd:"" help:"Show what a SET says, without verifying it."`
	Verify setVerifyCmd `cmd:"" help:"Verify a SET and show what it says."`
	Sign   setSignCmd   `cmd:"" help:"Sign a SET with a private JWK."`
}

type tokenArg struct {
	Token string `arg:"" help:"Compact SET; @FILE for a file, - for standard input."`
}

func (a tokenArg) read(std streamsIO) ([]byte, error) {
	raw, err := readText(std, a.Token, delivery.MaxPushBodyBytes)
	return bytes.TrimSpace(raw), err
}

// shown is a SET as it is printed.
type shown struct {
	Header struct {
		Algorithm string `json:"alg"`
		KeyID     string `json:"kid,omitempty"`
		Type      string `json:"typ,omitempty"`
	} `json:"header"`
	Claims   json.RawMessage `json:"claims"`
	Verified bool            `json:"verified"`
	// Encrypted is the kid of the key that it came encrypted to.
	Encrypted string `json:"encrypted_to,omitempty"`
}

func show(t *set.Token, verified bool, encrypted string) shown {
	s := shown{Claims: t.Claims(), Verified: verified, Encrypted: encrypted}
	s.Header.Algorithm, s.Header.KeyID, s.Header.Type = t.Header.Algorithm, t.Header.KeyID, t.Header.Type
	return s
}

type setDecodeCmd struct {
	tokenArg
	jsonFlag
	decryptionFlags
}

// Help shows an example.
func (setDecodeCmd) Help() string {
	return "Example:\n  tocsin set decode @token.jwt\n  tocsin set decode --decryption-key shop.jwk @encrypted.jwt"
}

// Run prints header and claims.
func (c setDecodeCmd) Run(std streamsIO) error {
	raw, err := c.read(std)
	if err != nil {
		return err
	}
	signed, kid, err := c.open(raw)
	if err != nil {
		return err
	}
	token, err := set.Parse(signed)
	if err != nil {
		return err
	}
	return printJSON(std.out, show(token, false, kid))
}

type setVerifyCmd struct {
	tokenArg
	jsonFlag
	Issuer           string   `help:"Issuer that must have signed it." required:"" placeholder:"URL"`
	Audience         []string `help:"Audience it must be for." required:"" placeholder:"URL"`
	JWKS             string   `help:"File with the issuer's key set; default: fetched from the issuer." name:"jwks" placeholder:"FILE"`
	Algorithm        []string `help:"Algorithms accepted." default:"RS256"`
	CA               string   `help:"CA of the issuer, PEM, beside the system's." name:"ca" placeholder:"FILE"`
	Tolerate         []string `help:"Departures of the issuer that are let pass, such as subject_in_event (docs/tolerances.md); default: none." placeholder:"NAME"`
	PushURL          string   `help:"URL of the push endpoint, for aud_is_url_of_push." name:"push-url" placeholder:"URL"`
	InsecureLoopback bool     `help:"Allow plain http to loopback."`
	decryptionFlags
}

// Help shows an example.
func (setVerifyCmd) Help() string {
	return "Example:\n  tocsin set verify --issuer https://ssf.example --audience https://shop.example @token.jwt\n" +
		"  tocsin set verify --issuer https://accounts.google.com/ --audience 123.apps.googleusercontent.com \\\n" +
		"    --tolerate issuer_slash,subject_in_event,subject_type_alias --jwks google.jwks @token.jwt"
}

// Run verifies and prints.
func (c setVerifyCmd) Run(ctx context.Context, std streamsIO) error {
	raw, err := c.read(std)
	if err != nil {
		return err
	}
	cfg := set.VerifierConfig{Issuer: c.Issuer, Audience: c.Audience, PushURL: c.PushURL}
	if cfg.Tolerances, err = set.ParseTolerances(c.Tolerate); err != nil {
		return usage("--tolerate: %v", err)
	}
	for _, name := range c.Algorithm {
		alg, err := algorithm(name)
		if err != nil {
			return err
		}
		cfg.Algorithms = append(cfg.Algorithms, alg)
	}
	if cfg.Keys, err = c.issuerKeys(); err != nil {
		return err
	}
	signed, kid, err := c.open(raw)
	if err != nil {
		return err
	}
	verifier, err := set.NewVerifier(cfg)
	if err != nil {
		return err
	}
	token, err := verifier.Verify(ctx, signed)
	if err != nil {
		return err
	}
	return printJSON(std.out, show(token, true, kid))
}

func (c setVerifyCmd) issuerKeys() (set.KeySource, error) {
	if c.JWKS != "" {
		raw, err := readFile(c.JWKS, maxKeyFile)
		if err != nil {
			return nil, err
		}
		keys, err := jose.ParseKeySet(raw)
		if err != nil {
			return nil, fmt.Errorf("reading the key set %s: %w", c.JWKS, err)
		}
		return fileKeys{keys}, nil
	}
	policy := guard.Policy{InsecureLoopback: c.InsecureLoopback, Allow: guard.PrivateRanges()}
	if c.CA != "" {
		pool, err := caPool(c.CA)
		if err != nil {
			return nil, err
		}
		policy.RootCAs = pool
	}
	return wellknown.NewClient(wellknown.Config{HTTP: guard.NewClient(policy)}).Keys(c.Issuer), nil
}

// fileKeys is the key set of a file, whoever the issuer is.
type fileKeys struct{ set *jose.KeySet }

// Key finds a key of the file.
func (f fileKeys) Key(_ context.Context, _, kid string, alg jose.Algorithm) (*jose.PublicKey, error) {
	return f.set.Find(kid, alg)
}

// SoleKey finds the only key of the file.
func (f fileKeys) SoleKey(_ context.Context, _ string, alg jose.Algorithm, _ *jose.PublicKey) (*jose.PublicKey, error) {
	return f.set.Sole(alg)
}

type setSignCmd struct {
	printFlags
	Key      string   `help:"File with a private JWK." required:"" placeholder:"FILE"`
	Issuer   string   `help:"The iss." required:"" placeholder:"URL"`
	Audience []string `help:"The aud." required:"" placeholder:"URL"`
	Subject  string   `help:"The sub_id, as JSON." required:"" placeholder:"JSON"`
	Type     string   `help:"The event type URI." required:"" placeholder:"URI"`
	Payload  string   `help:"The event's payload, as JSON." default:"{}" placeholder:"JSON"`
	ID       string   `help:"The jti; default: random." placeholder:"JTI"`
	Txn      string   `help:"The txn; default: the jti."`
	encryptFlags
}

// Help shows an example.
func (setSignCmd) Help() string {
	return "Example:\n  tocsin set sign --key key.jwk --issuer https://ssf.example --audience https://shop.example \\\n" +
		"    --type https://schemas.openid.net/secevent/caep/event-type/session-revoked --subject '{\"format\":\"email\",\"email\":\"jo@example.com\"}'"
}

// maxKeyFile bounds a file with keys.
const maxKeyFile = 1 << 20

// Run prints the compact SET.
func (c setSignCmd) Run(std streamsIO) error {
	if err := c.whole(); err != nil {
		return err
	}
	raw, err := readFile(c.Key, maxKeyFile)
	if err != nil {
		return err
	}
	key, err := jose.ParsePrivateKey(raw)
	if err != nil {
		return fmt.Errorf("reading the key %s: %w", c.Key, err)
	}
	signer, err := jose.NewSigner(key, "secevent+jwt")
	if err != nil {
		return err
	}
	id, err := subject.ParseStrict([]byte(c.Subject))
	if err != nil {
		return usage("--subject: %v", err)
	}
	if !object([]byte(c.Payload)) {
		return usage("--payload is not a JSON object")
	}
	if c.ID == "" {
		c.ID = rand.Text()
	}
	if c.Txn == "" {
		c.Txn = c.ID
	}
	compact, err := set.Builder{
		Issuer: c.Issuer, Audience: c.Audience, ID: c.ID, IssuedAt: time.Now(), TransactionID: c.Txn,
		Subject: id, Event: set.Event{Type: c.Type, Payload: json.RawMessage(c.Payload)},
	}.Sign(signer)
	if err != nil {
		return err
	}
	if c.EncryptTo != "" {
		if compact, err = c.encrypted(std, compact); err != nil {
			return err
		}
	}
	return c.tell(std.out, map[string]string{"set": compact}, compact)
}
