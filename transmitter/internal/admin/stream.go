package admin

import (
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/eventapi"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

// deadLetterPage is how many dead letters are read at a time, and the most that limit may say.
const deadLetterPage = 500

// Stream is a stream as an operator sees it.
type Stream struct {
	streams.Configuration
	Application     string                  `json:"application"`
	Environment     string                  `json:"environment,omitempty"`
	Profile         string                  `json:"profile,omitempty"`
	Encryption      *Encryption             `json:"encryption,omitempty"`
	DefaultSubjects streams.DefaultSubjects `json:"default_subjects"`
	Created         time.Time               `json:"created"`
	Active          time.Time               `json:"active"`
	// VerificationRequested is when the receiver last asked for a verification event.
	VerificationRequested time.Time      `json:"verification_requested,omitzero"`
	Status                streams.Status `json:"status"`
	Reason                string         `json:"reason,omitempty"`
	// StatusBy decided the status; what policy decided only an operator may lift.
	StatusBy streams.Party `json:"status_by,omitempty"`
	Queued   int           `json:"queued"`
	// InFlight are those of Queued that are out: pushed at this moment, or polled and not
	// acknowledged yet.
	InFlight    int       `json:"in_flight"`
	DeadLetters int       `json:"dead_letters"`
	Oldest      time.Time `json:"oldest,omitzero"`
	// Failures counts failures since FailingSince, Refusals SETs refused in a row.
	Failures     int       `json:"failures"`
	FailingSince time.Time `json:"failing_since,omitzero"`
	Refusals     int       `json:"refusals"`
	NextDue      time.Time `json:"next_due,omitzero"`
	LastError    string    `json:"last_error,omitempty"`
	// Rules will change the stream by themselves.
	Rules []Rule `json:"rules"`
	// Subjects is how many subjects were added or removed; told of one stream alone.
	Subjects *int `json:"subjects,omitempty"`
}

func (h Handler) describe(c echo.Context, s streams.Stream) (Stream, error) {
	depth, err := h.Streams.Depth(c.Request().Context(), s.ID)
	if err != nil {
		return Stream{}, err
	}
	health, err := h.Streams.Health(c.Request().Context(), s.ID)
	if err != nil {
		return Stream{}, err
	}
	return h.describeAs(s, depth, health)
}

// describeAll describes those of list that are still there, with a few exchanges of a
// store that is asked over a network.
func (h Handler) describeAll(c echo.Context, list []streams.Stream) ([]Stream, error) {
	ids := make([]string, len(list))
	for i := range list {
		ids[i] = list[i].ID
	}
	standings, err := streams.Standings(c.Request().Context(), h.Streams, ids)
	if err != nil {
		return nil, err
	}
	all := make([]Stream, 0, len(list))
	for _, at := range standings {
		if at == nil {
			continue
		}
		d, err := h.describeAs(at.Stream, at.Depth, at.Health)
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

func (h Handler) describeAs(s streams.Stream, depth streams.Depth, health streams.Health) (Stream, error) {
	encryption, err := encryptionOf(s.Encryption)
	if err != nil {
		return Stream{}, err
	}
	application, _ := streams.ApplicationOf(s.Owner)
	return Stream{
		Configuration: s.Configuration(), Application: application, Environment: streams.EnvironmentOf(s.Owner), Profile: s.Profile, Encryption: encryption,
		DefaultSubjects: s.DefaultSubjects, Created: s.Created.UTC(), Active: s.Active.UTC(), VerificationRequested: s.VerificationRequested.UTC(),
		Status: s.Status, Reason: s.Reason, StatusBy: s.StatusBy,
		Queued: depth.Items, InFlight: depth.Leased, DeadLetters: depth.Dead, Oldest: depth.Oldest,
		Failures: health.Failures, FailingSince: health.FirstFailure.UTC(), Refusals: health.Refusals, NextDue: health.NextDue, LastError: health.LastError,
		Rules: h.Rules.rulesOf(s, depth, health),
	}, nil
}

func (h Handler) stream(c echo.Context) error {
	s, err := h.Streams.Stream(c.Request().Context(), c.Param("stream_id"))
	if err != nil {
		return err
	}
	if s.Delivery.Method == streams.MethodWebhook {
		return streams.ErrNotFound // it is read at /webhooks
	}
	d, err := h.describe(c, s)
	if err != nil {
		return err
	}
	n, err := h.Streams.SubjectCount(c.Request().Context(), s.ID)
	if err != nil {
		return err
	}
	d.Subjects = &n
	return c.JSON(http.StatusOK, d)
}

// setStatus changes a stream's status on the operator's word: paused and
// disabled can then be lifted by an operator only (U17).
func (h Handler) setStatus(c echo.Context) error {
	var ask struct {
		Status streams.Status `json:"status"`
		Reason string         `json:"reason"`
	}
	if err := read(c, &ask); err != nil {
		return err
	}
	ctx, id := c.Request().Context(), c.Param("stream_id")
	if s, err := h.Streams.Stream(ctx, id); err == nil && s.Delivery.Method == streams.MethodWebhook {
		return streams.ErrNotFound // it is changed at /webhooks
	}
	var (
		s   streams.Stream
		err error
	)
	switch ask.Status {
	case streams.Enabled:
		s, err = h.Catalog.Resume(ctx, id, ask.Reason)
	case streams.Paused:
		s, err = h.Catalog.Pause(ctx, id, ask.Reason, streams.ByPolicy)
	case streams.Disabled:
		s, err = h.Catalog.Disable(ctx, id, ask.Reason, streams.ByPolicy)
	default:
		return request.Invalid("status", "is not enabled, paused or disabled")
	}
	if err != nil {
		return err
	}
	d, err := h.describe(c, s)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, d)
}

// setProfile changes the form in which the stream's SETs leave.
func (h Handler) setProfile(c echo.Context) error {
	var ask struct {
		Profile string `json:"profile"`
	}
	if err := read(c, &ask); err != nil {
		return err
	}
	if err := checkProfile(ask.Profile); err != nil {
		return err
	}
	ctx, id := c.Request().Context(), c.Param("stream_id")
	if s, err := h.Streams.Stream(ctx, id); err == nil && s.Delivery.Method == streams.MethodWebhook {
		return streams.ErrNotFound // no SETs leave there
	}
	s, err := h.Catalog.SetProfile(ctx, id, ask.Profile)
	if err != nil {
		return err
	}
	d, err := h.describe(c, s)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, d)
}

// Replays notes orders of replays.
type Replays = eventapi.Replays

// replay sends a stream what the log holds from a time on again.
func (h Handler) replay(c echo.Context) error { return h.replayOf(c, false) }

// replayWebhook does so for a webhook.
func (h Handler) replayWebhook(c echo.Context) error { return h.replayOf(c, true) }

func (h Handler) replayOf(c echo.Context, webhook bool) error {
	s, err := h.Streams.Stream(c.Request().Context(), c.Param("stream_id"))
	if err != nil {
		return err
	}
	if _, is := streams.ApplicationOf(s.Owner); is != webhook {
		return streams.ErrNotFound
	}
	return eventapi.Replay(c, h.Replays, s, Source)
}

func (h Handler) deadLetters(c echo.Context) error {
	limit := deadLetterPage
	if text := c.QueryParam("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > deadLetterPage {
			return request.Invalid("limit", "is not a number from 1 to 500")
		}
		limit = n
	}
	page, next, err := h.Streams.DeadLetters(c.Request().Context(), c.Param("stream_id"), c.QueryParam("after"), limit)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, eventapi.PageOf(page, next))
}

func (h Handler) resend(c echo.Context) error {
	if err := h.Streams.Resend(c.Request().Context(), c.Param("stream_id"), c.Param("jti")); err != nil {
		return err
	}
	return c.NoContent(http.StatusAccepted)
}

func (h Handler) drop(c echo.Context) error {
	if err := h.Streams.Drop(c.Request().Context(), c.Param("stream_id"), c.Param("jti")); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// participation tells whether an account takes part in RISC.
func (h Handler) participation(c echo.Context) error {
	request.WithPrincipal(c, &auth.Principal{Client: Source, Scopes: []auth.Scope{auth.ScopeAdmin}})
	return h.Consent.Participation(c)
}
