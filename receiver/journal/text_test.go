package journal_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/journal"
)

func entry(verdict journal.Verdict, effect string, ended int) journal.Entry {
	return journal.Entry{
		Event: journal.Event{Feed: "okta", Issuer: "https://t.example", ID: "j"}, TransactionID: "t",
		Type: "https://schemas.openid.net/secevent/caep/event-type/session-revoked", Scope: "user",
		Time: time.Unix(1700000000, 0), Rule: "r", Hook: "redis", Effect: effect, Verdict: verdict, Attempt: 2, Ended: ended,
		Err: "down", Detail: "newer", At: time.Unix(1700000009, 0), Took: 1500 * time.Millisecond, Seq: 7,
	}
}

func TestString(t *testing.T) {
	for _, tt := range []struct {
		e    journal.Entry
		want string
	}{
		{entry(journal.Done, "end", 3), "redis ended 3 sessions"},
		{entry(journal.Done, "end", 1), "redis ended 1 session"},
		{entry(journal.Done, "deny", 0), "redis ended no session (deny)"},
		{entry(journal.Done, "end", journal.Unknown), "redis ended sessions of unknown number"},
		{entry(journal.Done, "notify", 0), "redis did it (notify)"},
		{entry(journal.Dry, "end", 3), "redis would have ended 3 sessions"},
		{entry(journal.Failed, "end", 0), "redis failed to end at attempt 2: down"},
		{entry(journal.SetAside, "deny", 0), "redis gave up to deny at attempt 2: down"},
		{entry(journal.Skipped, "reload", 0), "redis has nothing to reload"},
		{entry(journal.Outdated, "allow", 0), "redis was not asked to allow: newer"},
		{entry(journal.Unmet, "end", 0), "no hook could end a session"},
	} {
		if got, want := tt.e.String(), "session-revoked of 2023-11-14T22:13:20Z: "+tt.want; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestJSON(t *testing.T) {
	for ended, want := range map[int]string{3: "3", journal.Unknown: "null"} {
		got, err := json.Marshal(entry(journal.Done, "end", ended))
		whole := `{"seq":7,"at":"2023-11-14T22:13:29Z","feed":"okta","iss":"https://t.example","jti":"j","txn":"t",` +
			`"type":"https://schemas.openid.net/secevent/caep/event-type/session-revoked","scope":"user","event_time":"2023-11-14T22:13:20Z",` +
			`"rule":"r","hook":"redis","effect":"end","verdict":"done","attempt":2,"ended":` + want + `,"detail":"newer","error":"down","took_ms":1500}`
		if err != nil || string(got) != whole {
			t.Errorf("got %s %v, want %s", got, err, whole)
		}
	}
}
