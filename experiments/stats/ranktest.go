package stats

import (
	"math"
	"slices"
	"sort"

	"gonum.org/v1/gonum/stat/distuv"
)

// exactLimit is the number of values in both samples up to which the rank test's distribution is counted out.
const exactLimit = 120

// RankTest is the result of a Mann-Whitney test.
type RankTest struct {
	U     float64 `json:"u"` // pairs in which x is larger; ties count half
	P     float64 `json:"p"` // two-sided
	Exact bool    `json:"exact"`
}

// MannWhitney tests whether x tends to be larger or smaller than y, taking every value as independent of the others. Up to 120 values
// the p-value is exact, also with ties: the share of all splits of the pooled midranks whose rank sum is at least as far from its mean
// (Streitberg and Röhmel 1986). Beyond, it is the normal approximation with corrections for ties and continuity.
func MannWhitney(x, y []float64) RankTest {
	n, m := len(x), len(y)
	if n == 0 || m == 0 {
		return RankTest{P: 1}
	}
	ranks, ties := midranks(slices.Concat(x, y))
	w := 0
	for _, r := range ranks[:n] {
		w += r
	}
	t := RankTest{U: float64(w)/2 - float64(n*(n+1))/2}
	if n+m <= exactLimit {
		t.P, t.Exact = splitP(ranks, n, w), true
		return t
	}
	total := float64(n + m)
	variance := float64(n) * float64(m) / 12 * (total + 1 - ties/(total*(total-1)))
	if variance <= 0 {
		t.P = 1
		return t
	}
	z := (math.Abs(t.U-float64(n)*float64(m)/2) - 0.5) / math.Sqrt(variance)
	t.P = math.Min(1, 2*distuv.UnitNormal.Survival(math.Max(z, 0)))
	return t
}

// midranks returns twice the midrank of each value, which is whole, and the sum of t³-t over groups of ties.
func midranks(v []float64) (doubled []int, ties float64) {
	order := make([]int, len(v))
	for i := range order {
		order[i] = i
	}
	sort.Slice(order, func(i, j int) bool { return v[order[i]] < v[order[j]] })
	doubled = make([]int, len(v))
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && v[order[j]] == v[order[i]] {
			j++
		}
		for _, k := range order[i:j] {
			doubled[k] = i + j + 1
		}
		t := float64(j - i)
		ties += t*t*t - t
		i = j
	}
	return doubled, ties
}

// splitP counts the splits by adding one value after the other: counts[k][s] is the number of choices of k of the values so far whose
// ranks sum to s. Counts are floats, for they pass 2^64; their relative error stays far below any p-value's use.
func splitP(ranks []int, n, observed int) float64 {
	total := 0
	for _, r := range ranks {
		total += r
	}
	if 2*n > len(ranks) { // the other sample's rank sum has the same distribution, mirrored
		n, observed = len(ranks)-n, total-observed
	}
	largest := slices.Sorted(slices.Values(ranks))
	top := 0
	for _, r := range largest[len(largest)-n:] {
		top += r
	}
	counts := make([][]float64, n+1)
	for k := range counts {
		counts[k] = make([]float64, top+1)
	}
	counts[0][0] = 1
	for i, r := range ranks {
		for k := min(i+1, n); k >= 1; k-- {
			from, to := counts[k-1], counts[k]
			for s := top; s >= r; s-- {
				to[s] += from[s-r]
			}
		}
	}
	// The mean rank sum is n*total/N; compare |s*N - n*total| to stay in whole numbers.
	far := func(s int) int { return abs(s*len(ranks) - n*total) }
	all, extreme, limit := 0.0, 0.0, far(observed)
	for s, c := range counts[n] {
		all += c
		if far(s) >= limit {
			extreme += c
		}
	}
	return math.Min(1, extreme/all)
}

func abs(i int) int {
	if i < 0 {
		return -i
	}
	return i
}

// CliffsDelta is the share of pairs in which x is larger less the share in which y is: -1 to 1, 0 when neither tends to be larger.
func CliffsDelta(x, y []float64) float64 {
	if len(x) == 0 || len(y) == 0 {
		return 0
	}
	ranks, _ := midranks(slices.Concat(x, y))
	w := 0
	for _, r := range ranks[:len(x)] {
		w += r
	}
	n, m := float64(len(x)), float64(len(y))
	return 2*(float64(w)/2-n*(n+1)/2)/(n*m) - 1
}

// Holm adjusts p-values for testing them together (Holm 1979): the chance of any false rejection stays at the level. family is the
// number of tests that were planned; those that are not among p count as if they had shown nothing.
func Holm(p []float64, family int) []float64 {
	family = max(family, len(p))
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(i, j int) bool { return p[order[i]] < p[order[j]] })
	out := make([]float64, len(p))
	worst := 0.0
	for rank, i := range order {
		worst = math.Max(worst, math.Min(1, p[i]*float64(family-rank)))
		out[i] = worst
	}
	return out
}
