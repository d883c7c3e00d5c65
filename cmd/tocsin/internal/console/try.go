package console

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
	"github.com/tocsin-ssf/tocsin/transmitter/mapping"
)

// mappingAPI tells what would become of an event.
const mappingAPI = "/admin/mapping"

// way is an event's, as the admin API has it.
type way struct {
	Steps []struct {
		Stream      string    `json:"stream_id"`
		Application string    `json:"application"`
		Method      string    `json:"method"`
		Status      string    `json:"status"`
		Type        string    `json:"event_type"`
		JTI         string    `json:"jti"`
		State       string    `json:"state"`
		Matches     bool      `json:"matches"`
		Attempts    int       `json:"attempts"`
		Since       time.Time `json:"since,omitzero"`
		Code        string    `json:"err"`
		Description string    `json:"description"`
	} `json:"steps"`
	More  bool `json:"more"`
	Gates []struct {
		Application string `json:"application"`
		State       string `json:"state"`
		Released    bool   `json:"released"`
	} `json:"gates"`
	Mapping *mapping.Explanation `json:"mapping"`
}

// fate is a state of a way, or why there is none, as people read it: a word, its class and what it means.
func fate(state string) [3]string {
	said := map[string][3]string{
		"coming":             {"coming", "warn", "It is to be put on the queue next."},
		"waiting":            {"waiting", "warn", "It is on the queue."},
		"dead_letter":        {"dead letter", "bad", "It was set aside."},
		"acknowledged":       {"acknowledged", "good", "The receiver took it, as this node saw."},
		"gone":               {"left the queue", "good", "It was acknowledged, unless its dead letter was dropped, the queue was full, or the stream came to match later."},
		"held":               {"held", "warn", "The consent gate holds it until a grant."},
		"withheld":           {"dropped by the gate", "", "The consent gate held it for too long, or its subject refused."},
		"opted_out":          {"opted out", "", "The account takes no part in RISC."},
		"unauthorized":       {"not authorized", "", "The application may not hear of it."},
		"other_purpose":      {"not for it", "", "The event is for one stream, or of another environment."},
		"matches":            {"goes there", "good", "The stream delivers the type and has the subject."},
		"released":           {"goes there", "good", "A grant releases it."},
		"disabled":           {"disabled", "bad", "The stream is disabled."},
		"type_not_delivered": {"not matched", "", "The stream does not deliver this type."},
		"not_its_subject":    {"not matched", "", "The stream has not this subject, or the event is not for its application."},
	}
	if words, ok := said[state]; ok {
		return words
	}
	return [3]string{state, "", ""}
}

// formatEvent stands for an event with a type of its own, among the formats of vendors.
const formatEvent = ""

type tryPage struct {
	Frame
	Formats              []string
	Format, Text, Stream string
	Wrong                string
	Tried                *tried
}

// tried is what would become of an event.
type tried struct {
	Type         string            `json:"type"`
	Time         time.Time         `json:"time,omitzero"`
	Subjects     []json.RawMessage `json:"subjects"`
	Attributes   json.RawMessage   `json:"attributes"`
	MappingError string            `json:"mapping_error"`
	Sets         []struct {
		securityEvent
		Reason string          `json:"reason"`
		Claims json.RawMessage `json:"claims"`
	} `json:"sets"`
	Mapping *mapping.Explanation `json:"mapping"`
}

func showTry(v *view) error {
	if err := v.mayNot(http.MethodPost, "/admin/mapping"); err != nil {
		return err
	}
	return v.try(http.StatusOK, tryPage{})
}

// try shows the form, with what came of it.
func (v *view) try(status int, page tryPage) error {
	page.Frame = v.frame("Mapping playground")
	types, err := v.types()
	if err != nil {
		return err
	}
	for _, t := range types {
		if format, _, ok := strings.Cut(t.ID, ":"); ok && !strings.Contains(t.ID, "/") && !slices.Contains(page.Formats, format) {
			page.Formats = append(page.Formats, format)
		}
	}
	v.console.render(v.w, v.r, status, "try", page)
	return nil
}

// tryEvent shows what would become of a record or an event. It changes nothing, and so is no redirect:
// what was typed stays in the form.
func tryEvent(v *view) error {
	page := tryPage{
		Format: v.r.PostFormValue("format"), Text: strings.TrimSpace(v.r.PostFormValue("record")), Stream: strings.TrimSpace(v.r.PostFormValue("stream_id")),
	}
	if !json.Valid([]byte(page.Text)) {
		page.Wrong = "the record is not JSON"
		return v.try(http.StatusBadRequest, page)
	}
	var body any = json.RawMessage(page.Text)
	if page.Format != formatEvent {
		body = map[string]any{"format": page.Format, "record": body}
	}
	path := mappingAPI
	if page.Stream != "" {
		path += "?" + url.Values{"stream_id": {page.Stream}}.Encode()
	}
	if !v.may(http.MethodPost, mappingAPI) {
		return v.do(http.MethodPost, mappingAPI, nil, nil) // it says who may
	}
	page.Tried = &tried{}
	err := v.console.api.Do(v.r.Context(), http.MethodPost, path, body, page.Tried)
	var refused *adminapi.Error
	if errors.As(err, &refused) && refused.Status < http.StatusInternalServerError {
		page.Tried, page.Wrong = nil, refused.Error()
		if refused.Status == http.StatusNotFound {
			page.Wrong = "there is no such stream"
		}
		return v.try(refused.Status, page)
	}
	if err != nil {
		return err
	}
	return v.try(http.StatusOK, page)
}
