package admin

import (
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

// Bounds of an overview, in streams that are named.
const (
	usualWorst = 20
	maxWorst   = 200
)

// Overview is how all streams are: counts, and those that want a look first.
type Overview struct {
	Streams  int            `json:"streams"`
	Shared   bool           `json:"shared"`   // by several nodes
	Concerns map[string]int `json:"concerns"` // each stream once
	Worst    []Look         `json:"worst"`    // the worst first
}

// Look is how one stream is.
type Look struct {
	ID          string         `json:"stream_id"`
	Application string         `json:"application"`
	Environment string         `json:"environment,omitempty"`
	Method      string         `json:"method"` // push, poll, webhook
	Description string         `json:"description,omitempty"`
	Concern     string         `json:"concern"`
	Status      streams.Status `json:"status"`
	Reason      string         `json:"reason,omitempty"`
	Queued      int            `json:"queued"`
	DeadLetters int            `json:"dead_letters"`
	Oldest      time.Time      `json:"oldest,omitzero"`
	Failures    int            `json:"failures"`
	NextDue     time.Time      `json:"next_due,omitzero"`
	LastError   string         `json:"last_error,omitempty"`
}

// overview tells how all streams are; ?worst= is how many are named.
func (h Handler) overview(c echo.Context) error {
	most := usualWorst
	if text := c.QueryParam("worst"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > maxWorst {
			return request.Invalid("worst", "is not a number from 0 to "+strconv.Itoa(maxWorst))
		}
		most = n
	}
	g, err := h.Streams.Glance(c.Request().Context(), most)
	if err != nil {
		return err
	}
	_, shared := h.Streams.(streams.Shared)
	out := Overview{Streams: g.Streams, Shared: shared, Concerns: map[string]int{}, Worst: make([]Look, 0, len(g.Worst))}
	for concern := streams.Fine; concern <= streams.Failing; concern++ {
		out.Concerns[word(concern)] = g.Concerns[concern]
	}
	for _, l := range g.Worst {
		s := l.Stream
		application, webhook := streams.ApplicationOf(s.Owner)
		method := "poll"
		switch {
		case webhook:
			method = "webhook"
		case s.Delivery.Pushed():
			method = "push"
		}
		out.Worst = append(out.Worst, Look{
			ID: s.ID, Application: application, Environment: streams.EnvironmentOf(s.Owner), Method: method, Description: s.Description,
			Concern: word(l.Concern), Status: s.Status, Reason: s.Reason, Queued: l.Depth.Items, DeadLetters: l.Depth.Dead, Oldest: l.Depth.Oldest,
			Failures: l.Health.Failures, NextDue: l.Health.NextDue, LastError: l.Health.LastError,
		})
	}
	return c.JSON(http.StatusOK, out)
}

// word is a concern in JSON.
func word(c streams.Concern) string {
	return [...]string{"fine", "dead_letters", "paused_by_receiver", "stopped", "failing"}[c]
}

// figures answers what the process keeps of its own past; ?range= says of which.
func (h Handler) figures(c echo.Context) error {
	if h.Figures == nil {
		return &request.Error{Status: http.StatusNotImplemented, Code: "not_offered", Description: "this transmitter keeps no figures"}
	}
	out, ok := h.Figures(c.QueryParam("range"))
	if !ok {
		return request.Invalid("range", "is none of 15m, 1h, 6h, 24h, 7d, 30d")
	}
	return c.JSON(http.StatusOK, out)
}
