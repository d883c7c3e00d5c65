package values_test

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/values"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

type members = map[string]subject.Identifier

func action(t *testing.T, id subject.Identifier) hooks.Action {
	t.Helper()
	return hooks.NewAction(receiver.Delivery{
		Issuer: "https://idp.example", ID: "j", Type: "urn:t", Subject: id, EventTime: time.Unix(1700000000, 0),
	}, "h", hooks.End)
}

func complexOf(t *testing.T, m members) subject.Identifier {
	t.Helper()
	id, err := subject.Complex(m)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// What names are filled with, and when they are not.
func TestRows(t *testing.T) {
	mail, sub, sid, tenant := subject.Email("jo@example.com"), subject.IssSub("https://idp.example", "jo"), subject.Opaque("s1"), subject.Opaque("t1")
	for _, tt := range []struct {
		name   string
		id     subject.Identifier
		names  []string
		ignore []string
		want   []string // values in the order of names, one text for each row; nil: not applicable
	}{
		{"a simple subject as user", mail, []string{"user.email"}, nil, []string{"jo@example.com"}},
		{"a simple subject as session", sid, []string{"session.id"}, nil, []string{"s1"}},
		{"two fields of one identifier", sub, []string{"user.iss", "user.sub"}, nil, []string{"https://idp.example jo"}},
		{"a field that is not there", mail, []string{"user.sub"}, nil, nil},
		{"fields of different identifiers", subject.Aliases(mail, sub), []string{"user.email", "user.sub"}, nil, nil},
		{"each alias that has it", subject.Aliases(mail, sub, subject.Email("j@example.com")), []string{"user.email"}, nil, []string{"jo@example.com", "j@example.com"}},
		{"the event alone", mail, []string{"issuer", "jti", "event_type", "effect", "until_unix"}, nil, []string{"https://idp.example j urn:t end 1700000000"}},
		{"user beside a session: it might be the one", complexOf(t, members{"user": mail, "session": sid}), []string{"user.email"}, nil, []string{"jo@example.com"}},
		{"session beside a user", complexOf(t, members{"user": mail, "session": sid}), []string{"session.id"}, nil, []string{"s1"}},
		{"user beside a tenant: others' sessions would end", complexOf(t, members{"user": mail, "tenant": tenant}), []string{"user.email"}, nil, nil},
		{"a tenant that is ignored", complexOf(t, members{"user": mail, "tenant": tenant}), []string{"user.email"}, []string{"tenant"}, []string{"jo@example.com"}},
		{"a tenant that is asked for", complexOf(t, members{"user": mail, "tenant": tenant}), []string{"user.email", "tenant.id"}, nil, []string{"jo@example.com t1"}},
		{"optional and there", complexOf(t, members{"user": mail, "tenant": tenant}), []string{"user.email", "tenant.id?"}, nil, []string{"jo@example.com t1"}},
		{"optional and absent", complexOf(t, members{"user": mail}), []string{"user.email", "tenant.id?"}, nil, []string{"jo@example.com "}},
		{"optional is not read from a simple subject", sid, []string{"user.id", "session.id?"}, nil, []string{"s1 "}},
		{"all optional and absent", mail, []string{"user.email?", "session.id?", "until_unix"}, nil, nil},
		{"all optional and absent, of the event itself", mail, []string{"jti", "user.email?"}, nil, []string{"j "}},
		{"all optional, one told", complexOf(t, members{"user": mail}), []string{"user.email?", "session.id?"}, nil, []string{"jo@example.com "}},
		{"all optional, the session alone told", complexOf(t, members{"user": sub, "session": sid}), []string{"user.email?", "session.id?"}, nil, []string{" s1"}},
		{"optional, and told by another field", complexOf(t, members{"user": mail, "tenant": sub}), []string{"user.email", "tenant.id?"}, nil, nil},
		{"that, ignored", complexOf(t, members{"user": mail, "tenant": sub}), []string{"user.email", "tenant.id?"}, []string{"tenant"}, []string{"jo@example.com "}},
		{"a session told by another field: it might be the one", complexOf(t, members{"user": mail, "session": sub}), []string{"user.email", "session.id?"}, nil, []string{"jo@example.com "}},
		{"a session of nobody told by another field", complexOf(t, members{"session": sub}), []string{"user.email?", "session.id?"}, nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rows, err := values.Rows(action(t, tt.id), tt.names, tt.ignore)
			if errors.Is(err, hooks.ErrNotApplicable) != (tt.want == nil) || err != nil && tt.want != nil {
				t.Fatalf("got error %v, want rows %q", err, tt.want)
			}
			var got []string
			for _, row := range rows {
				var texts []string
				for _, name := range tt.names {
					texts = append(texts, row.Text(name))
				}
				got = append(got, strings.Join(texts, " "))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// An event that names more than a hook will try is set aside, not tried in part.
func TestTooMany(t *testing.T) {
	var ids []subject.Identifier
	for i := range 9 {
		ids = append(ids, subject.Opaque(strconv.Itoa(i)))
	}
	a := action(t, subject.Email("x@example.com"))
	a.Scope = receiver.Scope{{Name: "user", Identifiers: ids}, {Name: "device", Identifiers: ids}}
	if _, err := values.Rows(a, []string{"user.id", "device.id"}, nil); !errors.Is(err, values.ErrTooMany) || !receiver.IsPermanent(err) {
		t.Errorf("got error %v, want a permanent %v", err, values.ErrTooMany)
	}
}

// Of an event that names a session, what finds the session goes before what finds
// all of its user's.
func TestPick(t *testing.T) {
	user, session, tenant := []string{"user.email"}, []string{"session.id"}, []string{"tenant.id"}
	both := complexOf(t, members{"user": subject.Email("jo@example.com"), "session": subject.Opaque("s1")})
	for _, tt := range []struct {
		name string
		id   subject.Identifier
		ways [][]string
		want []int
	}{
		{"both ways", both, [][]string{user, session}, []int{1}},
		{"user alone", both, [][]string{user}, []int{0}},
		{"the event's own values go with either", both, [][]string{{"jti"}, user, session}, []int{0, 2}},
		{"the event's own values find nothing", both, [][]string{{"jti"}, user}, []int{0, 1}},
		{"an event about a user", subject.Email("jo@example.com"), [][]string{user, session}, []int{0}},
		{"none", subject.Email("jo@example.com"), [][]string{tenant}, nil},
	} {
		var got []int
		matches, err := values.Pick(action(t, tt.id), tt.ways, nil)
		for _, m := range matches {
			got = append(got, m.Way)
		}
		if !slices.Equal(got, tt.want) || errors.Is(err, hooks.ErrNotApplicable) != (tt.want == nil) {
			t.Errorf("%s: got %v, %v, want %v", tt.name, got, err, tt.want)
		}
	}
}

func TestTemplate(t *testing.T) {
	row := values.Row{"user.sub": "a*b", "until_unix": int64(7)}
	double := func(s string) string { return strings.ReplaceAll(s, "*", `\*`) }
	for text, want := range map[string]string{
		"sess:{user.sub}:*":           `sess:a\*b:*`,
		"{{tag}}:{user.sub}":          `{tag}:a\*b`,
		"{until_unix}":                "7",
		"plain":                       "plain",
		"{user.sub}{until_unix}{{}}x": `a\*b7{}x`,
	} {
		tmpl, err := values.ParseTemplate(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got := tmpl.Expand(row, double); got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
	for _, text := range []string{"{user.sub", "a}b", "{nothing}", "{user.}", "{.sub}", "{user.sub?}", strings.Repeat("a", values.MaxTemplateBytes+1)} {
		if _, err := values.ParseTemplate(text); err == nil {
			t.Errorf("%.20q: got no error, want one", text)
		}
	}
}
