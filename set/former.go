package set

// former returns today's URI of an event type that drafts named otherwise, "" if
// typ is no such name (L5, L16).
func former(typ string) string {
	const base = "https://schemas.openid.net/secevent/"
	switch typ {
	case base + "sse/event-type/verification", base + "risc/event-type/verification":
		return base + "ssf/event-type/verification"
	case base + "sse/event-type/stream-updated":
		return base + "ssf/event-type/stream-updated"
	case base + "caep/event-type/token-claims-changed":
		return base + "caep/event-type/token-claims-change"
	}
	return ""
}

// renameFormer gives events of former names their current ones, except where the
// token has an event of the current name, too.
func (t *Token) renameFormer() {
	for i, event := range t.Events {
		current := former(event.Type)
		if current == "" {
			continue
		}
		if _, taken := t.Event(current); !taken {
			t.Events[i].Type = current
		}
	}
}
