package transmitter_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	formats "github.com/transparency-dev/formats/note"

	"github.com/tocsin-ssf/tocsin/transmitter"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/source/sourcetest"
	"github.com/tocsin-ssf/tocsin/transmitter/vault"
)

// workshop makes, for each request that is about something that is used up or not there by
// itself, a new one of it.
type workshop struct {
	config    transmitter.Config // what the target is built of
	witness   string             // its private key
	vendorURL string             // address of an API
	n         int

	vendorSecret string // of the source that was made last
}

// newDreamt is a target with all there is: webhooks, a source, a signed log with a witness,
// a vendor that answers, and what copies stores and encrypts keys.
func newDreamt(t testing.TB) *target {
	w := &workshop{}
	witness, verifier, err := note.GenerateKey(rand.Reader, "witness.example")
	if err == nil {
		verifier, err = formats.VKeyToCosignatureV1(verifier)
	}
	if err != nil {
		t.Fatal(err)
	}
	vendor := sourcetest.NewOneLogin("token")
	vendor.Add(sourcetest.OneLoginEvent(1, 8, time.Now().Add(-time.Hour)))
	server := httptest.NewServer(vendor)
	t.Cleanup(server.Close)
	w.witness, w.vendorURL = witness, server.URL
	x := newTarget(t, func(s *setup) {
		s.checkpoints, s.witnesses, s.keep = true, []string{verifier}, &w.config
		s.Backup = func(context.Context, string) error { return nil } // what it does is tested where it is
		s.Rewrap = func(context.Context, vault.Secret, vault.Secret) error { return nil }
	})
	x.workshop = w
	x.renewHook()
	return x
}

// made makes what an operation is about, and returns what names it.
func (x *target) made(operation string) string {
	x.t.Helper()
	x.n++
	fresh := fmt.Sprintf("made-%d", x.n)
	ctx := context.Background()
	switch operation {
	case "changeApplication", "removeApplication":
		if _, err := x.apps.AddApplication(ctx, auth.Application{ID: fresh, Audience: []string{audience(fresh)}}); err != nil {
			x.t.Fatal(err)
		}
	case "removeClient", "rotateClient":
		made := x.credentials("alice", "ssf.read")
		return made.ClientID
	case "rotateSource", "removeSource", "vendorRecords", "fetchRecord", "sourceTypes":
		body := fmt.Sprintf(`{"name":%q,"kind":"onelogin","auth":"bearer","api":{"url":%q,"secret":"token","poll_seconds":0}}`, fresh, x.vendorURL)
		x.vendorSecret = x.operate(http.StatusCreated, "POST", "/admin/sources", body).member("secret")
	case "retireKey":
		if len(x.keys.List()) > 4 { // some were only asked for
			return x.keys.List()[1].ID
		}
		old := x.keys.Signer().KeyID()
		if _, err := x.keys.Rotate(ctx); err != nil {
			x.t.Fatal(err)
		}
		return old
	case "liftHold":
		return x.operate(http.StatusCreated, "POST", "/admin/holds", `{"subject":{"format":"email","email":"`+fresh+`@held.example"}}`).member("id")
	case "readErasure", "readAnyErasure":
		return x.house.must(http.StatusAccepted, "POST", "/v1/erasures", x.token, `{"subject":{"format":"email","email":"`+fresh+`@erased.example"}}`).member("id")
	case "resendWebhookDeadLetter", "dropWebhookDeadLetter":
		return x.deadLetter(x.hook)
	case "checkpoint", "tile", "cosign", "cosignAsOperator":
		return x.signedHead(operation)
	}
	return fresh
}

// signedHead signs the log, and returns a tile of it, or its head with the witness's
// signature.
func (x *target) signedHead(operation string) string {
	x.t.Helper()
	head, err := x.config.Checkpoints.Sign(context.Background())
	if err != nil {
		x.t.Fatal(err)
	}
	if !strings.HasPrefix(operation, "cosign") {
		if head.Size < 256 {
			return fmt.Sprintf("0/000.p/%d", head.Size)
		}
		return "0/000"
	}
	signer, err := formats.NewSignerForCosignatureV1(x.witness)
	if err != nil {
		x.t.Fatal(err)
	}
	text, _, _ := strings.Cut(string(head.Text), "\n\n")
	cosigned, err := note.Sign(&note.Note{Text: text + "\n"}, signer)
	if err != nil {
		x.t.Fatal(err)
	}
	return string(cosigned)
}

// operate makes a request of an operator's that must succeed.
func (x *target) operate(status int, method, path, body string) answer {
	x.t.Helper()
	r := httptest.NewRequestWithContext(context.Background(), method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+x.token)
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	x.admin.ServeHTTP(w, r)
	if w.Code != status {
		x.t.Fatalf("%s %s: got %d %s, want %d", method, path, w.Code, w.Body, status)
	}
	return answer{w.Code, w.Header(), w.Body.String()}
}
