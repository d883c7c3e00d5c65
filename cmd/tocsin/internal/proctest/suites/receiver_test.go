package suites_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
)

// underTest starts tocsin receive as the suite wants it; what it acts upon is in the file
// seen of the scenario's folder.
const underTest = `
test "$SSF_DELIVERY" = poll && interval=", interval: 200ms"
credentials="token_file: token"
test -z "$SSF_TOKEN" && credentials="client: {id: $SSF_CLIENT_ID, secret_file: secret, token_url: $SSF_TOKEN_URL}"
cat >"$SSF_DIR/receive.yaml" <<END
listen: 127.0.0.1:0
admin_listen: "off"
tls_cert: $SSF_RECEIVER_CERT
tls_key: $SSF_RECEIVER_KEY
data: data
hooks:
  seen:
    type: exec
    command: [/bin/sh, -c, "cat >>$SSF_DIR/seen"]
issuers:
- name: suite
  issuer: $SSF_ISSUER
  ca: $SSF_CA
  allow: [127.0.0.0/8]
  audience: [$SSF_AUDIENCE]
  credentials: {$credentials}
  delivery: {method: $SSF_DELIVERY$interval}
END
printf %s "$SSF_TOKEN" >"$SSF_DIR/token"
printf %s "$SSF_CLIENT_SECRET" >"$SSF_DIR/secret"
exec BINARY receive --config "$SSF_DIR/receive.yaml"
`

// Our own receiver passes the suite, by push and by poll, over https.
func TestConformanceReceiver(t *testing.T) {
	dir := t.TempDir()
	start := filepath.Join(dir, "start.sh")
	if err := os.WriteFile(start, []byte(strings.Replace(underTest, "BINARY", proctest.Binary(t), 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	// What shows only if a receiver does something that it need not do.
	undecided := map[string][]string{
		"push": {"SSF-8.1.1.4-01", "SSF-8.1.2.1-02", "PUSH-2-01", "INTEROP-2.4.1-01"},
		"poll": {"SSF-8.1.1.4-01", "SSF-8.1.2.1-02", "POLL-2.4.2-01", "INTEROP-2.4.1-01"},
	}
	for method, undecided := range undecided {
		t.Run(method, func(t *testing.T) {
			t.Parallel() // a suite mostly waits
			report := ownReceiver(t, filepath.Join(dir, method), start, method)
			passed := 0
			for _, r := range report.Results {
				if r.Verdict == "passed" {
					passed++
				} else if !r.Untestable && !(r.Verdict == "skipped" && slices.Contains(undecided, r.ID) || foreignMethod(method, r.ID)) {
					t.Errorf("%s: got %s (%s), want passed", r.ID, r.Verdict, r.Reason)
				}
			}
			if passed < 50 {
				t.Errorf("got %d passed, want most of them", passed)
			}
		})
	}
}

// foreignMethod reports whether a requirement is of the other method of delivery.
func foreignMethod(method, id string) bool {
	return method == "push" && strings.HasPrefix(id, "POLL-") || method == "poll" && strings.HasPrefix(id, "PUSH-")
}

// receiverReport is what of a report a test looks at.
type receiverReport struct {
	Results []struct {
		ID, Verdict, Reason string
		Untestable          bool
	}
}

// ownReceiver runs the suite against our own receiver.
func ownReceiver(t *testing.T, dir, start, method string) (report receiverReport) {
	t.Helper()
	junit, page := dir+".xml", dir+".html"
	out, errOut, code := run(t,
		"conformance", "receiver", "--data", dir, "--delivery", method, "--json", "--junit", junit, "--html", page, "--profile", "all",
		"--receiver-cmd", "exec sh "+start, "--wait", "15s", "--quiet", "500ms",
		"--observe-cmd", `grep -o "\"jti\":\"$SSF_JTI\"" "$SSF_DIR/seen" | wc -l`,
	)
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%v: %s\n%s", err, out, errOut)
	}
	if code != 0 {
		t.Errorf("got exit code %d, want 0\n%s", code, errOut)
	}
	for _, name := range []string{junit, page} {
		if text, err := os.ReadFile(name); err != nil || !strings.Contains(string(text), "SSF-7.2.4-01") {
			t.Errorf("%s: got %v and %d bytes, want a report", filepath.Base(name), err, len(text))
		}
	}
	return report
}
