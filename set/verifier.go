package set

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/jose"
)

// DefaultSkew is how far iat may lie in the future (U33).
const DefaultSkew = 5 * time.Minute

// KeySource finds the key of an issuer by its exact kid (SSF §4.1.4).
//
// kid and alg come from an unverified header; kid is at most
// [jose.MaxKeyIDBytes] long, alg is one that the verifier allows. An error
// that wraps [jose.ErrUnknownKey], [jose.ErrAlgorithm] or [jose.ErrWeakKey]
// is a verdict on the SET; any other means that the keys could not be had.
// Must be safe for concurrent use.
type KeySource interface {
	Key(ctx context.Context, issuer, kid string, alg jose.Algorithm) (*jose.PublicKey, error)
}

// SoleKeySource is a [KeySource] that can choose a key where the SET names none, for
// [Tolerances.NoKid].
//
// SoleKey returns the issuer's key for alg if there is exactly one. Where refused is
// not nil, it is a key that did not verify a SET: newer keys are looked for before it
// is returned again. Errors are as of Key; several that fit are [jose.ErrUnknownKey].
type SoleKeySource interface {
	KeySource
	SoleKey(ctx context.Context, issuer string, alg jose.Algorithm, refused *jose.PublicKey) (*jose.PublicKey, error)
}

// VerifierConfig says which SETs a [Verifier] accepts.
type VerifierConfig struct {
	Issuer     string           // required: the iss expected, byte for byte (SSF §4.1.6)
	Audience   []string         // required: one of them must be in aud (SSF §4.1.8)
	PushURL    string           // where SETs are pushed to; required for Tolerances.AudIsURLOfPush, which adds it to Audience
	Keys       KeySource        // required; for Tolerances.NoKid a [SoleKeySource]
	Algorithms []jose.Algorithm // nil: RS256 alone (RFC 8725 §3.2)
	Now        func() time.Time // nil: time.Now
	Skew       time.Duration    // how far iat may lie in the future; 0: DefaultSkew; negative: not at all
	Tolerances Tolerances       // zero: strict

	// Decryption opens SETs that came encrypted (nested JWT, RFC 7519 §11.2); nil: they are
	// refused. RequireEncryption refuses those that did not, and needs it.
	Decryption        *jose.DecryptionKeys
	RequireEncryption bool
}

// Verifier accepts the SETs of one transmitter for one receiver. It is
// safe for concurrent use.
type Verifier struct {
	cfg     VerifierConfig
	parser  jose.Parser
	scratch sync.Pool // of *claims
}

