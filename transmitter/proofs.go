package transmitter

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/eventapi"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/logapi"
)

// Paths of the tree over the log. The first is a log's prefix in the words of
// https://c2sp.org/tlog-tiles.
const (
	pathLog          = "/v1/log"
	pathCheckpoint   = pathLog + "/checkpoint"
	pathTiles        = pathLog + "/tile/*"
	pathProof        = pathLog + "/proof"
	pathCosignatures = pathLog + "/cosignatures"
	pathEventProof   = pathEvents + "/:id/proof"
)

// proofs serves the tree; it is asked for only if there is a keeper.
func (t *Transmitter) proofs() logapi.Handler {
	archive, _ := t.cfg.Log.(eventlog.Archive)
	return logapi.Handler{
		Log: t.cfg.Log, Keeper: t.cfg.Checkpoints, Registry: t.cfg.Streams,
		May: eventapi.Handler{Consent: t.gate}.May, Archive: archive, Public: t.cfg.PublicLog,
	}
}

// treeAPI lists the operations on the tree that need a token.
func (t *Transmitter) treeAPI() []route {
	if t.cfg.Checkpoints == nil {
		return nil
	}
	h := t.proofs()
	list := []route{
		{http.MethodGet, pathProof, auth.OpReadLog, h.Proof},
		{http.MethodPost, pathCosignatures, auth.OpReadLog, h.Cosign},
		{http.MethodGet, pathEventProof, auth.OpReadEvents, h.Event},
	}
	if !t.cfg.PublicLog {
		list = append(list,
			route{http.MethodGet, pathCheckpoint, auth.OpReadLog, h.Checkpoint},
			route{http.MethodGet, pathTiles, auth.OpReadLog, h.Tile})
	}
	return list
}

// publicTree is what anybody may read of the tree.
func (t *Transmitter) publicTree() map[string]echo.HandlerFunc {
	if t.cfg.Checkpoints == nil || !t.cfg.PublicLog {
		return nil
	}
	h := t.proofs()
	return map[string]echo.HandlerFunc{pathCheckpoint: h.Checkpoint, pathTiles: h.Tile}
}
