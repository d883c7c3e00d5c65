package ingest

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/mapping"
)

// Past finds what a source recorded before. Safe for concurrent use.
type Past interface {
	// Latest returns up to max of the source's newest events about a user, by the
	// source's id of it, or about a device, by its fingerprint (one of the two is
	// empty), newest first.
	Latest(ctx context.Context, source, identifier, fingerprint string, max int) ([]*eventlog.Record, error)
}

// maxPast is how many events of a user or device are looked at for what was known
// before. What is older than all of them is not known.
const maxPast = 20

// Ask has the mapping ask past for what was known before a record. It is called
// before the first Accept.
func (in *Ingest) Ask(past Past) { in.past = past }

// previousFunc answers what a rule asks.
type previousFunc func(of mapping.Key) (string, bool)

// Previous implements [mapping.Previous].
func (f previousFunc) Previous(of mapping.Key) (string, bool) { return f(of) }

// previous tells what was known before the next record of a request: by the
// events before it in the request, then by the log. nil: nobody can tell.
func (in *Ingest) previous(ctx context.Context, source, format string, before []eventlog.Event) mapping.Previous {
	if in.past == nil {
		return nil
	}
	type who struct{ identifier, fingerprint string }
	found := map[who][]*eventlog.Record{}
	return previousFunc(func(of mapping.Key) (string, bool) {
		for i := range slices.Backward(before) {
			if value, known := knownBy(&before[i], format, of); known {
				return value, true
			}
		}
		key := who{of.Identifier, of.Fingerprint}
		records, asked := found[key]
		if !asked {
			var err error
			if records, err = in.past.Latest(ctx, source, of.Identifier, of.Fingerprint, maxPast); err != nil {
				in.logger.WarnContext(ctx, "what was known before a record cannot be told", "err", err)
			}
			found[key] = records
		}
		for _, r := range records {
			if value, known := knownBy(&r.Event, format, of); known {
				return value, true
			}
		}
		return "", false
	})
}

// knownBy returns what an event says of a dimension, false if it says nothing.
func knownBy(e *eventlog.Event, format string, of mapping.Key) (string, bool) {
	a := &e.Attributes
	if e.Format != format || of.Fingerprint != a.Fingerprint && of.Fingerprint != "" || of.Identifier != a.Identifier && of.Identifier != "" {
		return "", false
	}
	switch name, isSignal := strings.CutPrefix(of.Dimension, mapping.DimensionSignal); {
	case isSignal:
		value, known := a.Signals[name]
		return strconv.FormatBool(value), known
	case of.Dimension == mapping.DimensionScore:
		if a.RiskScore == nil {
			return "", false
		}
		return strconv.FormatFloat(*a.RiskScore, 'g', -1, 64), true
	case of.Dimension == mapping.DimensionSuspect:
		if a.Suspect == nil {
			return "", false
		}
		return strconv.FormatBool(*a.Suspect), true
	}
	for i := range slices.Backward(e.Mapped) {
		m := &e.Mapped[i]
		if m.Type != of.Dimension || aboutDevice(e.SubjectsOf(uint32(i))) != (of.Fingerprint != "") { // at most MaxMapped
			continue
		}
		var payload map[string]json.RawMessage
		var text string
		if json.Unmarshal(m.Payload, &payload) == nil && json.Unmarshal(payload[of.Member], &text) == nil {
			return text, true
		}
	}
	return "", false
}

// aboutDevice reports whether subjects are those of a device: what is said of a
// device is not said of its user, nor the other way round.
func aboutDevice(ids []subject.Identifier) bool {
	return slices.ContainsFunc(ids, func(id subject.Identifier) bool {
		_, has := id.Member(subject.MemberDevice)
		return has
	})
}
