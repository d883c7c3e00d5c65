package mapping_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/risc"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/transmitter/mapping"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// goldenSubjects are the identifiers of an event whose case names none.
func goldenSubjects() []subject.Identifier {
	return []subject.Identifier{subject.IssSub("https://idp.example.com", "u-17"), subject.Email("jo@example.com")}
}

// goldenEvent is a case: an event by name or URI, or a vendor's record.
type goldenEvent struct {
	Type     string               `json:"type,omitempty"`
	Format   string               `json:"format,omitempty"`
	Record   json.RawMessage      `json:"record,omitempty"`
	Time     time.Time            `json:"time,omitzero"`
	Subjects []subject.Identifier `json:"subjects,omitempty"`
	Data     json.RawMessage      `json:"data,omitempty"`
	Previous knowledge            `json:"previous,omitempty"`
	Want     golden               `json:"want"`
}

// knowledge is what was known before, by "user/<id>/<dimension>" or
// "device/<fingerprint>/<dimension>"; a member of a payload follows the type
// after a #.
type knowledge map[string]string

// Previous looks it up.
func (k knowledge) Previous(of mapping.Key) (string, bool) {
	key := "user/" + of.Identifier
	if of.Fingerprint != "" {
		key = "device/" + of.Fingerprint
	}
	key += "/" + of.Dimension
	if of.Member != "" {
		key += "#" + of.Member
	}
	value, known := k[key]
	return value, known
}

// golden is what becomes of it.
type golden struct {
	Handle   string               `json:"handle,omitempty"`
	ID       string               `json:"id,omitempty"`
	Time     time.Time            `json:"time,omitzero"`
	Subjects []subject.Identifier `json:"subjects,omitempty"`
	Attrs    *mapping.Attributes  `json:"attributes,omitempty"`
	Mapped   []goldenMapped       `json:"mapped,omitempty"`
	Member   string               `json:"error_member,omitempty"`
	Error    string               `json:"error,omitempty"`
}

type goldenMapped struct {
	Type     string               `json:"type"`
	Payload  json.RawMessage      `json:"payload"`
	Subjects []subject.Identifier `json:"subjects,omitempty"`
}

func outcome(mapped []mapping.Mapped, err error) golden {
	var g golden
	for _, m := range mapped {
		g.Mapped = append(g.Mapped, goldenMapped(m))
	}
	var wrong *mapping.Error
	switch {
	case errors.As(err, &wrong):
		g.Member, g.Error = wrong.Member, wrong.Description
	case err != nil:
		g.Error = err.Error()
	}
	return g
}

func run(m *mapping.Mapper, c goldenEvent) golden {
	if c.Format == "" {
		subjects := c.Subjects
		if subjects == nil {
			subjects = goldenSubjects()
		}
		return outcome(m.Map(mapping.Event{Type: c.Type, Time: c.Time, Subjects: subjects, Data: c.Data}))
	}
	var previous mapping.Previous
	if c.Previous != nil {
		previous = c.Previous
	}
	r, err := m.Record(c.Format, c.Record, previous)
	g := outcome(r.Mapped, err)
	if !reflect.ValueOf(r.Attributes).IsZero() {
		g.Attrs = &r.Attributes
	}
	g.Handle, g.ID, g.Time, g.Subjects = r.Handle, r.ID, r.Time, r.Subjects
	return g
}

