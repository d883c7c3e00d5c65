// Package webhook delivers events to consumers that do not speak SSF: plain
// HTTP requests with the events as GET /v1/events/{id} answers them, signed as
// Standard Webhooks 1.0 says.
//
// A webhook is a stream (streams.MethodWebhook) that its application owns
// apart from its others, so that queue, order, retries, isolation and dead
// letters are those of push. What a stream has no place for is kept in
// admin.db under its id. The row is made before the stream and removed after
// it; [Service.Reconcile] mends what an end in between left behind.
package webhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

// MaxWebhooks bounds the webhooks of an application.
const MaxWebhooks = 100

// MaxGrace bounds how long an old secret may sign after a rotation, and
// DefaultGrace is how long it does unless something else is asked for.
const (
	MaxGrace     = 30 * 24 * time.Hour
	DefaultGrace = 24 * time.Hour
)

// Records is what is asked of the event log.
type Records interface {
	eventlog.Journal
	Get(ctx context.Context, id string) (*eventlog.Record, error)
}

// Streams is what is asked of the store of streams.
type Streams interface {
	streams.Registry
	Health(ctx context.Context, stream string) (streams.Health, error)
	Depth(ctx context.Context, stream string) (streams.Depth, error)
}

// Config says what the service works with. All but Blocked, Now and Logger are
// required.
type Config struct {
	Store   *auth.Store
	Streams Streams
	// Catalog has the rules of a stream's status.
	Catalog *streams.Catalog
	Records Records
	// Head returns the head of the event log.
	Head   func(ctx context.Context) (uint64, error)
	Issuer string
	// Client makes the requests to addresses that owners name: guarded.
	Client *http.Client
	// Blocked reports whether an error of Client is the guard's refusal.
	Blocked func(error) bool
	// CheckURL judges an address by its text.
	CheckURL func(url string) error
	// Shared: other processes have the stores, too, and may be in the middle of
	// making a webhook.
	Shared bool
	Now    func() time.Time
	Logger *slog.Logger
}

// Caller is on whose behalf a webhook is looked at or changed.
type Caller struct {
	// Application is the caller's; empty: an operator, who may act on any.
	Application string
	// Environment is the one that the caller is bound to; empty: none. A bound
	// caller's webhooks are of that environment.
	Environment string
}

func (c Caller) sees(row auth.Webhook, settings Settings) bool {
	return c.Application == "" || c.Application == row.Application && (c.Environment == "" || c.Environment == settings.Environment)
}

// Service manages webhooks, and knows the ways to their receivers. Safe for
// concurrent use.
//
// Methods take the caller on whose behalf they act. Errors:
// streams.ErrNotFound for a webhook that is not there or not the caller's; *request.Error and *streams.RuleError for
// what is asked; any other is a failure of a store.
type Service struct {
	cfg  Config
	ways ways
	// changing is held over each change: row and stream change together.
	changing sync.Mutex
	behind   atomic.Bool // a change did not come to its end
}

// New returns the service.
func New(cfg Config) *Service {
	if cfg.Blocked == nil {
		cfg.Blocked = func(error) bool { return false }
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	return &Service{cfg: cfg}
}

// Create makes a webhook of the caller's application. It gets what is recorded from now on.
func (s *Service) Create(ctx context.Context, who Caller, req Request) (View, error) {
	settings, err := s.apply(who, Settings{}, req, true)
	if err != nil {
		return View{}, err
	}
	report, hasStatus, err := wantedStatus(req)
	if err != nil {
		return View{}, err
	}
	now := s.cfg.Now()
	secret, err := wantedSecret(req.Signing, Symmetric, now)
	if err != nil {
		return View{}, err
	}
	settings.Secrets = []Secret{secret}
	row := auth.Webhook{ID: newID(), Application: who.Application, Created: now}
	if err := s.create(ctx, &row, settings); err != nil {
		return View{}, err
	}
	if hasStatus {
		if err := s.setStatus(ctx, who, row, report); err != nil {
			return View{}, err
		}
	}
	view, err := s.view(ctx, row, settings)
	view.Secret = shown(secret)
	return view, err
}

func (s *Service) create(ctx context.Context, row *auth.Webhook, settings Settings) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	if err := encode(row, settings); err != nil {
		return err
	}
	head, err := s.cfg.Head(ctx)
	if err != nil {
		return fmt.Errorf("webhook: head of the event log: %w", err)
	}
	if err := s.cfg.Store.AddWebhook(ctx, *row); err != nil {
		return err
	}
	st := streams.Stream{
		ID: row.ID, Owner: streams.WebhookOwner(row.Application), Issuer: s.cfg.Issuer, Audience: []string{row.Application},
		DefaultSubjects: streams.SubjectsAll, Status: streams.Enabled, StatusBy: streams.ByReceiver,
		From: head, Created: row.Created, Active: row.Created,
	}
	shape(&st, *row, settings)
	err = s.cfg.Streams.Create(ctx, st, MaxWebhooks)
	if err != nil {
		if s.cfg.Store.RemoveWebhook(context.WithoutCancel(ctx), row.ID) != nil {
			s.behind.Store(true)
		}
	}
	if errors.Is(err, streams.ErrConflict) {
		return &request.Error{
			Status: http.StatusConflict, Code: "conflict",
			Description: fmt.Sprintf("the application has %d webhooks, as many as it may", MaxWebhooks),
		}
	}
	return err
}

