package mapping

const (
	maxDigits = 19 // of an integer in a vendor's record
	// layoutOffset is RFC 3339 with an offset without colon.
	layoutOffset = "2006-01-02T15:04:05Z0700"
	// layoutBroadcast is the time of OneLogin's Event Broadcaster.
	layoutBroadcast = "2006-01-02 15:04:05 UTC"
)

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
