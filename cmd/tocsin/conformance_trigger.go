package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/conformance/transmitters"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
)

// Bounds on a trigger.
const (
	triggerTime   = 30 * time.Second
	triggerOutput = 4 << 10
)

// trigger fills in how events are made, if they are.
func (c conformanceTransmitterCmd) trigger(cfg *transmitters.Config) {
	switch {
	case c.TriggerCmd != "":
		cfg.Trigger = c.triggerByCommand
	case c.TriggerURL != "":
		client := cfg.HTTP
		cfg.Trigger = func(ctx context.Context, e transmitters.Event) error { return c.triggerByURL(ctx, client, e) }
	}
}

// triggerByCommand runs the command, with the event in its environment.
func (c conformanceTransmitterCmd) triggerByCommand(ctx context.Context, e transmitters.Event) error {
	ctx, cancel := context.WithTimeout(ctx, triggerTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", c.TriggerCmd)
	cmd.Env = append(os.Environ(), "SSF_EVENT_TYPE="+e.Type, "SSF_SUBJECT="+string(e.Subject), "SSF_EVENT_DATA="+string(e.Data))
	var out firstBytes
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("the trigger command: %w: %s", err, strings.TrimSpace(out.buf.String()))
	}
	return nil
}

// firstBytes keeps the first bytes that are written to it.
type firstBytes struct{ buf bytes.Buffer }

// Write keeps what fits.
func (h *firstBytes) Write(p []byte) (int, error) {
	h.buf.Write(p[:min(len(p), triggerOutput-h.buf.Len())])
	return len(p), nil
}

// triggerByURL sends the event.
func (c conformanceTransmitterCmd) triggerByURL(ctx context.Context, client *http.Client, e transmitters.Event) error {
	ctx, cancel := context.WithTimeout(ctx, triggerTime)
	defer cancel()
	body, err := json.Marshal(map[string]any{"type": e.Type, "subject": e.Subject, "data": e.Data})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.TriggerURL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if c.TriggerAuthorization != "" {
		req.Header.Set("Authorization", c.TriggerAuthorization)
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("the trigger: %w", guard.Cause(err))
	}
	defer resp.Body.Close() // read as far as it is shown
	said, err := guard.ReadBody(resp.Body, triggerOutput)
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("the trigger answers %d: %s", resp.StatusCode, said)
	}
	if err != nil && !errors.Is(err, guard.ErrTooLarge) {
		return fmt.Errorf("the trigger: %w", guard.Cause(err))
	}
	return nil
}
