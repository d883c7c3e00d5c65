package bench

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/localca"
)

const (
	tlsHeld  = 256 // connections that are kept at once
	tlsFresh = 400 // requests, each on a connection of its own
	// chainBytes is about what a chain of certificates takes.
	chainBytes = 64 << 10
)

// tlsServer says where a sink answers by TLS.
type tlsServer struct {
	URL string `json:"url"`
	CA  []byte `json:"ca"` // PEM
}

// tlsAnswer is what connections by TLS cost the client.
type tlsAnswer struct {
	Fresh float64 `json:"fresh"` // CPU of a connection that is opened, µs
	Kept  float64 `json:"kept"`  // memory of one that is kept, bytes
}

// tls serves by TLS, with a certificate of a CA of our own. It answers at once, but /hold,
// which is answered once tlsHeld wait.
func (s *sink) tls(ctx context.Context) (tlsServer, error) {
	dir, err := os.MkdirTemp("", "tocsin-bench-")
	if err != nil {
		return tlsServer{}, err
	}
	defer os.RemoveAll(dir) // the key is in memory
	cert, caFile, err := localca.Certificate(dir, []string{"localhost", "127.0.0.1"}, nil)
	if err != nil {
		return tlsServer{}, err
	}
	ca, err := os.ReadFile(caFile)
	if err != nil {
		return tlsServer{}, err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return tlsServer{}, err
	}
	var mu sync.Mutex
	waiting, begin := 0, make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusAccepted)
	})
	mux.HandleFunc("/hold", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		mu.Lock()
		if waiting++; waiting == tlsHeld {
			close(begin)
		}
		mu.Unlock()
		select {
		case <-begin:
		case <-r.Context().Done():
		}
		w.WriteHeader(http.StatusAccepted)
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: callTime, TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}}
	go func() { _ = server.ServeTLS(l, "", "") }()
	go func() { <-s.over; _ = server.Close() }()
	return tlsServer{URL: "https://" + l.Addr().String(), CA: ca}, nil
}

// tls measures connections to a server: what one costs to open, beyond a request on one
// that is kept, and what memory one takes that is kept.
func (l *load) tls(ctx context.Context, c tlsServer) (tlsAnswer, error) {
	roots := x509.NewCertPool()
	if len(c.CA) > chainBytes || !roots.AppendCertsFromPEM(c.CA) {
		return tlsAnswer{}, errors.New("the certificate cannot be read")
	}
	client := func(fresh bool) *http.Client {
		return &http.Client{Timeout: callTime, Transport: &http.Transport{
			MaxIdleConnsPerHost: tlsHeld, DisableKeepAlives: fresh, DisableCompression: true,
			TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		}}
	}
	each := func(client *http.Client) (float64, error) {
		before, err := cpuOf(os.Getpid())
		if err != nil {
			return 0, err
		}
		for range tlsFresh {
			if err := postTo(ctx, client, c.URL+"/"); err != nil {
				return 0, err
			}
		}
		after, err := cpuOf(os.Getpid())
		return micros(after-before) / tlsFresh, err
	}
	keeping := client(false)
	defer keeping.CloseIdleConnections()
	kept, err := each(keeping)
	if err != nil {
		return tlsAnswer{}, err
	}
	fresh, err := each(client(true))
	if err != nil {
		return tlsAnswer{}, err
	}
	before := inUse()
	group, inner := errgroup.WithContext(ctx)
	for range tlsHeld {
		group.Go(func() error { return postTo(inner, keeping, c.URL+"/hold") })
	}
	if err := errors.Join(group.Wait(), pause(ctx, quietTime)); err != nil { // until they are idle
		return tlsAnswer{}, err
	}
	return tlsAnswer{Fresh: max(fresh-kept, 0), Kept: max(inUse()-before, 0) / tlsHeld}, nil
}

// inUse is the memory of this process that is in use, in bytes.
func inUse() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc + m.StackInuse)
}

func postTo(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(make([]byte, recordBytes)))
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return errors.Join(err, resp.Body.Close())
}
