package peer

import (
	"context"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/risc"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
)

// message is a SET that is being judged.
type message struct {
	compact              string
	rawHeader, rawClaims []byte
	header               struct {
		Alg, Kid, Typ string
		JWK           *webKey
		Crit          any
	}
	signed     string
	signature  []byte
	claims     map[string]json.RawMessage
	iss, jti   string
	events     map[string]json.RawMessage
	subject    subject.Identifier
	subjectErr error
}

// webKey is an RSA key of a key set.
type webKey struct{ Kid, Kty, Alg, N, E string }

func (k webKey) public() *rsa.PublicKey {
	n, _ := base64.RawURLEncoding.DecodeString(k.N)
	e, _ := base64.RawURLEncoding.DecodeString(k.E)
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
}

// check is one thing that a SET must be. Who breaks its id leaves it out.
type check struct {
	ids  []string
	code delivery.Code
	ok   func(r *Receiver, ctx context.Context, m *message) bool
}

// checks are those of a SET that could be taken apart, in order.
func checks() []check {
	claims := func(f func(m *message) bool) func(*Receiver, context.Context, *message) bool {
		return func(_ *Receiver, _ context.Context, m *message) bool { return f(m) }
	}
	const invalid = delivery.CodeInvalidRequest
	return []check{
		{[]string{"JWT-3.7-01"}, invalid, claims(func(m *message) bool {
			return jsontext.Value(m.rawHeader).IsValid() && jsontext.Value(m.rawClaims).IsValid()
		})},
		{[]string{"SSF-4.1.1-01"}, invalid, claims(func(m *message) bool {
			return strings.EqualFold(strings.TrimPrefix(strings.ToLower(m.header.Typ), "application/"), "secevent+jwt")
		})},
		{nil, invalid, claims(func(m *message) bool { return m.header.Crit == nil })},
		{[]string{"SET-2.2-01"}, invalid, claims(func(m *message) bool {
			var iat float64
			return m.iss != "" && m.jti != "" && json.Unmarshal(m.claims["iat"], &iat) == nil && iat < float64(time.Now().Add(5*time.Minute).Unix())
		})},
		{[]string{"SET-2-01"}, invalid, claims(func(m *message) bool { return goodEvents(m) })},
		{[]string{"SET-4-01", "SUBJ-4.1-01"}, invalid, claims(func(m *message) bool { return m.claims["sub"] == nil && m.claims["exp"] == nil })},
		{[]string{"SSF-3.1-01"}, invalid, claims(func(m *message) bool { return m.claims["sub_id"] != nil })},
		{subjectIDs(), invalid, func(r *Receiver, _ context.Context, m *message) bool { return m.subjectErr == nil || r.letsPass(m) }},
		{[]string{"SSF-4.1.6-02"}, delivery.CodeInvalidIssuer, func(r *Receiver, _ context.Context, m *message) bool { return m.iss == r.cfg.Issuer }},
		{[]string{"SSF-4.1.8-03", "JWT-3.9-01"}, delivery.CodeInvalidAudience, func(r *Receiver, _ context.Context, m *message) bool { return r.isMeant(m) }},
		{[]string{"EVT-02"}, invalid, claims(goodPayload)},
	}
}

// subjectIDs are the requirements about forms of subjects.
func subjectIDs() (ids []string) {
	for _, b := range subjectForms() {
		if b.ID != "RISC-3.1-01" {
			ids = append(ids, b.ID)
		}
	}
	return ids
}

// letsPass reports whether a malformed subject is one that a break takes.
func (r *Receiver) letsPass(m *message) bool {
	if m.claims["sub_id"] == nil {
		return r.breaks("SSF-3.1-01")
	}
	var sub map[string]any
	if json.Unmarshal(m.claims["sub_id"], &sub) != nil {
		return false
	}
	for _, b := range subjectForms() {
		c := &conduct{}
		b.set(c)
		d := &Draft{Claims: object{}}
		c.drafts[0](nil, d)
		var form any
		if json.Unmarshal(encoded(d.Claims["sub_id"]), &form) == nil && r.breaks(b.ID) && reflect.DeepEqual(form, any(sub)) {
			return true
		}
	}
	return false
}

// take judges a SET and does what it asks for. The failure is zero if it is accepted,
// and its Err "unknown" if a key cannot be had.
func (r *Receiver) take(ctx context.Context, compact string) (f delivery.Failure, jti string) {
	refuse := func(code delivery.Code, why string) delivery.Failure {
		return delivery.Failure{Err: code, Description: why}
	}
	if len(compact) > maxSetBytes {
		return refuse(delivery.CodeInvalidRequest, "too long"), ""
	}
	m, ok := open(compact)
	if !ok {
		return refuse(delivery.CodeInvalidRequest, "not a JWT"), ""
	}
	if code, ok := r.authentic(ctx, m); !ok {
		return refuse(code, "the signature is not the transmitter's"), m.jti
	}
	for _, c := range checks() {
		left := slices.ContainsFunc(c.ids, r.breaks) && !slices.Contains(c.ids, "SUBJ-3-01")
		if !left && !c.ok(r, ctx, m) {
			return refuse(c.code, "the SET is not as it should be"), m.jti
		}
	}
	if code, ok := r.control(m); !ok {
		return refuse(code, "the stream or state is not ours"), m.jti
	}
	if r.tooStrict(m) {
		return refuse(delivery.CodeInvalidRequest, "not in my list"), m.jti
	}
	r.act(ctx, m)
	return delivery.Failure{}, m.jti
}

