//go:build unix

package exec_test

import (
	"fmt"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/exec"
	"github.com/tocsin-ssf/tocsin/set/caep"
)

// A program of the operator's that reads the event from its standard input.
func Example() {
	hook, err := exec.New(exec.Config{
		Command: []string{"/bin/cat", "-"},
		Effects: []hooks.Effect{hooks.End, hooks.Deny},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := receiver.NewMux() // of the application's receiver.Config
	mux.Handle(hooks.Route(caep.SessionRevokedType, hooks.End, hook))
	fmt.Println("ready")
	// Output: ready
}
