package risc

// Participation is an account's state in the exchange of RISC events (RISC §2.8).
type Participation string

// The states of RISC §2.8. Events are exchanged in the first two.
const (
	ParticipationIn        Participation = "opt-in"
	ParticipationInitiated Participation = "opt-out-initiated"
	ParticipationOut       Participation = "opt-out"
)

// Exchanges reports whether account events are exchanged in state p.
func (p Participation) Exchanges() bool { return p == ParticipationIn || p == ParticipationInitiated }

// Next returns the state after an event of the given type. ok tells whether the
// diagram of RISC §2.8 has that step from p; if it has not, next still is what the
// event says, which is what a receiver believes after a loss. An event of another
// type leaves the state as it is, with ok false.
func (p Participation) Next(eventType string) (next Participation, ok bool) {
	switch eventType {
	case OptInType:
		return ParticipationIn, p == ParticipationOut
	case OptOutInitiatedType:
		return ParticipationInitiated, p == ParticipationIn
	case OptOutCancelledType:
		return ParticipationIn, p == ParticipationInitiated
	case OptOutEffectiveType:
		return ParticipationOut, p == ParticipationInitiated
	}
	return p, false
}
