// Command send tells a transmitter of an event, as a system of yours would: one POST, sent
// again until it is answered. The id makes that safe: an event is kept once.
//
//	TOKEN=… send -issuer https://ssf.example -id login-4711 -type session.revoked -email jo@example.com
//
// It prints the event's id, which is the txn of every SET that comes of it.
package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
)

func main() {
	issuer := flag.String("issuer", "", "issuer URL of the transmitter")
	id := flag.String("id", "", "your own id of the event")
	kind := flag.String("type", "session.revoked", "name of the event, or URI of its type")
	email := flag.String("email", "", "whom it is about")
	local := flag.String("local-ca", "", "CA of a transmitter on this machine, for trials")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client, err := httpClient(*local)
	if err != nil {
		log.Fatal(err)
	}
	made, err := send(ctx, client, *issuer, os.Getenv("TOKEN"), event{
		SourceID: *id, Type: *kind, Subject: map[string]string{"format": "email", "email": *email}, Time: time.Now().UTC(),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(made)
}

// event is one as POST /v1/events takes it (docs/openapi.yaml).
type event struct {
	SourceID string            `json:"source_id"`
	Type     string            `json:"type"`
	Subject  map[string]string `json:"subject"`
	Time     time.Time         `json:"time"`
}

// send posts an event until it is answered: what is not answered, or answered 429 or 503,
// was perhaps not kept.
func send(ctx context.Context, client *http.Client, issuer, token string, e event) (id string, err error) {
	body, err := json.Marshal(e)
	if err != nil {
		return "", err
	}
	for {
		id, again, err := post(ctx, client, strings.TrimSuffix(issuer, "/")+"/v1/events", token, body)
		if err == nil || again == 0 {
			return id, err
		}
		select {
		case <-ctx.Done():
			return "", errors.Join(ctx.Err(), err)
		case <-time.After(again):
		}
	}
}

// maxAnswer bounds an answer, in bytes.
const maxAnswer = 64 << 10

// post makes one attempt. again is when to make the next; 0: it would be refused again.
func post(ctx context.Context, client *http.Client, url, token string, body []byte) (id string, again time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return "", 0, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return "", time.Second, err
	}
	defer resp.Body.Close() // the answer has been read
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return "", time.Second, err
	}
	switch {
	case resp.StatusCode == http.StatusAccepted:
		var made struct {
			ID string `json:"id"`
		}
		err := json.Unmarshal(answer, &made)
		return made.ID, 0, err
	case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= http.StatusInternalServerError:
		seconds, err := strconv.Atoi(resp.Header.Get("Retry-After"))
		if err != nil {
			seconds = 1
		}
		return "", time.Duration(seconds) * time.Second, fmt.Errorf("answered %s", resp.Status)
	}
	return "", 0, fmt.Errorf("refused with %s: %s", resp.Status, answer)
}

// httpClient calls the transmitter: at public addresses, or, for trials, on this machine
// with a CA of its own.
func httpClient(ca string) (*http.Client, error) {
	var policy guard.Policy
	if ca != "" {
		raw, err := os.ReadFile(ca)
		if err != nil {
			return nil, err
		}
		policy.RootCAs = x509.NewCertPool()
		if !policy.RootCAs.AppendCertsFromPEM(raw) {
			return nil, errors.New(ca + " holds no certificate")
		}
		policy.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	}
	return guard.NewClient(policy), nil
}
