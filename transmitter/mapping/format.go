package mapping

import (
	"encoding/json"
	"maps"
	"slices"

	"cel.dev/cel-go/common/types/ref"
)

// format is how records are read and what becomes of them. A later rules file
// changes parts of it.
type format struct {
	name, title string
	file        string // that described it first
	line        int
	params      map[string]json.RawMessage
	paramsValue ref.Val // of params, for expressions
	require     []requirement
	envelope    *envelope

	handle, id, time, session *source
	user                      []*template
	acted                     *acted

	attributes map[string]*source
	texts      []textAttribute // of attributes, in order
	signals    []member
	groups     map[string]string // the categories of groups of handles

	handles map[string]*handle
	order   []string // of handles
	every   []*rule
	active  []*rule // of every, those that are enabled
}

// param returns a parameter, nil if it is empty.
func (f *format) param(name string) json.RawMessage {
	if raw := f.params[name]; string(raw) != `""` && string(raw) != "null" {
		return raw
	}
	return nil
}

// requirement is what params must fulfil.
type requirement struct {
	that *expression
	or   string
}

// envelope is an object around a record: it has these members, and the record
// is the one element of the list.
type envelope struct {
	members []string
	list    string
}

// textAttribute is an attribute that is a text.
type textAttribute struct {
	name string
	of   func(*Attributes) *string
	src  *source
}

// handle is one of the vendor's words for what happened.
type handle struct {
	name, description, category string
	consent                     string // what the user decided: one of consents; "": nothing
	rules                       []*rule
}

// clone returns a format that can be changed without changing f. What is changed
// by replacing it alone is shared.
func (f *format) clone() *format {
	c := *f
	c.params, c.attributes, c.groups = maps.Clone(f.params), maps.Clone(f.attributes), maps.Clone(f.groups)
	c.require, c.user, c.signals = slices.Clone(f.require), slices.Clone(f.user), slices.Clone(f.signals)
	c.order = slices.Clone(f.order)
	c.every = cloneRules(f.every)
	c.handles = make(map[string]*handle, len(f.handles))
	for id, h := range f.handles {
		own := *h
		own.rules = cloneRules(h.rules)
		c.handles[id] = &own
	}
	return &c
}

// cloneRules copies rules, which are switched on and off.
func cloneRules(rules []*rule) []*rule {
	own := make([]*rule, len(rules))
	for i, r := range rules {
		one := *r
		own[i] = &one
	}
	return own
}

// types returns the catalogue of the format.
func (f *format) types() []Type {
	list := make([]Type, 0, len(f.order))
	for _, id := range f.order {
		h := f.handles[id]
		t := Type{ID: f.name + ":" + id, Name: h.name, Description: h.description, Category: f.category(id), Events: []string{}}
		if t.Name == "" {
			t.Name = id
		}
		for _, rules := range [][]*rule{h.rules, f.active} {
			for _, r := range rules {
				if uri := r.typeURI(); !r.off && !slices.Contains(t.Events, uri) {
					t.Events = append(t.Events, uri)
				}
			}
		}
		list = append(list, t)
	}
	return list
}
