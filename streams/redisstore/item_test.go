package redisstore_test

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/redisstore"
)

// Items that wait are read by later versions: their form does not change.
func TestItemsKeepTheirForm(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678901234, time.UTC)
	for _, c := range []struct {
		name, place, kept string
		item              streams.Item
	}{
		{
			"event", "2" + "0000000000000007" + "0000000001",
			"6b" + "8254c329a92850f6d539dd37" + "1886caf2450d67f2" + "0000000000000005" + "00000002" + "0000000000000003" + "0002" + "6531" +
				"01" + "01" + "0f" + hex.EncodeToString([]byte("session-revoked")) + "01" + "6b" + "04" + "00",
			streams.Item{
				ID: "e1", Epoch: 3, Pos: streams.Position{Seq: 7, N: 1}, Ref: streams.Position{Seq: 5, N: 2}, OrderKey: "k", Subject: 2, Added: at,
				Type: "https://schemas.openid.net/secevent/caep/event-type/session-revoked",
			},
		},
		{
			"control", "0" + "0000000000000001" + "0000000000", "",
			streams.Item{ID: "c1", Lane: streams.LaneControl, Type: "urn:other", Payload: []byte(`{"state":"x"}`), Added: at},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.item.Stream, c.item.Attempts = "s", 4
			kept, err := redisstore.EncodeItem(&c.item)
			if err != nil {
				t.Fatal(err)
			}
			if got := hex.EncodeToString(kept); c.kept != "" && got != c.kept {
				t.Errorf("got %s, want %s", got, c.kept)
			}
			got, err := redisstore.DecodeItem("s", c.place, string(kept), 4)
			if diff := cmp.Diff(c.item, got); err != nil || diff != "" {
				t.Errorf("got %v and (+), want (-):\n%s", err, diff)
			}
			for n := range kept {
				if _, err := redisstore.DecodeItem("s", c.place, string(kept[:n]), 0); err == nil {
					t.Fatalf("got no error for %d bytes of %d", n, len(kept))
				}
			}
			later := strings.Replace(string(kept), c.item.ID+"\x01", c.item.ID+"\x02", 1)
			if _, err := redisstore.DecodeItem("s", c.place, later, 0); err == nil || !strings.Contains(err.Error(), "newer version") {
				t.Errorf("got %v for another version, want an error that says so", err)
			}
		})
	}
}
