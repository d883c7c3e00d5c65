package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
)

// annotation is what was said of an event, as the admin API has it.
type annotation struct {
	Recorded    time.Time       `json:"recorded_at"`
	By          string          `json:"by"`
	Application string          `json:"application"`
	Suspect     json.RawMessage `json:"suspect"`
	Tags        json.RawMessage `json:"tags"`
	LinkedID    json.RawMessage `json:"linked_id"`
}

// proof is what the page of an event reads of its proof.
type proof struct {
	Leaf struct {
		Seq      uint64 `json:"seq"`
		Recorded int64  `json:"recorded_ms"`
		Hash     []byte `json:"hash"`
	} `json:"leaf"`
	Erased   bool     `json:"erased"`
	ErasedBy []uint64 `json:"erased_by"`
}

// attribute is one of an event's, as it is shown.
type attribute struct{ Name, Value string }

type eventPage struct {
	Frame
	ID          string
	Event       *event // nil: it was erased
	Attributes  []attribute
	Annotations []annotation
	Way         way
	NoWay       string // why it is not known
	Proof       *proof // nil: there is none, or not yet
	Recorded    time.Time
}

// showEvent shows one event with all that is known of it; of one that was erased, what is left.
func showEvent(v *view) error {
	id := v.r.PathValue("id")
	at := eventsAPI + "/" + url.PathEscape(id)
	page := eventPage{Frame: v.frame("Event"), ID: id}
	var err error
	if page.Proof, err = v.proof(at); err != nil {
		return err
	}
	if page.Proof != nil {
		page.Recorded = time.UnixMilli(page.Proof.Leaf.Recorded)
		if page.Proof.Erased {
			return v.show("event-erased", page)
		}
	}
	var raw json.RawMessage
	if err := v.get(at, &raw); err != nil {
		return err
	}
	page.Event = &event{}
	if err := json.Unmarshal(raw, page.Event); err != nil {
		return fmt.Errorf("console: an event: %w", err)
	}
	if page.Attributes, err = attributesOf(raw); err != nil {
		return err
	}
	var said struct{ Annotations []annotation }
	if err := v.get(at+"/annotations", &said); err != nil {
		return err
	}
	page.Annotations = said.Annotations
	err = v.get(at+"/way", &page.Way)
	var late *adminapi.Error
	if errors.As(err, &late) && late.Status == http.StatusGatewayTimeout {
		page.NoWay = late.Error() + "."
	} else if err != nil {
		return err
	}
	return v.show("event", page)
}

// proof returns the proof of an event; nil if there is none, which the event may still be without.
func (v *view) proof(at string) (*proof, error) {
	p := &proof{}
	err := v.get(at+"/proof", p)
	var refused *adminapi.Error
	if errors.As(err, &refused) && refused.Status != http.StatusInternalServerError {
		return nil, nil //nolint:nilnil // the page says that there is none
	}
	return p, err
}

// attributesOf returns the attributes of an event in the order of their names: all members
// but those that have a place of their own on its page.
func attributesOf(raw json.RawMessage) ([]attribute, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return nil, fmt.Errorf("console: an event: %w", err)
	}
	shown := []string{"id", "source", "source_id", "type", "time", "recorded_at", "subjects", "data", "format", "record", "sets", "mapping_error", "environment"}
	var list []attribute
	for name, value := range members {
		if slices.Contains(shown, name) {
			continue
		}
		var text string
		if json.Unmarshal(value, &text) != nil {
			text = string(value)
		}
		list = append(list, attribute{name, text})
	}
	slices.SortFunc(list, func(a, b attribute) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// eventProof hands out the proof of an event as a file, for tocsin event verify-proof.
func eventProof(v *view) error {
	id := v.r.PathValue("id")
	var raw json.RawMessage
	if err := v.get(eventsAPI+"/"+url.PathEscape(id)+"/proof", &raw); err != nil {
		return err
	}
	h := v.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", "event-"+id+"-proof.json"))
	h.Set("Cache-Control", "no-store")
	_, _ = v.w.Write(raw) // the browser may have gone
	return nil
}

// annotateEvent notes what the form says: what is left as it is is not said.
func annotateEvent(v *view) error {
	id := v.r.PathValue("id")
	to := eventsPage + "/" + url.PathEscape(id)
	patch := make(map[string]any)
	switch v.r.PostFormValue("suspect") {
	case "true":
		patch["suspect"] = true
	case "false":
		patch["suspect"] = false
	case "null":
		patch["suspect"] = nil
	}
	if linked := strings.TrimSpace(v.r.PostFormValue("linked_id")); linked != "" {
		patch["linked_id"] = linked
	}
	if name := strings.TrimSpace(v.r.PostFormValue("tag")); name != "" {
		tags := map[string]any{name: nil}
		if value := v.r.PostFormValue("value"); value != "" {
			tags[name] = value
		}
		patch["tags"] = tags
	}
	if len(patch) == 0 {
		v.session.note(notice{Text: "Not done: the form says nothing. Choose suspect, or give a linked id or a tag."})
		http.Redirect(v.w, v.r, to, http.StatusSeeOther)
		return nil
	}
	err := v.do(http.MethodPatch, eventsAPI+"/"+url.PathEscape(id), patch, nil)
	return v.tried(err, to, "The annotation was added.")
}
