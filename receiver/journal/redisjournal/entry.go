package redisjournal

import (
	"crypto/sha256"
	_ "embed" // the scripts
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/journal"
)

//go:embed lua/record.lua
var recordLua string

//go:embed lua/span.lua
var spanLua string

//go:embed lua/merge.lua
var mergeLua string

// errAnswer: the server says what no script of ours says.
var errAnswer = errors.New("redisjournal: an answer of another form; is the prefix shared with something else?")

// Names of an entry in the index, each with its Seq behind: a:SEQ, j:JTI:EVENT:ASKED:SEQ,
// t:TXN:SEQ and k:KIND:SEQ. What is in capitals is a digest, but for SEQ.
const (
	byAll   = "a:"
	byID    = "j:"
	byTxn   = "t:"
	byKind  = "k:"
	seqSize = 16 // digits of a Seq

	foreign = 16 // bytes of the digest of what transmitters choose
	own     = 8  // bytes of the digest of what stands in the configuration
)

// digest stands for texts in the index.
func digest(size int, texts ...string) string {
	sum := sha256.Sum256(packed(nil, texts...))
	return base64.RawURLEncoding.EncodeToString(sum[:size])
}

// eventName is what the names of an event's entries by jti begin with.
func eventName(e journal.Event) string {
	return digest(foreign, e.ID) + ":" + digest(own, e.Feed, e.Issuer)
}

// seqName is a Seq as names end with it.
func seqName(seq uint64) string { return fmt.Sprintf("%0*d", seqSize, seq) }

// kind is what a question can be about that stands in the configuration.
type kind struct {
	feed, issuer, rule, hook, effect string
	verdict                          journal.Verdict
}

func kindOf(e *journal.Entry) kind {
	return kind{e.Feed, e.Issuer, e.Rule, e.Hook, e.Effect, e.Verdict}
}

func (k kind) name() string { return digest(own, k.text()) }

func (k kind) text() string {
	return string(packed(nil, k.feed, k.issuer, k.rule, k.hook, k.effect, string(k.verdict)))
}

// readKind is the reverse of text.
func readKind(text string) (kind, error) {
	var k kind
	var verdict string
	rest, ok := unpacked(text, &k.feed, &k.issuer, &k.rule, &k.hook, &k.effect, &verdict)
	if !ok || rest != "" {
		return k, errAnswer
	}
	k.verdict = journal.Verdict(verdict)
	return k, nil
}

// entryVersion begins what is kept of an entry.
const entryVersion = "\x01"

// blobOf returns what is kept of an entry, but its Seq and its kind.
func blobOf(e *journal.Entry) []byte {
	blob := packed([]byte(entryVersion), e.ID, e.Type, e.TransactionID, e.Scope, journal.CutText(e.Detail), journal.CutText(e.Err))
	for _, n := range []int64{e.Time.UnixMilli(), int64(e.Attempt), int64(max(e.Ended, journal.Unknown)), e.At.UnixMilli(), e.Took.Milliseconds()} {
		blob = binary.AppendVarint(blob, n)
	}
	return blob
}

// entryOf is the reverse of blobOf. raw has in front what lua/record.lua keeps for itself:
// six words.
func entryOf(seq string, k kind, raw string) (journal.Entry, error) {
	var e journal.Entry
	for range 6 {
		_, raw, _ = strings.Cut(raw, " ")
	}
	rest, ok := strings.CutPrefix(raw, entryVersion)
	if ok {
		rest, ok = unpacked(rest, &e.ID, &e.Type, &e.TransactionID, &e.Scope, &e.Detail, &e.Err)
	}
	if !ok {
		return e, errAnswer
	}
	e.Feed, e.Issuer, e.Rule, e.Hook, e.Effect, e.Verdict = k.feed, k.issuer, k.rule, k.hook, k.effect, k.verdict
	var numbers [5]int64
	for i := range numbers {
		n, size := binary.Varint([]byte(rest))
		if size <= 0 {
			return e, errAnswer
		}
		numbers[i], rest = n, rest[size:]
	}
	e.Time, e.At = time.UnixMilli(numbers[0]), time.UnixMilli(numbers[3])
	e.Attempt, e.Ended = int(numbers[1]), int(numbers[2])
	e.Took = time.Duration(numbers[4]) * time.Millisecond
	var err error
	if e.Seq, err = strconv.ParseUint(seq, 10, 64); err != nil {
		return e, errAnswer
	}
	return e, nil
}

// packed appends texts, each behind its length.
func packed(to []byte, texts ...string) []byte {
	for _, text := range texts {
		to = binary.AppendUvarint(to, uint64(len(text)))
		to = append(to, text...)
	}
	return to
}

// unpacked is the reverse of packed, and returns what stands behind.
func unpacked(raw string, to ...*string) (rest string, ok bool) {
	for _, text := range to {
		n, size := binary.Uvarint([]byte(raw[:min(len(raw), binary.MaxVarintLen64)]))
		if size <= 0 || n > uint64(len(raw)-size) {
			return "", false
		}
		*text, raw = raw[size:size+int(n)], raw[size+int(n):]
	}
	return raw, true
}

// wordOf is a text as a word without spaces that is not empty.
func wordOf(text string) string { return "." + base64.RawURLEncoding.EncodeToString([]byte(text)) }

// readWord is the reverse of wordOf.
func readWord(text string) (string, error) {
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(text, "."))
	if err != nil {
		return "", errAnswer
	}
	return string(raw), nil
}
