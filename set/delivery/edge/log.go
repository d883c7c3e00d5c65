package edge

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"time"
)

// log writes the line of a request: a warning if we failed.
func (cfg *Config) log(r *http.Request, req *Request, out *recorder, took time.Duration) {
	level := slog.LevelInfo
	switch {
	case out.status >= http.StatusInternalServerError:
		level = slog.LevelWarn
	case out.status < http.StatusBadRequest && slices.Contains(cfg.Quiet, r.URL.Path):
		level = slog.LevelDebug
	}
	ctx := r.Context()
	if !cfg.Logger.Enabled(ctx, level) {
		return
	}
	status := out.status
	if status == 0 && ctx.Err() == nil {
		status = http.StatusOK // what the server sends if a handler writes nothing
	}
	route, client := req.noted()
	if route == "" {
		route = r.Pattern // http.ServeMux notes it
	}
	attrs := []slog.Attr{
		slog.String("method", method(r.Method)), slog.String("route", route), slog.Int("status", status),
		slog.Int64("bytes", out.bytes), slog.Duration("took", took), slog.String("request_id", req.id),
	}
	if req.address.IsValid() {
		attrs = append(attrs, slog.String("address", req.address.String()))
	}
	for _, one := range []struct{ name, value string }{{"listener", cfg.Listener}, {"client_id", client}, {"trace_id", req.trace}} {
		if one.value != "" {
			attrs = append(attrs, slog.String(one.name, one.value))
		}
	}
	// Without ctx: the line has the id already.
	cfg.Logger.LogAttrs(context.Background(), level, "request", attrs...)
}

// method bounds what anybody may invent.
func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodPut, http.MethodDelete, http.MethodHead, http.MethodOptions:
		return m
	}
	return "other"
}

// LogHandler returns a handler that adds the id of a request to all that is logged with
// its context, so that one search shows what became of it.
func LogHandler(next slog.Handler) slog.Handler { return logHandler{next} }

type logHandler struct{ slog.Handler }

// Handle adds request_id.
func (h logHandler) Handle(ctx context.Context, rec slog.Record) error {
	if r := From(ctx); r != nil {
		rec = rec.Clone()
		rec.AddAttrs(slog.String("request_id", r.id))
	}
	return h.Handler.Handle(ctx, rec)
}

// WithAttrs keeps the handler that adds.
func (h logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return logHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup keeps the handler that adds.
func (h logHandler) WithGroup(name string) slog.Handler { return logHandler{h.Handler.WithGroup(name)} }
