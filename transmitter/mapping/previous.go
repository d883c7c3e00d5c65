package mapping

// Previous tells what the log knew before a record. It is asked only where a
// rule needs it, and answers from what was recorded, not from what was said
// outside. A [Mapper] works without: what it would have said is then left out.
type Previous interface {
	// Previous returns the newest value of a dimension that an earlier event of
	// the same source has, false if none has. The value is text: a number in
	// decimal, a truth value as "true" or "false".
	Previous(of Key) (value string, known bool)
}

// Key is what a [Previous] is asked about: one dimension of one user or device.
type Key struct {
	// Identifier is the source's id of a user ([Attributes]), Fingerprint that
	// of a device. One of the two is set.
	Identifier  string
	Fingerprint string
	// Dimension is [DimensionScore], [DimensionSuspect], [DimensionSignal] and
	// the name of a signal, or the event type URI of a security event, of which
	// Member is then the member of the payload.
	Dimension string
	// Member is a member of the last payload of that type: "current_level".
	Member string
}

// The dimensions of a [Key] that are attributes.
const (
	DimensionScore   = "score"
	DimensionSuspect = "suspect"
	DimensionSignal  = "signal." // and the signal's name
)
