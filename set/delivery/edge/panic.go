package edge

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
)

// PanicText returns what may be told of a panic: the text of a runtime error, which has
// numbers and types alone, of all else the type. A value that somebody put together may
// hold a secret or a subject; where it happened is in the stack, which holds neither.
func PanicText(p any) string {
	if err, ok := p.(runtime.Error); ok {
		return err.Error()
	}
	return fmt.Sprintf("%T", p)
}

// panicked turns a panic of a handler into 500, so that it costs one answer and is seen
// where everything else is; net/http would end the connection and tell the value. An answer
// that has begun is cut, so that nobody takes it for a whole one, and so is one that the
// handler itself has cut: then the caller is to panic with http.ErrAbortHandler.
func (cfg *Config) panicked(r *http.Request, out *recorder, p any) (cut bool) {
	if p == nil {
		return false
	}
	if p == http.ErrAbortHandler { //nolint:errorlint // it is what net/http looks for
		return true
	}
	cfg.Logger.LogAttrs(r.Context(), slog.LevelError, "a handler panicked",
		slog.String("panic", PanicText(p)), slog.String("stack", string(debug.Stack())))
	if out.status != 0 {
		return true
	}
	out.WriteHeader(http.StatusInternalServerError)
	return false
}
