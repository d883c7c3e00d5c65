package transmitter_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// fingerprintSignature signs a body as Fingerprint's webhook does.
func fingerprintSignature(secret, body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return "v1=" + hex.EncodeToString(mac.Sum(nil))
}

// What Fingerprint's webhook sends to a source that has its secret is taken with
// a signature of the very bytes alone, beside the source's own credential, and
// a wrong signature is answered as a wrong credential is.
func TestFingerprintSignature(t *testing.T) {
	h := open(t)
	const body = `{"event_id":"1.a","timestamp":1767323045000,"linked_id":"u1"}`
	const header = "fpjs-event-signature"
	h.vendor(auth.VendorSource{Source: auth.Source{Name: "open"}, Kind: auth.KindFingerprint, Auth: auth.VendorNone, SignatureSecret: "k1"})
	secret := h.vendor(auth.VendorSource{Source: auth.Source{Name: "fp"}, Kind: auth.KindFingerprint, Auth: auth.VendorBearer, SignatureSecret: "k1"})
	h.vendor(auth.VendorSource{Source: auth.Source{Name: "plain"}, Kind: auth.KindFingerprint, Auth: auth.VendorNone})
	good := fingerprintSignature("k1", body)
	var denied answer
	for _, c := range []struct {
		name, path, token, body string
		header                  []string
		status                  int
	}{
		{"an unknown source", "nobody", "", body, []string{header, good}, 401},
		{"signed", "open", "", body, []string{header, good}, 202},
		{"one of two", "open", "", body, []string{header, fingerprintSignature("k0", body) + "," + good}, 202},
		{"not signed", "open", "", body, nil, 401},
		{"by another secret", "open", "", body, []string{header, fingerprintSignature("k0", body)}, 401},
		{"of another body", "open", "", body + " ", []string{header, good}, 401},
		{"signed, with its credential", "fp", secret, body, []string{header, good}, 202},
		{"signed, without its credential", "fp", "", body, []string{header, good}, 401},
		{"its credential, not signed", "fp", secret, body, nil, 401},
		{"no secret for signatures", "plain", "", body, nil, 202},
	} {
		a := h.do(http.MethodPost, "/v1/sources/"+c.path, c.token, c.body, c.header...)
		if a.status != c.status {
			t.Errorf("%s: got %d %s, want %d", c.name, a.status, a.body, c.status)
		}
		if c.status == 401 && denied.body == "" {
			denied = a
		} else if c.status == 401 && a.body != denied.body {
			t.Errorf("%s: got %s, want what an unknown source gets, %s", c.name, a.body, denied.body)
		}
	}
	if n := len(h.events()); n != 3 {
		t.Errorf("got %d events, want one of each source", n)
	}
}

// Operators set and replace the secret, and never see it.
func TestSignatureSecretByOperators(t *testing.T) {
	h := open(t)
	o := h.operator(h.SocketHandler())
	const body = `{"event_id":"1.a","timestamp":1767323045000}`
	made := o.must(http.StatusCreated, "POST", "/admin/sources", "", `{"name":"fp","kind":"fingerprint","auth":"none","signature_secret":"k1"}`)
	if made.member("warning") != "" || strings.Contains(made.body, "k1") {
		t.Errorf("got %s, want no warning and no secret", made.body)
	}
	o.must(http.StatusNoContent, "POST", "/admin/sources/fp/rotate", "", `{"signature_secret":"k2"}`)
	if list := o.must(http.StatusOK, "GET", "/admin/sources", "", ""); !strings.Contains(list.body, `"signed":true`) || strings.Contains(list.body, `"k2"`) {
		t.Errorf("got %s, want it signed and no secret", list.body)
	}
	for secret, status := range map[string]int{"k1": 401, "k2": 202} {
		if a := h.do("POST", "/v1/sources/fp", "", body, "Fpjs-Event-Signature", fingerprintSignature(secret, body)); a.status != status {
			t.Errorf("signed by %s: got %d, want %d", secret, a.status, status)
		}
	}
	checkError(t, "another kind", o.do("POST", "/admin/sources", "", `{"name":"id","kind":"idme","auth":"bearer","signature_secret":"k"}`), http.StatusBadRequest)
}

// Clients of one source that an earlier version let disagree are told at the
// start, and so is a source without a credential, unless what comes is signed.
func TestSourcesWarnedOf(t *testing.T) {
	h := open(t, func(s *setup) { s.idle = true })
	for _, id := range []string{"one", "two"} {
		h.client(id, everyScope)
	}
	err := h.apps.DB().Write(t.Context(), func(tx *sqlitedb.Tx) error {
		_, err := tx.Exec(`UPDATE clients SET source = json_object('name', 'torn', 'applications', json_array(application))`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	h.vendor(auth.VendorSource{Source: auth.Source{Name: "signed"}, Kind: auth.KindFingerprint, Auth: auth.VendorNone, SignatureSecret: "k1"})
	h.vendor(auth.VendorSource{Source: auth.Source{Name: "open"}, Kind: auth.KindFingerprint, Auth: auth.VendorNone})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	until(t, "the warnings", func() bool {
		return strings.Contains(h.logs.String(), "source=torn") && strings.Contains(h.logs.String(), "source=open")
	})
	stop()
	if err := <-ended; err != nil || strings.Contains(h.logs.String(), "source=signed") {
		t.Errorf("got %v and logs %q, want no warning of the signed source", err, h.logs)
	}
}
