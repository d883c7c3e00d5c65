//go:build race

package set_test

// pooled: the race detector makes sync.Pool forget at random.
const pooled = false
