package eventlog

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
)

// ActForm is the version of the form in which an act is kept.
const ActForm = 1

// Outcomes of an act. One without is that it was asked for: noted before anything was done.
const (
	ActDone    = "done"    // answered 2xx
	ActRefused = "refused" // nothing was done: 4xx
	ActFailed  = "failed"  // perhaps done, perhaps in part: 5xx, or the handler panicked
)

// Act is an administrative act: the body of an entry of KindAct. It is noted twice, when
// it is asked for and when its outcome is known; the second names the first and says all
// that the first says. An act that is an entry of the log by itself (a decision, an
// erasure, a hold, a replay) is noted once, with its outcome. No secret is ever in it,
// and no identifier of a subject.
type Act struct {
	// Form is ActForm.
	Form int `json:"form"`
	// Act is its name, "<what>.<verb>": "client.add".
	Act string `json:"act"`
	// By is who did it.
	By Actor `json:"by"`
	// From is the address it came from, "socket" for the Unix socket, "command" for a
	// command that had opened the store itself, "schedule" for what a node does by itself.
	From string `json:"from,omitempty"`
	// Request is the id of the request, as its log line has it.
	Request string `json:"request,omitempty"`
	// Objects are the ids of what it is about, by what they are: "client", "stream".
	Objects map[string]string `json:"objects,omitempty"`
	// Set are members that were given; of URLs scheme and host alone.
	Set map[string]json.RawMessage `json:"set,omitempty"`
	// Hidden names members that were given and are not told.
	Hidden []string `json:"hidden,omitempty"`
	// Outcome is what became of it, empty when it is asked for. Status and Code are
	// those of the answer.
	Outcome string `json:"outcome,omitempty"`
	Status  int    `json:"status,omitempty"`
	Code    string `json:"code,omitempty"`
	// Asked is the number of the entry that was noted before; 0: none.
	Asked uint64 `json:"asked,omitempty"`
}

// Actor is who did an act: a client by its token, a process on the Unix socket, a person
// who signed in with an OpenID Provider, or a node by itself. Each is of one kind.
type Actor struct {
	Node        string `json:"node,omitempty"`
	Client      string `json:"client,omitempty"`
	Application string `json:"application,omitempty"`
	UID         *int   `json:"uid,omitempty"`
	PID         *int   `json:"pid,omitempty"`
	// Person is what the provider calls somebody; Sub is their sub there.
	Person string `json:"person,omitempty"`
	Sub    string `json:"sub,omitempty"`
	// Via is ViaConsole of who did it by web pages.
	Via string `json:"via,omitempty"`
}

// ViaConsole is the Via of acts done by web pages.
const ViaConsole = "console"

// String returns the word by which acts are found: the client's id, "uid:1000",
// "person:" and what the provider calls them, or "node:" and the node's name.
func (a Actor) String() string {
	switch {
	case a.UID != nil:
		return "uid:" + strconv.Itoa(*a.UID)
	case a.Node != "":
		return "node:" + a.Node
	case a.Person != "":
		return "person:" + a.Person
	}
	return a.Client
}

// LogName returns who it is in the lines of a log, where nobody's identifiers stand: as
// String says, but of a person "person:" and a digest of their sub, the first 8 bytes of its
// SHA-256 in hex. Whose it is the audit knows, which has both.
func (a Actor) LogName() string {
	if a.Person == "" {
		return a.String()
	}
	sum := sha256.Sum256([]byte(a.Sub))
	return "person:" + hex.EncodeToString(sum[:8])
}

// RefAct is the key of acts of a name.
func RefAct(name string) string { return "act:" + name }

// RefActBy is the key of acts by who did them ([Actor.String]).
func RefActBy(who string) string { return "by:" + who }

// RefActOn is the key of acts by the id of what they are about.
func RefActOn(object string) string { return "object:" + object }

// RefActAsked is the key of the outcome of the act that was asked for at seq.
func RefActAsked(seq uint64) string { return "asked:" + strconv.FormatUint(seq, 10) }

// Entry returns the entry that says it. Error: ErrEvent.
func (a *Act) Entry() (Entry, error) {
	a.Form = ActForm
	body, err := json.Marshal(a)
	if err != nil {
		return Entry{}, fmt.Errorf("%w: %w", ErrEvent, err)
	}
	refs := []string{RefAll, RefAct(a.Act), RefActBy(a.By.String())}
	for _, id := range a.Objects {
		refs = append(refs, RefActOn(id))
	}
	if a.Asked != 0 {
		refs = append(refs, RefActAsked(a.Asked))
	}
	return Entry{Kind: KindAct, Body: body, Refs: refs}, nil
}

// ActOf reads an entry of KindAct.
func ActOf(r *Record) (Act, error) {
	var a Act
	if err := json.Unmarshal(r.Entry, &a); err != nil {
		return Act{}, fmt.Errorf("eventlog: act at %d: %w", r.Seq, err)
	}
	if a.Form != ActForm {
		return Act{}, fmt.Errorf("eventlog: act at %d: form %d is not known", r.Seq, a.Form)
	}
	return a, nil
}
