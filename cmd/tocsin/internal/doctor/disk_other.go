//go:build !linux

package doctor

import "errors"

// DiskOf returns what is known of the file system of a folder: here nothing.
func DiskOf(string) (Disk, error) { return Disk{}, errors.New("it is asked on Linux alone") }
