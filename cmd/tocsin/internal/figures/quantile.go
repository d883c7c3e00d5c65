package figures

import "math"

func sumOf(counts []uint64) uint64 {
	sum := uint64(0)
	for _, n := range counts {
		sum += n
	}
	return sum
}

// quantile returns the value below which the part q (0 to 1) of counted values lies,
// reckoned within its bucket; NaN if there are none. counts has one more than bounds,
// for the values above the last bound: a quantile there is that bound.
//
// Where buckets grow by a factor, values are taken to be spread evenly over their
// logarithms, which is nearer to what latencies do than the straight line that
// Prometheus draws; the first bucket begins at 0 and has a straight line.
func quantile(bounds []float64, counts []uint64, q float64) float64 {
	total := sumOf(counts)
	if total == 0 || len(bounds) == 0 {
		return math.NaN()
	}
	rank, below := q*float64(total), 0.0
	for b, n := range counts {
		if n == 0 || below+float64(n) < rank {
			below += float64(n)
			continue
		}
		part := (rank - below) / float64(n)
		switch {
		case b == len(bounds):
			return bounds[b-1]
		case b == 0:
			return bounds[0] * part
		case bounds[b-1] <= 0:
			return bounds[b-1] + (bounds[b]-bounds[b-1])*part
		}
		return bounds[b-1] * math.Pow(bounds[b]/bounds[b-1], part)
	}
	return bounds[len(bounds)-1]
}
