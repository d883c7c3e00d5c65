package logapi

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/transmitter/checkpoint"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

// maxPage bounds what an operator reads of the stored log in one answer.
const maxPage = 4096

// Key is the log's verifier key, as an operator reads it.
type Key struct {
	Origin string `json:"origin"`
	Key    string `json:"key"`
}

// Head is a checkpoint as an operator reads it.
type Head struct {
	Size uint64    `json:"size"`
	Root []byte    `json:"root"`
	Made time.Time `json:"made"`
	Text string    `json:"text"`
}

// Stored is a record as an operator's check reads it.
type Stored struct {
	Seq       uint64        `json:"seq"`
	Recorded  int64         `json:"recorded_ms"`
	Kind      eventlog.Kind `json:"kind"`
	Salt      []byte        `json:"salt"`
	Canonical []byte        `json:"canonical"`
	Leaf      []byte        `json:"leaf"`
}

// Mount adds what operators do to g, the group of the admin API.
func (h Handler) Mount(g *echo.Group) {
	h.operators = true
	g.GET("/events/:id/proof", h.Event)
	g.GET("/log/key", h.key)
	g.GET("/log/checkpoint", h.head)
	g.POST("/log/checkpoint", h.sign)
	g.GET("/log/checkpoints", h.heads)
	g.GET("/log/proof", h.Proof)
	g.POST("/log/cosignatures", h.Cosign)
	g.GET("/log/head", h.storedHead)
	g.GET("/log/records", h.records)
	g.GET("/log/nodes", h.nodes)
}

// noneYet tells that a folder was never served.
func noneYet(err error) error {
	if !errors.Is(err, checkpoint.ErrNone) {
		return err
	}
	return &request.Error{
		Status: http.StatusConflict, Code: "no_checkpoint",
		Description: "the log has no origin yet: it gets one from the issuer when it is served for the first time",
	}
}

func (h Handler) key(c echo.Context) error {
	key, err := h.Keeper.Verifier()
	if err != nil {
		return noneYet(err)
	}
	cp, err := h.Keeper.Last(c.Request().Context())
	if err != nil {
		return noneYet(err)
	}
	return c.JSON(http.StatusOK, Key{Origin: cp.Origin, Key: key})
}

func headOf(c checkpoint.Checkpoint) Head {
	return Head{Size: c.Size, Root: c.Root[:], Made: c.Made, Text: string(c.Text)}
}

func (h Handler) head(c echo.Context) error {
	cp, err := h.latest(c)
	if err != nil {
		return noneYet(err)
	}
	return c.JSON(http.StatusOK, headOf(cp))
}

// sign signs the head of this moment.
func (h Handler) sign(c echo.Context) error {
	cp, err := h.Keeper.Sign(c.Request().Context())
	if err != nil {
		return noneYet(err)
	}
	return c.JSON(http.StatusOK, headOf(cp))
}

func (h Handler) heads(c echo.Context) error {
	from, err := number(c, "from")
	if err != nil {
		return err
	}
	list, err := h.Keeper.All(c.Request().Context(), from, maxPage)
	if err != nil {
		return err
	}
	heads := make([]Head, len(list))
	for i := range list {
		heads[i] = headOf(list[i])
	}
	return c.JSON(http.StatusOK, heads)
}

// archived refuses where the log cannot be read as it is stored.
func (h Handler) archived() error {
	if h.Archive != nil {
		return nil
	}
	return &request.Error{Status: http.StatusNotImplemented, Code: "not_offered", Description: "this log cannot be read as it is stored"}
}

func (h Handler) storedHead(c echo.Context) error {
	if err := h.archived(); err != nil {
		return err
	}
	n, err := h.Archive.Head(c.Request().Context())
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, n)
}

// records answers GET …/records?after=: stored records, whatever became of them.
func (h Handler) records(c echo.Context) error {
	after, err := number(c, "after")
	if err = errors.Join(h.archived(), err); err != nil {
		return err
	}
	list, err := h.Archive.Stored(c.Request().Context(), after, maxPage)
	if err != nil {
		return err
	}
	out := make([]Stored, len(list))
	for i, s := range list {
		out[i] = Stored{Seq: s.Seq, Recorded: s.RecordedMillis, Kind: s.Kind, Salt: s.Salt, Canonical: s.Canonical, Leaf: s.Leaf}
	}
	return c.JSON(http.StatusOK, out)
}

// nodes answers GET …/nodes?level=&from=: stored nodes of the tree.
func (h Handler) nodes(c echo.Context) error {
	from, err := number(c, "from")
	if err = errors.Join(h.archived(), err); err != nil {
		return err
	}
	level, err := strconv.Atoi(c.QueryParam("level"))
	if err != nil || level < 1 || level > eventlog.MaxTileLevel {
		return request.Invalid("level", "is not a level of the tree above the leaves")
	}
	nodes, err := h.Archive.StoredNodes(c.Request().Context(), level, from, maxPage)
	if err != nil {
		return err
	}
	out := make([][]byte, len(nodes))
	for i := range nodes {
		out[i] = nodes[i][:]
	}
	return c.JSON(http.StatusOK, out)
}
