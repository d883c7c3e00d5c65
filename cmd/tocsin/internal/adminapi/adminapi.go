// Package adminapi reaches the admin API of a data folder: through the Unix
// socket of the server that runs on it, or, if none does, on the stores
// themselves (contracts.md §7).
package adminapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/node"
	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
)

// SocketFile is the name of the socket in the data folder.
const SocketFile = "admin.sock"

const maxAnswerBytes = 16 << 20

// Client calls the admin API of one folder.
type Client struct {
	http *http.Client
	node *node.Node // open if no server runs
}

// Open finds the server of cfg.Dir or opens the folder. Without a server the
// folder must exist, unless create.
func Open(ctx context.Context, cfg node.Config) (*Client, error) {
	socket := filepath.Join(cfg.Dir, SocketFile)
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}
	if conn, err := dial(ctx, "", ""); err == nil {
		_ = conn.Close()
		return &Client{http: &http.Client{Transport: &http.Transport{DialContext: dial}}}, nil
	}
	n, err := node.Open(ctx, cfg)
	if errors.Is(err, sqlitedb.ErrLocked) {
		return nil, fmt.Errorf("%w; its socket %s does not answer (yet)", err, socket)
	}
	if err != nil {
		return nil, err
	}
	return &Client{node: n, http: &http.Client{Transport: inProcess{n.Transmitter.SocketHandler()}}}, nil
}

// Close closes the folder if this client opened it.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	if c.node == nil {
		return nil
	}
	return c.node.Close()
}

// Error is an answer that is not 2xx.
type Error struct {
	Status      int    `json:"-"`
	Err         string `json:"err"`
	Member      string `json:"member"`
	Description string `json:"description"`
}

// Error tells what the server said.
func (e *Error) Error() string {
	text := e.Description
	if text == "" {
		text = http.StatusText(e.Status)
	}
	if e.Member != "" {
		text = e.Member + " " + text
	}
	return text
}

// Do calls method path with body (nil: none, []byte: as it is, else as JSON)
// and reads the answer into out (nil: not read). Error: *Error for a refusal.
func (c *Client) Do(ctx context.Context, method, path string, body, out any) error {
	var reader io.Reader = http.NoBody
	switch b := body.(type) {
	case nil:
	case []byte:
		reader = bytes.NewReader(b)
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			return err
		}
		reader = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://admin"+path, reader)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("asking the server: %w", err)
	}
	defer resp.Body.Close() //nolint:errcheck // the answer has been read
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if err != nil {
		return fmt.Errorf("reading the server's answer: %w", err)
	}
	if resp.StatusCode/100 != 2 {
		refusal := &Error{Status: resp.StatusCode}
		_ = json.Unmarshal(raw, refusal)
		return refusal
	}
	if out == nil || len(raw) == 0 {
		return nil
	}
	return json.Unmarshal(raw, out)
}

// inProcess answers requests by a handler of this process.
type inProcess struct{ handler http.Handler }

// RoundTrip serves the request.
func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	p.handler.ServeHTTP(w, r)
	return w.Result(), nil
}
