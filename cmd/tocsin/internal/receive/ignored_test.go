package receive_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/receive"
)

// A setting that would do nothing where it stands is refused, by its line.
func TestNothingIgnored(t *testing.T) {
	const static = "issuers:\n- name: a\n  issuer: https://a.example\n  jwks_url: https://a.example/keys\n  audience: x\n"
	const discovered = "issuers:\n- name: a\n  issuer: https://a.example\n  audience: x\n"
	for text, want := range map[string]string{
		static + "  stream_id: s":                                        "c.yaml:6: issuers[0].stream_id: ",
		static + "  description: d":                                      "c.yaml:6: issuers[0].description: ",
		static + "  resume: true":                                        "c.yaml:6: issuers[0].resume: ",
		static + "  credentials: {token_file: t}":                        "c.yaml:6: issuers[0].credentials: ",
		static + "  delivery: {path: \"/push/a?b\"}":                     "c.yaml:6: issuers[0].delivery.path: ",
		static + "  delivery: {path: /push/%61}":                         "c.yaml:6: issuers[0].delivery.path: ",
		static + "  delivery: {path: //push/a}":                          "c.yaml:6: issuers[0].delivery.path: ",
		static + "  tolerances: [events_as_string]\n  algorithms: ES256": "c.yaml:7: issuers[0].algorithms: ",
		"issuers:\n- name: a\n  profile: apple-sign-in\n  audience: x\n  algorithms: [RS256, ES256]":                                                 "c.yaml:5: issuers[0].algorithms: ",
		static + "  delivery: {method: poll, endpoint_url: https://a.example/poll, max_events: -1}":                                                  "c.yaml:6: issuers[0].delivery.max_events: ",
		discovered + "  credentials: {client: {token_url: https://a.example/token}}":                                                                 "c.yaml:5: issuers[0].credentials.client.id: ",
		discovered + "  credentials: {client: {scopes: [ssf.read]}}":                                                                                 "c.yaml:5: issuers[0].credentials.client.id: ",
		discovered + "  credentials: {token_file: t, client: {authorization_server: https://a.example}}":                                             "c.yaml:5: issuers[0].credentials: ",
		discovered + "  credentials: {client: {id: a, secret_file: s, token_url: https://a.example/token, authorization_server: https://a.example}}": "c.yaml:5: issuers[0].credentials.client.authorization_server: ",
		discovered + "  credentials: {client: {id: a, secret_file: s, authorization_server: a.example}}":                                             "c.yaml:5: issuers[0].credentials.client.authorization_server: ",
		// What does something passes.
		static + "  delivery: {method: poll, endpoint_url: https://a.example/poll}\n  credentials: {token_file: t}": "",
		static + "  delivery: {path: /push/a/}": "",
		discovered + "  credentials: {client: {id: a, secret_file: s}}\n  stream_id: s\n  description: d\n  resume: true": "",
		"issuers:\n- name: a\n  profile: apple-sign-in\n  audience: x\n  algorithms: [RS256]":                             "",
	} {
		path := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := receive.Read(path, nil, nil)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s\ngot %v, want %q", text, err, want)
		}
	}
}
