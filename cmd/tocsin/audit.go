package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
)

// maxActs bounds --limit.
const maxActs = 100_000

// actsPage is how many acts are asked for at a time.
const actsPage = 500

type auditCmd struct {
	dataFlags
	printFlags
	Act    string    `help:"Acts of this name alone, such as client.add." placeholder:"NAME"`
	By     string    `help:"Acts of this client alone, of this user of the machine as uid:1000, of who signed in with an OpenID Provider as person:NAME, or of a node by itself as node:NAME." placeholder:"WHO"`
	Object string    `help:"Acts on what has this id: a client, an application, a stream, a key, …" placeholder:"ID"`
	Since  time.Time `help:"Acts from this time on (RFC 3339)." placeholder:"TIME"`
	Until  time.Time `help:"Acts before this time (RFC 3339)." placeholder:"TIME"`
	Limit  int       `help:"At most so many, the newest (default: ${default})." default:"100" placeholder:"N"`
}

// Help shows an example.
func (auditCmd) Help() string {
	return "Example:\n  tocsin audit --act client.add --json\n" +
		"Every administrative act is an entry of the event log: tocsin event verify-log checks them with all else."
}

// performed is an act as the admin API shows it.
type performed struct {
	Time    time.Time                  `json:"time"`
	Act     string                     `json:"act"`
	Outcome string                     `json:"outcome"`
	From    string                     `json:"from"`
	Objects map[string]string          `json:"objects"`
	Set     map[string]json.RawMessage `json:"set"`
	By      struct {
		Node   string `json:"node"`
		Client string `json:"client"`
		Person string `json:"person"`
		UID    *int   `json:"uid"`
		PID    *int   `json:"pid"`
	} `json:"by"`
}

func (p *performed) who() string {
	switch {
	case p.By.UID != nil && p.By.PID != nil:
		return fmt.Sprintf("uid:%d/pid:%d", *p.By.UID, *p.By.PID)
	case p.By.UID != nil: // by web pages
		return fmt.Sprintf("uid:%d", *p.By.UID)
	case p.By.Node != "":
		return "node:" + p.By.Node
	case p.By.Person != "":
		return "person:" + p.By.Person
	}
	return p.By.Client
}

func (p *performed) on() string {
	parts := make([]string, 0, len(p.Objects))
	for _, what := range slices.Sorted(maps.Keys(p.Objects)) {
		parts = append(parts, what+"="+p.Objects[what])
	}
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, ",")
}

// Run prints the acts, newest first.
func (c auditCmd) Run(ctx context.Context, std streamsIO) error {
	wanted := wantedActs{c.Act, c.By, c.Object, c.Since, c.Until, c.Limit}
	if err := wanted.check(); err != nil {
		return err
	}
	return c.with(ctx, false, func(api *adminapi.Client) error { return wanted.print(ctx, api, c.printFlags, std.out) })
}

// wantedActs are those that a command lists.
type wantedActs struct {
	act, by, object string
	since, until    time.Time
	limit           int
}

func (a wantedActs) check() error {
	if a.limit < 1 || a.limit > maxActs {
		return usage("--limit must be 1 to %d", maxActs)
	}
	return nil
}

func (a wantedActs) print(ctx context.Context, api *adminapi.Client, how printFlags, out io.Writer) error {
	raw, err := a.read(ctx, api)
	if err != nil {
		return err
	}
	list := make([]performed, len(raw))
	for i := range raw {
		if err := json.Unmarshal(raw[i], &list[i]); err != nil {
			return fmt.Errorf("reading the server's answer: %w", err)
		}
	}
	return how.print(out, raw, "TIME ACT OUTCOME BY FROM ON", func(w io.Writer) {
		for i := range list {
			p := &list[i]
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", p.Time.Format(time.DateTime), p.Act, p.Outcome, p.who(), p.From, p.on())
		}
	})
}

// read reads page by page up to the limit.
func (a wantedActs) read(ctx context.Context, api *adminapi.Client) ([]json.RawMessage, error) {
	all := []json.RawMessage{}
	for next := ""; len(all) < a.limit; {
		var page struct {
			Acts []json.RawMessage `json:"acts"`
			Next string            `json:"next"`
		}
		if err := api.Do(ctx, http.MethodGet, "/admin/acts?"+a.query(next, min(actsPage, a.limit-len(all))), nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Acts...)
		if next = page.Next; next == "" {
			break
		}
	}
	return all, nil
}

func (a wantedActs) query(before string, limit int) string {
	q := url.Values{"limit": {strconv.Itoa(limit)}}
	for name, v := range map[string]string{"act": a.act, "by": a.by, "object": a.object, "before": before} {
		if v != "" {
			q.Set(name, v)
		}
	}
	for name, at := range map[string]time.Time{"since": a.since, "until": a.until} {
		if !at.IsZero() {
			q.Set(name, at.Format(time.RFC3339))
		}
	}
	return q.Encode()
}
