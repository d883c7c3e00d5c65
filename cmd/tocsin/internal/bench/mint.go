package bench

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/wellknown"
)

// mintCall makes SETs to be received, all of one key, each with a jti and a subject
// of its own.
type mintCall struct {
	Algorithm jose.Algorithm `json:"algorithm"`
	SETs      int            `json:"sets"`
}

// transmitter signs SETs and publishes its metadata and keys over HTTP; it counts how
// often those are fetched.
type transmitter struct {
	server  *http.Server
	issuer  string
	key     *jose.PrivateKey
	fetches atomic.Int64
	made    int
	sets    [][]byte // not used yet
}

func newTransmitter(ctx context.Context, alg jose.Algorithm) (*transmitter, error) {
	key, err := jose.Generate(alg)
	if err != nil {
		return nil, err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	t := &transmitter{issuer: "http://" + l.Addr().String(), key: key}
	mux := http.NewServeMux()
	mux.Handle(wellknown.Path(t.issuer), wellknown.Handler(wellknown.Configuration{
		SpecVersion: wellknown.SpecVersion, Issuer: t.issuer, JWKSURI: t.issuer + "/jwks.json",
	}))
	keys := wellknown.JWKSHandler(func() *jose.KeySet { return jose.NewKeySet(key.Public()) })
	mux.HandleFunc("/jwks.json", func(w http.ResponseWriter, r *http.Request) {
		t.fetches.Add(1)
		keys.ServeHTTP(w, r)
	})
	t.server = &http.Server{Handler: mux, ReadHeaderTimeout: callTime}
	go func() { _ = t.server.Serve(l) }()
	return t, nil
}

func (t *transmitter) close() {
	if t != nil {
		_ = t.server.Close()
	}
}

// mint makes n more SETs, with all CPUs.
func (t *transmitter) mint(n int) error {
	signer, err := jose.NewSigner(t.key, set.HeaderType)
	if err != nil {
		return err
	}
	sets := make([][]byte, n)
	var (
		next   atomic.Int64
		wg     sync.WaitGroup
		failed atomic.Pointer[error]
	)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				compact, err := t.builder(t.made + int(i)).Sign(signer)
				if err != nil {
					failed.Store(&err)
					return
				}
				sets[i] = []byte(compact)
			}
		})
	}
	wg.Wait()
	if p := failed.Load(); p != nil {
		return *p
	}
	t.made += n
	t.sets = append(t.sets, sets...)
	return nil
}

func (t *transmitter) builder(i int) set.Builder {
	now := time.Now()
	return set.Builder{
		Issuer: t.issuer, Audience: []string{audience}, ID: fmt.Sprintf("756E69717565206964656E74%010d", i), IssuedAt: now,
		TransactionID: fmt.Sprint("txn-", i), Subject: subject.Email(userOf(i)),
		Event: set.Event{Type: typeWanted, Payload: fmt.Appendf(nil,
			`{"event_timestamp":%d,"initiating_entity":"policy","reason_admin":{"en":"Landspeed policy violation"}}`, now.Unix())},
	}
}

// userOf is the address of the user of SET i.
func userOf(i int) string { return fmt.Sprint("jo-", i, subjectHost) }

// take hands out n SETs that were not used yet.
func (t *transmitter) take(n int) ([][]byte, error) {
	if n > len(t.sets) {
		return nil, fmt.Errorf("%d SETs are left of %d", len(t.sets), n)
	}
	some := t.sets[:n]
	t.sets = t.sets[n:]
	return some, nil
}
