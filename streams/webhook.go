package streams

import (
	"strconv"
	"strings"

	"github.com/tocsin-ssf/tocsin/set/delivery"
)

// A webhook is a stream that is none of SSF's: it takes events as the log has
// them, also those that become no SET, and delivers them in requests of its
// own form. It lies in the same store, so that queue, order, back-off, health
// and dead letters are those of push.
//
// Its owner is not the application but [WebhookOwner] of it. So nothing that
// is done on behalf of an application's streams, by SSF's management, by
// polling or by a bound on their number, can see or touch one.

// MethodWebhook is the delivery method of webhooks.
const MethodWebhook = "urn:tocsin:delivery:webhook"

// webhookOwner begins the owner of webhooks; no application's id has a colon.
const webhookOwner = "webhook:"

// WebhookOwner returns the owner of an application's webhooks.
func WebhookOwner(application string) string { return webhookOwner + application }

// Pushed reports whether we bring the items to the receiver, as push and
// webhooks do.
func (d Delivery) Pushed() bool { return d.Method == delivery.MethodPush || d.Method == MethodWebhook }

// AnyEvent is the type of a webhook that takes events of every type.
const AnyEvent = "*"

// EventKey is what a webhook has in its EventsDelivered: events of a type
// ([AnyEvent]: of any), of an environment ("": of any), about an application at
// their source ("": about any). It is no event type URI, for it has control
// characters, as none of its parts has: no SET is ever matched by it.
func EventKey(environment, application, eventType string) string {
	return "event\x1f" + environment + "\x1f" + application + "\x1f" + eventType
}

// replayMark stands in the id of a webhook's item between the id of its event
// and the round of the replay; no id of an event has it.
const replayMark = "."

// EventItem returns the id of a webhook's item: the id of its event, and behind
// it the round of the replay that sends it again (0: none does), since the item
// that was put first may still be on the queue or among the dead letters.
func EventItem(event string, round uint32) string {
	if round == 0 {
		return event
	}
	return event + replayMark + strconv.FormatUint(uint64(round), 10)
}

// EventOf returns the id of the event in the id of a webhook's item.
func EventOf(item string) string {
	event, _, _ := strings.Cut(item, replayMark)
	return event
}
