package caep_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/caep"
)

// payloads returns the events of an example of the specification.
func payloads(t *testing.T, file string) map[string]json.RawMessage {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var claims struct{ Events map[string]json.RawMessage }
	if err := json.Unmarshal(raw, &claims); err != nil {
		t.Fatal(err)
	}
	return claims.Events
}

func read[T any](t *testing.T, data string) T {
	t.Helper()
	var e T
	if err := json.Unmarshal([]byte(data), &e); err != nil {
		t.Fatal(err)
	}
	return e
}

// Every example in the text of CAEP, and those of CAEP events in SSF §5, may be
// sent and is acceptable.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("testdata/*-[a-z]*-[a-z]*.json")
	if err != nil || len(files) < 15 {
		t.Fatalf("got %d examples, %v, want those of the specification", len(files), err)
	}
	seen := map[string]bool{}
	for _, file := range files {
		for eventType, data := range payloads(t, file) {
			seen[eventType] = true
			if !strings.Contains(file, strings.TrimPrefix(eventType, caep.BaseURI)) {
				t.Errorf("%s: got %s, want the type that its name says", file, eventType)
			}
			if known, err := caep.Validate(eventType, data); !known || err != nil {
				t.Errorf("%s: got %v, %v, want true and no error", file, known, err)
			}
			if known, err := caep.Acceptable(eventType, data); !known || err != nil {
				t.Errorf("%s at the receiver: got %v, %v, want true and no error", file, known, err)
			}
			if _, ok := caep.EventTime(data); ok != strings.Contains(string(data), "event_timestamp") {
				t.Errorf("%s: got event time %v, want the opposite", file, ok)
			}
		}
	}
	for _, eventType := range caep.Types() {
		if !seen[eventType] {
			t.Errorf("%s: got no example, want one", eventType)
		}
	}
}

// The members of the examples arrive where they belong.
func TestExampleValues(t *testing.T) {
	common := func(at int64, entity string, admin, user map[string]string) caep.OptionalClaims {
		return caep.OptionalClaims{EventTimestamp: time.Unix(at, 0).UTC(), InitiatingEntity: entity, ReasonAdmin: admin, ReasonUser: user}
	}
	policy := map[string]string{"en": "Landspeed Policy Violation: C076E82F"}
	cases := []struct {
		file string
		got  func(data string) any
		want any
	}{
		{
			"3.1-session-revoked-2", func(s string) any { return read[caep.SessionRevoked](t, s) },
			caep.SessionRevoked{OptionalClaims: common(1615304991, caep.InitiatedByPolicy, policy,
				map[string]string{"en": "Access attempt from multiple regions.", "es-410": "Intento de acceso desde varias regiones."})},
		},
		{
			"3.2-token-claims-change", func(s string) any { return read[caep.TokenClaimsChange](t, s) },
			caep.TokenClaimsChange{
				Claims:         map[string]json.RawMessage{"role": json.RawMessage(`"ro-admin"`)},
				OptionalClaims: common(1615304991, "", nil, nil),
			},
		},
		{
			"3.3-credential-change", func(s string) any { return read[caep.CredentialChange](t, s) },
			caep.CredentialChange{
				CredentialType: caep.CredentialFIDO2Roaming, ChangeType: caep.ChangeCreate, FriendlyName: "Jane's USB authenticator",
				FIDO2AAGUID:    "accced6a-63f5-490a-9eea-e59bc1896cfc",
				OptionalClaims: common(1615304991, caep.InitiatedByUser, map[string]string{"en": "User self-enrollment"}, nil),
			},
		},
		{
			"3.4-assurance-level-change", func(s string) any { return read[caep.AssuranceLevelChange](t, s) },
			caep.AssuranceLevelChange{
				Namespace: caep.NamespaceNISTAAL, CurrentLevel: "nist-aal2", PreviousLevel: "nist-aal1",
				ChangeDirection: caep.DirectionIncrease, OptionalClaims: common(1615304991, caep.InitiatedByUser, nil, nil),
			},
		},
		{
			"3.5-device-compliance-change", func(s string) any { return read[caep.DeviceComplianceChange](t, s) },
			caep.DeviceComplianceChange{
				PreviousStatus: caep.Compliant, CurrentStatus: caep.NotCompliant,
				OptionalClaims: common(1615304991, caep.InitiatedByPolicy, map[string]string{"en": "Location Policy Violation: C076E8A3"},
					map[string]string{"en": "Device is no longer in a trusted location."}),
			},
		},
		{
			"3.6-session-established", func(s string) any { return read[caep.SessionEstablished](t, s) },
			caep.SessionEstablished{
				UserAgent: "abb0b6e7da81a42233f8f2b1a8ddb1b9a4c81611", Context: "AAL2", Methods: []string{"otp"},
				OptionalClaims: common(1615304991, "", nil, nil),
			},
		},
		{
			"3.7-session-presented", func(s string) any { return read[caep.SessionPresented](t, s) },
			caep.SessionPresented{
				UserAgent: "abb0b6e7da81a42233f8f2b1a8ddb1b9a4c81611", ExternalID: "12345",
				OptionalClaims: common(1615304991, "", nil, nil),
			},
		},
		{
			"3.8-risk-level-change", func(s string) any { return read[caep.RiskLevelChange](t, s) },
			caep.RiskLevelChange{
				RiskReason: "PASSWORD_FOUND_IN_DATA_BREACH", Principal: caep.PrincipalUser, CurrentLevel: caep.RiskLow,
				PreviousLevel: caep.RiskHigh, OptionalClaims: common(1615304991, "", nil, nil),
			},
		},
	}
	for _, c := range cases {
		for _, data := range payloads(t, "testdata/"+c.file+".json") {
			if got := c.got(string(data)); !reflect.DeepEqual(got, c.want) {
				t.Errorf("%s: got %+v, want %+v", c.file, got, c.want)
			}
		}
	}
}

