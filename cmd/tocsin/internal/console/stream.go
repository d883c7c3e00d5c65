package console

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/transmitter/profile"
)

// deliveryWord is a delivery method in a word.
func deliveryWord(method string) string {
	switch method {
	case delivery.MethodPush, delivery.FormerMethodPush:
		return "push"
	case delivery.MethodPoll, delivery.FormerMethodPoll:
		return "poll"
	}
	return method
}

// attempt is one try to push, as the admin API has it.
type attempt struct {
	At          time.Time `json:"at"`
	ID          string    `json:"jti"`
	Type        string    `json:"event_type"`
	Number      int       `json:"attempt"`
	Verdict     string    `json:"verdict"`
	Code        string    `json:"err"`
	Description string    `json:"description"`
	Took        int64     `json:"took_ms"`
}

// letter is a dead letter, as the admin API has it.
type letter struct {
	ID          string    `json:"jti"`
	Type        string    `json:"event_type"`
	Code        string    `json:"err"`
	Description string    `json:"description"`
	Attempts    int       `json:"attempts"`
	At          time.Time `json:"at"`
}

func streamAt(id string) string   { return streamsPage + "/" + url.PathEscape(id) }
func streamAPIAt(v *view) string  { return streamsAPI + "/" + url.PathEscape(v.r.PathValue("id")) }
func streamPageAt(v *view) string { return streamAt(v.r.PathValue("id")) }

// streamOf shows a stream and all that an operator may do about it.
func streamOf(v *view) error {
	page := struct {
		Frame
		Stream  stream
		At      string
		Node    string
		Tries   []attempt
		Letters []letter
		More    string // where more dead letters are; "": there are none
		Later   bool   // they are not the first
		Known   []string
	}{Frame: v.frame("Stream"), At: streamPageAt(v), Known: profile.Names()}
	if err := v.get(streamAPIAt(v), &page.Stream); err != nil {
		return err
	}
	var tries struct {
		Node     string    `json:"node"`
		Attempts []attempt `json:"attempts"`
	}
	if err := v.get(streamAPIAt(v)+"/attempts", &tries); err != nil {
		return err
	}
	page.Node, page.Tries = tries.Node, tries.Attempts
	var letters struct {
		DeadLetters []letter `json:"dead_letters"`
		Next        string   `json:"next"`
	}
	ask := url.Values{"limit": {"25"}}
	if after := v.r.URL.Query().Get("letters"); after != "" {
		page.Later = true
		ask.Set("after", after)
	}
	if err := v.get(streamAPIAt(v)+"/dead-letters", &letters, ask); err != nil {
		return err
	}
	page.Letters = letters.DeadLetters
	if letters.Next != "" {
		page.More = page.At + "?" + url.Values{"letters": {letters.Next}}.Encode() + "#dead-letters"
	}
	return v.show("stream", page)
}

// streamSubjects lists the subjects of one stream, to who asked for it.
func streamSubjects(v *view) error {
	page := struct {
		Frame
		Stream stream
		At     string
		List   []struct {
			Subject  json.RawMessage `json:"subject"`
			Excluded bool            `json:"excluded"`
		}
		Next    string
		Offered bool
	}{Frame: v.frame("Subjects of a stream"), At: streamPageAt(v), Offered: true}
	if err := v.get(streamAPIAt(v), &page.Stream); err != nil {
		return err
	}
	var list struct {
		Subjects []struct {
			Subject  json.RawMessage `json:"subject"`
			Excluded bool            `json:"excluded"`
		} `json:"subjects"`
		Next string `json:"next"`
	}
	ask := url.Values{}
	if key := v.r.URL.Query().Get("search"); key != "" {
		at, ok := v.session.searches.of(key)
		if !ok {
			return &failure{status: http.StatusNotFound, title: "Begin again", text: "This place in the list is no longer remembered. Begin again at the page of the stream."}
		}
		ask.Set("after", at.Get("after"))
	}
	err := v.get(streamAPIAt(v)+"/subjects", &list, ask)
	var refused *adminapi.Error
	if errors.As(err, &refused) && refused.Status == http.StatusNotImplemented {
		page.Offered, err = false, nil
	}
	if err != nil {
		return err
	}
	page.List = list.Subjects
	if list.Next != "" { // it is a hash of a subject, which no address has
		page.Next = page.At + "/subjects?search=" + v.session.searches.keep(url.Values{"after": {list.Next}})
	}
	return v.show("subjects", page)
}

func setStreamStatus(v *view) error {
	to := v.r.PostFormValue("status")
	said := map[string]string{
		"enabled":  "The stream is enabled. Its receiver is told, then comes what waited.",
		"paused":   "The stream is paused: its events wait. Its receiver is told.",
		"disabled": "The stream is disabled: what waited was dropped, and nothing is kept for it. Its receiver is told.",
	}[to]
	if to == "disabled" && v.r.PostFormValue("sure") == "" {
		v.session.note(notice{Text: "Not done: say that what waits may be dropped."})
		http.Redirect(v.w, v.r, streamPageAt(v), http.StatusSeeOther)
		return nil
	}
	ask := map[string]string{"status": to, "reason": strings.TrimSpace(v.r.PostFormValue("reason"))}
	return v.tried(v.do(http.MethodPost, streamAPIAt(v)+"/status", ask, nil), streamPageAt(v), said)
}

func verifyStream(v *view) error {
	err := v.do(http.MethodPost, streamAPIAt(v)+"/verify", nil, nil)
	return v.tried(err, streamPageAt(v), "A verification event is on its way. What the receiver answers stands below, under attempts, or it leaves the queue when the receiver polls it.")
}

func replayStream(v *view) error {
	from, err := time.Parse("2006-01-02T15:04", v.r.PostFormValue("from"))
	if err != nil {
		from, err = time.Parse("2006-01-02T15:04:05", v.r.PostFormValue("from"))
	}
	if err != nil {
		v.session.note(notice{Text: "Not done: from is no time such as 2026-11-26T08:30, in UTC."})
		http.Redirect(v.w, v.r, streamPageAt(v), http.StatusSeeOther)
		return nil
	}
	err = v.do(http.MethodPost, streamAPIAt(v)+"/replay", map[string]string{"from": from.Format(time.RFC3339)}, nil)
	return v.tried(err, streamPageAt(v), "What was recorded since "+from.Format("2006-01-02 15:04:05")+" UTC is sent again, under ids of its own, as far as the stream matches it now.")
}

func setStreamProfile(v *view) error {
	ask := map[string]string{"profile": strings.TrimSpace(v.r.PostFormValue("profile"))}
	err := v.do(http.MethodPut, streamAPIAt(v)+"/profile", ask, nil)
	return v.tried(err, streamPageAt(v), "SETs of the stream leave in the form that you gave from now on.")
}

func resendDeadLetter(v *view) error {
	err := v.do(http.MethodPost, letterAPI(v)+"/resend", nil, nil)
	return v.tried(err, streamPageAt(v)+"#dead-letters", "The dead letter is queued again, ahead of events.")
}

func dropDeadLetter(v *view) error {
	err := v.do(http.MethodDelete, letterAPI(v), nil, nil)
	return v.tried(err, streamPageAt(v)+"#dead-letters", "The dead letter was dropped for good.")
}

func letterAPI(v *view) string {
	return streamAPIAt(v) + "/dead-letters/" + url.PathEscape(v.r.PathValue("jti"))
}
