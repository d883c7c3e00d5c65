package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/wellknown"
)

// lookEvery is how often an application is asked whether a session still lives.
const lookEvery = 2 * time.Millisecond

const maxAnswerBytes = 1 << 20

// incident is one event of the story.
type incident struct {
	name, user, text string
	body             func(now time.Time) any
}

// incidents are real-shaped: a vendor's record, another vendor's, and an
// account event by its name.
func incidents() []incident {
	return []incident{
		{
			name: "idme-suspension", user: "jo",
			text: "ID.me suspends Jo's account: record status.suspension.applied sent; it becomes RISC account-disabled",
			body: func(now time.Time) any {
				return map[string]any{"format": "idme", "record": map[string]string{
					"event": "status.suspension.applied", "identifier": "a1b2c3d4e5f6", "email": "jo@example.com",
					"application": "Shop", "session": "sess_abc123", "fingerprint": "fp_xyz789", "ipaddress": "203.0.113.42",
					"useragent": "Mozilla/5.0", "tracked_at": now.Format(time.RFC3339),
				}}
			},
		},
		{
			name: "onelogin-lock", user: "max",
			text: "OneLogin locks Max: event of type 19 sent; it becomes RISC account-disabled",
			body: func(now time.Time) any {
				return map[string]any{"format": "onelogin", "record": map[string]any{
					"id": 123456, "created_at": now.UTC().Format("2006-01-02T15:04:05.000Z"), "account_id": 1, "user_id": 654321,
					"event_type_id": 19, "user_name": "Max Muster", "actor_user_id": 987654, "actor_user_name": "Santiago Cuong",
					"ipaddr": "203.0.113.7", "actor_system": "", "app_id": nil, "notes": nil,
				}}
			},
		},
		{
			name: "session-revoked", user: "ana",
			text: "An administrator revokes Ana's sessions: account event session.revoked sent; it becomes CAEP session-revoked",
			body: func(now time.Time) any {
				return map[string]any{
					"type": "session.revoked", "time": now.UTC().Format(time.RFC3339Nano),
					"subject": map[string]string{"format": "email", "email": "ana@example.com"},
					"data": map[string]any{
						"initiating_entity": "admin", "reason_admin": map[string]string{"en": "laptop lost"},
					},
				}
			},
		},
	}
}

// story tells what happens, and fails at the first step that is not seen.
func (w *world) story(ctx context.Context, t *teller) error {
	metadata, err := wellknown.URL(w.issuer)
	if err != nil {
		return err
	}
	status, _, err := w.call(ctx, http.MethodGet, metadata, nil, nil)
	if err := expect("transmitter", status, http.StatusOK, err); err != nil {
		return err
	}
	if err := t.step("transmitter", status, "The transmitter is up at %s; shop receives by push, mail by poll", w.issuer); err != nil {
		return err
	}
	sessions := map[string]string{} // cookies, by party and user
	for _, i := range incidents() {
		if err := w.incident(ctx, t, i, sessions); err != nil {
			return err
		}
	}
	t.event = time.Time{}
	err = w.logIn(ctx, t, w.shop, "kim", sessions)
	w.kim = sessions["shopkim"]
	return err
}

// incident logs the user in at both applications, sends the event, and looks
// from outside until both sessions have ended.
func (w *world) incident(ctx context.Context, t *teller, i incident, sessions map[string]string) error {
	t.event = time.Time{}
	both := []*party{w.shop, w.mail}
	for _, p := range both {
		if err := w.logIn(ctx, t, p, i.user, sessions); err != nil {
			return err
		}
	}
	t.event = time.Now()
	status, _, err := w.call(ctx, http.MethodPost, w.issuer+"/v1/events", i.body(t.event),
		http.Header{"Authorization": {"Bearer " + w.source}})
	if err := expect(i.name, status, http.StatusAccepted, err); err != nil {
		return err
	}
	if err := t.step(i.name, status, "%s", i.text); err != nil {
		return err
	}
	for _, p := range both {
		if err := w.ended(ctx, t, p, i.user, sessions); err != nil {
			return err
		}
	}
	return nil
}

// logIn opens a session and looks whether it works.
func (w *world) logIn(ctx context.Context, t *teller, p *party, user string, sessions map[string]string) error {
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	status, header, err := w.call(ctx, http.MethodPost, p.url+"/login", url.Values{"user": {user}}, form)
	if err := expect("login", status, http.StatusOK, err); err != nil {
		return err
	}
	response := http.Response{Header: header}
	for _, c := range response.Cookies() {
		sessions[p.name+user] = c.Name + "=" + c.Value
	}
	status, err = w.look(ctx, p, user, sessions)
	if err := expect("session", status, http.StatusOK, err); err != nil {
		return err
	}
	return t.step(p.name+"-session-"+user, status, "%s is logged in at %s", people()[user].name, p.name)
}

// look asks the application for the page of those who are logged in.
func (w *world) look(ctx context.Context, p *party, user string, sessions map[string]string) (int, error) {
	status, _, err := w.call(ctx, http.MethodGet, p.url+"/account", nil, http.Header{"Cookie": {sessions[p.name+user]}})
	return status, err
}

// ended looks until the session has ended.
func (w *world) ended(ctx context.Context, t *teller, p *party, user string, sessions map[string]string) error {
	name := p.name + "-ended-" + user
	patience, cancel := context.WithTimeout(ctx, w.cfg.Patience)
	defer cancel()
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		status, err := w.look(patience, p, user, sessions)
		if err == nil && status == http.StatusUnauthorized {
			return t.step(name, status, "%s's session at %s has ended", people()[user].name, p.name)
		}
		select {
		case <-patience.Done():
			return fmt.Errorf("%s: the session still answered %d after %v (%w)", name, status, w.cfg.Patience, patience.Err())
		case <-ticker.C:
		}
	}
}

// call makes one request with a JSON or form body and returns the status.
func (w *world) call(ctx context.Context, method, to string, body any, header http.Header) (int, http.Header, error) {
	var text string
	switch b := body.(type) {
	case nil:
	case url.Values:
		text = b.Encode()
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			return 0, nil, err
		}
		text = string(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, to, strings.NewReader(text))
	if err != nil {
		return 0, nil, err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close() // it is read as far as it is wanted
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswerBytes))
	return resp.StatusCode, resp.Header, err
}

func expect(step string, got, want int, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", step, err)
	}
	if got != want {
		return fmt.Errorf("%s: got status %d, want %d", step, got, want)
	}
	return nil
}

// next says what to try while everything stays up: lines ready to paste.
func (w *world) next(out io.Writer, cookie string) {
	fmt.Fprintf(out, `
Everything stays up; Ctrl-C ends it. Kim is still logged in at the shop. Try:

  curl -i -H 'Cookie: %s' %s/account
  curl -i -H 'Authorization: Bearer %s' -H 'Content-Type: application/json' \
    -d '{"type":"session.revoked","subject":{"format":"email","email":"kim@example.com"}}' %s/v1/events
  curl -i -H 'Cookie: %s' %s/account
  curl %s/.well-known/ssf-configuration
  curl %s/jwks.json
`, cookie, w.shop.url, w.source, w.issuer, cookie, w.shop.url, w.issuer, w.issuer)
}
