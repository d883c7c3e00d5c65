package journal

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// String says in a sentence what the hook did, as in "session-revoked of
// 2026-11-25T12:03:00Z: redis ended 3 sessions".
func (e Entry) String() string {
	name := e.Type[strings.LastIndexByte(e.Type, '/')+1:]
	return fmt.Sprintf("%s of %s: %s", name, e.Time.UTC().Format(time.RFC3339), e.did())
}

func (e Entry) did() string {
	switch e.Verdict {
	case Done:
		if e.Effect == "end" || e.Effect == "deny" || e.Ended > 0 {
			return fmt.Sprintf("%s ended %s%s", e.Hook, sessions(e.Ended), e.also())
		}
		return fmt.Sprintf("%s did it (%s)", e.Hook, e.Effect)
	case Dry:
		return fmt.Sprintf("%s would have ended %s%s", e.Hook, sessions(e.Ended), e.also())
	case Failed:
		return fmt.Sprintf("%s failed to %s at attempt %d: %s", e.Hook, e.Effect, e.Attempt, e.Err)
	case SetAside:
		return fmt.Sprintf("%s gave up to %s at attempt %d: %s", e.Hook, e.Effect, e.Attempt, e.Err)
	case Skipped:
		return fmt.Sprintf("%s has nothing to %s", e.Hook, e.Effect)
	case Outdated:
		return fmt.Sprintf("%s was not asked to %s: %s", e.Hook, e.Effect, e.Detail)
	case Held:
		return fmt.Sprintf("%s was not asked to %s: %s", e.Hook, e.Effect, e.Detail)
	case Unmet:
		return "no hook could end a session"
	}
	return fmt.Sprintf("%s %s %s", e.Hook, e.Effect, e.Verdict)
}

// also names an effect that is more, or other, than to end sessions.
func (e Entry) also() string {
	if e.Effect == "end" {
		return ""
	}
	return " (" + e.Effect + ")"
}

func sessions(n int) string {
	switch {
	case n < 0:
		return "sessions of unknown number"
	case n == 0:
		return "no session"
	case n == 1:
		return "1 session"
	}
	return fmt.Sprint(n, " sessions")
}

// MarshalJSON returns the entry as commands print it; ended is null if it is unknown.
func (e Entry) MarshalJSON() ([]byte, error) {
	var ended *int
	if e.Ended >= 0 {
		ended = &e.Ended
	}
	return json.Marshal(struct {
		Seq     uint64    `json:"seq"`
		At      time.Time `json:"at"`
		Feed    string    `json:"feed,omitempty"`
		Issuer  string    `json:"iss"`
		ID      string    `json:"jti"`
		Txn     string    `json:"txn,omitempty"`
		Type    string    `json:"type"`
		Scope   string    `json:"scope,omitempty"`
		Time    time.Time `json:"event_time"`
		Rule    string    `json:"rule"`
		Hook    string    `json:"hook,omitempty"`
		Effect  string    `json:"effect"`
		Verdict Verdict   `json:"verdict"`
		Attempt int       `json:"attempt"`
		Ended   *int      `json:"ended"`
		Detail  string    `json:"detail,omitempty"`
		Err     string    `json:"error,omitempty"`
		Took    int64     `json:"took_ms"`
	}{
		e.Seq, e.At.UTC(), e.Feed, e.Issuer, e.ID, e.TransactionID, e.Type, e.Scope, e.Time.UTC(), e.Rule, e.Hook,
		e.Effect, e.Verdict, e.Attempt, ended, e.Detail, e.Err, e.Took.Milliseconds(),
	})
}
