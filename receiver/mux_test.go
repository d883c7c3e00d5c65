package receiver_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/risc"
)

func contains(err error, text string) bool { return strings.Contains(err.Error(), text) }

func token(t *testing.T, b set.Builder) *set.Token {
	t.Helper()
	parsed, err := set.Parse([]byte(sign(t, b)))
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestMux(t *testing.T) {
	var seen []string
	note := func(name string) func(context.Context, receiver.Delivery) error {
		return func(_ context.Context, d receiver.Delivery) error {
			seen = append(seen, name+" "+d.Type[strings.LastIndexAny(d.Type, "/:")+1:])
			return nil
		}
	}
	mux := receiver.NewMux()
	mux.Handle(
		receiver.On(func(ctx context.Context, d receiver.Delivery, _ caep.SessionRevoked) error {
			return note("first")(ctx, d)
		}),
		receiver.OnType(caep.SessionRevokedType, note("second")),
		receiver.On(func(ctx context.Context, d receiver.Delivery, e caep.CredentialChange) error {
			return note(string(e.ChangeType))(ctx, d)
		}),
	)
	mux.Default(note("default"))
	for _, tt := range []struct {
		name, eventType, payload, want string
	}{
		{"routes in order", caep.SessionRevokedType, `{}`, "first session-revoked,second session-revoked"},
		{"typed event", caep.CredentialChangeType, `{"credential_type":"pin","change_type":"revoke"}`, "revoke credential-change"},
		{"RISC-2.11-01: as session-revoked", risc.SessionsRevokedType, `{}`, "first sessions-revoked,second sessions-revoked"},
		{"EVT-01: unknown", "https://example.com/e", `{}`, "default e"},
		{"SCIM", "urn:ietf:params:scim:event:prov:delete", `{}`, "default delete"},
	} {
		seen = nil
		parsed := token(t, event(builder("a"), tt.eventType, tt.payload))
		if err := mux.Dispatch(t.Context(), receiver.Delivery{Type: parsed.Type(), Token: parsed}); err != nil {
			t.Errorf("%s: got error %v, want none", tt.name, err)
		}
		if got := strings.Join(seen, ","); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// Without a hook an event is done with; an error ends the run of hooks.
func TestMuxErrors(t *testing.T) {
	parsed := token(t, builder("a"))
	d := receiver.Delivery{Type: parsed.Type(), Token: parsed}
	if err := receiver.NewMux().Dispatch(t.Context(), d); err != nil {
		t.Errorf("got error %v without a hook, want none", err)
	}
	cause := errors.New("down")
	mux := receiver.NewMux()
	mux.Handle(
		receiver.On(func(context.Context, receiver.Delivery, caep.SessionRevoked) error { return receiver.Permanent(cause) }),
		receiver.On(func(context.Context, receiver.Delivery, caep.SessionRevoked) error {
			t.Error("got the second hook run after the first failed, want not")
			return nil
		}),
	)
	if err := mux.Dispatch(t.Context(), d); !errors.Is(err, cause) {
		t.Errorf("got error %v, want %v", err, cause)
	}
	if err := receiver.Permanent(nil); err != nil {
		t.Errorf("got %v for Permanent(nil), want nil", err)
	}
}

// arrival is when the SETs of these tests arrived.
var arrival = time.Unix(1_700_000_100, 0)

// contracts, receiver; SET-5.4-01, U25: which time counts, and how it is rounded.
func TestEventTime(t *testing.T) {
	iat, toe := time.Unix(1_700_000_100, 0), time.Unix(1_700_000_050, 0)
	for _, tt := range []struct {
		name    string
		payload string
		toe     time.Time
		want    int64
	}{
		{"iat", `{}`, time.Time{}, 1_700_000_100},
		{"toe", `{}`, toe, 1_700_000_050},
		{"event_timestamp", `{"event_timestamp":1700000000}`, toe, 1_700_000_000},
		{"fraction rounded up", `{"event_timestamp":1700000000.001}`, toe, 1_700_000_001},
		{"milliseconds", `{"event_timestamp":1700000000000}`, toe, 1_700_000_000},
		{"milliseconds rounded up", `{"event_timestamp":1700000000001}`, toe, 1_700_000_001},
		{"text", `{"event_timestamp":"1700000000"}`, toe, 1_700_000_050},
		{"null", `{"event_timestamp":null}`, toe, 1_700_000_050},
		{"zero", `{"event_timestamp":0}`, toe, 1_700_000_050},
		{"negative", `{"event_timestamp":-5}`, toe, 1_700_000_050},
		{"no time at all", `{"event_timestamp":1e300}`, time.Time{}, 1_700_000_100},
		{"next year, as of its arrival", `{"event_timestamp":1731536000}`, time.Time{}, 0},
	} {
		for skew, want := range map[time.Duration]int64{0: tt.want + 5, time.Minute: tt.want + 60, -1: tt.want} {
			if tt.want == 0 {
				want = arrival.Add(receiver.MaxAhead).Unix()
			}
			b := event(builder("a"), caep.SessionRevokedType, tt.payload)
			b.IssuedAt, b.TimeOfEvent = iat, tt.toe
			if got := deliver(t, b, skew).EventTime; got.Unix() != want || got.Nanosecond() != 0 {
				t.Errorf("%s, skew %v: got %v, want %v", tt.name, skew, got.Unix(), want)
			}
		}
	}
}

func deliver(t *testing.T, b set.Builder, skew time.Duration) receiver.Delivery {
	t.Helper()
	return receiver.NewDelivery(token(t, b), arrival, skew)
}