// NewVerifier checks cfg as a whole; the error names every wrong field.
func NewVerifier(cfg VerifierConfig) (*Verifier, error) {
	var wrong []error
	if cfg.Issuer == "" {
		wrong = append(wrong, errors.New("set: VerifierConfig.Issuer is missing"))
	}
	if strings.HasSuffix(cfg.Issuer, "/") && !cfg.Tolerances.IssuerSlash {
		wrong = append(wrong, errors.New(`set: VerifierConfig.Issuer ends in "/"; where iss really does, tolerate issuer_slash`))
	}
	if cfg.Tolerances.AudIsURLOfPush {
		if cfg.PushURL == "" {
			wrong = append(wrong, errors.New("set: VerifierConfig.PushURL is missing; aud_is_url_of_push needs it"))
		} else {
			cfg.Audience = append(slices.Clone(cfg.Audience), cfg.PushURL)
		}
	}
	if len(cfg.Audience) == 0 || slices.Contains(cfg.Audience, "") {
		wrong = append(wrong, errors.New("set: VerifierConfig.Audience is missing or has an empty value"))
	}
	if cfg.Keys == nil {
		wrong = append(wrong, errors.New("set: VerifierConfig.Keys is missing"))
	} else if _, sole := cfg.Keys.(SoleKeySource); cfg.Tolerances.NoKid && !sole {
		wrong = append(wrong, errors.New("set: VerifierConfig.Keys cannot choose a key without kid; no_kid needs a SoleKeySource"))
	}
	for _, alg := range cfg.Algorithms {
		if _, err := jose.ParseAlgorithm(string(alg)); err != nil {
			wrong = append(wrong, fmt.Errorf("set: VerifierConfig.Algorithms: %w", err))
		}
	}
	if cfg.RequireEncryption && cfg.Decryption == nil {
		wrong = append(wrong, errors.New("set: VerifierConfig.Decryption is missing; RequireEncryption needs it"))
	}
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	cfg.Audience = slices.Clone(cfg.Audience)
	cfg.Algorithms = slices.Clone(cfg.Algorithms)
	if len(cfg.Algorithms) == 0 {
		cfg.Algorithms = []jose.Algorithm{jose.RS256}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Skew == 0 {
		cfg.Skew = DefaultSkew
	}
	cfg.Skew = max(cfg.Skew, 0)
	return &Verifier{cfg: cfg}, nil
}

// Verify returns the token of a SET that is well formed, from the issuer, for
// this audience and signed with the issuer's key. What is cheap is checked
// first (RFC 8935 §5.4). Age is no reason to refuse (SSF §4.1.7), neither is a
// jti seen before: that is the inbox's business.
//
// One that came encrypted is decrypted first, and what is in it judged as any other; it
// must be a signed SET (SET-5.1-01, JWT-3.11-01). [Token.Compact] is then that SET, which
// Read reads whatever becomes of the decryption key.
//
// A refusal is an [*Error] with the code of U21. Any other error is the key
// source's or ctx's and no verdict: the SET should be offered again. The token
// is nil with any error. Verify does not keep compact.
func (v *Verifier) Verify(ctx context.Context, compact []byte) (*Token, error) {
	signed, err := v.open(compact)
	if err != nil {
		return nil, err
	}
	message, err := parseMessage(&v.parser, signed)
	if err != nil {
		return nil, err
	}
	alg, err := v.checkHeader(message.Header)
	if err != nil {
		return nil, err
	}
	token := newToken(message)
	if err := v.readClaims(token, message.Payload); err != nil {
		return nil, err
	}
	if err := v.checkSignature(ctx, message, alg); err != nil {
		return nil, err
	}
	return token, nil
}

func (v *Verifier) checkSignature(ctx context.Context, message *jose.Message, alg jose.Algorithm) error {
	key, err := v.key(ctx, message.Header.KeyID, alg, nil)
	if err != nil {
		return err
	}
	err = jose.Verify(message, key)
	if message.Header.KeyID == "" && errors.Is(err, jose.ErrSignature) {
		// No kid tells that the issuer has a new key.
		if key, err = v.key(ctx, "", alg, key); err != nil {
			return err
		}
		err = jose.Verify(message, key)
	}
	switch {
	case errors.Is(err, jose.ErrSignature):
		return &Error{Code: delivery.CodeAuthenticationFailed, Description: "the signature does not verify", Err: err}
	case err != nil:
		return invalidKey("the key does not serve this SET", err)
	}
	return nil
}

// Read reads a SET that v has verified before exactly as Verify reads it, and
// verifies nothing; one that is encrypted it decrypts. Errors are [*Error]; the token is
// then nil.
func (v *Verifier) Read(compact []byte) (*Token, error) {
	if jose.IsEncrypted(compact) {
		signed, err := Decrypt(compact, v.cfg.Decryption)
		if err != nil {
			return nil, err
		}
		compact = signed
	}
	message, err := parseMessage(&v.parser, compact)
	if err != nil {
		return nil, err
	}
	token := newToken(message)
	c := new(claims)
	c.reset(token, message.Payload, v.cfg.Tolerances)
	if err := c.read(); err != nil {
		return nil, err
	}
	if token.Subject.IsZero() && !c.subjectless {
		return nil, invalid("sub_id is missing")
	}
	return token, nil
}

func (v *Verifier) checkHeader(h jose.Header) (jose.Algorithm, error) {
	if !isSET(h.Type) && !(v.cfg.Tolerances.TypJWT && isJWT(h.Type)) {
		return "", invalid("typ must be " + HeaderType)
	}
	alg := jose.Algorithm(h.Algorithm)
	if !slices.Contains(v.cfg.Algorithms, alg) {
		return "", invalidKey("the signature algorithm is not allowed", jose.ErrAlgorithm)
	}
	if h.KeyID == "" && !v.cfg.Tolerances.NoKid {
		return "", invalidKey("the header has no kid", jose.ErrUnknownKey)
	}
	return alg, nil
}

// isJWT reports whether typ is that of any JWT (RFC 7519 §5.1), or absent.
func isJWT(typ string) bool { return typ == "" || len(typ) == 3 && strings.EqualFold(typ, "JWT") }

// isSET compares as media types compare; the prefix may be left out (U1).
func isSET(typ string) bool {
	const prefix = "application/"
	if len(typ) == len(prefix)+len(HeaderType) && strings.EqualFold(typ[:len(prefix)], prefix) {
		typ = typ[len(prefix):]
	}
	// The length keeps letters out that merely fold to ASCII ones.
	return len(typ) == len(HeaderType) && strings.EqualFold(typ, HeaderType)
}

// readClaims fills token and judges it.
func (v *Verifier) readClaims(token *Token, raw []byte) error {
	c, ok := v.scratch.Get().(*claims)
	if !ok {
		c = new(claims)
	}
	defer func() {
		c.reset(nil, nil, Tolerances{}) // let go of the SET
		v.scratch.Put(c)
	}()
	c.reset(token, raw, v.cfg.Tolerances)
	if err := c.read(); err != nil {
		return err
	}
	return v.checkClaims(c)
}

func (v *Verifier) checkClaims(c *claims) error {
	token := c.token
	ours := func(aud string) bool { return slices.Contains(v.cfg.Audience, aud) }
	switch {
	case token.Issuer != v.cfg.Issuer:
		return &Error{Code: delivery.CodeInvalidIssuer, Description: "iss is not the issuer of this stream"}
	case !slices.ContainsFunc(token.Audience, ours):
		return &Error{Code: delivery.CodeInvalidAudience, Description: "aud does not name this receiver"}
	case c.sub && !v.cfg.Tolerances.SubPresent:
		return invalid("a SET must not have sub")
	case c.exp && !v.cfg.Tolerances.ExpPresent:
		return invalid("a SET must not have exp")
	case c.exp && !v.cfg.Now().Before(c.expires.Add(v.cfg.Skew)):
		return invalid("the SET has expired")
	case token.Subject.IsZero() && !c.subjectless:
		return invalid("sub_id is missing")
	case token.IssuedAt.After(v.cfg.Now().Add(v.cfg.Skew)):
		return invalid("iat lies in the future")
	}
	return nil
}

// key asks the source and tells a verdict from a failure.
func (v *Verifier) key(ctx context.Context, kid string, alg jose.Algorithm, refused *jose.PublicKey) (*jose.PublicKey, error) {
	key, err := v.ask(ctx, kid, alg, refused)
	switch {
	case err == nil && key != nil:
		return key, nil
	case err == nil, errors.Is(err, jose.ErrUnknownKey):
		return nil, invalidKey("the issuer has no key of this kid", jose.ErrUnknownKey)
	case errors.Is(err, jose.ErrAlgorithm):
		return nil, invalidKey("the key is for another algorithm", err)
	case errors.Is(err, jose.ErrWeakKey):
		return nil, invalidKey("the key is too small", err)
	}
	return nil, fmt.Errorf("set: keys of the issuer: %w", err)
}

func (v *Verifier) ask(ctx context.Context, kid string, alg jose.Algorithm, refused *jose.PublicKey) (*jose.PublicKey, error) {
	if sole, ok := v.cfg.Keys.(SoleKeySource); ok && kid == "" {
		return sole.SoleKey(ctx, v.cfg.Issuer, alg, refused)
	}
	return v.cfg.Keys.Key(ctx, v.cfg.Issuer, kid, alg)
}

func invalidKey(description string, cause error) *Error {
	return &Error{Code: delivery.CodeInvalidKey, Description: description, Err: cause}
}
