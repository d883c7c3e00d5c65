package auth_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

var operations = []auth.Operation{
	auth.OpReadStream, auth.OpCreateStream, auth.OpUpdateStream, auth.OpReplaceStream, auth.OpDeleteStream,
	auth.OpReadStatus, auth.OpUpdateStatus, auth.OpAddSubject, auth.OpRemoveSubject, auth.OpVerify, auth.OpPoll,
	auth.OpReadDeadLetters, auth.OpResendDeadLetter, auth.OpReplay,
	auth.OpWriteEvents, auth.OpReadEvents, auth.OpAnnotateEvents, auth.OpEraseEvents,
	auth.OpManageConsents, auth.OpManageWebhooks, auth.OpAdminister,
}

// INTEROP-2.7.2-02, INTEROP-2.7.3-02, U29.
func TestSufficient(t *testing.T) {
	reads := []auth.Operation{auth.OpReadStream, auth.OpReadStatus, auth.OpPoll, auth.OpReadDeadLetters}
	writes := []auth.Operation{
		auth.OpCreateStream, auth.OpUpdateStream, auth.OpReplaceStream, auth.OpDeleteStream,
		auth.OpUpdateStatus, auth.OpAddSubject, auth.OpRemoveSubject, auth.OpVerify,
		auth.OpResendDeadLetter, auth.OpReplay,
	}
	tests := []struct {
		scope auth.Scope
		want  []auth.Operation
	}{
		{"ssf.read", reads},
		{"ssf.manage", slices.Concat(reads, writes)},
		{"ssf.read.stream", []auth.Operation{auth.OpReadStream}},
		{"ssf.read.status", []auth.Operation{auth.OpReadStatus}},
		{"ssf.manage.create", []auth.Operation{auth.OpCreateStream}},
		{"ssf.manage.update", []auth.Operation{auth.OpUpdateStream}},
		{"ssf.manage.replace", []auth.Operation{auth.OpReplaceStream}},
		{"ssf.manage.delete", []auth.Operation{auth.OpDeleteStream}},
		{"ssf.manage.status", []auth.Operation{auth.OpUpdateStatus}},
		{"ssf.manage.add_subject", []auth.Operation{auth.OpAddSubject}},
		{"ssf.manage.remove_subject", []auth.Operation{auth.OpRemoveSubject}},
		{"ssf.manage.verify", []auth.Operation{auth.OpVerify}},
		{"ssf.manage.poll", []auth.Operation{auth.OpPoll}},
		{"events.write", []auth.Operation{auth.OpWriteEvents}},
		{"events.read", []auth.Operation{auth.OpReadEvents}},
		{"events.annotate", []auth.Operation{auth.OpAnnotateEvents}},
		{"events.erase", []auth.Operation{auth.OpEraseEvents}},
		{"consents.manage", []auth.Operation{auth.OpManageConsents}},
		{"webhooks.manage", []auth.Operation{auth.OpManageWebhooks}},
		{"admin", operations},
		{"ssf", nil},
		{"ssf.manage.unheard", nil},
		{"SSF.READ", nil},
	}
	for _, tt := range tests {
		for _, op := range operations {
			got, want := auth.Sufficient([]auth.Scope{tt.scope}, op), slices.Contains(tt.want, op)
			if got != want {
				t.Errorf("Sufficient(%s, %s): got %v, want %v", tt.scope, op, got, want)
			}
		}
	}
	if auth.Sufficient([]auth.Scope{"admin"}, "no.such.operation") {
		t.Error("an operation without rule: got sufficient, want open to nobody")
	}
	if auth.Sufficient(nil, auth.OpReadStream) {
		t.Error("no scope: got sufficient, want not")
	}
}

func TestDefaultRulesAreACopy(t *testing.T) {
	rules := auth.DefaultRules()
	rules[auth.OpAdminister] = []auth.Scope{"ssf.read"}
	if auth.Sufficient([]auth.Scope{"ssf.read"}, auth.OpAdminister) {
		t.Error("changing the copy changed the default")
	}
	if !rules.Sufficient([]auth.Scope{"ssf.read"}, auth.OpAdminister) {
		t.Error("the changed copy is not used")
	}
}

func TestAllows(t *testing.T) {
	tests := []struct {
		have, want auth.Scope
		allowed    bool
	}{
		{"ssf.manage", "ssf.manage", true},
		{"ssf.manage", "ssf.manage.create", true},
		{"ssf.manage", "ssf.read", true},
		{"ssf.manage.create", "ssf.manage", false},
		{"ssf.read", "ssf.manage.poll", true},
		{"ssf.read", "ssf.manage", false},
		{"admin", "events.erase", true},
		{"admin", "ssf.manage", true},
		{"events.erase", "admin", false},
		{"ssf.manage", "nonsense", false},
		{"nonsense", "nonsense", true},
	}
	for _, tt := range tests {
		p := &auth.Principal{Scopes: []auth.Scope{tt.have}}
		if got := p.Allows(tt.want); got != tt.allowed {
			t.Errorf("%s allows %s: got %v, want %v", tt.have, tt.want, got, tt.allowed)
		}
	}
	if (*auth.Principal)(nil).Allows("ssf.read") {
		t.Error("nobody: got allowed, want not")
	}
}

func TestParseScopes(t *testing.T) {
	got, err := auth.ParseScopes("ssf.read  ssf.manage ssf.read")
	if want := []auth.Scope{"ssf.read", "ssf.manage"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if got, err := auth.ParseScopes(""); err != nil || len(got) != 0 {
		t.Errorf("empty: got %v, %v, want none", got, err)
	}
	for name, text := range map[string]string{
		"control byte":    "ssf.read\x00",
		"quote":           `ssf."read"`,
		"not ASCII":       "ssf.réad",
		"long value":      strings.Repeat("s", auth.MaxScopeBytes+1),
		"too many values": manyScopes(auth.MaxScopes + 1),
		"long text":       strings.Repeat(" ", 1<<20),
	} {
		_, err := auth.ParseScopes(text)
		var invalid *auth.InvalidError
		if !errors.As(err, &invalid) || invalid.Member != "scope" {
			t.Errorf("%s: got %v, want an InvalidError of scope", name, err)
		}
	}
	if got, err := auth.ParseScopes(manyScopes(auth.MaxScopes)); err != nil || len(got) != auth.MaxScopes {
		t.Errorf("as many as allowed: got %d, %v, want %d", len(got), err, auth.MaxScopes)
	}
}

func manyScopes(n int) string {
	var words []string
	for i := range n {
		words = append(words, "s"+strings.Repeat("x", i))
	}
	return strings.Join(words, " ")
}
