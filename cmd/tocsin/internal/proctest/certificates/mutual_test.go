package certificates_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/receive"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/delivery/edge/edgetest"
)

// together is a transmitter that knows its receivers by their certificates, and a receiver
// that comes as several of them.
type together struct {
	t                     *testing.T
	transmitter, receiver *proctest.Server
	said                  [2]said // by the transmitter, by the receiver
	client                *http.Client
	source                string // token of a source of events
}

func newTogether(t *testing.T, clients string) *together {
	t.Helper()
	w := &together{t: t, transmitter: proctest.New(t, "--client-ca", clients, "--log-level", "debug")}
	w.transmitter.Secure, w.transmitter.Said = true, &w.said[0]
	w.start(w.transmitter)
	var err error
	if w.source, err = w.transmitter.Token(t.Context(), "source", "https://source.example", "events.write"); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(w.transmitter.Dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(raw)
	w.client = &http.Client{Timeout: proctest.Patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	t.Cleanup(w.client.CloseIdleConnections)
	return w
}

func (w *together) start(s *proctest.Server) {
	w.t.Helper()
	if err := s.Start(); err != nil {
		w.t.Fatal(err)
	}
}

// add adds a client of an application of its own.
func (w *together) add(id string, how ...string) {
	w.t.Helper()
	args := append([]string{"client", "add", "--data", w.transmitter.Dir, "--id", id, "--audience", "https://" + id + ".example", "--scope", "ssf.read ssf.manage"}, how...)
	if out, err := w.transmitter.Command(w.t.Context(), args...); err != nil {
		w.t.Fatalf("%v\n%s", err, out)
	}
}

// issuer is the transmitter in the receiver's configuration, to which it comes as a client
// with the certificate cert.pem, cert.key of its folder.
func (w *together) issuer(id, cert string) string {
	return fmt.Sprintf("- name: %[1]s\n  issuer: %[2]s\n  audience: https://%[1]s.example\n  delivery: {method: poll, immediate: true, interval: 200ms}\n  ca: %[3]s/ca.pem\n  allow: [127.0.0.1/32]\n"+
		"  credentials: {client: {id: %[1]s}, certificate_file: %[4]s.pem, certificate_key_file: %[4]s.key}\n", id, w.transmitter.Issuer, w.transmitter.Dir, cert)
}

func (w *together) event(n int) {
	w.t.Helper()
	status, body, err := w.transmitter.Call(w.t.Context(), w.client, http.MethodPost, "/v1/events", w.source, map[string]any{
		"type": caep.SessionRevokedType, "subject": map[string]string{"format": "email", "email": fmt.Sprintf("u%d@example.org", n)},
		"data": map[string]int64{"event_timestamp": time.Now().Unix()},
	})
	if err != nil || status/100 != 2 {
		w.t.Fatalf("an event: got %d %s (%v)", status, body, err)
	}
}

// health is how it stands with one issuer.
func (w *together) health(name string) receive.IssuerHealth {
	w.t.Helper()
	out, err := w.receiver.Command(w.t.Context(), "receive", "health", "--data", filepath.Join(w.receiver.Dir, "data"), "--json")
	var h receive.Health
	if json.Unmarshal(out, &h) != nil {
		w.t.Fatalf("health: got %s (%v)", out, err)
	}
	for _, is := range h.Issuers {
		if is.Name == name {
			return is
		}
	}
	w.t.Fatalf("%s: got no health of it: %s", name, out)
	return receive.IssuerHealth{}
}

// answers are the lines of the transmitter's log about answers of a status to a route.
func (w *together) answers(route string, status int) (lines []string) {
	w.said[0].mu.Lock()
	defer w.said[0].mu.Unlock()
	for line := range strings.Lines(w.said[0].text.String()) {
		if strings.Contains(line, " route="+route) && strings.Contains(line, fmt.Sprintf(" status=%d ", status)) {
			lines = append(lines, line)
		}
	}
	return lines
}

// lists has the command of a receiver list its streams by its certificate.
func (w *together) lists(id string) {
	w.t.Helper()
	args := []string{"stream", "list", "--issuer", w.transmitter.Issuer, "--ca", filepath.Join(w.transmitter.Dir, "ca.pem"), "--client-id", id}
	file := filepath.Join(w.receiver.Dir, id)
	out, err := w.receiver.Command(w.t.Context(), append(args, "--client-cert", file+".pem", "--client-key", file+".key")...)
	if err != nil || !strings.Contains(string(out), w.health(id).Stream.ID) {
		w.t.Errorf("stream list: got %s (%v), want the stream", out, err)
	}
	for _, half := range [][]string{nil, {"--client-cert", file + ".pem"}, {"--client-cert", file + ".pem", "--client-key", w.receiver.Dir + "/wrong.key"}} {
		if out, err := w.receiver.Command(w.t.Context(), append(args, half...)...); err == nil || !strings.Contains(err.Error(), "--client-key") {
			w.t.Errorf("stream list %q: got %s (%v), want the flags named", half, out, err)
		}
	}
}

// heard waits until so many SETs came by each of the issuers.
func (w *together) heard(n uint64, names ...string) {
	w.t.Helper()
	for _, name := range names {
		proctest.Eventually(w.t, fmt.Sprintf("%s: SET %d", name, n), func() bool { return w.health(name).Kept >= n })
	}
}

// RFC 8705 §2, §3: receivers get their SETs by polls of streams that they made, known by
// the name of their certificate or by its key. Renewed while they run, with the same key,
// the certificate makes no difference to what comes; the tokens are bound to the new one.
// One that is not theirs gets nothing, and health tells what to do.
func TestReceiverByCertificate(t *testing.T) {
	t.Parallel()
	ca, dir := edgetest.NewAuthority(t, "clients"), t.TempDir()
	clients := filepath.Join(dir, "clients.pem")
	if err := os.WriteFile(clients, ca.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newTogether(t, clients)
	w.receiver = proctest.NewReceiver(t, "")
	w.receiver.Said = &w.said[1]
	named := func(c *x509.Certificate) { c.Subject = pkix.Name{CommonName: "named", Organization: []string{"Shop"}} }
	first, self := ca.Issue(t, named), edgetest.SelfSigned(t, nil)
	edgetest.Write(t, w.receiver.Dir, "named", first)
	selfFile, _ := edgetest.Write(t, w.receiver.Dir, "self", self)
	edgetest.Write(t, w.receiver.Dir, "wrong", edgetest.SelfSigned(t, named))
	w.add("named", "--tls-subject-dn", "CN=named,O=Shop")
	w.add("self", "--tls-self-signed", "--jwks", selfFile)
	w.add("wrong", "--tls-subject-dn", "CN=named,O=Shop")
	w.receiver.Configure(t, "issuers:\n"+w.issuer("named", "named")+w.issuer("self", "self")+w.issuer("wrong", "wrong"))
	w.start(w.receiver)
	for _, name := range []string{"named", "self"} {
		proctest.Eventually(t, name+": a stream", func() bool { s := w.health(name).Stream; return s != nil && s.ID != "" && s.Error == "" })
	}
	w.lists("named")
	w.event(1)
	w.heard(1, "named", "self")
	before := w.health("named").Kept
	edgetest.Write(t, w.receiver.Dir, "named", ca.Renew(t, first))
	proctest.Eventually(t, "the renewed certificate", func() bool { return w.said[1].has("a new certificate is in force") })
	w.event(2)
	w.heard(before+1, "named")
	if h := w.health("named"); len(h.Problems) > 0 || h.Poll == nil || h.Poll.Error != "" {
		t.Errorf("after the renewal: got %+v, want no problem", h)
	}
	if got := w.answers("/ssf/", http.StatusUnauthorized); len(got) > 0 {
		t.Errorf("got %q, want a new token before a request with the old one", got)
	}
	if got := w.answers("/oauth/token", http.StatusOK); len(got) != 4 { // the command has one of its own
		t.Errorf("got %d tokens, want one for each certificate and one of the command: %q", len(got), got)
	}
	problems := strings.Join(w.health("wrong").Problems, "\n")
	for _, part := range []string{"invalid_client", "CN=named", "not one by which the client", "have its name or key registered"} {
		if !strings.Contains(problems, part) {
			t.Errorf("a wrong certificate: got %q, want %q in it", problems, part)
		}
	}
}
