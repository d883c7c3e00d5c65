package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/transmitter/audit"
	"github.com/tocsin-ssf/tocsin/transmitter/checkpoint"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/wholefile"
)

type eventWitnessCmd struct {
	dataFlags
	keyFlag
	printFlags
	File             string `help:"File that keeps the last checkpoint; best on another machine." required:"" placeholder:"FILE"`
	URL              string `help:"Issuer URL of the transmitter, instead of a data folder." name:"url" placeholder:"URL"`
	Token            string `help:"Access token with log.read; better given as TOCSIN_TOKEN." placeholder:"TOKEN"`
	CA               string `help:"CA of the transmitter, PEM, beside the system's." name:"ca" placeholder:"FILE"`
	InsecureLoopback bool   `help:"Allow plain http to loopback."`
}

// Help shows an example.
func (eventWitnessCmd) Help() string {
	return "Example:\n  tocsin event witness --file /mnt/auditor/checkpoint --url https://ssf.example --key log.key\n" +
		"  tocsin event witness --file /mnt/auditor/checkpoint --data ./tocsin-data\n" +
		"Run it every so often. It fails, and keeps what it has, if the log is shorter than it was or has another past: a copy that was\n" +
		"put back, or a fork. Give the file to tocsin event verify-log --since."
}

// source is where checkpoints come from.
type source struct {
	checkpoint func(ctx context.Context) ([]byte, error)
	prove      func(ctx context.Context, from, to uint64) ([]eventlog.Hash, error)
}

// Run fetches the checkpoint, compares it with the last one and keeps it.
func (c eventWitnessCmd) Run(ctx context.Context, std streamsIO) error {
	key, err := c.text()
	if err != nil {
		return err
	}
	if c.URL != "" {
		if key == "" {
			return usage("give the log's key with --key: a key that the server names proves nothing")
		}
		from, err := c.remote()
		if err != nil {
			return err
		}
		return c.keep(ctx, std, key, from)
	}
	return c.with(ctx, false, func(api *adminapi.Client) error {
		if key == "" {
			if key, err = logKey(ctx, api); err != nil {
				return err
			}
		}
		return c.keep(ctx, std, key, local(api))
	})
}

// keep saves the checkpoint of now if the log went on from the one before.
func (c eventWitnessCmd) keep(ctx context.Context, std streamsIO, key string, from source) error {
	text, err := from.checkpoint(ctx)
	if err != nil {
		return err
	}
	now, err := checkpoint.Parse(text, key)
	if err != nil {
		return err
	}
	before, err := readFile(c.File, checkpoint.MaxBytes)
	first := errors.Is(err, fs.ErrNotExist)
	if err != nil && !first {
		return err
	}
	if !first {
		seen, err := checkpoint.Parse(before, key)
		if err != nil {
			return fmt.Errorf("%s: %w", c.File, err)
		}
		if err := audit.Follow(ctx, seen, now, from.prove); err != nil {
			return fmt.Errorf("the log is not the one that %s was signed of: %w", c.File, err)
		}
	}
	if err := wholefile.Replace(c.File, text, 0o600); err != nil {
		return fmt.Errorf("keeping the checkpoint: %w", err)
	}
	told := map[string]any{"origin": now.Origin, "size": now.Size, "file": c.File, "first": first}
	return c.tell(std.out, told, fmt.Sprintf("%s has %d records and goes on from what was seen; kept in %s", now.Origin, now.Size, c.File))
}

// consistency is a consistency proof as both APIs answer it.
type consistency struct {
	Hashes [][]byte `json:"hashes"`
}

// local asks the server of the folder, which signs the head of this moment.
func local(api *adminapi.Client) source {
	return source{
		checkpoint: func(ctx context.Context) ([]byte, error) {
			var h head
			err := api.Do(ctx, http.MethodPost, "/admin/log/checkpoint", nil, &h)
			return []byte(h.Text), err
		},
		prove: func(ctx context.Context, from, to uint64) ([]eventlog.Hash, error) {
			var answer consistency
			if err := api.Do(ctx, http.MethodGet, fmt.Sprintf("/admin/log/proof?from=%d&to=%d", from, to), nil, &answer); err != nil {
				return nil, err
			}
			return hashesOf(answer.Hashes)
		},
	}
}

// remote asks the transmitter's API.
func (c eventWitnessCmd) remote() (source, error) {
	// The address comes from the one who types the command, not from a peer.
	policy := guard.Policy{InsecureLoopback: c.InsecureLoopback, Allow: guard.PrivateRanges()}
	if c.CA != "" {
		pool, err := caPool(c.CA)
		if err != nil {
			return source{}, err
		}
		policy.RootCAs = pool
	}
	client := guard.NewClient(policy)
	get := func(ctx context.Context, path string) ([]byte, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(c.URL, "/")+"/v1/log"+path, http.NoBody)
		if err != nil {
			return nil, err
		}
		if c.Token != "" {
			r.Header.Set("Authorization", "Bearer "+c.Token)
		}
		answer, err := client.Do(r)
		if err != nil {
			return nil, fmt.Errorf("asking the transmitter: %w", err)
		}
		defer answer.Body.Close() // it has been read
		body, err := guard.ReadBody(answer.Body, checkpoint.MaxBytes)
		if err == nil && answer.StatusCode != http.StatusOK {
			err = fmt.Errorf("the transmitter answered %s", answer.Status)
		}
		return body, err
	}
	return source{
		checkpoint: func(ctx context.Context) ([]byte, error) { return get(ctx, "/checkpoint") },
		prove: func(ctx context.Context, from, to uint64) ([]eventlog.Hash, error) {
			body, err := get(ctx, fmt.Sprintf("/proof?from=%d&to=%d", from, to))
			if err != nil {
				return nil, err
			}
			var answer consistency
			if err := json.Unmarshal(body, &answer); err != nil {
				return nil, fmt.Errorf("the transmitter's answer is no proof: %w", err)
			}
			return hashesOf(answer.Hashes)
		},
	}, nil
}
