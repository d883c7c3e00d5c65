package settings_test

import (
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/settings"
)

type base struct{ Listen string }

type issuer struct {
	Name     string
	JWKSURL  string `yaml:"jwks_url"`
	Audience []string
	Token    string
	Retry    []time.Duration
	Poll     *poll
}

type poll struct {
	MaxEvents int
	Immediate bool
}

type whole struct {
	Base    base `yaml:"base"`
	Issuers []issuer
	Hooks   map[string]settings.Node
	Labels  map[string]string
	Allow   []netip.Prefix
	Ratio   float64
	Size    uint16
	Any     any
	HTTP    *http.Client // no setting
	Notify  func()       // no setting
}

func decode(t *testing.T, text string, into any, environ ...string) error {
	t.Helper()
	n, err := settings.Parse("receive.yaml", []byte(text), environ)
	if err != nil {
		return err
	}
	return n.Decode(into)
}

func TestDecode(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(secret, []byte("from-a-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var got whole
	err := decode(t, `
base: &base {listen: "127.0.0.1:1"}
issuers:
- name: a
  jwks_url: https://a.example/keys
  audience: one
  token_file: `+secret+`
  retry: [1s, 5m]
  poll: {max_events: 7, immediate: true}
- name: b
  audience: [x, "y ${NAME}"]
  token: ${TOKEN}
  poll: null
labels: {k: v}
allow: [10.0.0.0/8]
ratio: 0.5
size: 65535
any: {deep: [1, true]}
hooks:
  log: {type: log, level: info}
`, &got, "TOKEN=t0ken", "NAME=z")
	if err != nil {
		t.Fatal(err)
	}
	want := whole{
		Base: base{Listen: "127.0.0.1:1"},
		Issuers: []issuer{
			{
				Name: "a", JWKSURL: "https://a.example/keys", Audience: []string{"one"}, Token: "from-a-file",
				Retry: []time.Duration{time.Second, 5 * time.Minute}, Poll: &poll{MaxEvents: 7, Immediate: true},
			},
			{Name: "b", Audience: []string{"x", "y z"}, Token: "t0ken"},
		},
		Labels: map[string]string{"k": "v"}, Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		Ratio: 0.5, Size: 65535, Any: map[string]any{"deep": []any{1, true}},
	}
	hook := got.Hooks["log"]
	got.Hooks = nil
	if d := cmp.Diff(want, got, cmp.AllowUnexported(whole{}), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }), cmp.FilterValues(func(a, b func()) bool { return true }, cmp.Ignore())); d != "" {
		t.Error(d)
	}
	var level struct{ Level string }
	var kind string
	if err := hook.At("type").Decode(&kind); err != nil || kind != "log" {
		t.Errorf("a part: got type %q (%v), want log", kind, err)
	}
	if err := hook.Without("type").Decode(&level); err != nil || level.Level != "info" {
		t.Errorf("the rest of a part: got %+v (%v), want info", level, err)
	}
	if err := hook.Decode(&level); err == nil || !strings.Contains(err.Error(), "receive.yaml:20: hooks.log.type: there is no such setting") {
		t.Errorf("a part with a key too many: got %v, want its line and path", err)
	}
}

// Each fault is told with file, line and key, all at once; no value of a secret is.
func TestFaults(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"typo", "issuers:\n- nmae: a\n", []string{"receive.yaml:2: issuers[0].nmae: there is no such setting: did you mean name?"}},
		{"unknown", "issuers:\n- colour: a\n", []string{"receive.yaml:2: issuers[0].colour: there is no such setting; there are audience, jwks_url,"}},
		{"several", "size: -1\nratio: x\nbase: 7\n", []string{"receive.yaml:1: size", "receive.yaml:2: ratio", "receive.yaml:3: base: want keys"}},
		{"twice", "size: 1\nsize: 2\n", []string{"receive.yaml:2: size: it stands in line 1 already"}},
		{"secret twice", "issuers:\n- {token: a, token_file: /dev/null}\n", []string{"issuers[0].token: it is given twice"}},
		{"no file", "issuers:\n- token_file: /nowhere/token\n", []string{"receive.yaml:2: issuers[0].token_file: open /nowhere/token"}},
		{"empty file", "issuers:\n- token_file: /dev/null\n", []string{"is empty"}},
		{"no variable", "issuers:\n- token: Bearer ${NOT_SET}\n", []string{"receive.yaml:2: issuers[0].token: the environment variable NOT_SET is not set"}},
		{"duration", "issuers:\n- retry: [soon]\n", []string{"issuers[0].retry[0]: want a duration"}},
		{"boolean", "issuers:\n- poll: {immediate: yes}\n", []string{"poll.immediate: want true or false"}},
		{"list", "issuers: {name: a}\n", []string{"receive.yaml:1: issuers: want a list"}},
		{"prefix", "allow: [10.0.0.0]\n", []string{"allow[0]: netip.ParsePrefix"}},
		{"a thing", "http: {timeout: 1s}\n", []string{"receive.yaml:1: http: there is no such setting"}},
		{"two documents", "size: 1\n---\nsize: 2\n", []string{"more than one document"}},
		{"no YAML", "size: [\n", []string{"receive.yaml:1: is not YAML"}},
		{"loop", "any: &a [*a]\n", []string{"any"}},
	} {
		err := decode(t, tt.text, new(whole))
		if err == nil {
			t.Errorf("%s: got no error", tt.name)
			continue
		}
		for _, want := range tt.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want %s", tt.name, err, want)
			}
		}
	}
	err := decode(t, "allow: ['${SECRET}']\nsize: ${SECRET}\n", new(whole), "SECRET=s3cret")
	if err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("a secret in the wrong place: got %v, want an error without it", err)
	}
	if err := decode(t, "", new(whole)); err != nil {
		t.Errorf("nothing: got %v", err)
	}
}

func TestKey(t *testing.T) {
	for name, want := range map[string]string{
		"HookTimeout": "hook_timeout", "URL": "url", "JWKSURL": "jwksurl", "KeyID": "key_id", "TLSCert": "tls_cert", "A": "a",
	} {
		if got := settings.Key(name); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}
