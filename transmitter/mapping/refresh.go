package mapping

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Limits of an answer of OneLogin's types call.
const (
	MaxTypesBytes = 4 << 20 // the answer
	maxTypes      = 10_000
	maxTypeText   = 1024 // bytes of a name or a description
)

// errTypes is why an answer is not that of the types call.
var errTypes = errors.New("mapping: this is not an answer of OneLogin's types call")

// ReadOneLoginTypes reads the answer of GET /api/1/events/types,
//
//	{"status": {…}, "data": [{"id": 5, "name": "…", "description": "%user% …"}]}
//
// for [Mapper.Types]. Who calls keeps the answer. The error, if it is one of
// OneLogin's, quotes its code and type, and nothing else of it.
func ReadOneLoginTypes(answer []byte) ([]Type, error) {
	var read struct {
		Status struct {
			Error bool   `json:"error"`
			Code  int    `json:"code"`
			Type  string `json:"type"`
		} `json:"status"`
		Data *[]struct {
			ID          int64  `json:"id"`
			Name        string `json:"name"`
			Description string `json:"description"`
		} `json:"data"`
	}
	switch {
	case len(answer) > MaxTypesBytes:
		return nil, fmt.Errorf("%w: it is larger than 4 MiB", errTypes)
	case json.Unmarshal(answer, &read) != nil:
		return nil, errTypes
	case read.Status.Error:
		return nil, fmt.Errorf("mapping: OneLogin's types call failed: %d %q", read.Status.Code, printable(read.Status.Type))
	case read.Data == nil:
		return nil, errTypes
	case len(*read.Data) > maxTypes:
		return nil, fmt.Errorf("%w: it has more than 10,000 types", errTypes)
	}
	types := make([]Type, 0, len(*read.Data))
	for _, d := range *read.Data {
		if d.ID <= 0 {
			return nil, fmt.Errorf("%w: a type has no id", errTypes)
		}
		id := strconv.FormatInt(d.ID, 10)
		name := cut(d.Name, maxTypeText)
		if name == "" {
			name = id
		}
		types = append(types, Type{
			ID: FormatOneLogin + ":" + id, Name: name, Description: cut(d.Description, maxTypeText), Events: []string{},
		})
	}
	return types, nil
}

// TypesFile returns a rules file that names and describes the types of a format
// as its vendor told them, in order of their handles. Laid over the built-in
// rules it changes the words of those that they know, adds the others, and
// leaves what becomes of them as it is. Types of other formats are left out.
// Error: it would be larger than [MaxRulesBytes].
func TypesFile(format string, types []Type) ([]byte, error) {
	type handle struct {
		Name        string `yaml:"name"`
		Description string `yaml:"description,omitempty"`
	}
	type handles struct {
		Handles map[string]handle `yaml:"handles"`
	}
	told := make(map[string]handle, len(types))
	for _, t := range types {
		if id, ok := strings.CutPrefix(t.ID, format+":"); ok {
			told[id] = handle{t.Name, t.Description}
		}
	}
	text, err := yaml.Marshal(map[string]any{"formats": map[string]handles{format: {told}}})
	if err != nil {
		return nil, fmt.Errorf("mapping: types: %w", err)
	}
	if len(text) > MaxRulesBytes {
		return nil, fmt.Errorf("%w: as a rules file it is larger than 1 MiB", errTypes)
	}
	return text, nil
}
