package auth

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Scope is one OAuth scope value (RFC 6749 §3.3).
type Scope string

// The scopes. A suffix scope of ssf.read or ssf.manage covers its one operation
// only (INTEROP-2.7.2-02, U29).
const (
	ScopeRead           Scope = "ssf.read"
	ScopeReadStream     Scope = "ssf.read.stream"
	ScopeReadStatus     Scope = "ssf.read.status"
	ScopeManage         Scope = "ssf.manage"
	ScopeCreate         Scope = "ssf.manage.create"
	ScopeUpdate         Scope = "ssf.manage.update"
	ScopeReplace        Scope = "ssf.manage.replace"
	ScopeDelete         Scope = "ssf.manage.delete"
	ScopeStatus         Scope = "ssf.manage.status"
	ScopeAddSubject     Scope = "ssf.manage.add_subject"
	ScopeRemoveSubject  Scope = "ssf.manage.remove_subject"
	ScopeVerify         Scope = "ssf.manage.verify"
	ScopePoll           Scope = "ssf.manage.poll"
	ScopeReplay         Scope = "ssf.manage.replay"
	ScopeReadLetters    Scope = "ssf.read.dead_letters"
	ScopeManageLetters  Scope = "ssf.manage.dead_letters"
	ScopeEventsWrite    Scope = "events.write"
	ScopeEventsRead     Scope = "events.read"
	ScopeEventsAnnotate Scope = "events.annotate"
	ScopeEventsErase    Scope = "events.erase"
	ScopeConsents       Scope = "consents.manage"
	ScopeReadConsents   Scope = "consents.read"
	ScopeWebhooks       Scope = "webhooks.manage"
	ScopeReadWebhooks   Scope = "webhooks.read"
	// ScopeLogRead covers checkpoints and tiles of the log's tree, for auditors
	// and witnesses: hashes alone.
	ScopeLogRead Scope = "log.read"
	// ScopeAdmin covers every operation. It opens no door to what belongs to
	// another application on the SSF endpoints: there the principal's
	// application counts, whatever its scopes.
	ScopeAdmin Scope = "admin"
)

// Operation is something a request can ask for; each route has one.
type Operation string

// The operations.
const (
	OpReadStream       Operation = "stream.read"
	OpCreateStream     Operation = "stream.create"
	OpUpdateStream     Operation = "stream.update"
	OpReplaceStream    Operation = "stream.replace"
	OpDeleteStream     Operation = "stream.delete"
	OpReadStatus       Operation = "status.read"
	OpUpdateStatus     Operation = "status.update"
	OpAddSubject       Operation = "subject.add"
	OpRemoveSubject    Operation = "subject.remove"
	OpVerify           Operation = "stream.verify"
	OpPoll             Operation = "stream.poll"
	OpReadDeadLetters  Operation = "deadletter.read"
	OpResendDeadLetter Operation = "deadletter.resend"
	OpReplay           Operation = "stream.replay"
	OpWriteEvents      Operation = "event.write"
	OpReadEvents       Operation = "event.read"
	OpReadLog          Operation = "log.read"
	OpAnnotateEvents   Operation = "event.annotate"
	OpEraseEvents      Operation = "event.erase"
	OpManageConsents   Operation = "consent.manage"
	OpReadConsents     Operation = "consent.read"
	OpManageWebhooks   Operation = "webhook.manage"
	OpReadWebhooks     Operation = "webhook.read"
	OpAdminister       Operation = "administer"
)

// Rules say which scopes are sufficient for an operation: any one of them. The
// first is the one that a refusal asks for. An operation without an entry is
// open to nobody.
type Rules map[Operation][]Scope