// shape gives a webhook's stream what its settings say.
func shape(st *streams.Stream, row auth.Webhook, settings Settings) {
	st.Delivery = streams.Delivery{
		Method: streams.MethodWebhook, EndpointURL: settings.URL, AuthorizationHeader: row.Revision,
	}
	st.EventsDelivered, st.Description = settings.keys(), settings.Description
}

// Webhook returns one.
func (s *Service) Webhook(ctx context.Context, who Caller, id string) (View, error) {
	row, settings, err := s.find(ctx, who, id)
	if err != nil {
		return View{}, err
	}
	return s.view(ctx, row, settings)
}

// Webhooks returns the caller's webhooks, in order of application and creation.
func (s *Service) Webhooks(ctx context.Context, who Caller) ([]View, error) {
	kept, err := s.rows(ctx, who)
	if err != nil {
		return nil, err
	}
	return s.views(ctx, kept)
}

// Page returns a page of them, and the after of the next one.
func (s *Service) Page(ctx context.Context, who Caller, query request.PageQuery) ([]View, string, error) {
	kept, err := s.rows(ctx, who)
	if err != nil {
		return nil, "", err
	}
	page, next := request.PageOf(query, kept,
		func(r *row) request.Place { return request.PlaceOf(r.Application, r.Created, r.ID) },
		func(r *row) []string {
			texts := []string{r.ID, r.settings.Description}
			if u, err := url.Parse(r.settings.URL); err == nil {
				texts = append(texts, u.Host)
			}
			return texts
		})
	list, err := s.views(ctx, page)
	return list, next, err
}

// row is what is kept of a webhook, with its settings read.
type row struct {
	auth.Webhook
	settings Settings
}

// rows returns the caller's.
func (s *Service) rows(ctx context.Context, who Caller) ([]row, error) {
	all, err := s.cfg.Store.Webhooks(ctx, who.Application)
	if err != nil {
		return nil, err
	}
	list := make([]row, 0, len(all))
	for _, one := range all {
		settings, err := decode(one)
		if err != nil {
			return nil, err
		}
		if who.sees(one, settings) {
			list = append(list, row{one, settings})
		}
	}
	return list, nil
}

// views returns those that are still there as they are shown.
func (s *Service) views(ctx context.Context, list []row) ([]View, error) {
	ids := make([]string, len(list))
	for i := range list {
		ids[i] = list[i].ID
	}
	standings, err := streams.Standings(ctx, s.cfg.Streams, ids)
	if err != nil {
		return nil, err
	}
	views := make([]View, 0, len(list))
	for i, at := range standings {
		if at != nil { // else it was deleted meanwhile
			views = append(views, s.viewOf(list[i].Webhook, list[i].settings, at))
		}
	}
	return views, nil
}

// Update changes the members that req has; with whole it sets those that it
// lacks to their defaults, apart from status and signing secrets.
func (s *Service) Update(ctx context.Context, who Caller, id string, req Request, whole bool) (View, error) {
	if req.Signing != nil {
		return View{}, request.Invalid("signing", "is changed by rotating the secret")
	}
	report, hasStatus, err := wantedStatus(req)
	if err != nil {
		return View{}, err
	}
	row, settings, err := s.change(ctx, who, id, func(old Settings) (Settings, error) {
		return s.apply(who, old, req, whole)
	})
	if err != nil {
		return View{}, err
	}
	if hasStatus {
		if err := s.setStatus(ctx, who, row, report); err != nil {
			return View{}, err
		}
	}
	return s.view(ctx, row, settings)
}