func newMapper(t testing.TB, cfg mapping.Config) *mapping.Mapper {
	t.Helper()
	m, err := mapping.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// checkGolden runs the cases of a file and returns them.
func checkGolden(t *testing.T, m *mapping.Mapper, file string) []goldenEvent {
	t.Helper()
	path := filepath.Join("testdata", file)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var cases []goldenEvent
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	for i, c := range cases {
		got := run(m, c)
		for _, mapped := range got.Mapped {
			mustSend(t, mapped.Type, mapped.Payload)
		}
		if *update {
			cases[i].Want = got
		} else if g, w := compact(t, got), compact(t, c.Want); !bytes.Equal(g, w) {
			t.Errorf("%s, case %d, %s%s:\ngot  %s\nwant %s", file, i, c.Type, c.Want.Handle, g, w)
		}
	}
	if *update {
		var out bytes.Buffer
		enc := json.NewEncoder(&out)
		enc.SetIndent("", " ")
		enc.SetEscapeHTML(false)
		if err := enc.Encode(cases); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cases
}

func compact(t *testing.T, g golden) []byte {
	t.Helper()
	b, err := json.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// mustSend holds a payload against the transmitter's check (EVT-02).
func mustSend(t testing.TB, eventType string, payload []byte) {
	t.Helper()
	inCAEP, err := caep.Validate(eventType, payload)
	if err != nil {
		t.Errorf("%s: got payload %s, which CAEP refuses: %v", eventType, payload, err)
	}
	inRISC, err := risc.Validate(eventType, payload)
	if err != nil {
		t.Errorf("%s: got payload %s, which RISC refuses: %v", eventType, payload, err)
	}
	if !inCAEP && !inRISC {
		t.Errorf("got type %s, want one of CAEP or RISC", eventType)
	}
}

// EVT-02, CAEP-3.1-01 to CAEP-3.8-01, RISC-2-01 to RISC-2.10: every account
// event by name, with all members, with the required ones, and refused.
func TestNames(t *testing.T) {
	cases := checkGolden(t, newMapper(t, mapping.Config{}), "names.json")
	for _, n := range mapping.Names() {
		if !slices.ContainsFunc(cases, func(c goldenEvent) bool { return c.Type == n.Name && c.Want.Mapped != nil }) {
			t.Errorf("%s: got no case in names.json, want one", n.Name)
		}
	}
}

func TestIDme(t *testing.T) {
	cases := checkGolden(t, newMapper(t, mapping.Config{}), "idme.json")
	wantHandles(t, cases, mapping.FormatIDme, 62)
}

func TestOneLogin(t *testing.T) {
	cases := checkGolden(t, newMapper(t, mapping.Config{}), "onelogin.json")
	wantHandles(t, cases, mapping.FormatOneLogin, 22)
}

// Section 4.3 of the mapping: signals, scores and suspicion of devices, with and
// without what was known before.
func TestFingerprint(t *testing.T) {
	cases := checkGolden(t, newMapper(t, mapping.Config{}), "fingerprint.json")
	wantHandles(t, cases, mapping.FormatFingerprint, 2)
}

// With an issuer linked_id is a user; with thresholds scores count; with its
// policy enabled a replay ends sessions.
func TestFingerprintUser(t *testing.T) {
	m := newMapper(t, mapping.Config{
		Rules: []mapping.RulesFile{{Name: "policy.yaml", YAML: []byte("formats: {fingerprint: {every: {tampering: {enabled: true}}}}")}},
		Params: map[string]map[string]any{
			"fingerprint": {"issuer": "https://shop.example.com", "risk_medium": 10, "risk_high": 20},
		},
	})
	checkGolden(t, m, "fingerprint-user.json")
}

// handlesOf returns the handles of a format in the catalogue.
func handlesOf(m *mapping.Mapper, format string) []string {
	var handles []string
	for _, t := range m.Types() {
		if handle, ok := strings.CutPrefix(t.ID, format+":"); ok {
			handles = append(handles, handle)
		}
	}
	return handles
}

func wantHandles(t *testing.T, cases []goldenEvent, format string, count int) {
	t.Helper()
	handles := handlesOf(newMapper(t, mapping.Config{}), format)
	for _, h := range handles {
		if !slices.ContainsFunc(cases, func(c goldenEvent) bool { return c.Want.Handle == h && c.Want.Error == "" }) {
			t.Errorf("%s %s: got no case, want one", format, h)
		}
	}
	if len(handles) != count {
		t.Errorf("%s: got %d handles, want %d", format, len(handles), count)
	}
}

// The rules that a default leaves out for want of knowledge, given by the operator.
func TestRules(t *testing.T) {
	m := newMapper(t, mapping.Config{
		Rules: []mapping.RulesFile{rulesFile(t, "rules.yaml")},
		Params: map[string]map[string]any{
			"onelogin": {"issuer": "https://acme.onelogin.com/oidc/2", "risk_medium": 40, "risk_high": 80},
		},
	})
	checkGolden(t, m, "rules.json")
}

func rulesFile(t testing.TB, name string) mapping.RulesFile {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return mapping.RulesFile{Name: name, YAML: text}
}
