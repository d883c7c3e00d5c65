package eventapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

const (
	// DefaultAnnotateFor is how long after its recording an event may be annotated.
	DefaultAnnotateFor = 31 * 24 * time.Hour
	maxPatchBytes      = 128 << 10
	maxTags            = 64      // of an event
	maxTagName         = 64      // bytes
	maxTagValue        = 1 << 10 // bytes

	codeTooOld  = "too_old"
	codeTooMany = "too_many_annotations"
)

// patch is the body of an annotation, a merge patch (RFC 7396). A member that is
// not there is nil, one that is null is "null".
type patch struct {
	Suspect  json.RawMessage `json:"suspect"`
	Tags     json.RawMessage `json:"tags"`
	LinkedID json.RawMessage `json:"linked_id"`
}

// Annotate answers PATCH /v1/events/{id} with the event as it is then. What is
// said is an entry of its own in the log; the event's record stays as it is.
// What an application says is seen by it and by operators.
//
// Refusals are *request.Error: 400 that names the member, 409 for an event that
// is too old or was annotated too often, 413, 415.
func (h Handler) Annotate(c echo.Context) error {
	if err := request.MediaType(c, request.MediaTypeJSON, request.MediaTypeMergePatch); err != nil {
		return err
	}
	body, err := request.Body(c, maxPatchBytes)
	if err != nil {
		return err
	}
	said, err := readPatch(body)
	if err != nil {
		return err
	}
	ctx, p := c.Request().Context(), request.Principal(c)
	rec, err := h.find(ctx, c.Param("id"), p)
	if err != nil {
		return err
	}
	before, _, err := eventlog.Annotations(ctx, h.Log, rec.Seq)
	if err != nil {
		return err
	}
	if err := h.annotatable(rec, countOf(before, owner(p))); err != nil {
		return err
	}
	said.Event, said.By, said.Application = rec.ID, p.Client, owner(p)
	if after := eventlog.Merge(rec.Attributes, append(before, *said), owner(p)); len(after.Tags) > maxTags {
		return request.Invalid("tags", fmt.Sprintf("would be more than %d", maxTags))
	}
	entry, err := said.Entry(rec.Seq)
	if err != nil {
		return err
	}
	done, err := h.Log.Note(ctx, entry)
	if err != nil {
		return err
	}
	if rec, err = h.Log.Record(ctx, rec.Seq); err != nil {
		return err
	}
	if rec.Erased { // meanwhile; whoever erased it may not have seen what was said
		return h.unsay(ctx, done[0].Seq)
	}
	return h.answer(c, rec, p, nil)
}

// unsay erases an annotation, and says so as erasures do. Error:
// eventlog.ErrNotFound if it is gone, as is its event.
func (h Handler) unsay(ctx context.Context, seq uint64) error {
	body, err := json.Marshal(struct {
		Entries []eventlog.Seqs `json:"entries"`
		Count   int             `json:"entry_count"`
	}{eventlog.RunsOf([]uint64{seq}), 1})
	if err != nil {
		return err
	}
	if _, err := h.Log.Note(ctx, eventlog.Entry{Kind: eventlog.KindErasure, Body: body, Refs: []string{eventlog.RefAll}}); err != nil {
		return err
	}
	if _, err := h.Log.Erase(ctx, seq); err != nil {
		return err
	}
	return eventlog.ErrNotFound
}

// countOf returns how many annotations are of an application ("" operators'):
// what others say uses up nothing of its own.
func countOf(said []eventlog.Annotation, application string) (n int) {
	for i := range said {
		if said[i].Application == application {
			n++
		}
	}
	return n
}

// annotatable refuses what may be annotated no more.
func (h Handler) annotatable(rec *eventlog.Record, said int) error {
	now, limit := time.Now, h.AnnotateFor
	if h.Now != nil {
		now = h.Now
	}
	if limit == 0 {
		limit = DefaultAnnotateFor
	}
	switch {
	case now().Sub(rec.Recorded) > limit:
		return &request.Error{
			Status: http.StatusConflict, Code: codeTooOld,
			Description: fmt.Sprintf("events are annotated within %v of their recording", limit),
		}
	case said >= eventlog.MaxAnnotations:
		return &request.Error{
			Status: http.StatusConflict, Code: codeTooMany,
			Description: fmt.Sprintf("the event has been annotated %d times", eventlog.MaxAnnotations),
		}
	}
	return nil
}

