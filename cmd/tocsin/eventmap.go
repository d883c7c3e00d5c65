package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/transmitter/mapping"
)

// eventMapCmd maps a record with rules, and stores nothing.
type eventMapCmd struct {
	printFlags
	Rules  []string `help:"Rules file, laid over the built-in ones; repeatable." placeholder:"FILE"`
	Format string   `help:"Format of the record: idme, onelogin, fingerprint, or one of the rules; default: the one that knows what the record says." placeholder:"NAME"`
	Test   bool     `help:"Run the tests in the rules files and in FILE_test.yaml beside them; without --rules those of the built-in rules."`
	File   string   `arg:"" optional:"" help:"File with a record, JSON; - or nothing for standard input." default:"-"`
}

// Help shows examples.
func (eventMapCmd) Help() string {
	return "Example:\n  tocsin event map --rules acme.yaml record.json\n  tocsin event map --format idme record.json --json\n" +
		"  tocsin event map --rules acme.yaml --test\nThe rules are described in docs/mapping.md."
}

// maxRecordFile bounds a file with a record.
const maxRecordFile = 1 << 20

// Run prints what becomes of the record. It fails if the record cannot be
// mapped, or a test fails.
func (c eventMapCmd) Run(std streamsIO) error {
	rules, err := readRules(c.Rules)
	if err != nil {
		return err
	}
	mapper, err := mapping.New(mapping.Config{Rules: rules})
	if err != nil {
		return err
	}
	if c.Test {
		return c.test(std, mapper, rules)
	}
	raw, err := c.record(std)
	if err != nil {
		return err
	}
	format, err := c.format(mapper, raw)
	if err != nil {
		return err
	}
	record, why, err := mapper.Explain(format, raw, nil)
	out := newMappedRecord(format, record, why, err)
	if c.JSON {
		err = errors.Join(printJSON(std.out, out), err)
	} else {
		err = errors.Join(out.print(std.out, typeOf(mapper, format, record.Handle)), err)
	}
	if err != nil {
		return fmt.Errorf("the record cannot be mapped: %s", strings.TrimPrefix(err.Error(), "mapping: "))
	}
	return nil
}

// readRules reads rules files.
func readRules(names []string) ([]mapping.RulesFile, error) {
	files := make([]mapping.RulesFile, 0, len(names))
	for _, name := range names {
		text, err := readFile(name, mapping.MaxRulesBytes)
		if err != nil {
			return nil, err
		}
		files = append(files, mapping.RulesFile{Name: name, YAML: text})
	}
	return files, nil
}

func (c eventMapCmd) record(std streamsIO) ([]byte, error) {
	var raw []byte
	var err error
	if c.File == "-" {
		raw, err = guard.ReadBody(std.in, maxRecordFile)
	} else {
		raw, err = readFile(c.File, maxRecordFile)
	}
	if err == nil && !object(raw) {
		err = errors.New("the record is not a JSON object")
	}
	return raw, err
}

// format returns the format that was named, or the one that the record has.
func (c eventMapCmd) format(mapper *mapping.Mapper, raw []byte) (string, error) {
	known := mapper.Formats()
	if c.Format != "" {
		if !slices.Contains(known, c.Format) {
			return "", usage("--format %s is not known; known are %s", c.Format, strings.Join(known, ", "))
		}
		return c.Format, nil
	}
	found := mapper.Detect(raw)
	if len(found) == 0 { // the rules have a format of their own: it will be that one
		found = slices.DeleteFunc(slices.Clone(known), func(name string) bool {
			return slices.Contains([]string{mapping.FormatIDme, mapping.FormatOneLogin, mapping.FormatFingerprint}, name)
		})
	}
	switch len(found) {
	case 0:
		return "", usage("no format knows what this record says; name one with --format: %s", strings.Join(known, ", "))
	case 1:
		return found[0], nil
	default:
		return "", usage("the record could have the formats %s; name one with --format", strings.Join(found, ", "))
	}
}

func typeOf(mapper *mapping.Mapper, format, handle string) mapping.Type {
	for _, t := range mapper.Types() {
		if t.ID == format+":"+handle {
			return t
		}
	}
	return mapping.Type{}
}

// mappedRecord is what became of a record, as it is printed.
type mappedRecord struct {
	Format     string               `json:"format"`
	Handle     string               `json:"handle,omitempty"`
	Known      bool                 `json:"known"`
	ID         string               `json:"id,omitempty"`
	Time       time.Time            `json:"time,omitzero"`
	Subjects   []subject.Identifier `json:"subjects"`
	Consent    string               `json:"consent,omitempty"`
	Attributes mapping.Attributes   `json:"attributes"`
	Events     []mappedEvent        `json:"events"`
	Origins    []mapping.Origin     `json:"origins"`
	Rules      []mapping.RuleTried  `json:"rules"`
	Error      *mappingError        `json:"error,omitempty"`
}

