package figures

// Seal makes a file of a body.
func Seal(body []byte) []byte { return seal(body) }