// Rotate makes a new signing secret, or takes the one that req brings, and
// shows it. The others sign, too, until the end of their grace.
func (s *Service) Rotate(ctx context.Context, who Caller, id string, body []byte) (View, error) {
	grace, signing, err := parseRotation(body)
	if err != nil {
		return View{}, err
	}
	var secret Secret
	row, settings, err := s.change(ctx, who, id, func(old Settings) (Settings, error) {
		now := s.cfg.Now()
		var err error
		if secret, err = wantedSecret(signing, old.Secrets[0].form(), now); err != nil {
			return old, err
		}
		if !old.rotate(secret, grace, now) {
			return old, &request.Error{
				Status: http.StatusConflict, Code: "conflict", Member: "grace_seconds",
				Description: fmt.Sprintf("%d secrets sign already; wait for the end of a grace, or end them all with 0", maxSecrets),
			}
		}
		return old, nil
	})
	if err != nil {
		return View{}, err
	}
	view, err := s.view(ctx, row, settings)
	view.Secret = shown(secret)
	return view, err
}

// Delete erases a webhook with what waits for it and its dead letters.
func (s *Service) Delete(ctx context.Context, who Caller, id string) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	row, _, err := s.find(ctx, who, id)
	if err != nil {
		return err
	}
	if err := s.cfg.Streams.Delete(ctx, row.ID); err != nil && !errors.Is(err, streams.ErrNotFound) {
		return err
	}
	s.ways.drop(row.ID)
	return s.cfg.Store.RemoveWebhook(ctx, row.ID)
}

// turns is how often a change is begun anew because another process was faster.
const turns = 16

// change lets alter change the settings, in the row and then in the stream. Where
// another process changes them meanwhile, alter is asked again.
func (s *Service) change(ctx context.Context, who Caller, id string, alter func(Settings) (Settings, error)) (auth.Webhook, Settings, error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	for again := 0; ; again++ {
		row, old, err := s.find(ctx, who, id)
		if err != nil {
			return row, old, err
		}
		settings, err := alter(old.clone())
		if err != nil {
			return row, old, err
		}
		from := row.Revision
		if err := encode(&row, settings); err != nil {
			return row, old, err
		}
		err = s.cfg.Store.ChangeWebhook(ctx, row.ID, from, row.Revision, row.Settings)
		if errors.Is(err, auth.ErrChanged) && again < turns {
			continue
		}
		if err != nil {
			return row, old, err
		}
		// The row counts from here on: an end in between is mended by Reconcile.
		if err = s.follow(context.WithoutCancel(ctx), row.ID); err != nil {
			s.behind.Store(true)
		}
		return row, settings, err
	}
}

// follow makes the stream what its row says at the end, whoever changed that last. As
// the delivery changes with every revision, what backs off is tried again at once, and
// what is under way with the old settings counts for nothing if it fails.
func (s *Service) follow(ctx context.Context, id string) error {
	row, err := s.cfg.Store.Webhook(ctx, id)
	for range turns {
		if err != nil {
			return err
		}
		settings, err := decode(row)
		if err != nil {
			return err
		}
		_, err = s.cfg.Streams.Update(ctx, id, func(st *streams.Stream) ([]streams.Item, error) {
			shape(st, row, settings)
			return nil, nil
		})
		if err != nil {
			return err
		}
		revision := row.Revision
		if row, err = s.cfg.Store.Webhook(ctx, id); err == nil && row.Revision == revision {
			return nil
		}
	}
	return auth.ErrChanged
}

// setStatus sets the status that the owner asks for, or imposes an operator's:
// then only an operator may lift it.
func (s *Service) setStatus(ctx context.Context, who Caller, row auth.Webhook, report streams.StatusReport) error {
	var err error
	switch {
	case who.Application != "":
		report.StreamID = row.ID
		_, err = s.cfg.Catalog.SetStatus(ctx, streams.Owner{ID: streams.WebhookOwner(row.Application)}, report)
	case report.Status == streams.Enabled:
		_, err = s.cfg.Catalog.Resume(ctx, row.ID, report.Reason)
	case report.Status == streams.Paused:
		_, err = s.cfg.Catalog.Pause(ctx, row.ID, report.Reason, streams.ByPolicy)
	default:
		_, err = s.cfg.Catalog.Disable(ctx, row.ID, report.Reason, streams.ByPolicy)
	}
	return err
}
