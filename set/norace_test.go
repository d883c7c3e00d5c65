//go:build !race

package set_test

// pooled: what is pooled is allocated once.
const pooled = true
