package credential

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/oauth2"

	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
)

// killDelay is how long a command that has to end is waited for.
const killDelay = time.Second

// command gets tokens by running a program.
type command Config

// token runs the program once.
func (c command) token(ctx context.Context) (*oauth2.Token, error) {
	printed, err := c.run(ctx)
	if err != nil {
		return nil, err
	}
	text := strings.TrimSpace(string(printed))
	if !strings.HasPrefix(text, "{") {
		return &oauth2.Token{AccessToken: text, Expiry: time.Now().Add(c.Lifetime)}, nil
	}
	var answer struct {
		AccessToken string   `json:"access_token"`
		ExpiresIn   *float64 `json:"expires_in"`
	}
	if json.Unmarshal([]byte(text), &answer) != nil {
		return nil, errors.New("credential: Config.Command printed JSON that is no token answer")
	}
	life := c.Lifetime
	if answer.ExpiresIn != nil {
		const year = 365 * 24 * 60 * 60 // more is no time.Duration for ever
		life = time.Duration(min(max(*answer.ExpiresIn, 0), year) * float64(time.Second))
	}
	return &oauth2.Token{AccessToken: answer.AccessToken, Expiry: time.Now().Add(life)}, nil
}

// run returns what the program prints. What it says on stderr may be a secret and is
// left out.
func (c command) run(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	program := exec.CommandContext(ctx, c.Command[0], c.Command[1:]...)
	out := &bounded{limit: MaxTokenBytes}
	program.Stdout, program.WaitDelay = out, killDelay
	err := program.Run()
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("credential: Config.Command: %w", context.Cause(ctx))
	case out.full:
		return nil, fmt.Errorf("credential: Config.Command: %w", &guard.TooLargeError{Limit: MaxTokenBytes})
	case err != nil:
		return nil, fmt.Errorf("credential: Config.Command: %w", err)
	}
	return out.buf.Bytes(), nil
}

// bounded keeps what is written up to its limit and fails beyond it.
type bounded struct {
	buf   bytes.Buffer
	limit int
	full  bool
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.buf.Len()+len(p) > b.limit {
		b.full = true
		return 0, guard.ErrTooLarge
	}
	return b.buf.Write(p)
}
