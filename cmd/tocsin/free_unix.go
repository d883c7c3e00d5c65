//go:build linux || darwin

package main

import "syscall"

// freeBytes is the room that a file system has left for those who are not root.
func freeBytes(dir string) (uint64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return s.Bavail * uint64(s.Bsize), nil
}
