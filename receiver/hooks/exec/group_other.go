//go:build !unix

package exec

import "os/exec"

// group does nothing: there are no process groups here, so that the program alone is killed.
func group(*exec.Cmd) {}

func killGroup(*exec.Cmd) {}
