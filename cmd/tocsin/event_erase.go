package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
)

// erasure is an order of erasure as the admin API shows it.
type erasure struct {
	ID         string     `json:"id"`
	State      string     `json:"state"`
	Ordered    time.Time  `json:"ordered_at"`
	Done       *time.Time `json:"done_at,omitempty"`
	Reason     string     `json:"reason,omitempty"`
	By         string     `json:"by,omitempty"`
	Waiting    int        `json:"waiting,omitempty"`
	Records    int        `json:"records"`
	Entries    int        `json:"entries"`
	Registered int        `json:"registered"`
	Dropped    []string   `json:"dropped,omitempty"`
	Count      int        `json:"dropped_count"`
}

// text tells people where it stands.
func (e erasure) text() string {
	if e.State != "done" {
		if e.Waiting > 0 {
			return fmt.Sprintf("%s is pending: %d SETs of the subject are still to be delivered (--now drops them)", e.ID, e.Waiting)
		}
		return e.ID + " is pending: the running server carries it out; see tocsin event erase --status " + e.ID
	}
	text := fmt.Sprintf("%s is done: %d events, %d entries about them, %d subjects of streams erased", e.ID, e.Records, e.Entries, e.Registered)
	if e.Count > 0 {
		text += fmt.Sprintf("; %d undelivered SETs dropped: %s", e.Count, strings.Join(e.Dropped, " "))
	}
	return text
}

type eventEraseCmd struct {
	dataFlags
	printFlags
	Subject string        `help:"Subject identifier, or an array of all that are known of one subject, as JSON." placeholder:"JSON"`
	Reason  string        `help:"Why; it stays in the log." placeholder:"TEXT"`
	Now     bool          `help:"Drop the subject's undelivered SETs, and name them, instead of waiting for them."`
	Wait    time.Duration `help:"Wait so long for it to take effect." default:"0s"`
	Status  string        `help:"Show what became of an order." placeholder:"ID"`
	Pending bool          `help:"List the orders that are still to be carried out."`
}

// Help shows an example.
func (eventEraseCmd) Help() string {
	return "Example:\n  tocsin event erase --subject '[{\"format\":\"email\",\"email\":\"jo@example.com\"}]' --reason 'ticket 7' --wait 1m\n" +
		"Events without one of the identifiers are not found. Leaves and proofs of the log stay valid. A legal hold (tocsin event hold) stops it."
}

// Run orders, or tells what became of an order.
func (c eventEraseCmd) Run(ctx context.Context, std streamsIO) error {
	given := 0
	for _, is := range []bool{c.Subject != "", c.Status != "", c.Pending} {
		if is {
			given++
		}
	}
	if given != 1 {
		return usage("give one of --subject, --status and --pending")
	}
	if c.Subject != "" && !json.Valid([]byte(c.Subject)) {
		return usage("the --subject is not JSON, as %s is", subjectExample)
	}
	return c.with(ctx, false, func(api *adminapi.Client) error {
		switch {
		case c.Pending:
			return c.list(ctx, std, api)
		case c.Status != "":
			return c.show(ctx, std, api, c.Status)
		}
		var made erasure
		ask := map[string]any{"subject": json.RawMessage(c.Subject), "reason": c.Reason, "now": c.Now}
		if err := api.Do(ctx, http.MethodPost, "/admin/erasures", ask, &made); err != nil {
			return err
		}
		return c.show(ctx, std, api, made.ID)
	})
}

// waitStep is how often an order is looked at.
const waitStep = 200 * time.Millisecond

// show prints what became of an order, after waiting for it if asked to.
func (c eventEraseCmd) show(ctx context.Context, std streamsIO, api *adminapi.Client, id string) error {
	waited, cancel := context.WithTimeout(ctx, c.Wait)
	defer cancel()
	step := time.NewTicker(waitStep)
	defer step.Stop()
	for {
		var e erasure
		if err := api.Do(ctx, http.MethodGet, "/admin/erasures/"+url.PathEscape(id), nil, &e); err != nil {
			return err
		}
		if e.State == "done" || waited.Err() != nil {
			if err := c.tell(std.out, e, e.text()); err != nil || c.Wait == 0 || e.State == "done" {
				return err
			}
			return errors.New("it has not taken effect yet")
		}
		select {
		case <-waited.Done():
		case <-step.C:
		}
	}
}