// open takes a SET apart.
func open(compact string) (*message, bool) {
	parts := strings.Split(compact, ".")
	if len(parts) != 3 {
		return nil, false
	}
	m := &message{compact: compact, signed: parts[0] + "." + parts[1]}
	var err error
	for i, to := range []*[]byte{&m.rawHeader, &m.rawClaims, &m.signature} {
		if *to, err = base64.RawURLEncoding.DecodeString(parts[i]); err != nil {
			return nil, false
		}
	}
	if json.Unmarshal(m.rawHeader, &m.header) != nil || json.Unmarshal(m.rawClaims, &m.claims) != nil {
		return nil, false
	}
	m.iss, _ = text(m.claims["iss"])
	m.jti, _ = text(m.claims["jti"])
	_ = json.Unmarshal(m.claims["events"], &m.events)
	m.subject, m.subjectErr = subject.Parse(m.claims["sub_id"])
	return m, true
}

func goodEvents(m *message) bool {
	for typ, payload := range m.events {
		var p map[string]json.RawMessage
		if !strings.Contains(typ, ":") || json.Unmarshal(payload, &p) != nil || p == nil {
			return false
		}
	}
	return len(m.events) > 0
}

// goodPayload is about required members alone.
func goodPayload(m *message) bool {
	for typ, payload := range m.events {
		for _, acceptable := range []func(string, []byte) (bool, error){caep.Acceptable, risc.Acceptable} {
			if _, err := acceptable(typ, payload); err != nil {
				return false
			}
		}
	}
	return true
}

func (r *Receiver) isMeant(m *message) bool {
	if one, ok := text(m.claims["aud"]); ok {
		return one == r.cfg.Audience
	}
	list, _ := texts(m.claims["aud"])
	return slices.Contains(list, r.cfg.Audience)
}

// control checks what is about the stream itself (SSF §8.1.4.1).
func (r *Receiver) control(m *message) (code delivery.Code, ok bool) {
	payload, verification := m.events[streams.TypeVerification]
	_, updated := m.events[streams.TypeStreamUpdated]
	if !verification && !updated {
		return "", true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	id, _ := m.subject.Value("id")
	if id != r.stream.ID && r.stream.ID != "" && !r.breaks("SSF-8.1.4.1-02") {
		return delivery.CodeInvalidRequest, false
	}
	if !verification {
		return "", true
	}
	var p struct{ State any }
	if json.Unmarshal(payload, &p) != nil {
		return delivery.CodeInvalidRequest, false
	}
	switch state := p.State.(type) {
	case nil:
		return delivery.CodeInvalidState, !r.breaks("SSF-8.1.4-01")
	case string:
		return r.wrongState(), slices.Contains(r.states, state) || r.breaks("states-unchecked")
	}
	return delivery.CodeInvalidRequest, r.breaks("states-unchecked")
}

func (r *Receiver) wrongState() delivery.Code {
	if r.breaks("SSF-8.1.4.1-03") {
		return delivery.CodeInvalidRequest
	}
	return delivery.CodeInvalidState
}

// tooStrict reports whether a break refuses what is right.
func (r *Receiver) tooStrict(m *message) bool {
	known := slices.Concat(caep.Types(), risc.Types(), []string{streams.TypeVerification, streams.TypeStreamUpdated})
	for typ, payload := range m.events {
		var p map[string]json.RawMessage
		_ = json.Unmarshal(payload, &p)
		value, _ := text(p["change_type"])
		switch {
		case r.breaks("milliseconds-refused") && len(p["event_timestamp"]) > len("1700000000"):
			return true
		case r.breaks("EVT-01") && !slices.Contains(known, typ), r.breaks("SSF-4.2.3-02") && p["note"] != nil,
			r.breaks("INTEROP-3.2-01") && value == "delete", r.breaks("SSF-9.3-02") && strings.Contains(string(m.claims["sub_id"]), "nobody"):
			return true
		}
	}
	format := m.subject.Format()
	return r.breaks("INTEROP-2.5-01") && format == "iss_sub" || r.breaks("SUBJ-3-02") && strings.HasPrefix(format, "urn:") ||
		r.breaks("SSF-4.1.7-01") && m.old()
}

func (m *message) old() bool {
	var iat int64
	return json.Unmarshal(m.claims["iat"], &iat) == nil && time.Since(time.Unix(iat, 0)) > 24*time.Hour
}

// later acts upon a SET in a while, unless the receiver has ended by then: a break.
func (r *Receiver) later(jti string) {
	if r.delayed[jti] {
		return
	}
	r.delayed[jti] = true
	time.AfterFunc(3*receiverPause, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if !r.ended {
			r.seen[jti]++
		}
	})
}

// act does what an event asks for, once.
func (r *Receiver) act(ctx context.Context, m *message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen[m.jti] > 0 && !r.breaks("twice-done") || slices.ContainsFunc(r.meta.Critical, func(name string) bool {
		_, has := m.subject.Member(name)
		return has && !subject.StandardMember(name) && !r.breaks("SSF-3.6-01")
	}) {
		return
	}
	if r.breaks("PUSH-2-04") {
		r.later(m.jti)
		return
	}
	r.seen[m.jti]++
	if _, updated := m.events[streams.TypeStreamUpdated]; updated && r.breaks("SSF-8.1.2-02") && time.Since(r.resumed) > time.Second {
		r.resumed = time.Now()
		go r.resume(ctx)
	}
}
