package webhook

import (
	"bytes"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

// Bounds on what is asked for.
const (
	MaxBodyBytes    = 256 << 10
	maxDescription  = 1 << 10
	maxTypes        = 200
	maxTypeBytes    = 256
	maxKeys         = 1000 // types times applications
	maxBatchEvents  = 1000
	maxBatchSeconds = 300
	maxHeaders      = 20
	maxNameBytes    = 64
	maxValueBytes   = 4 << 10
	maxScopes       = 32
	maxParams       = 16

	defaultBatchEvents  = 100
	defaultBatchSeconds = 5
)

// Request is what is asked of a webhook: a member that is nil was not sent,
// null stands for its default. Secrets are in it.
type Request struct {
	Application jsontext.Value `json:"application"` // an operator's request alone
	URL         jsontext.Value `json:"url"`
	Description jsontext.Value `json:"description"`
	Types       jsontext.Value `json:"types"`
	// Applications are those at the source.
	Applications jsontext.Value `json:"applications"`
	Environment  jsontext.Value `json:"environment"`
	Format       jsontext.Value `json:"format"`
	Batch        jsontext.Value `json:"batch"`
	Headers      jsontext.Value `json:"headers"`
	Auth         jsontext.Value `json:"auth"`
	Signing      jsontext.Value `json:"signing"`
	Status       jsontext.Value `json:"status"`
	Reason       jsontext.Value `json:"reason"`
}

// LogValue tells nothing: secrets are in it.
func (Request) LogValue() slog.Value { return slog.StringValue("a request about a webhook") }

// ParseRequest reads a request's body. Error: a *request.Error.
func ParseRequest(body []byte) (Request, error) {
	var r Request
	if isNull(bytes.TrimSpace(body)) {
		return r, request.Invalid("", "is not the JSON object that is expected here")
	}
	err := into("", body, &r)
	return r, err
}

// into reads one member strictly: a typo must not silently mean something
// else, and a member given twice means nothing.
func into(member string, raw []byte, to any) error {
	err := jsonv2.Unmarshal(raw, to, jsonv2.RejectUnknownMembers(true))
	if err == nil {
		return nil
	}
	var syntactic *jsontext.SyntacticError
	if errors.As(err, &syntactic) {
		if errors.Is(err, jsontext.ErrDuplicateName) {
			return request.Invalid(path(member, syntactic.JSONPointer), "stands twice")
		}
		return request.Invalid(member, "is not JSON in UTF-8")
	}
	var semantic *jsonv2.SemanticError
	if errors.As(err, &semantic) {
		if errors.Is(err, jsonv2.ErrUnknownName) {
			return request.Invalid(path(member, semantic.JSONPointer), "is not a member of a webhook")
		}
		return request.Invalid(path(member, semantic.JSONPointer), "has the wrong type")
	}
	return request.Invalid(member, "is not the JSON object that is expected here")
}

// path returns a pointer below a member as a dotted path.
func path(member string, p jsontext.Pointer) string {
	parts := slices.Collect(p.Tokens())
	if member != "" {
		parts = append([]string{member}, parts...)
	}
	return cut(strings.Join(parts, "."), maxNameBytes)
}

func isNull(v jsontext.Value) bool { return string(v) == "null" }

// wantedSecret reads the member signing: the form, or a secret brought along.
// Without it, it is a symmetric one.
func wantedSecret(raw jsontext.Value, form string, now time.Time) (Secret, error) {
	var ask struct {
		Type   string `json:"type"`
		Secret string `json:"secret"`
	}
	if raw != nil && !isNull(raw) {
		if err := into("signing", raw, &ask); err != nil {
			return Secret{}, err
		}
	}
	if ask.Type != "" {
		form = ask.Type
	}
	if form != Symmetric && form != Asymmetric {
		return Secret{}, request.Invalid("signing.type", "is not symmetric or asymmetric")
	}
	if ask.Secret == "" {
		return newSecret(form, now), nil
	}
	s, wrong := parseSecret(ask.Secret, now)
	if wrong == "" && ask.Type != "" && s.form() != ask.Type {
		wrong = "is not of this type"
	}
	if wrong != "" {
		return Secret{}, request.Invalid("signing.secret", wrong)
	}
	return s, nil
}

// wantedStatus reads the members status and reason. present is false if there
// is none.
func wantedStatus(req Request) (report streams.StatusReport, present bool, err error) {
	if req.Reason != nil && !isNull(req.Reason) {
		if err := into("reason", req.Reason, &report.Reason); err != nil {
			return report, false, err
		}
	}
	if req.Status == nil || isNull(req.Status) {
		if report.Reason != "" {
			return report, false, request.Invalid("reason", "goes with a status")
		}
		return report, false, nil
	}
	if err := into("status", req.Status, &report.Status); err != nil {
		return report, false, err
	}
	if !report.Status.Valid() {
		return report, false, request.Invalid("status", "is not enabled, paused or disabled")
	}
	if len(report.Reason) > streams.MaxReasonBytes {
		return report, false, request.Invalid("reason", "is too long")
	}
	return report, true, nil
}
