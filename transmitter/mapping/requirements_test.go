package mapping_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/transmitter/mapping"
)

// Every handle of every format, with a record that has all that a record can say,
// other people and things included. Each identifier of the user leaves in the most
// specific format there is for it (SUBJ-3.2-01), and a complex subject has members of
// one principal: this user and this session, never who acted, whose application or
// group it was (SSF-3.3.1-01).
func TestSubjectsOfRecords(t *testing.T) {
	records := map[string]string{
		mapping.FormatIDme: `{"event":%q,"identifier":"own-user","email":"own@example.com","application":"foreign-app",
			"session":"own-session","fingerprint":"foreign-print","ipaddress":"203.0.113.42","useragent":"foreign-agent","tracked_at":"2024-03-15T14:32:10+00:00"}`,
		mapping.FormatOneLogin: `{"event_type_id":%s,"id":1,"created_at":"2014-02-18T02:34:15.626Z","account_id":7,"user_id":654321,
			"actor_user_id":987654,"assuming_acting_user_id":987655,"app_id":987656,"group_id":987657,"otp_device_id":987658,
			"role_name":"foreign-role","actor_user_name":"foreign-actor","user_name":"foreign-name"}`,
	}
	own := map[string]string{
		`{"format":"iss_sub","iss":"https://events.id.me","sub":"own-user"}`: mapping.FormatIDme,
		`{"format":"email","email":"own@example.com"}`:                       mapping.FormatIDme,
		`{"format":"iss_sub","iss":"urn:onelogin:account:7","sub":"654321"}`: mapping.FormatOneLogin,
		`{"format":"opaque","id":"own-session"}`:                             "session",
	}
	m := newMapper(t, mapping.Config{})
	mapped, sessions := 0, 0
	for _, typ := range m.Types() {
		var h struct{ Format, Handle string }
		if h.Format, h.Handle, _ = strings.Cut(typ.ID, ":"); records[h.Format] == "" {
			continue // an account event, or the event of a device
		}
		r, err := m.Record(h.Format, fmt.Appendf(nil, records[h.Format], h.Handle), nil)
		if err != nil {
			t.Errorf("%s %s: got %v, want it mapped", h.Format, h.Handle, err)
			continue
		}
		check := func(id subject.Identifier, part string) {
			t.Helper()
			if got := own[string(id.Raw())]; got != part {
				t.Errorf("SUBJ-3.2-01, SSF-3.3.1-01 %s %s: got %s as %s", h.Format, h.Handle, id.Raw(), part)
			}
		}
		for _, id := range r.Subjects {
			check(id, h.Format)
		}
		for _, e := range r.Mapped {
			mapped++
			for _, id := range e.Subjects {
				if id.Format() != subject.FormatComplex {
					check(id, h.Format)
					continue
				}
				sessions++
				members := map[string]json.RawMessage{}
				if err := json.Unmarshal(id.Raw(), &members); err != nil {
					t.Fatal(err)
				}
				for name, part := range map[string]string{subject.MemberUser: h.Format, subject.MemberSession: "session"} {
					member, err := subject.Parse(members[name])
					if err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					check(member, part)
				}
				if len(members) != 3 || strings.Contains(string(id.Raw()), "foreign") {
					t.Errorf("SSF-3.3.1-01 %s %s: got %s, want user and session alone", h.Format, h.Handle, id.Raw())
				}
			}
		}
	}
	if mapped < 10 || sessions < 2 {
		t.Errorf("got %d events and %d complex subjects, want them seen", mapped, sessions)
	}
}
