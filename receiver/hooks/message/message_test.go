package message_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/message"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// The schema, as docs/hooks.md has it.
func TestOf(t *testing.T) {
	id, err := subject.Complex(map[string]subject.Identifier{
		"user": subject.Aliases(subject.Email("jo@example.com"), subject.IssSub("https://idp.example", "jo")), "session": subject.Opaque("s1"),
	})
	if err != nil {
		t.Fatal(err)
	}
	a := hooks.NewAction(receiver.Delivery{
		Issuer: "https://idp.example", ID: "j", TransactionID: "t", Type: "urn:e", Subject: id, EventTime: time.Unix(1700000000, 0),
		Token: &set.Token{Events: []set.Event{{Type: "urn:e", Payload: []byte(`{"reason":"x"}`)}}},
	}, "h", hooks.Deny)
	a.Key = "k"
	got, err := json.MarshalIndent(message.Of(a), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	const want = `{
  "type": "tocsin.deny",
  "timestamp": "2023-11-14T22:13:20Z",
  "data": {
    "effect": "deny",
    "key": "k",
    "until": "2023-11-14T22:13:20Z",
    "kind": "session",
    "scope": [
      {
        "name": "session",
        "identifiers": [
          {
            "format": "opaque",
            "id": "s1"
          }
        ]
      },
      {
        "name": "user",
        "identifiers": [
          {
            "format": "email",
            "email": "jo@example.com"
          },
          {
            "format": "iss_sub",
            "iss": "https://idp.example",
            "sub": "jo"
          }
        ]
      }
    ],
    "event": {
      "issuer": "https://idp.example",
      "jti": "j",
      "txn": "t",
      "type": "urn:e",
      "subject": {
        "format": "complex",
        "session": {
          "format": "opaque",
          "id": "s1"
        },
        "user": {
          "format": "aliases",
          "identifiers": [
            {
              "format": "email",
              "email": "jo@example.com"
            },
            {
              "format": "iss_sub",
              "iss": "https://idp.example",
              "sub": "jo"
            }
          ]
        }
      },
      "payload": {
        "reason": "x"
      }
    }
  }
}`
	if string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
