package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
)

// MaxAnnotations of one event by one application, or by operators.
const MaxAnnotations = 256

// ErrAnnotations: the event has as many annotations as it may.
var ErrAnnotations = errors.New("eventlog: the event has as many annotations as it may")

// Annotation is what is said of an event later: the body of an entry of
// KindAnnotation. A member that is not there changes nothing, null removes the
// value (RFC 7396); of tags, each by its name.
type Annotation struct {
	// Event is the event's id.
	Event string `json:"event"`
	// By is the client that said it, Application the client's, who alone sees
	// it; empty: an operator, and all see it.
	By          string `json:"by,omitempty"`
	Application string `json:"application,omitempty"`

	Suspect  json.RawMessage            `json:"suspect,omitempty"`   // a truth value or null
	LinkedID json.RawMessage            `json:"linked_id,omitempty"` // a text or null
	Tags     map[string]json.RawMessage `json:"tags,omitempty"`      // texts or null
	// NoTags: tags was null, and all of them are removed.
	NoTags bool `json:"no_tags,omitempty"`
}

// Entry returns the entry that says it of the event at seq. Error: ErrEvent.
func (a *Annotation) Entry(seq uint64) (Entry, error) {
	body, err := json.Marshal(a)
	if err != nil {
		return Entry{}, fmt.Errorf("%w: %w", ErrEvent, err)
	}
	return Entry{Kind: KindAnnotation, Body: body, Refs: []string{Ref(seq)}}, nil
}

// AnnotationOf reads an entry of KindAnnotation.
func AnnotationOf(r *Record) (Annotation, error) {
	var a Annotation
	if err := json.Unmarshal(r.Entry, &a); err != nil {
		return Annotation{}, fmt.Errorf("eventlog: annotation at %d: %w", r.Seq, err)
	}
	return a, nil
}

// Apply returns the attributes with what the annotation says; those given are
// not changed.
func (a *Annotation) Apply(to Attributes) Attributes {
	if a.Suspect != nil {
		to.Suspect = nil
		_ = json.Unmarshal(a.Suspect, &to.Suspect) // null or wrong: none
	}
	if a.LinkedID != nil {
		to.LinkedID = ""
		_ = json.Unmarshal(a.LinkedID, &to.LinkedID)
	}
	if a.NoTags {
		to.Tags = nil
	}
	if len(a.Tags) == 0 {
		return to
	}
	tags := make(map[string]string, len(to.Tags)+len(a.Tags))
	maps.Copy(tags, to.Tags)
	for name, raw := range a.Tags {
		var value *string
		if json.Unmarshal(raw, &value) != nil || value == nil {
			delete(tags, name)
			continue
		}
		tags[name] = *value
	}
	if len(tags) == 0 {
		tags = nil
	}
	to.Tags = tags
	return to
}

// Seen reports whether an application sees the annotation: its own and the
// operators'. Empty stands for an operator, who sees all.
func (a *Annotation) Seen(viewer string) bool {
	return viewer == "" || a.Application == "" || a.Application == viewer
}

// Merge returns the attributes after those of the annotations that the viewer sees.
func Merge(to Attributes, said []Annotation, viewer string) Attributes {
	for i := range said {
		if said[i].Seen(viewer) {
			to = said[i].Apply(to)
		}
	}
	return to
}

// Annotations returns what was said of the event at seq, in the order in which
// it was said, with the records that say it; what was erased of it is left out.
func Annotations(ctx context.Context, j Journal, seq uint64) ([]Annotation, []*Record, error) {
	var said []Annotation
	var records []*Record
	for after := uint64(0); ; {
		some, err := j.Entries(ctx, KindAnnotation, Ref(seq), Span{After: after, Max: MaxAnnotations})
		if err != nil || len(some) == 0 {
			return said, records, err
		}
		after = some[len(some)-1].Seq
		for _, r := range some {
			if r.Erased {
				continue
			}
			a, err := AnnotationOf(r)
			if err != nil {
				return nil, nil, err
			}
			said, records = append(said, a), append(records, r)
		}
	}
}
