package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/transmitter/audit"
	"github.com/tocsin-ssf/tocsin/transmitter/checkpoint"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// proofCmds are the commands of the log's tree.
type proofCmds struct {
	Prove       eventProveCmd       `cmd:"" help:"Print a proof that an event is in the log, and that a SET came of it."`
	VerifyProof eventVerifyProofCmd `cmd:"" name:"verify-proof" help:"Verify such a proof, offline, with the log's key."`
	VerifyLog   eventVerifyLogCmd   `cmd:"" name:"verify-log" help:"Check the whole log: every record, the tree over them, every checkpoint."`
	Witness     eventWitnessCmd     `cmd:"" help:"Keep the log's last checkpoint elsewhere, after checking that the log went on from it."`
	LogKey      eventLogKeyCmd      `cmd:"" name:"log-key" help:"Print the key that the log's checkpoints are verified with."`
}

// keyFlag names the log's verifier key.
type keyFlag struct {
	Key string `help:"The log's verifier key: its text, or a file with it (tocsin event log-key)." placeholder:"KEY|FILE"`
}

// maxLogKey bounds a file with a key.
const maxLogKey = 4 << 10

// text returns the key; "" if none was given.
func (f keyFlag) text() (string, error) {
	if f.Key == "" || strings.Count(f.Key, "+") >= 2 && !exists(f.Key) {
		return f.Key, nil
	}
	raw, err := readFile(f.Key, maxLogKey)
	if err != nil {
		return "", fmt.Errorf("the key is neither a verifier key nor a file with one: %w", err)
	}
	return strings.TrimSpace(string(raw)), nil
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

type eventProveCmd struct {
	dataFlags
	jsonFlag
	JTI    string `help:"Prove also that the SET with this jti came of the event." name:"jti" placeholder:"JTI"`
	Stream string `help:"The SET's stream, if it does not exist any more." placeholder:"STREAM-ID"`
	ID     string `arg:"" help:"The event's id; of a SET, its txn. Behind -- if it begins with a dash."`
}

// Help shows an example.
func (eventProveCmd) Help() string {
	return "Example:\n  tocsin event prove 3Jq9mX2vQkq0f1bJ9nVb8g\n" +
		"Keep what it prints: the proof has all that the event says. The command verify-proof verifies it, and so do\n" +
		"public tools (docs/audit.md)."
}

// Run prints the proof.
func (c eventProveCmd) Run(ctx context.Context, std streamsIO) error {
	query := url.Values{}
	if c.JTI != "" {
		query.Set("jti", c.JTI)
	}
	if c.Stream != "" {
		query.Set("stream_id", c.Stream)
	}
	return c.with(ctx, false, func(api *adminapi.Client) error {
		var proof json.RawMessage
		if err := api.Do(ctx, http.MethodGet, "/admin/events/"+url.PathEscape(c.ID)+"/proof?"+query.Encode(), nil, &proof); err != nil {
			return err
		}
		return printJSON(std.out, proof)
	})
}

type eventVerifyProofCmd struct {
	keyFlag
	printFlags
	File string `arg:"" help:"The proof; - for standard input."`
}

// Help shows an example.
func (eventVerifyProofCmd) Help() string {
	return "Example:\n  tocsin event verify-proof --key log.key proof.json"
}

// provenFacts are what a proof has shown, for people and programs.
type provenFacts struct {
	Origin   string        `json:"origin"`
	Size     uint64        `json:"size"`
	Seq      uint64        `json:"seq"`
	Kind     eventlog.Kind `json:"kind"`
	Recorded time.Time     `json:"recorded_at"`
	Type     string        `json:"type,omitempty"`
	Erased   bool          `json:"erased,omitempty"`
	ErasedBy []uint64      `json:"erased_by,omitempty"`
	Withheld bool          `json:"withheld,omitempty"`
	Set      *audit.Set    `json:"set,omitempty"`
}

// Run verifies and tells what was proven. It fails if the proof does not hold.
func (c eventVerifyProofCmd) Run(std streamsIO) error {
	key, err := c.text()
	if err != nil {
		return err
	}
	if key == "" {
		return usage("give the log's key with --key")
	}
	var raw []byte
	if c.File == "-" {
		raw, err = guard.ReadBody(std.in, audit.MaxProofBytes)
	} else {
		raw, err = readFile(c.File, audit.MaxProofBytes)
	}
	if err != nil {
		return err
	}
	proof, err := audit.ParseProof(raw)
	if err != nil {
		return err
	}
	verified, err := proof.Verify(key)
	if err != nil {
		return err
	}
	rec := verified.Record
	s := provenFacts{
		Origin: verified.Checkpoint.Origin, Size: verified.Checkpoint.Size, Seq: rec.Seq, Kind: rec.Kind, Recorded: rec.Recorded, Type: rec.Type,
		Erased: proof.Erased, ErasedBy: proof.ErasedBy, Withheld: proof.Withheld, Set: proof.Set,
	}
	return c.tell(std.out, s, s.String())
}

// String tells it in a few lines.
func (s provenFacts) String() string {
	text := fmt.Sprintf("proven: record %d of the %d of %s", s.Seq, s.Size, s.Origin)
	switch {
	case s.Erased:
		text += fmt.Sprintf("\nits content was erased (told by the records %v); only its place is proven", s.ErasedBy)
	case s.Withheld:
		text += fmt.Sprintf("\nrecorded at %s; its content is withheld", s.Recorded.Format(time.RFC3339Nano))
	default:
		text += fmt.Sprintf("\nrecorded at %s, type %s, with the content in the proof", s.Recorded.Format(time.RFC3339Nano), s.Type)
	}
	if s.Set != nil {
		text += fmt.Sprintf("\nproven: the SET %s (%s) of stream %s came of it", s.Set.JTI, s.Set.EventType, s.Set.StreamID)
	}
	return text
}

type eventLogKeyCmd struct {
	dataFlags
	printFlags
}

// Help shows an example.
func (eventLogKeyCmd) Help() string {
	return "Example:\n  tocsin event log-key\nAuditors need it once, by a way they trust."
}

// Run prints the key.
func (c eventLogKeyCmd) Run(ctx context.Context, std streamsIO) error {
	return c.with(ctx, false, func(api *adminapi.Client) error {
		key, err := logKey(ctx, api)
		if err != nil {
			return err
		}
		return c.tell(std.out, map[string]string{"key": key}, key)
	})
}

func logKey(ctx context.Context, api *adminapi.Client) (string, error) {
	var key struct {
		Key string `json:"key"`
	}
	err := api.Do(ctx, http.MethodGet, "/admin/log/key", nil, &key)
	return key.Key, err
}

// head is a checkpoint as the admin API gives it.
type head struct {
	Size uint64    `json:"size"`
	Root []byte    `json:"root"`
	Made time.Time `json:"made"`
	Text string    `json:"text"`
}

func (h head) checkpoint() checkpoint.Checkpoint {
	c := checkpoint.Checkpoint{Made: h.Made, Text: []byte(h.Text)}
	c.Size = h.Size
	copy(c.Root[:], h.Root)
	c.Origin, _, _ = strings.Cut(h.Text, "\n")
	return c
}

// hashesOf turns hashes of an answer into ours. Error: of one of another length.
func hashesOf(list [][]byte) ([]eventlog.Hash, error) {
	out := make([]eventlog.Hash, len(list))
	for i, h := range list {
		if len(h) != eventlog.HashSize {
			return nil, fmt.Errorf("the server answered a hash of %d bytes", len(h))
		}
		out[i] = eventlog.Hash(h)
	}
	return out, nil
}