func (c eventEraseCmd) list(ctx context.Context, std streamsIO, api *adminapi.Client) error {
	var answer struct {
		Erasures []erasure `json:"erasures"`
	}
	if err := api.Do(ctx, http.MethodGet, "/admin/erasures", nil, &answer); err != nil {
		return err
	}
	return c.print(std.out, answer.Erasures, "ID ORDERED WAITING BY REASON", func(w io.Writer) {
		for _, e := range answer.Erasures {
			fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\n", e.ID, e.Ordered.Format(time.DateTime), e.Waiting, e.By, e.Reason)
		}
	})
}

type eventHoldCmd struct {
	Set  eventHoldSetCmd  `cmd:"" help:"Set a legal hold: what is known of the subject is not erased, by order or by age."`
	Lift eventHoldLiftCmd `cmd:"" help:"Lift a legal hold."`
	List eventHoldListCmd `cmd:"" help:"List the legal holds, lifted ones too."`
}

// hold is a legal hold as the admin API shows it.
type hold struct {
	ID       string            `json:"id"`
	Subjects []json.RawMessage `json:"subjects,omitempty"`
	Reason   string            `json:"reason,omitempty"`
	By       string            `json:"by,omitempty"`
	Set      time.Time         `json:"set_at"`
	Lifted   *time.Time        `json:"lifted_at,omitempty"`
	LiftedBy string            `json:"lifted_by,omitempty"`
}

type eventHoldSetCmd struct {
	dataFlags
	printFlags
	Subject string `help:"Subject identifier, or an array of them, as JSON." required:"" placeholder:"JSON"`
	Reason  string `help:"Why; it stays in the log." placeholder:"TEXT"`
}

// Help shows an example.
func (eventHoldSetCmd) Help() string {
	return "Example:\n  tocsin event hold set --subject '{\"format\":\"email\",\"email\":\"jo@example.com\"}' --reason 'case 7'"
}

// Run sets it and prints its id.
func (c eventHoldSetCmd) Run(ctx context.Context, std streamsIO) error {
	if !json.Valid([]byte(c.Subject)) {
		return usage("the --subject is not JSON, as %s is", subjectExample)
	}
	return c.with(ctx, false, func(api *adminapi.Client) error {
		var made hold
		ask := map[string]any{"subject": json.RawMessage(c.Subject), "reason": c.Reason}
		if err := api.Do(ctx, http.MethodPost, "/admin/holds", ask, &made); err != nil {
			return err
		}
		return c.tell(std.out, made, made.ID)
	})
}

type eventHoldLiftCmd struct {
	dataFlags
	printFlags
	ID string `arg:"" help:"The hold's id."`
}

// Help shows an example.
func (eventHoldLiftCmd) Help() string {
	return "Example:\n  tocsin event hold lift 3Jq9mX2vQkq0f1bJ9nVb8g"
}

// Run lifts it and prints its id.
func (c eventHoldLiftCmd) Run(ctx context.Context, std streamsIO) error {
	return c.with(ctx, false, func(api *adminapi.Client) error {
		if err := api.Do(ctx, http.MethodDelete, "/admin/holds/"+url.PathEscape(c.ID), nil, nil); err != nil {
			return err
		}
		return c.tell(std.out, map[string]string{"id": c.ID}, c.ID)
	})
}

type eventHoldListCmd struct {
	dataFlags
	printFlags
}

// Help shows an example.
func (eventHoldListCmd) Help() string { return "Example:\n  tocsin event hold list" }

// Run lists them.
func (c eventHoldListCmd) Run(ctx context.Context, std streamsIO) error {
	return c.with(ctx, false, func(api *adminapi.Client) error {
		var answer struct {
			Holds []hold `json:"holds"`
		}
		if err := api.Do(ctx, http.MethodGet, "/admin/holds", nil, &answer); err != nil {
			return err
		}
		return c.print(std.out, answer.Holds, "ID SET LIFTED SUBJECTS REASON", func(w io.Writer) {
			for _, h := range answer.Holds {
				lifted, subjects := "-", make([]string, len(h.Subjects))
				if h.Lifted != nil {
					lifted = h.Lifted.Format(time.DateTime)
				}
				for i, raw := range h.Subjects {
					subjects[i] = string(raw)
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", h.ID, h.Set.Format(time.DateTime), lifted, strings.Join(subjects, ","), h.Reason)
			}
		})
	})
}
