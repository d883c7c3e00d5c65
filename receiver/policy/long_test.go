package policy_test

import (
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// Texts of the sender's own may be of any length: they keep nothing from being noted, so
// that a hook is asked once.
func TestLongTexts(t *testing.T) {
	long := strings.Repeat("xé", 5000)
	member, err := subject.Complex(map[string]subject.Identifier{long[:600]: subject.Opaque("1")})
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*receiver.Delivery){
		"member": func(d *receiver.Delivery) { d.Subject, d.Token.Subject = member, member },
		"txn":    func(d *receiver.Delivery) { d.TransactionID = long },
		"type":   func(d *receiver.Delivery) { d.Type, d.Token.Events = long, []set.Event{{Type: long}} },
	} {
		w := newWorld(t, "rules: [{name: each, do: end}]", nil, "a")
		d := revoked(name)
		change(&d)
		w.done(t, d)
		d.Attempt = 2
		w.done(t, d)
		w.hooks["a"].wants(t, name, hooks.End)
	}
}