// defaultRules is never changed. [ScopeAdmin] is sufficient for each.
var defaultRules = Rules{
	OpReadStream:       {ScopeRead, ScopeManage, ScopeReadStream, ScopeAdmin},
	OpCreateStream:     {ScopeManage, ScopeCreate, ScopeAdmin},
	OpUpdateStream:     {ScopeManage, ScopeUpdate, ScopeAdmin},
	OpReplaceStream:    {ScopeManage, ScopeReplace, ScopeAdmin},
	OpDeleteStream:     {ScopeManage, ScopeDelete, ScopeAdmin},
	OpReadStatus:       {ScopeRead, ScopeManage, ScopeReadStatus, ScopeAdmin},
	OpUpdateStatus:     {ScopeManage, ScopeStatus, ScopeAdmin},
	OpAddSubject:       {ScopeManage, ScopeAddSubject, ScopeAdmin},
	OpRemoveSubject:    {ScopeManage, ScopeRemoveSubject, ScopeAdmin},
	OpVerify:           {ScopeManage, ScopeVerify, ScopeAdmin},
	OpPoll:             {ScopeRead, ScopeManage, ScopePoll, ScopeAdmin},
	OpReadDeadLetters:  {ScopeRead, ScopeManage, ScopeReadLetters, ScopeAdmin},
	OpResendDeadLetter: {ScopeManage, ScopeManageLetters, ScopeAdmin},
	OpReplay:           {ScopeManage, ScopeReplay, ScopeAdmin},
	OpWriteEvents:      {ScopeEventsWrite, ScopeAdmin},
	OpReadEvents:       {ScopeEventsRead, ScopeAdmin},
	OpReadLog:          {ScopeLogRead, ScopeEventsRead, ScopeAdmin},
	OpAnnotateEvents:   {ScopeEventsAnnotate, ScopeAdmin},
	OpEraseEvents:      {ScopeEventsErase, ScopeAdmin},
	OpManageConsents:   {ScopeConsents, ScopeAdmin},
	OpReadConsents:     {ScopeConsents, ScopeReadConsents, ScopeAdmin},
	OpManageWebhooks:   {ScopeWebhooks, ScopeAdmin},
	OpReadWebhooks:     {ScopeWebhooks, ScopeReadWebhooks, ScopeAdmin},
	OpAdminister:       {ScopeAdmin},
}

// DefaultRules returns a copy of the rules of U29, for a deployment to change.
func DefaultRules() Rules { return maps.Clone(defaultRules) }

// Sufficient reports whether one of have is enough for op.
func (r Rules) Sufficient(have []Scope, op Operation) bool {
	for _, enough := range r[op] {
		if slices.Contains(have, enough) {
			return true
		}
	}
	return false
}

// Sufficient applies the default rules: is one of have enough for op?
func Sufficient(have []Scope, op Operation) bool { return defaultRules.Sufficient(have, op) }

// covers reports whether have is sufficient for all that want is sufficient
// for, so that ssf.manage may stand where ssf.manage.create is asked for. A
// scope that no rule names is covered by itself alone.
func covers(r Rules, have []Scope, want Scope) bool {
	if slices.Contains(have, want) {
		return true
	}
	known := false
	for op, enough := range r {
		if !slices.Contains(enough, want) {
			continue
		}
		known = true
		if !r.Sufficient(have, op) {
			return false
		}
	}
	return known
}

// Scopes returns every scope of r, sorted, for scopes_supported (RFC 8414,
// RFC 9728).
func (r Rules) Scopes() []Scope {
	seen := map[Scope]struct{}{}
	for _, enough := range r {
		for _, s := range enough {
			seen[s] = struct{}{}
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// ParseScopes reads a space-separated list (RFC 6749 §3.3). Repetitions count
// once. An empty text is an empty list.
//
// Error: an [*InvalidError] beyond [MaxScopes] values or [MaxScopeBytes] each,
// or for a character outside RFC 6749's scope-token.
func ParseScopes(text string) ([]Scope, error) {
	if len(text) > MaxScopes*(MaxScopeBytes+1) {
		return nil, &InvalidError{"scope", "is too long"}
	}
	var scopes []Scope
	for word := range strings.SplitSeq(text, " ") {
		s := Scope(word)
		if word == "" || slices.Contains(scopes, s) {
			continue
		}
		if err := s.check(); err != nil {
			return nil, err
		}
		scopes = append(scopes, s)
	}
	if len(scopes) > MaxScopes {
		return nil, &InvalidError{"scope", fmt.Sprintf("has more than %d values", MaxScopes)}
	}
	return scopes, nil
}

// JoinScopes writes what [ParseScopes] reads.
func JoinScopes(scopes []Scope) string {
	var b strings.Builder
	for i, s := range scopes {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(string(s))
	}
	return b.String()
}

func (s Scope) check() error {
	if s == "" || len(s) > MaxScopeBytes {
		return &InvalidError{"scope", fmt.Sprintf("a value is empty or exceeds %d bytes", MaxScopeBytes)}
	}
	for _, c := range []byte(s) {
		if c < 0x21 || c > 0x7e || c == '"' || c == '\\' {
			return &InvalidError{"scope", "a value has a character that no scope may have (RFC 6749 §3.3)"}
		}
	}
	return nil
}

// known reports whether a client may be given s: a scope of ours, or another
// ssf scope that a deployment's own [Rules] may name (U29).
func (s Scope) known() bool {
	for _, enough := range defaultRules {
		if slices.Contains(enough, s) {
			return true
		}
	}
	return strings.HasPrefix(string(s), "ssf.")
}
