package console

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/transmitter/mapping"
)

// emitPage is the form, as it was filled in.
type emitPage struct {
	Frame
	Types                                    []mapping.Type
	Wrong                                    string
	Type, Format, Who, Issuer, Time, Payload string
}

func showEmit(v *view) error {
	if err := v.mayNot(http.MethodPost, "/admin/events"); err != nil {
		return err
	}
	return v.emit(http.StatusOK, emitPage{Format: subject.FormatEmail})
}

// emit shows the form.
func (v *view) emit(status int, page emitPage) error {
	page.Frame = v.frame("Emit a test event")
	var err error
	if page.Types, err = v.types(); err != nil {
		return err
	}
	v.console.render(v.w, v.r, status, "emit", page)
	return nil
}

// emitEvent writes an event as the source operator. What is refused is shown with the form as it was
// filled in.
func emitEvent(v *view) error {
	field := func(name string) string { return strings.TrimSpace(v.r.PostFormValue(name)) }
	page := emitPage{
		Type: field("type"), Format: field("format"), Who: field("who"), Issuer: field("issuer"), Time: field("time"), Payload: field("data"),
	}
	who, err := page.subject()
	if err != nil {
		page.Wrong = err.Error()
		return v.emit(http.StatusBadRequest, page)
	}
	ask := map[string]any{"type": page.Type, "subject": who}
	if page.Time != "" {
		ask["time"] = utc(page.Time)
	}
	if page.Payload != "" {
		if !json.Valid([]byte(page.Payload)) {
			page.Wrong = "data is not JSON"
			return v.emit(http.StatusBadRequest, page)
		}
		ask["data"] = json.RawMessage(page.Payload)
	}
	var made struct{ ID string }
	err = v.do(http.MethodPost, eventsAPI, ask, &made)
	var refused *adminapi.Error
	if errors.As(err, &refused) && refused.Status < http.StatusInternalServerError {
		page.Wrong = refused.Error()
		return v.emit(refused.Status, page)
	}
	if err != nil {
		return err
	}
	return v.done(eventsPage+"/"+made.ID, "The event was recorded. It goes to the streams that match.")
}

// subject is the identifier that the form describes.
func (p *emitPage) subject() (json.RawMessage, error) {
	if p.Who == "" {
		return nil, errors.New("subject is missing")
	}
	switch p.Format {
	case subject.FormatEmail:
		return subject.Email(p.Who).Raw(), nil
	case subject.FormatPhoneNumber:
		return subject.Phone(p.Who).Raw(), nil
	case subject.FormatOpaque:
		return subject.Opaque(p.Who).Raw(), nil
	case subject.FormatAccount:
		return subject.Account(p.Who).Raw(), nil
	case subject.FormatDID:
		return subject.DID(p.Who).Raw(), nil
	case subject.FormatURI:
		return subject.URI(p.Who).Raw(), nil
	case subject.FormatIssSub:
		if p.Issuer == "" {
			return nil, errors.New("issuer is missing, which iss_sub has")
		}
		return subject.IssSub(p.Issuer, p.Who).Raw(), nil
	case "json":
		if !json.Valid([]byte(p.Who)) {
			return nil, errors.New("subject is not JSON")
		}
		return json.RawMessage(p.Who), nil
	}
	return nil, errors.New("subject format is not known")
}
