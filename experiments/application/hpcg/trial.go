package hpcg

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
)

// How the iterations of a trial vary, as logarithms: quantiles at 2.5%, 7.5% … 97.5% of the 60 published trials on all cores of one
// machine each (fom-model on hpc7g.16xlarge, fom-per-dollar on m6g.12xlarge). The cells of the matrix vary more, but were run under
// tracers. first is the first iteration against the mean of the two others; later is one of these against the other, over √2.
var (
	firstQuantiles = []float64{
		-0.0998, -0.0851, -0.0735, -0.0646, -0.0559, -0.0536, -0.0447, -0.0250, -0.0226, -0.0187,
		-0.0168, -0.0138, -0.0133, -0.0089, -0.0069, -0.0052, -0.0025, 0.0008, 0.0040, 0.0068,
	}
	laterQuantiles = []float64{
		-0.0407, -0.0227, -0.0175, -0.0147, -0.0107, -0.0059, -0.0030, -0.0022, -0.0015, -0.0008,
		0.0008, 0.0016, 0.0023, 0.0032, 0.0064, 0.0109, 0.0147, 0.0177, 0.0229, 0.0407,
	}
)

// machineSD is how much machines of one type differ, as a logarithm: pooled over the eight types of the random arm that ran on two
// or three machines each (10 degrees of freedom).
const machineSD = 0.0244

// studyGap is how much the two published arms on all cores differ from the cells of their type and tag, which were run under tracers:
// the root of the mean square of ln(36.25/32.59) and ln(21.20/19.40).
const studyGap = 0.098

// Trial draws the figures of the n runs of a trial on a machine. Runs on one rank scatter as the published ones did; runs on all cores
// begin low, and share what is peculiar to their machine. The mean of the published three runs stays the mean of three.
func (d Distribution) Trial(seed uint64, machine string, n int) []Figures {
	if d.Ranks < 2 {
		return d.Sample(seed, n)
	}
	rng := rand.New(rand.NewPCG(seed, 0x747269616c))
	peculiar := math.Exp(machineSD*ofMachine(machine) - machineSD*machineSD/2)
	level := d.Mean * peculiar * 3 / (meanExp(firstQuantiles) + 2*meanExp(laterQuantiles))
	out := make([]Figures, n)
	for i := range out {
		from := laterQuantiles
		if i == 0 {
			from = firstQuantiles
		}
		out[i] = Figures{GFLOPS: level * math.Exp(between(from, rng)), Seconds: truncatedNormal(rng, d.Seconds, 0.02*d.Seconds)}
	}
	return out
}

// ofMachine is a standard normal that belongs to a machine's name.
func ofMachine(name string) float64 {
	h := fnv.New64a()
	h.Write([]byte(name))
	z := rand.New(rand.NewPCG(h.Sum64(), 0x6d616368696e65)).NormFloat64()
	return math.Max(-3, math.Min(3, z))
}

// between draws one of equally likely values.
func between(values []float64, rng *rand.Rand) float64 { return values[rng.IntN(len(values))] }

func meanExp(logs []float64) float64 {
	sum := 0.0
	for _, v := range logs {
		sum += math.Exp(v) / float64(len(logs))
	}
	return sum
}

// predictLevels are the optimisation levels at which the compiler's target matters little, so that cells of one type and level stand for
// one another.
var predictLevels = []string{"Og", "O1", "O2", "O3", "Ofast"}

// occasionSD is how much the mean of three runs differs from one occasion to another, as a logarithm: the spread of cells of one type
// and level around their mean, pooled over all but the type that is left out.
func (m *matrix) occasionSD(without string) float64 {
	sum, df := 0.0, 0
	for _, t := range m.types {
		if t.Name == without || t.burstable() {
			continue
		}
		for _, level := range predictLevels {
			logs := t.logMeans(level)
			if len(logs) < 3 {
				continue
			}
			mean := 0.0
			for _, v := range logs {
				mean += v / float64(len(logs))
			}
			for _, v := range logs {
				sum += (v - mean) * (v - mean)
			}
			df += len(logs) - 1
		}
	}
	if df == 0 {
		return 0
	}
	return math.Sqrt(sum / float64(df))
}

// logMeans are the logarithms of the cells of one level, in the order of their targets.
func (t *typeFigures) logMeans(level string) []float64 {
	var tags []tag
	for c := range t.all {
		if c.level == level {
			tags = append(tags, c)
		}
	}
	slices.SortFunc(tags, func(a, b tag) int { return slices.Compare([]byte(a.march), []byte(b.march)) })
	out := make([]float64, len(tags))
	for i, c := range tags {
		out[i] = math.Log(t.all[c].mean)
	}
	return out
}
