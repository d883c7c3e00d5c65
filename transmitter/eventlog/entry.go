package eventlog

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/tocsin-ssf/tocsin/set/subject"
)

// Limits of one entry.
const (
	MaxEntryBytes = 1 << 20 // its body
	MaxRefs       = 1024    // keys under which it is found
	MaxRefBytes   = 4 << 10 // one of them
)

// Entry is what is said in the log beside events: an annotation of one, a
// decision about consent, an order of erasure. It is a record like an event,
// with a place and a leaf of its own.
type Entry struct {
	// Kind is not KindEvent.
	Kind Kind
	// Body is a JSON object.
	Body json.RawMessage
	// Refs are the keys under which Entries finds it; they are kept hashed
	// under a secret of the log and reveal nothing.
	Refs []string
}

// The canonical bytes of an entry are {"v":1,"entry":…} around its body, byte
// for byte. No event's begin like that.
const (
	entryPrefix = `{"v":1,"entry":`
	entryEnd    = `}`
)

// canonicalEntry returns the bytes that stand for an entry for ever. Error: ErrEvent.
func canonicalEntry(e *Entry) ([]byte, error) {
	switch {
	case e.Kind == KindEvent || e.Kind == 0:
		return nil, fmt.Errorf("%w: kind %d is not an entry's", ErrEvent, e.Kind)
	case len(e.Body) > MaxEntryBytes:
		return nil, fmt.Errorf("%w: %d bytes, at most %d are kept", ErrEvent, len(e.Body), MaxEntryBytes)
	case len(e.Body) == 0 || e.Body[0] != '{' || !json.Valid(e.Body):
		return nil, fmt.Errorf("%w: its body is not a JSON object", ErrEvent)
	case len(e.Refs) > MaxRefs:
		return nil, fmt.Errorf("%w: %d keys, at most %d are kept", ErrEvent, len(e.Refs), MaxRefs)
	}
	for _, ref := range e.Refs {
		if len(ref) > MaxRefBytes {
			return nil, fmt.Errorf("%w: a key of %d bytes, at most %d are kept", ErrEvent, len(ref), MaxRefBytes)
		}
	}
	b := make([]byte, 0, len(entryPrefix)+len(e.Body)+len(entryEnd))
	b = append(b, entryPrefix...)
	b = append(b, e.Body...)
	return append(b, entryEnd...), nil
}

// decodeEntry returns the body inside of canonical bytes; it is a part of them.
func decodeEntry(b []byte) (json.RawMessage, error) {
	body, ok := bytes.CutPrefix(b, []byte(entryPrefix))
	body, end := bytes.CutSuffix(body, []byte(entryEnd))
	if !ok || !end || len(body) == 0 {
		return nil, errCanonical
	}
	return body[:len(body):len(body)], nil
}

// Ref returns the key under which entries about the record at seq are found.
func Ref(seq uint64) string { return "seq:" + strconv.FormatUint(seq, 10) }

// RefSubject returns the key under which every entry about a subject is found,
// whatever its kind: each has it for each identifier that it holds, so that an
// erasure of the subject finds it. A long identifier stands there as its digest.
func RefSubject(id subject.Identifier) string {
	text := id.Canonical()
	if len(text) > maxRefText {
		sum := sha256.Sum256([]byte(text))
		text = "sha-256:" + hex.EncodeToString(sum[:])
	}
	return "subject:" + text
}

// maxRefText bounds the canonical form of an identifier within a key.
const maxRefText = 2 << 10

// RefAll is the key of all entries of a kind, for a caller who gives it to each.
const RefAll = "all"

// Span says which entries are wanted, and how many.
type Span struct {
	After  uint64 // sequence numbers above it
	Before uint64 // and below it; 0: no bound
	Newest bool   // newest first; else in the order of the log
	Max    int    // at least 1; a log may return fewer, never none where there is one
	Alike  bool   // where there is none it takes as long as where there is one
}
