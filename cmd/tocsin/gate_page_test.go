package main_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/receiver/sessions/check"
)

// The configurations of Traefik and Envoy in docs/gate.md are whole: what they are made of
// is known there, they ask the check endpoint of the page, and send what it reads. (Those
// of nginx and Caddy are run, receiver/sessions/check.)
func TestGatePage(t *testing.T) {
	page := pages(t)[filepath.Join(root, "docs/gate.md")]
	type middleware struct {
		Headers *struct {
			Custom map[string]string `yaml:"customRequestHeaders"`
		}
		ForwardAuth *struct {
			Address  string
			Request  []string `yaml:"authRequestHeaders"`
			Response []string `yaml:"authResponseHeaders"`
		} `yaml:"forwardAuth"`
	}
	traefik := strictly[struct {
		HTTP struct {
			Middlewares map[string]middleware
			Routers     map[string]struct {
				Rule, Service string
				Middlewares   []string
			}
		}
	}](t, []byte(block(t, page, "### Traefik")))[0].HTTP
	auth := traefik.Middlewares["tocsin"].ForwardAuth
	if auth == nil || auth.Address != "http://127.0.0.1:9000/check" || !slices.Contains(auth.Request, check.TokenHeader) || !slices.Contains(auth.Request, "Cookie") || !slices.Contains(auth.Request, "Authorization") {
		t.Errorf("Traefik: got %+v, want the check endpoint, and what it reads", auth)
	}
	for _, name := range traefik.Routers["app"].Middlewares {
		m, ok := traefik.Middlewares[name]
		if !ok || m.ForwardAuth == nil && m.Headers == nil {
			t.Errorf("Traefik: got the middleware %s, which there is not", name)
		}
	}

	type patterns struct{ Patterns []struct{ Exact string } }
	filter := strictly[[]struct {
		Name        string
		TypedConfig struct {
			Type          string                `yaml:"@type"`
			Allow         bool                  `yaml:"failure_mode_allow"`
			StatusOnError struct{ Code string } `yaml:"status_on_error"`
			Service       struct {
				ServerURI struct{ URI, Cluster, Timeout string } `yaml:"server_uri"`
				Prefix    string                                 `yaml:"path_prefix"`
				Request   struct {
					Allowed patterns                      `yaml:"allowed_headers"`
					Add     []struct{ Key, Value string } `yaml:"headers_to_add"`
				} `yaml:"authorization_request"`
				Response struct {
					Upstream patterns `yaml:"allowed_upstream_headers"`
					Client   patterns `yaml:"allowed_client_headers"`
				} `yaml:"authorization_response"`
			} `yaml:"http_service"`
		} `yaml:"typed_config"`
	}](t, []byte(strings.TrimPrefix(block(t, page, "### Envoy"), "http_filters:\n")))[0]
	f := filter[0]
	s := f.TypedConfig.Service
	if f.Name != "envoy.filters.http.ext_authz" || f.TypedConfig.Allow || s.ServerURI.URI != "http://127.0.0.1:9000" || s.Prefix != "/check" ||
		len(s.Request.Add) != 1 || s.Request.Add[0].Key != check.TokenHeader || len(s.Request.Allowed.Patterns) != 1 || s.Request.Allowed.Patterns[0].Exact != "cookie" {
		t.Errorf("Envoy: got %+v, want the check endpoint, what it reads, and closed where it is away", f)
	}
}

// block is the first YAML below a heading of a page.
func block(t *testing.T, page, heading string) string {
	t.Helper()
	_, rest, ok := strings.Cut(page, heading+"\n")
	_, rest, begun := strings.Cut(rest, "```yaml\n")
	text, _, ended := strings.Cut(rest, "```")
	if !ok || !begun || !ended {
		t.Fatalf("%s: got no configuration, want one", heading)
	}
	return text
}
