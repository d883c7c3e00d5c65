//go:build !crashpoints

package main

// crash is nothing in an ordinary build: crash points exist for tests, which
// build with the tag crashpoints.
var crash func(point string)