// CAEP-2-03: the two members that the specification shows alone.
func TestReasons(t *testing.T) {
	for _, name := range []string{"reason_admin", "reason_user"} {
		raw, err := os.ReadFile("testdata/2-" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := caep.Validate(caep.SessionRevokedType, raw); err != nil {
			t.Errorf("%s: got %v, want nil", name, err)
		}
		e := read[caep.SessionRevoked](t, string(raw))
		texts := map[string]map[string]string{"reason_admin": e.ReasonAdmin, "reason_user": e.ReasonUser}[name]
		if len(texts) != 3 || texts["es-410"] == "" || len(e.Extra) != 0 {
			t.Errorf("%s: got %+v, want three texts", name, e)
		}
	}
}

// U25, U27, L13: what older peers send is read, what cannot be read is kept, and
// only required members of a wrong type are refused.
func TestTolerantReading(t *testing.T) {
	e := read[caep.SessionRevoked](t, `{"event_timestamp":1615304991123,"reason_admin":"why","initiating_entity":"robot","reason_user":["x"],"ips":["192.0.2.1"]}`)
	if want := time.UnixMilli(1615304991123).UTC(); !e.EventTimestamp.Equal(want) {
		t.Errorf("milliseconds: got %v, want %v", e.EventTimestamp, want)
	}
	if want := map[string]string{"und": "why"}; !reflect.DeepEqual(e.ReasonAdmin, want) {
		t.Errorf("plain reason: got %v, want %v", e.ReasonAdmin, want)
	}
	if e.InitiatingEntity != "robot" {
		t.Errorf("value outside the list: got %q, want robot", e.InitiatingEntity)
	}
	if string(e.Extra["reason_user"]) != `["x"]` || string(e.Extra["ips"]) != `["192.0.2.1"]` {
		t.Errorf("got %v, want reason_user and ips as they came", e.Extra)
	}
	if err := e.Validate(); !errors.Is(err, caep.ErrNotListed) {
		t.Errorf("sent on: got %v, want %v", err, caep.ErrNotListed)
	}
	var change caep.CredentialChange
	if err := json.Unmarshal([]byte(`{"credential_type":["password"],"change_type":"create"}`), &change); !errors.Is(err, caep.ErrType) {
		t.Errorf("required member of a wrong type: got %v, want %v", err, caep.ErrType)
	}
}

// CAEP-3.4-02: an absent previous level is one that the transmitter does not know.
func TestPreviousLevelUnknown(t *testing.T) {
	const data = `{"namespace":"NIST-AAL","current_level":"nist-aal2"}`
	e := read[caep.AssuranceLevelChange](t, data)
	if e.PreviousLevel != "" || e.ChangeDirection != "" {
		t.Errorf("got %+v, want neither level nor direction", e)
	}
	if err := e.Validate(); err != nil {
		t.Errorf("got %v, want nil", err)
	}
	if got, err := json.Marshal(e); err != nil || string(got) != data {
		t.Errorf("got %s, %v, want %s", got, err, data)
	}
}

// A value that is used again for reading keeps nothing of what it held.
func TestUnmarshalStartsEmpty(t *testing.T) {
	e := caep.RiskLevelChange{RiskReason: "old", OptionalClaims: caep.OptionalClaims{Extra: map[string]json.RawMessage{"x": json.RawMessage("1")}}}
	if err := json.Unmarshal([]byte(`{"principal":"USER","current_level":"LOW"}`), &e); err != nil {
		t.Fatal(err)
	}
	if want := (caep.RiskLevelChange{Principal: "USER", CurrentLevel: "LOW"}); !reflect.DeepEqual(e, want) {
		t.Errorf("got %+v, want %+v", e, want)
	}
}

func TestTypesIsACopy(t *testing.T) {
	want := slices.Clone(caep.Types())
	caep.Types()[0] = "changed"
	if got := caep.Types(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
