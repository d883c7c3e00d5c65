package bench

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

const (
	// eventSource writes the events that are put into a log without a server.
	eventSource = "bench"
	// eventGap is the time between two of them: a million in a week.
	eventGap = 600 * time.Millisecond
	// perBusy is how many events each busy identifier, session and network
	// has: enough for a hundredth page.
	perBusy = 1_250
	// perQuiet is how many a quiet one has.
	perQuiet = 5
)

// synthetic are n events as a source's records become them: attributes, an
// event for streams, about 900 bytes. Half of them are of a few busy accounts
// with a long session each, half of many quiet ones.
type synthetic struct {
	n     int
	start time.Time // of the first
}

func newSynthetic(n int, end time.Time) synthetic {
	return synthetic{n, end.Add(-time.Duration(n) * eventGap)}
}

// busy is how many busy accounts there are, and quiet how many of the others.
func (s synthetic) busy() int  { return max(s.n/2/perBusy, 1) }
func (s synthetic) quiet() int { return max(s.n/2/perQuiet, 1) }

// account is whose event i is. The order of accounts is as good as random.
func (s synthetic) account(i int) string {
	h := int(uint64(i) * 0x9E3779B97F4A7C15 >> 33)
	if i%2 == 0 {
		return busyAccount(h % s.busy())
	}
	return quietAccount(h % s.quiet())
}

func busyAccount(i int) string  { return fmt.Sprint("service-", i) }
func quietAccount(i int) string { return fmt.Sprint("user-", i) }

// session is the one of an account.
func session(account string) string { return "session-" + account }

// eventTypes are ten, of unlike frequency.
func eventTypes() []string {
	return []string{
		"login.succeeded", "login.failed", "session.ended", "factor.verified", "password.changed",
		"email.changed", "device.seen", "account.updated", "consent.given", "risk.scored",
	}
}

// eventType is that of event i: the first of them has two fifths of all.
func (synthetic) eventType(i int) string {
	types := eventTypes()
	return types[max(0, int(uint64(i)*0xD1B54A32D192ED03>>40%15)-5)]
}

// networks is how many networks of 16 bits the addresses are in: ten types
// share the events of one, and each is to have a hundredth page.
func (s synthetic) networks() int { return max(s.n/(20*perBusy), 1) }

// network is network i of 16 bits.
func network(i int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{100, byte(i), 0, 0}), 16)
}

func (s synthetic) address(i int) netip.Addr {
	h := uint64(i) * 0xBF58476D1CE4E5B9 >> 24
	a := network(int(h>>16) % s.networks()).Addr().As4()
	a[2], a[3] = byte(h>>8), byte(h)
	return netip.AddrFrom4(a)
}

// at is when event i happened.
func (s synthetic) at(i int) time.Time { return s.start.Add(time.Duration(i) * eventGap) }

// event is event i, its source's id of it behind a prefix.
func (s synthetic) event(prefix string, i int) eventlog.Event {
	account, at, score := s.account(i), s.at(i).UTC(), float64(i%100)
	return eventlog.Event{
		Source: eventSource, SourceID: fmt.Sprint(prefix, i), Type: s.eventType(i), Time: at,
		Subjects: []subject.Identifier{subject.IssSub("https://idp.bench.example", account), subject.Email(account + subjectHost)},
		Data:     json.RawMessage(`{"initiating_entity":"policy","reason_admin":{"en":"Landspeed policy violation: the session was ended"}}`),
		Mapped: []eventlog.Mapped{{Type: typeOther, Payload: json.RawMessage(
			`{"event_timestamp":` + fmt.Sprint(at.Unix()) + `,"credential_type":"password","change_type":"update","initiating_entity":"policy"}`)}},
		Attributes: eventlog.Attributes{
			Category: "authentication", Identifier: account, Email: account + subjectHost, Application: fmt.Sprint("app-", i%7),
			Session: session(account), Address: s.address(i), UserAgent: "Mozilla/5.0 (X11; Linux x86_64)", RiskScore: &score,
			Signals: map[string]bool{"vpn": i%50 == 0, "tor_node": false},
		},
	}
}
