package streams_test

import (
	"testing"

	"github.com/tocsin-ssf/tocsin/streams"
)

func TestOwner(t *testing.T) {
	for _, tt := range []struct {
		owner, application, environment string
		webhooks                        bool
	}{
		{streams.OwnerIn("shop", ""), "shop", "", false},
		{streams.OwnerIn("shop", "test"), "shop", "test", false},
		{streams.WebhookOwner("shop"), "shop", "", true},
	} {
		application, webhooks := streams.ApplicationOf(tt.owner)
		if application != tt.application || webhooks != tt.webhooks || streams.EnvironmentOf(tt.owner) != tt.environment {
			t.Errorf("%s: got %s, %s, webhooks %v, want %+v", tt.owner, application, streams.EnvironmentOf(tt.owner), webhooks, tt)
		}
	}
	if streams.OwnerIn("shop", "") != "shop" || streams.OwnerIn("shop", "test") == streams.OwnerIn("shop", "live") {
		t.Error("got owners that do not tell environments apart")
	}
}
