// Package admin serves operators: applications, clients, sources, signing keys, all
// streams with their dead letters, events, backups. It asks nobody who they
// are: it is mounted behind the Unix socket, which only the process's own
// user can open, and behind an admin token (contracts.md §1).
package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/consentapi"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/erase"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/eventapi"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/ingest"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/push"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/way"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/webhook"
	"github.com/tocsin-ssf/tocsin/transmitter/keys"
	"github.com/tocsin-ssf/tocsin/transmitter/mapping"
	"github.com/tocsin-ssf/tocsin/transmitter/vault"
)

// maxBodyBytes bounds a request, events apart.
const maxBodyBytes = 64 << 10

// Source is the name of the source of events that operators emit.
const Source = "operator"

// Log is what is asked of the event log.
type Log interface {
	Head(ctx context.Context) (uint64, error)
}

// Handler serves the admin API. All fields are required but Backup.
type Handler struct {
	Applications *auth.Store
	Keys         *keys.Ring
	Replays      Replays
	Streams      streams.Store
	Catalog      *streams.Catalog
	// Rules are those by which streams change without anybody's word.
	Rules StreamRules
	// Node is what this process is called, and Recent returns the last attempts that it
	// made to push to a stream, the latest first.
	Node     string
	Recent   func(stream string) []push.Attempt
	Ingest   *ingest.Ingest
	Refusing func() bool
	// Removed is told that an application is gone, before its streams are.
	Removed func()
	// Consent serves consents; the caller is the operator.
	Consent consentapi.Handler
	// Events serves what is read and said of the log.
	Events eventapi.Handler
	// Index is what finds events; nil: 501.
	Index eventlog.Index
	Log   Log
	// SourcePath is the path of the endpoints of vendors' sources, without
	// their names.
	SourcePath string
	// CheckVendor judges the address of a vendor's API.
	CheckVendor func(raw string) error
	Now         func() time.Time
	// CheckKeysURL judges where a client publishes its keys.
	CheckKeysURL func(raw string) error
	// Fetch looks up one event at a source's vendor and keeps it.
	Fetch func(ctx context.Context, source, id string) (ingest.Counts, error)
	// VendorTypes asks a source's vendor for the types of its events.
	VendorTypes func(ctx context.Context, source string) ([]mapping.Type, error)
	Erasures    erase.Handler
	// Backup copies the live stores into a new folder; nil: 501.
	Backup func(ctx context.Context, dir string) error
	// Note notes in the log what a request does, and Acts answers what was done.
	Note echo.MiddlewareFunc
	Acts echo.HandlerFunc
	// Rewrap changes what private keys are encrypted under; nil: 501.
	Rewrap func(ctx context.Context, from, to vault.Secret) error
	// Figures answers what the process keeps of its own past, in a range that there is;
	// nil: 501.
	Figures func(of string) (answer any, ok bool)
	// Webhooks of all applications.
	Webhooks *webhook.Service
	// Way tells of one event's way.
	Way way.Handler
}

// Prefix of every path of the admin API.
const Prefix = "/admin"