type mappedEvent struct {
	Type     string               `json:"type"`
	Payload  json.RawMessage      `json:"payload"`
	Subjects []subject.Identifier `json:"subjects"`
}

type mappingError struct {
	Member      string `json:"member,omitempty"`
	Description string `json:"description"`
}

func newMappedRecord(format string, r mapping.Record, why mapping.Explanation, err error) mappedRecord {
	out := mappedRecord{
		Format: format, Handle: r.Handle, Known: why.Known, ID: r.ID, Time: r.Time, Subjects: r.Subjects,
		Consent: r.Consent, Attributes: r.Attributes, Events: []mappedEvent{}, Origins: why.Origins, Rules: why.Tried,
	}
	if out.Subjects == nil {
		out.Subjects = []subject.Identifier{}
	}
	for _, m := range r.Mapped {
		e := mappedEvent{Type: m.Type, Payload: m.Payload, Subjects: m.Subjects}
		if e.Subjects == nil {
			e.Subjects = out.Subjects
		}
		out.Events = append(out.Events, e)
	}
	var wrong *mapping.Error
	if errors.As(err, &wrong) {
		out.Error = &mappingError{wrong.Member, wrong.Description}
	} else if err != nil {
		out.Error = &mappingError{Description: err.Error()}
	}
	return out
}

// print prints the record for people: what it says, where that came from, which
// rules were tried, and the events.
func (m *mappedRecord) print(out io.Writer, t mapping.Type) error {
	var head bytes.Buffer
	w := tabwriter.NewWriter(&head, 0, 0, 2, ' ', 0)
	line := func(cells ...string) { fmt.Fprintln(w, strings.Join(cells, "\t")) }
	from := map[string]string{}
	for _, o := range m.Origins {
		from[o.Member] = o.From
	}
	name := t.Name
	if !m.Known {
		name = "(not in the catalogue)"
	}
	line("format", m.Format, "")
	line("handle", m.Handle, from["handle"])
	line("name", name, "")
	line("id", m.ID, from["id"])
	when := ""
	if !m.Time.IsZero() {
		when = m.Time.Format(time.RFC3339Nano)
	}
	line("time", when, from["time"])
	for _, id := range m.Subjects {
		line("subject", string(id.Raw()), from["subject ("+id.Format()+")"])
	}
	if m.Consent != "" {
		line("consent", m.Consent, "")
	}
	m.printAttributes(line, from)
	if err := w.Flush(); err != nil {
		return err
	}
	for text := range strings.Lines(head.String()) {
		fmt.Fprintln(out, strings.TrimRight(text, " \n"))
	}
	if len(m.Rules) > 0 {
		fmt.Fprintln(out, "\nrules")
	}
	w = tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, r := range m.Rules {
		what := "makes " + r.Type
		if !r.Made {
			what = "makes nothing: " + r.Why
		}
		fmt.Fprintf(w, "  %s\t%s:%d\t%s\n", r.Rule, r.File, r.Line, what)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	m.printEvents(out)
	return nil
}

// printAttributes prints each attribute and where it came from.
func (m *mappedRecord) printAttributes(line func(...string), from map[string]string) {
	raw, _ := json.Marshal(m.Attributes) // of texts, numbers and truth values
	var values map[string]json.RawMessage
	_ = json.Unmarshal(raw, &values) // it was made above
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		origin := from[name]
		if name == "signals" {
			continue
		}
		line(name, string(values[name]), origin)
	}
	signals := make([]string, 0, len(m.Attributes.Signals))
	for name := range m.Attributes.Signals {
		signals = append(signals, name)
	}
	slices.Sort(signals)
	for _, name := range signals {
		line("signal "+name, fmt.Sprint(m.Attributes.Signals[name]), from["signals."+name])
	}
}

func (m *mappedRecord) printEvents(out io.Writer) {
	switch {
	case m.Error != nil:
		return
	case len(m.Events) == 0:
		fmt.Fprintln(out, "\nIt is recorded; no security event is made of it.")
		return
	}
	made := make([]string, 0, len(m.Events))
	for _, r := range m.Rules {
		if r.Made {
			made = append(made, r.Rule)
		}
	}
	for i, e := range m.Events {
		fmt.Fprintf(out, "\nevent %d  %s\n", i+1, e.Type)
		for _, id := range e.Subjects {
			fmt.Fprintf(out, "  subject  %s\n", id.Raw())
		}
		fmt.Fprintf(out, "  payload  %s\n", e.Payload)
		for _, o := range m.Origins {
			if member, ok := strings.CutPrefix(o.Member, made[min(i, len(made)-1)]+": "); ok {
				fmt.Fprintf(out, "    %s from %s\n", member, o.From)
			}
		}
	}
}