// readPatch checks a body and returns what it says.
func readPatch(body []byte) (*eventlog.Annotation, error) {
	var p patch
	if err := jsonv2.Unmarshal(body, &p, jsonv2.RejectUnknownMembers(true)); err != nil {
		return nil, request.Invalid("", "the body is not a JSON object of suspect, tags and linked_id")
	}
	if p.Suspect == nil && p.Tags == nil && p.LinkedID == nil {
		return nil, request.Invalid("", "the body has none of suspect, tags and linked_id")
	}
	var suspect *bool
	if p.Suspect != nil && json.Unmarshal(p.Suspect, &suspect) != nil {
		return nil, request.Invalid("suspect", "is neither true, false nor null")
	}
	var linked *string
	if p.LinkedID != nil && (json.Unmarshal(p.LinkedID, &linked) != nil || linked != nil && (*linked == "" || len(*linked) > eventlog.MaxLinkedIDBytes)) {
		return nil, request.Invalid("linked_id", fmt.Sprintf("is neither null nor a text of 1 to %d bytes", eventlog.MaxLinkedIDBytes))
	}
	a := &eventlog.Annotation{Suspect: p.Suspect, LinkedID: p.LinkedID}
	if p.Tags == nil {
		return a, nil
	}
	var tags map[string]*string
	if json.Unmarshal(p.Tags, &tags) != nil {
		return nil, request.Invalid("tags", "is neither null nor an object of texts and nulls")
	}
	a.NoTags = tags == nil
	for name, value := range tags {
		if name == "" || len(name) > maxTagName || value != nil && len(*value) > maxTagValue {
			return nil, request.Invalid("tags", fmt.Sprintf("has an empty name, one of more than %d bytes or a text of more than %d", maxTagName, maxTagValue))
		}
	}
	if tags != nil && json.Unmarshal(p.Tags, &a.Tags) != nil {
		return nil, request.Invalid("tags", "is neither null nor an object of texts and nulls")
	}
	return a, nil
}

// Note is an annotation as it is read: what it changed, null for what it removed.
type Note struct {
	ID       string          `json:"id"`
	Recorded time.Time       `json:"recorded_at"`
	By       string          `json:"by,omitempty"`
	Suspect  json.RawMessage `json:"suspect,omitempty"`
	Tags     json.RawMessage `json:"tags,omitempty"`
	LinkedID json.RawMessage `json:"linked_id,omitempty"`
	// Application is that of By, told to operators.
	Application string `json:"application,omitempty"`
}

// Annotations answers GET /v1/events/{id}/annotations: what was said of the
// event that the caller may see, in the order in which it was said.
func (h Handler) Annotations(c echo.Context) error {
	if values, err := parameters(c); err != nil {
		return err
	} else if len(values) > 0 {
		for name := range values {
			return unknown(name)
		}
	}
	ctx, p := c.Request().Context(), request.Principal(c)
	rec, err := h.find(ctx, c.Param("id"), p)
	if err != nil {
		return err
	}
	said, records, err := eventlog.Annotations(ctx, h.Log, rec.Seq)
	if err != nil {
		return err
	}
	notes := []Note{}
	for i := range said {
		if !said[i].Seen(owner(p)) {
			continue
		}
		n, err := noteOf(&said[i], records[i], p)
		if err != nil {
			return err
		}
		notes = append(notes, n)
	}
	request.NoStore(c)
	return c.JSON(http.StatusOK, struct {
		Annotations []Note `json:"annotations"`
	}{notes})
}

// noteOf returns an annotation as a principal reads it: who of the operators
// said it is theirs to know.
func noteOf(a *eventlog.Annotation, r *eventlog.Record, p *auth.Principal) (Note, error) {
	n := Note{ID: r.ID, Recorded: r.Recorded.UTC(), Suspect: a.Suspect, LinkedID: a.LinkedID}
	if operator(p) || a.Application != "" {
		n.By = a.By
	}
	if operator(p) {
		n.Application = a.Application
	}
	if a.NoTags {
		n.Tags = json.RawMessage("null")
	}
	if len(a.Tags) == 0 {
		return n, nil
	}
	var err error
	n.Tags, err = json.Marshal(a.Tags)
	return n, err
}
