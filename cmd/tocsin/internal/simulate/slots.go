package simulate

import "fmt"

// slots of a Redis cluster.
const slots = 16384

// placed is how the work lies on the servers.
type placed struct {
	most     float64 // the largest share of the partitions that another server than the log's has
	together float64 // the share of the partitions on the log's server
}

// place puts the slots of the log and of the partitions on the servers.
func place(s Scenario) placed {
	parts := s.partitions()
	if s.Masters == 1 {
		return placed{together: 1}
	}
	if s.LogAlone {
		others := s.Masters - 1
		return placed{most: float64((parts+others-1)/others) / float64(parts)}
	}
	count := make([]int, s.Masters)
	for n := range parts {
		count[serverOf(fmt.Sprintf("p%02d", n), s.Masters)]++
	}
	log, most := serverOf("log", s.Masters), 0
	for i, n := range count {
		if i != log {
			most = max(most, n)
		}
	}
	return placed{float64(most) / float64(parts), float64(count[log]) / float64(parts)}
}

// serverOf returns which of n masters with equal ranges of slots has a hash tag.
func serverOf(tag string, n int) int { return slotOf(tag) * n / slots }

// slotOf is the slot of a hash tag: CRC-16/XMODEM (Redis cluster specification,
// "Key distribution model").
func slotOf(tag string) int {
	var crc uint16
	for _, b := range []byte(tag) {
		crc ^= uint16(b) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return int(crc) % slots
}