// Mount adds the routes to g, a group at Prefix.
func (h Handler) Mount(g *echo.Group) {
	g.Use(noStore, asOperator, h.Note)
	g.GET("/acts", h.Acts)
	g.GET("/applications", h.applications)
	g.POST("/applications", h.addApplication)
	g.PATCH("/applications/:id", h.changeApplication)
	g.DELETE("/applications/:id", h.removeApplication)
	g.GET("/clients", h.clients)
	g.POST("/clients", h.addClient)
	g.DELETE("/clients/:id", h.removeClient)
	g.POST("/clients/:id/rotate", h.rotateClient)
	g.GET("/sources", h.sources)
	g.POST("/sources", h.addSource)
	g.DELETE("/sources/:name", h.removeSource)
	g.POST("/sources/:name/fetch", h.fetch)
	g.POST("/sources/:name/rotate", h.rotateSource)
	g.GET("/sources/:name/types", h.sourceTypes)
	g.GET("/consents", h.Consent.List)
	g.POST("/consents", h.Consent.Decide)
	g.GET("/consents/held", h.Consent.Held)
	g.GET("/consents/gate", h.Consent.Settings)
	g.GET("/consents/gates", h.gates)
	g.PUT("/consents/gate", h.Consent.Set)
	g.GET("/keys", h.keys)
	g.POST("/keys/rotate", h.rotate)
	g.POST("/keys/:kid/retire", h.retire)
	g.POST("/keys/rewrap", h.rewrap)
	g.GET("/streams", h.streams)
	g.GET("/streams/:stream_id", h.stream)
	g.POST("/streams/:stream_id/verify", h.verify)
	g.GET("/streams/:stream_id/attempts", h.attempts)
	g.GET("/streams/:stream_id/subjects", h.subjects)
	g.POST("/streams/:stream_id/replay", h.replay)
	g.GET("/participation", h.participation)
	g.POST("/streams/:stream_id/status", h.setStatus)
	g.PUT("/streams/:stream_id/profile", h.setProfile)
	g.PUT("/streams/:stream_id/encryption", h.setEncryption)
	g.GET("/streams/:stream_id/dead-letters", h.deadLetters)
	g.POST("/streams/:stream_id/dead-letters/:jti/resend", h.resend)
	g.DELETE("/streams/:stream_id/dead-letters/:jti", h.drop)
	g.POST("/events", h.emit)
	g.GET("/events", h.Events.Find)
	g.GET("/events/:id", h.Events.Event)
	g.PATCH("/events/:id", h.Events.Annotate)
	g.GET("/events/:id/annotations", h.Events.Annotations)
	g.GET("/events/:id/way", h.Way.Way)
	g.POST("/mapping", h.Way.Try)
	g.GET("/event-types", h.Events.EventTypes)
	g.GET("/index", h.index)
	g.POST("/index/rebuild", h.rebuild)
	g.POST("/erasures", h.Erasures.Create, h.Erasures.Offered)
	g.GET("/erasures", h.Erasures.List, h.Erasures.Offered)
	g.GET("/erasures/:id", h.Erasures.Read, h.Erasures.Offered)
	g.POST("/holds", h.Erasures.Hold, h.Erasures.Offered)
	g.GET("/holds", h.Erasures.Holds, h.Erasures.Offered)
	g.DELETE("/holds/:id", h.Erasures.Lift, h.Erasures.Offered)
	g.POST("/backup", h.backup)
	g.GET("/overview", h.overview)
	g.GET("/figures", h.figures)
	webhook.Handler{Service: h.Webhooks, Operator: true}.Mount(g)
	g.POST("/webhooks/:stream_id/replay", h.replayWebhook)
}

func noStore(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		c.Response().Header().Set("Cache-Control", "no-store")
		return next(c)
	}
}

// asOperator names the caller who came through the socket: with a token it is
// the token's.
func asOperator(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if request.Principal(c) == nil {
			request.WithPrincipal(c, &auth.Principal{Client: Source, Scopes: []auth.Scope{auth.ScopeAdmin}})
		}
		return next(c)
	}
}

// read reads the request's JSON object into v; unknown members are refused.
func read(c echo.Context, v any) error {
	body, err := request.Body(c, maxBodyBytes)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, v, json.RejectUnknownMembers(true)); err != nil {
		return request.Invalid("", "the body is not the JSON object that is expected here")
	}
	return nil
}

// backup answers POST /admin/backup {"dir"}: 204 once the copy is complete.
func (h Handler) backup(c echo.Context) error {
	var ask struct {
		Dir string `json:"dir"`
	}
	if err := read(c, &ask); err != nil {
		return err
	}
	if ask.Dir == "" {
		return request.Invalid("dir", "is missing")
	}
	if h.Backup == nil {
		return &request.Error{Status: http.StatusNotImplemented, Code: "not_offered", Description: "this transmitter has no backup of its own"}
	}
	// A large store takes longer to copy than the server's time for an answer.
	_ = http.NewResponseController(c.Response().Writer).SetWriteDeadline(time.Time{}) // not supported: there is none
	if err := h.Backup(c.Request().Context(), ask.Dir); err != nil {
		return &request.Error{Status: http.StatusConflict, Code: "backup_failed", Member: "dir", Description: err.Error()}
	}
	return c.NoContent(http.StatusNoContent)
}
