package bench

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Definitions of the floors; Definitions tells them to people.
const (
	recordBytes = 600 // of a synced append and of a POST's body
	commitGroup = 8   // appends that share one sync: the workload's senders
	rsaBits     = 2048
	signedBytes = 800 // of an EdDSA signature's input
)

// Definitions says what the floors are.
func Definitions() string {
	return fmt.Sprintf(`Floors, in CPU time with all CPUs busy, as they are in a round:
  RS256 signature   crypto/rsa PKCS #1 v1.5, %d bits, of a digest
  EdDSA signature   crypto/ed25519, of %d bytes
  RSA check         crypto/rsa PKCS #1 v1.5, and the digest
  synced append     %d bytes appended to a file, %d appends sharing one fsync
  loopback POST     one whole exchange, client and server together, net/http
                    on a kept connection, %d bytes of body
idle-latency takes the same in wall time, one after the other, an append with
an fsync of its own, at the pace of its events.
`, rsaBits, signedBytes, recordBytes, commitGroup, recordBytes)
}

// floor measures what the machine needs at least.
type floor struct {
	rsaKey *rsa.PrivateKey
	edKey  ed25519.PrivateKey
	digest [sha256.Size]byte
	file   *os.File
	server *http.Server
	url    string
	client *http.Client
	cores  int
	seen   map[string][]float64 // medians for the report, µs
}

func newFloor(dir string) (*floor, error) {
	f := &floor{cores: runtime.GOMAXPROCS(0), seen: map[string][]float64{}}
	var err error
	if f.rsaKey, err = rsa.GenerateKey(rand.Reader, rsaBits); err != nil {
		return nil, err
	}
	if _, f.edKey, err = ed25519.GenerateKey(rand.Reader); err != nil {
		return nil, err
	}
	if f.file, err = os.Create(filepath.Join(dir, "floor")); err != nil {
		return nil, err
	}
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, f.file.Close())
	}
	f.url = "http://" + l.Addr().String()
	f.server = &http.Server{ReadHeaderTimeout: callTime, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusAccepted)
	})}
	go func() { _ = f.server.Serve(l) }()
	f.client = newHTTPClient()
	return f, nil
}

func (f *floor) close() error {
	f.client.CloseIdleConnections()
	return errors.Join(f.server.Close(), f.file.Close())
}

// signRS256 returns the CPU time of one signature, in µs.
func (f *floor) signRS256() (float64, error) {
	return f.cpu("rs256_sign_us", 400, f.cores, f.oneRS256)
}

func (f *floor) oneRS256() error {
	_, err := rsa.SignPKCS1v15(nil, f.rsaKey, crypto.SHA256, f.digest[:])
	return err
}

// signES256 returns the CPU time of one signature, in µs.
func (f *floor) signES256() (float64, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return 0, err
	}
	return f.cpu("es256_sign_us", 6000, f.cores, func() error {
		_, _, err := ecdsa.Sign(rand.Reader, key, f.digest[:])
		return err
	})
}

// signEdDSA returns the CPU time of one signature, in µs.
func (f *floor) signEdDSA() (float64, error) {
	message := make([]byte, signedBytes)
	return f.cpu("eddsa_sign_us", 6000, f.cores, func() error {
		_ = ed25519.Sign(f.edKey, message)
		return nil
	})
}

// syncedAppend returns the CPU time of one append, in µs, of a group that
// shares one sync.
func (f *floor) syncedAppend() (float64, error) {
	record := make([]byte, recordBytes)
	us, err := f.cpu("", 200, 1, func() error {
		for range commitGroup {
			if _, err := f.file.Write(record); err != nil {
				return err
			}
		}
		return f.file.Sync()
	})
	us /= commitGroup
	f.note("synced_append_us", us)
	return us, err
}

// post returns the CPU time of one exchange, both sides, in µs.
func (f *floor) post() (float64, error) {
	return f.cpu("loopback_post_us", 3000, commitGroup, f.onePost)
}

func (f *floor) onePost() error {
	resp, err := f.client.Post(f.url, "application/json", bytes.NewReader(make([]byte, recordBytes)))
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return errors.Join(err, resp.Body.Close())
}

// cpu runs work n times, workers at once, and returns the process' CPU time
// of one in µs. It is noted under name, unless that is "".
func (f *floor) cpu(name string, n, workers int, work func() error) (float64, error) {
	var (
		next   atomic.Int64
		wg     sync.WaitGroup
		failed atomic.Pointer[error]
	)
	before, err := cpuOf(os.Getpid())
	if err != nil {
		return 0, err
	}
	for range workers {
		wg.Go(func() {
			for next.Add(1) <= int64(n) {
				if err := work(); err != nil {
					failed.Store(&err)
					return
				}
			}
		})
	}
	wg.Wait()
	after, err := cpuOf(os.Getpid())
	if err != nil {
		return 0, err
	}
	if p := failed.Load(); p != nil {
		return 0, *p
	}
	us := micros(after-before) / float64(n)
	if name != "" {
		f.note(name, us)
	}
	return us, nil
}

func (f *floor) note(name string, us float64) { f.seen[name] = append(f.seen[name], us) }

// chain returns the wall time, in µs, of a signature, a synced append and two
// loopback POSTs one after the other: the median of n, gap apart.
func (f *floor) chain(ctx context.Context, n int, gap time.Duration) (float64, error) {
	record := make([]byte, recordBytes)
	steps := []func() error{f.onePost, func() error {
		if _, err := f.file.Write(record); err != nil {
			return err
		}
		return f.file.Sync()
	}, f.oneRS256, f.onePost}
	var took []float64
	for range n {
		if err := pause(ctx, gap); err != nil {
			return 0, err
		}
		start := time.Now()
		for _, step := range steps {
			if err := step(); err != nil {
				return 0, err
			}
		}
		took = append(took, micros(time.Since(start)))
	}
	f.note("idle_chain_wall_us", median(took))
	return median(took), nil
}

// sum adds floors.
func sum(floors ...func() (float64, error)) (float64, error) {
	var total float64
	for _, one := range floors {
		us, err := one()
		if err != nil {
			return 0, fmt.Errorf("measuring the floor: %w", err)
		}
		total += us
	}
	return total, nil
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
