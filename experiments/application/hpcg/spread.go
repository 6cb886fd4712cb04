package hpcg

import (
	"math"

	"gonum.org/v1/gonum/stat"

	"github.com/compspec/ocifit-lab/templates"
)

// MachineSpread is how much machines of one type differ, as the standard deviation of the logarithm of a trial's figure. It was
// measured: see machineSD.
const MachineSpread = machineSD

// TypeSpread is how much the ratings of instance types differ that a random choice draws from evenly, every core with a rank, as the
// standard deviation of their logarithms with that of machines. images are the tags by architecture. A type whose figures are not known
// is left out; ok is false below two.
func TypeSpread(types []templates.InstanceType, images map[string]string) (sd float64, ok bool) {
	var logs []float64
	for _, t := range types {
		d, err := distributionOf(Query{Type: t, ImageTag: images[t.Architecture], Nodes: 1, Ranks: t.Cores, Local: publishedLocal, Seconds: publishedSeconds})
		if err == nil && d.Mean > 0 {
			logs = append(logs, math.Log(d.Mean))
		}
	}
	if len(logs) < 2 {
		return 0, false
	}
	return math.Hypot(stat.StdDev(logs, nil), machineSD), true
}
