package transmitter_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/tocsin-ssf/tocsin/streams/sqlitestore"
	"github.com/tocsin-ssf/tocsin/transmitter"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/sqlitelog"
	"github.com/tocsin-ssf/tocsin/transmitter/keys"
)

// A transmitter in a program of one's own, on embedded stores in a folder.
func Example() {
	ctx, stop := context.WithCancel(context.Background())
	dir, err := os.MkdirTemp("", "transmitter")
	check(err)
	defer os.RemoveAll(dir)

	log, err := sqlitelog.Open(ctx, sqlitelog.Config{Path: filepath.Join(dir, "log.db")})
	check(err)
	state, err := sqlitestore.Open(ctx, sqlitestore.Config{Path: filepath.Join(dir, "state.db")})
	check(err)
	applications, err := auth.Open(ctx, filepath.Join(dir, "admin.db"))
	check(err)
	ring, err := keys.Open(ctx, keys.Config{Store: keys.NewStore(applications.DB())})
	check(err)
	t, err := transmitter.New(transmitter.Config{
		Issuer: "https://tr.example", Log: log, Streams: state, Applications: applications, Keys: ring,
		Logger: slog.New(slog.DiscardHandler),
	})
	check(err)
	ended := make(chan error, 1)
	go func() { ended <- t.Run(ctx) }()

	// In place of http.ListenAndServeTLS(addr, cert, key, t.Handler()).
	w := httptest.NewRecorder()
	t.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "https://tr.example/.well-known/ssf-configuration", nil))
	fmt.Println(w.Code, w.Header().Get("Content-Type"))

	t.Refuse() // no more work
	stop()
	check(errors.Join(<-ended, ring.Close(context.Background()), applications.Close(), state.Close(), log.Close()))
	// Output: 200 application/json
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
