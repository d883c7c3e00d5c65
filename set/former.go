package set

const (
	schemas              = "https://schemas.openid.net/secevent/"
	typeVerification     = schemas + "ssf/event-type/verification"
	typeRISCVerification = schemas + "risc/event-type/verification"
)

// former returns today's URI of an event type that drafts named otherwise, "" if
// typ is no such name or not tolerated (L5, L16).
func (t Tolerances) former(typ string) string {
	if t.LegacyVerificationURI && typ == typeRISCVerification {
		return typeVerification
	}
	if !t.FormerEventTypes {
		return ""
	}
	switch typ {
	case schemas + "sse/event-type/verification":
		return typeVerification
	case schemas + "sse/event-type/stream-updated":
		return schemas + "ssf/event-type/stream-updated"
	case schemas + "caep/event-type/token-claims-changed":
		return schemas + "caep/event-type/token-claims-change"
	}
	return ""
}

// renameFormer gives events of former names their current ones, except where the
// token has an event of the current name, too.
func (c *claims) renameFormer() {
	for i, event := range c.token.Events {
		current := c.tolerances.former(event.Type)
		if current == "" {
			continue
		}
		if _, taken := c.token.Event(current); taken {
			continue
		}
		c.token.Events[i].Type = current
		// Google's verification has a state and nothing else.
		c.subjectless = event.Type == typeRISCVerification && len(c.token.Events) == 1
	}
}
