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
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/node"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
)

// maxAnswerBytes bounds an answer of the server.
const maxAnswerBytes = 16 << 20

// retryEvery is how often a folder is looked at that another process holds.
const retryEvery = 50 * time.Millisecond

// Client calls the admin API of one folder.
type Client struct {
	http *http.Client
	stop func() error // gives the folder free that was opened; nil: a server has it
}

// Of returns a client of a folder that the caller has opened: h answers its requests,
// and Close calls stop.
func Of(h http.Handler, stop func() error) *Client {
	return &Client{stop: stop, http: &http.Client{Transport: inProcess{handler: h}}}
}

// Behind returns a client of a handler of this process that tells by the context of a
// request who asks: for web pages.
func Behind(h http.Handler) *Client {
	return &Client{http: &http.Client{Transport: inProcess{handler: h, asked: true}}}
}

// Open finds the server of cfg.Dir, or opens the folder, which is made if
// there is none. For as long as patience it waits for a process that holds the
// folder and does not answer: a server that starts or ends, another command.
//
// Error: sqlitedb.ErrLocked (by errors.Is) if it still does.
func Open(ctx context.Context, cfg node.Config, patience time.Duration) (*Client, error) {
	var c *Client
	err := Patiently(ctx, patience, func() (err error) {
		c, err = open(ctx, cfg)
		return err
	})
	return c, err
}

// Patiently calls fn until it does not find the folder locked, for as long as
// patience. Errors: ctx's; fn's last.
func Patiently(ctx context.Context, patience time.Duration, fn func() error) error {
	end := time.NewTimer(patience)
	defer end.Stop()
	again := time.NewTicker(retryEvery)
	defer again.Stop()
	for {
		err := fn()
		if !errors.Is(err, sqlitedb.ErrLocked) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-end.C:
			return fmt.Errorf("%w; no server answers on its %s", err, SocketFile)
		case <-again.C:
		}
	}
}

func open(ctx context.Context, cfg node.Config) (*Client, error) {
	if c := Server(ctx, cfg.Dir); c != nil {
		return c, nil
	}
	n, err := node.Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	idle := follow(ctx, n)
	return Of(n.Transmitter.SocketHandler(), func() error { idle(); return n.Close() }), nil
}

// follow runs the index of a folder, which commands wait for, until the
// returned function is called. What it has done stays.
func follow(ctx context.Context, n *node.Node) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = n.Index.Run(ctx) // it logs what fails, and returns nil
	}()
	return func() { cancel(); <-done }
}

// Server returns a client of the server that runs on dir; nil if none answers.
func Server(ctx context.Context, dir string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return Dial(ctx, dir) }
	conn, err := dial(ctx, "", "")
	if err != nil {
		return nil
	}
	_ = conn.Close()
	return &Client{http: &http.Client{Transport: &http.Transport{DialContext: dial}}}
}

// Close closes the folder if this client opened it.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	if c.stop == nil {
		return nil
	}
	return c.stop()
}

// Error is an answer that is not 2xx.
type Error struct {
	Status      int
	Code        string
	Member      string // of the request that is wrong; "" for none
	Description string
	Body        []byte // the answer as it came
}

// Error tells what the server said.
func (e *Error) Error() string {
	text := e.Description
	if text == "" {
		text = fmt.Sprintf("the server answered %d %s", e.Status, http.StatusText(e.Status))
	}
	if e.Member != "" {
		text = e.Member + " " + text
	}
	return text
}

// refusal reads the body of an answer that is not 2xx: the API's errors, and
// those of an event that was refused.
func refusal(status int, body []byte) *Error {
	var said struct {
		Err         string `json:"err"`
		Member      string `json:"member"`
		Description string `json:"description"`
		Error       struct {
			Code        string `json:"code"`
			Member      string `json:"member"`
			Description string `json:"description"`
		} `json:"error"`
	}
	if json.Unmarshal(body, &said) == nil && said.Err == "" {
		said.Err, said.Member, said.Description = said.Error.Code, said.Error.Member, said.Error.Description
	}
	return &Error{Status: status, Code: said.Err, Member: said.Member, Description: said.Description, Body: body}
}

// Do calls method path with body (nil: none, []byte: as it is, else as JSON)
// and reads the answer into out (nil: not read, *[]byte: as it is, else from JSON).
// Error: *Error for a refusal.
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
	defer resp.Body.Close() // the answer has been read
	raw, err := guard.ReadBody(resp.Body, maxAnswerBytes)
	if err != nil {
		return fmt.Errorf("reading the server's answer: %w", err)
	}
	if resp.StatusCode/100 != 2 {
		return refusal(resp.StatusCode, raw)
	}
	if text, ok := out.(*[]byte); ok {
		*text = raw
		return nil
	}
	if out == nil || len(raw) == 0 {
		return nil
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return fmt.Errorf("reading the server's answer: %w", err)
	}
	return nil
}
