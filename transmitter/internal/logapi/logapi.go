// Package logapi serves the tree over the event log: checkpoints, tiles and
// proofs, to applications, to witnesses and, all of it, to operators.
//
// A checkpoint and tiles are hashes. What they tell is how many records there
// are (docs/decisions/2026-11-25-who-reads-the-tree.md). Bundles of entries,
// which C2SP knows beside tiles, are not served: records are personal data.
package logapi

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"

	"github.com/labstack/echo/v4"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/audit"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/checkpoint"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

// Limits of parameters.
const (
	maxName = 256 // a witness, a stream, a jti
	// maxStreams bounds the streams of an operator's search for a jti.
	maxStreams = 10_000
)

// Log is what is asked of the event log.
type Log interface {
	audit.Prover
	Get(ctx context.Context, id string) (*eventlog.Record, error)
}

// Registry is what is asked of the streams.
type Registry interface {
	Owners(ctx context.Context) ([]string, error)
	Streams(ctx context.Context, owner string) ([]streams.Stream, error)
}

// Handler serves the tree. All fields are required but Archive.
type Handler struct {
	Log      Log
	Keeper   *checkpoint.Keeper
	Registry Registry
	// May reports whether a principal may know of a record.
	May func(ctx context.Context, rec *eventlog.Record, p *auth.Principal) (bool, error)
	// Archive is the log as it is stored; nil: a log that has none is not
	// offered for checking.
	Archive eventlog.Archive
	// Public: checkpoint and tiles are served to anybody and may be cached.
	Public bool

	operators bool // the callers are operators, who see all (Mount)
}

// Checkpoint answers GET /v1/log/checkpoint?witness=: the latest checkpoint, or
// the latest that a witness has cosigned, by the name of its key.
func (h Handler) Checkpoint(c echo.Context) error {
	cp, err := h.latest(c)
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.Blob(http.StatusOK, echo.MIMETextPlainCharsetUTF8, cp.Text)
}

func (h Handler) latest(c echo.Context) (checkpoint.Checkpoint, error) {
	ctx, witness := c.Request().Context(), c.QueryParam("witness")
	if witness == "" {
		return h.Keeper.Last(ctx)
	}
	if len(witness) > maxName {
		return checkpoint.Checkpoint{}, request.Invalid("witness", "is too long")
	}
	cp, err := h.Keeper.Cosigned(ctx, witness)
	if errors.Is(err, checkpoint.ErrNone) {
		return cp, eventlog.ErrNotFound
	}
	return cp, err
}

// Tile answers GET /v1/log/tile/…: hashes of the tree, as the path of
// https://c2sp.org/tlog-tiles says. 404 for a tile that the tree does not have.
func (h Handler) Tile(c echo.Context) error {
	t, err := tlog.ParseTilePath("tile/8/" + c.Param("*"))
	if err != nil || t.L < 0 {
		return eventlog.ErrNotFound
	}
	tile, err := h.Log.Tile(c.Request().Context(), t.L, uint64(t.N), t.W)
	if err != nil {
		return err
	}
	cache := "no-store"
	if h.Public { // it never changes
		cache = "public, max-age=31536000, immutable"
	}
	c.Response().Header().Set("Cache-Control", cache)
	return c.Blob(http.StatusOK, echo.MIMEOctetStream, eventlog.TileData(tile))
}

// Consistency is a proof that one tree goes on from another.
type Consistency struct {
	From   uint64   `json:"from"`
	To     uint64   `json:"to"`
	Hashes [][]byte `json:"hashes"` // RFC 6962 §2.1.2
}

// Proof answers GET /v1/log/proof: with from, and to (the size of the latest
// checkpoint), the consistency of two trees; with id, and jti and stream_id,
// the inclusion of an event (https://c2sp.org/tlog-proof).
func (h Handler) Proof(c echo.Context) error {
	id := c.QueryParam("id")
	if id == "" && c.QueryParam("jti") != "" {
		return request.Invalid("id", "is missing: it is the SET's txn")
	}
	if id == "" {
		return h.consistency(c)
	}
	if p := h.caller(c); p != nil && !auth.Sufficient(p.Scopes, auth.OpReadEvents) {
		return eventlog.ErrNotFound
	}
	p, err := h.prove(c, id)
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.Blob(http.StatusOK, echo.MIMETextPlainCharsetUTF8, []byte(p.Inclusion))
}

