package doctor

import "syscall"

// Magic numbers of file systems (statfs(2)).
const (
	magicNFS   = 0x6969
	magicSMB   = 0x517b
	magicSMB2  = 0xfe534d42
	magicCIFS  = 0xff534d42
	magicTmpfs = 0x01021994
	magicRamfs = 0x858458f6
)

// DiskOf returns what is known of the file system of a folder.
func DiskOf(dir string) (Disk, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return Disk{}, err
	}
	size := uint64(s.Bsize) //nolint:gosec // a block is larger than nothing
	d := Disk{Free: s.Bavail * size, Total: s.Blocks * size}
	switch uint32(s.Type) { //nolint:gosec // numbers of 32 bits, sign-extended on some machines
	case magicNFS, magicSMB, magicSMB2, magicCIFS:
		d.Kind = "network"
	case magicTmpfs, magicRamfs:
		d.Kind = "memory"
	}
	return d, nil
}
