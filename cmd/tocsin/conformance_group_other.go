//go:build !unix

package main

import "os/exec"

// ownGroup does nothing: there are no process groups here.
func ownGroup(*exec.Cmd) {}

// endGroup kills the command, which cannot be asked.
func endGroup(cmd *exec.Cmd) { _ = cmd.Process.Kill() }

// killGroup kills the command.
func killGroup(cmd *exec.Cmd) { _ = cmd.Process.Kill() }