func (h Handler) consistency(c echo.Context) error {
	ctx := c.Request().Context()
	from, err := number(c, "from")
	if err != nil {
		return err
	}
	var to uint64
	if c.QueryParam("to") == "" {
		last, err := h.Keeper.Last(ctx)
		if err != nil {
			return err
		}
		to = last.Size
	} else if to, err = number(c, "to"); err != nil {
		return err
	}
	hashes, err := eventlog.ProveConsistency(ctx, h.Log, from, to)
	if errors.Is(err, eventlog.ErrNotFound) {
		return request.Invalid("to", "is beyond the log, or before from")
	}
	if err != nil {
		return err
	}
	answer := Consistency{From: from, To: to, Hashes: make([][]byte, len(hashes))}
	for i := range hashes {
		answer.Hashes[i] = hashes[i][:]
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.JSON(http.StatusOK, answer)
}

// number reads a parameter that is a size of the tree.
func number(c echo.Context, name string) (uint64, error) {
	n, err := strconv.ParseUint(c.QueryParam(name), 10, 63)
	if err != nil {
		return 0, request.Invalid(name, "is not a number from 0 on")
	}
	return n, nil
}

// Event answers GET /v1/events/{id}/proof?jti=&stream_id=: what shows offline
// that the event was recorded, and that a SET came of it (audit.Proof).
func (h Handler) Event(c echo.Context) error {
	p, err := h.prove(c, c.Param("id"))
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.JSON(http.StatusOK, p)
}

// caller returns whose view of the events counts; nil: an operator's.
func (h Handler) caller(c echo.Context) *auth.Principal {
	if h.operators {
		return nil
	}
	return request.Principal(c)
}

// prove makes the proof of an event for the caller.
func (h Handler) prove(c echo.Context, id string) (*audit.Proof, error) {
	ctx, caller := c.Request().Context(), h.caller(c)
	rec, err := h.Log.Get(ctx, id)
	if errors.Is(err, eventlog.ErrMalformedID) && eventlog.HasIDForm(id) {
		return nil, eventlog.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	if caller != nil {
		if may, err := h.May(ctx, rec, caller); err != nil {
			return nil, err
		} else if !may {
			return nil, eventlog.ErrNotFound
		}
	}
	covering, err := h.Keeper.Covering(ctx, rec.Seq)
	if err != nil {
		return nil, noneYet(err)
	}
	proof, err := audit.Prove(ctx, h.Log, covering, rec, withhold(rec, caller))
	if err != nil {
		return nil, err
	}
	return proof, h.addSet(c, proof, rec, caller)
}

// withhold reports whether the record's bytes name applications that the caller
// must not hear of (contracts.md §1).
func withhold(rec *eventlog.Record, caller *auth.Principal) bool {
	if caller == nil || caller.Allows(auth.ScopeAdmin) {
		return false
	}
	others := func(a string) bool { return a != caller.Application }
	return slices.ContainsFunc(rec.Applications, others) || rec.Consent.Application != "" && others(rec.Consent.Application)
}

func (h Handler) addSet(c echo.Context, proof *audit.Proof, rec *eventlog.Record, caller *auth.Principal) error {
	jti, stream := c.QueryParam("jti"), c.QueryParam("stream_id")
	switch {
	case jti == "" && stream == "":
		return nil
	case jti == "" || len(jti) > maxName:
		return request.Invalid("jti", "is not the jti of a SET")
	case len(stream) > maxName:
		return request.Invalid("stream_id", "is too long")
	}
	ids, err := h.streams(c.Request().Context(), stream, caller)
	if err != nil {
		return err
	}
	if err := proof.AddSet(rec, jti, ids...); err != nil {
		return request.Invalid("jti", "is of no SET of this event that can be shown; name the stream_id if the stream was deleted")
	}
	return nil
}

// streams returns where a jti is looked for: on the stream that was named, else
// on all that the caller has.
func (h Handler) streams(ctx context.Context, named string, caller *auth.Principal) (ids []string, err error) {
	if named != "" {
		return []string{named}, nil
	}
	var owners []string
	if caller != nil {
		owners = []string{streams.OwnerIn(caller.Application, caller.Environment)}
	} else if owners, err = h.Registry.Owners(ctx); err != nil {
		return nil, err
	}
	for _, owner := range owners {
		list, err := h.Registry.Streams(ctx, owner)
		if err != nil {
			return nil, err
		}
		for _, s := range list {
			ids = append(ids, s.ID)
		}
		if len(ids) > maxStreams {
			return nil, request.Invalid("stream_id", "is missing: there are too many streams to look at each")
		}
	}
	return ids, nil
}

// Cosign answers POST /v1/log/cosignatures, a checkpoint of ours with
// signatures of configured witnesses: 204, they are served with it.
func (h Handler) Cosign(c echo.Context) error {
	body, err := request.Body(c, checkpoint.MaxBytes)
	if err != nil {
		return err
	}
	if _, err := h.Keeper.Cosign(c.Request().Context(), body); errors.Is(err, checkpoint.ErrWitness) {
		return request.Invalid("", "no configured witness has signed this, or it is no checkpoint of this log that is kept")
	} else if err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
