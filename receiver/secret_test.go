package receiver_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tocsin-ssf/tocsin/receiver"
)

// SEC-04: an endpoint may have a secret in its query; a failed poll is told
// without it.
func TestPollFailureHidesTheURL(t *testing.T) {
	dir := t.TempDir()
	transmitterKey()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		cfg := config(t, dir)
		cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
		cfg.Poll = &receiver.Poll{
			Endpoint: issuer + "/poll?code=s3cret",
			HTTP: &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
				return nil, errors.New("connection refused")
			})},
		}
		stop := running(t, build(t, cfg))
		synctest.Wait()
		stop()
		if got := log.String(); !strings.Contains(got, "connection refused") || strings.Contains(got, "s3cret") {
			t.Errorf("got log %q, want the failure without the secret", got)
		}
	})
}
