package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"unicode/utf8"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

// MaxRecordBytes bounds one record of a vendor. A SET bears what was mapped of
// it, never the record itself, so it may be larger than an event.
const MaxRecordBytes = 256 << 10

// digestPrefix marks a source id that we made of a record's bytes.
const digestPrefix = "sha256:"

// Counts says what became of the records of one body or page.
type Counts struct {
	// Kept are new in the log, those whose mapping failed included.
	Kept int `json:"kept"`
	// Seen were in the log before, also with other content: what came first
	// stays.
	Seen int `json:"seen"`
	// Denied are outside of what the source may speak for, and not kept.
	Denied int `json:"denied"`
	// Refused are no records that can be kept.
	Refused int `json:"refused"`
	// Err is why the first of the refused was, or nil.
	Err *ItemError `json:"-"`
}

// Add adds other to c.
func (c *Counts) Add(other Counts) {
	c.Kept += other.Kept
	c.Seen += other.Seen
	c.Denied += other.Denied
	c.Refused += other.Refused
	if c.Err == nil {
		c.Err = other.Err
	}
}

// Records takes in what a vendor sends of itself: records of one format, at
// most [MaxItems]. A record that cannot be mapped is kept with its mapping
// error; one that has no id of its own is known again by its bytes. Durable on
// return. After an error, a failure of the log, it is safe to repeat all.
func (in *Ingest) Records(ctx context.Context, source *auth.Source, format string, records []json.RawMessage) (Counts, error) {
	items := make([]Item, len(records))
	for i, raw := range records {
		items[i] = recordItem(format, raw)
	}
	results, err := in.Accept(ctx, source, items)
	var wrong *request.Error
	if errors.As(err, &wrong) && len(records) == 1 {
		results, err = []Result{{Err: &ItemError{Code: CodeInvalid, Description: wrong.Description}}}, nil
	}
	if errors.As(err, &wrong) {
		return in.oneByOne(ctx, source, format, records)
	}
	if err != nil {
		return Counts{}, err
	}
	var counts Counts
	for i := range results {
		counts.add(&results[i])
	}
	return counts, nil
}

// oneByOne keeps one record that the log cannot take from the others' way.
func (in *Ingest) oneByOne(ctx context.Context, source *auth.Source, format string, records []json.RawMessage) (Counts, error) {
	var counts Counts
	for i := range records {
		one, err := in.Records(ctx, source, format, records[i:i+1])
		if err != nil {
			return Counts{}, err
		}
		counts.Add(one)
	}
	return counts, nil
}

func (c *Counts) add(r *Result) {
	switch {
	case r.Err == nil && r.Duplicate:
		c.Seen++
	case r.Err == nil:
		c.Kept++
	case r.Err.Code == CodeConflict:
		c.Seen++
	case r.Err.Code == CodeDenied:
		c.Denied++
	default:
		c.Refused++
		if c.Err == nil {
			c.Err = r.Err
		}
	}
}

// recordItem makes the item of a record. The item shares raw's memory.
func recordItem(format string, raw json.RawMessage) Item {
	refuse := func(why string) Item {
		return Item{Err: &ItemError{Code: CodeInvalid, Member: "record", Description: why}}
	}
	value := jsontext.Value(raw)
	switch {
	case len(raw) > MaxRecordBytes:
		return refuse("exceeds 256 KiB")
	case !shallow(raw):
		return refuse("is nested too deeply")
	case value.Kind() != '{':
		return refuse("is not a JSON object")
	case !utf8.Valid(raw) || !value.IsValid(lenient()):
		return refuse("is not JSON in UTF-8")
	}
	return Item{Format: format, Record: raw, Digest: true}
}

// lenient reads what is JSON by its grammar alone (RFC 8259 §2): two members of
// one name, or half of a surrogate pair in a text, are the mapping's to find.
func lenient() jsontext.Options {
	return jsonv2.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

// digestOf returns the source id of a record that has none: a digest of its
// bytes without the white space between them. Records that cannot be told
// apart are one event.
func digestOf(record json.RawMessage) string {
	compact := jsontext.Value(record).Clone()
	if compact.Compact(lenient()) != nil {
		compact = jsontext.Value(record)
	}
	sum := sha256.Sum256(compact)
	return digestPrefix + base64.RawURLEncoding.EncodeToString(sum[:])
}
