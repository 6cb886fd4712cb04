package hpcg

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/compspec/ocifit-lab/experiments/application"
	"github.com/compspec/ocifit-lab/experiments/replay"
	"github.com/compspec/ocifit-lab/templates"
)

// The problem that the published runs solved.
const (
	publishedSeconds = 15
	oneRankSeconds   = 15.6 // execution time of one rank, where the type's own is not known
)

var publishedLocal = [3]int{32, 32, 32}

// CheckImage finds an image of the study, by its tag, that cannot start on the architecture.
func CheckImage(imageTag, architecture string) error {
	m, err := published()
	if err != nil {
		return err
	}
	if built := m.builtFor(imageTag); built != "" && architecture != "" && built != architecture {
		return fmt.Errorf("%w: image tag %s is built for %s, the node is %s", application.ErrExecFormat, imageTag, built, architecture)
	}
	return nil
}

// Query is one launch of HPCG.
type Query struct {
	Type     templates.InstanceType
	ImageTag string
	Nodes    int
	Ranks    int // over all nodes
	Local    [3]int
	Seconds  int // that HPCG is told to aim at; 15 in the study
}

// Distribution is what the figures of a launch are drawn from.
type Distribution struct {
	Mean, SD float64 // rating, GFLOP/s
	Seconds  float64 // execution time of one run
	Source   string  // replay.Measured or replay.Estimated
	Rule     string  // one sentence
	Ranks    int     // over all nodes
	// Occasion is how much the mean differs from one occasion to another, as a logarithm.
	Occasion float64
}

// distributionOf finds the published runs of exactly this launch, or estimates from the nearest ones. The error is
// application.ErrUnsatisfiable, or says what the query lacks.
func distributionOf(q Query) (Distribution, error) {
	m, err := published()
	if err != nil {
		return Distribution{}, err
	}
	t := m.find(q.Type.Name)
	if t == nil {
		t = &typeFigures{InstanceType: q.Type, processor: processorOf(q.Type.Labels)}
	}
	if q.Nodes < 1 || q.Ranks < 1 || t.Cores < 1 {
		return Distribution{}, fmt.Errorf("%s: %d ranks on %d nodes of %d cores: each must be at least 1", q.Type.Name, q.Ranks, q.Nodes, t.Cores)
	}
	perNode := (q.Ranks + q.Nodes - 1) / q.Nodes
	if perNode > t.Cores {
		return Distribution{}, fmt.Errorf("%d ranks on %d cores: %w", perNode, t.Cores, application.ErrUnsatisfiable)
	}
	wanted := parseTag(q.ImageTag)
	out, reasons := m.oneNode(t, wanted, perNode)
	if q.Nodes > 1 {
		out.mean, out.sd = out.mean*float64(q.Nodes), out.sd*math.Sqrt(float64(q.Nodes))
		reasons = append(reasons, fmt.Sprintf("%d nodes count as %d times one node", q.Nodes, q.Nodes))
	}
	if q.Local != publishedLocal {
		reasons = append(reasons, fmt.Sprintf("the local grid %dx%dx%d gets the rating of the published 32x32x32", q.Local[0], q.Local[1], q.Local[2]))
	}
	d := Distribution{Mean: out.mean, SD: out.sd, Seconds: out.seconds * float64(q.Seconds) / publishedSeconds, Source: replay.Measured, Ranks: q.Ranks, Occasion: math.Hypot(m.occasionSD(""), studyGap)}
	if len(reasons) == 0 {
		d.Rule = fmt.Sprintf("figures have the mean (%.4g GFLOP/s, deviation %.3g) of %d published runs of %s on %s with %s, and vary by iteration and machine as published trials did",
			out.mean, out.sd, out.n, wanted, t.Name, ranksText(q.Ranks))
		return d, nil
	}
	d.Source = replay.Estimated
	d.Rule = fmt.Sprintf("no published runs of %s on %s with %s; figures are drawn from an estimate (mean %.4g GFLOP/s, deviation %.3g): %s",
		wanted, q.Type.Name, ranksText(q.Ranks), out.mean, out.sd, strings.Join(reasons, "; "))
	return d, nil
}

func ranksText(n int) string {
	if n == 1 {
		return "1 rank"
	}
	return fmt.Sprintf("%d ranks", n)
}

// oneNode returns figures, and why they are an estimate; no reason means that they were measured.
func (m *matrix) oneNode(t *typeFigures, wanted tag, ranks int) (measurement, []string) {
	if c, ok := t.all[wanted]; ok && ranks == t.Cores {
		return c, nil
	}
	if t.one != nil && ranks == 1 && t.oneTag == wanted {
		return *t.one, nil
	}
	reference, reasons := m.referenceType(t)
	all, why := reference.nearest(m.levels, wanted)
	reasons = append(reasons, why...)
	if reference == t && ranks == t.Cores {
		return all, reasons
	}
	own, why := m.oneRank(t, reference, wanted)
	if ranks == 1 {
		return own, append(reasons, why...)
	}
	reasons = append(reasons, why...)
	theirs := own
	if reference != t {
		theirs, _ = m.oneRank(reference, reference, wanted)
	}
	mean := saturating(own.mean, theirs.mean, all.mean, reference.Cores, ranks)
	reasons = append(reasons, fmt.Sprintf("%s lie on the curve 1/G = a + b/ranks through the figures for 1 and for %d ranks (%.3g and %.4g GFLOP/s)",
		ranksText(ranks), reference.Cores, own.mean, all.mean))
	return measurement{mean: mean, sd: mean * all.sd / all.mean, seconds: all.seconds}, reasons
}

// saturating is G(ranks) on 1/G = a + b/ranks. The limit 1/a, where memory is saturated, is that of the reference's figures
// for 1 and for all its cores; b makes G(1) the type's own figure.
func saturating(own, referenceOne, referenceAll float64, referenceCores, ranks int) float64 {
	if referenceCores < 2 {
		return own * float64(ranks)
	}
	b := (1/referenceOne - 1/referenceAll) / (1 - 1/float64(referenceCores))
	a := 1/referenceOne - b
	if rest := 1/own - a; rest > 0 {
		b = rest
	}
	return 1 / (a + b/float64(ranks))
}

// reference is the type whose all-core runs stand for those of t: t itself, else one with the same processor, else one with
// the same architecture, in both cases with the nearest number of cores.
func (m *matrix) referenceType(t *typeFigures) (*typeFigures, []string) {
	if len(t.all) > 0 {
		return t, nil
	}
	measured := func(o *typeFigures) bool { return len(o.all) > 0 && !o.burstable() }
	if d := m.nearestType(t, func(o *typeFigures) bool { return measured(o) && o.processor == t.processor }); d != nil {
		return d, []string{fmt.Sprintf("the all-core runs are those of %s, which has the same processor and %d cores", d.Name, d.Cores)}
	}
	d := m.nearestType(t, func(o *typeFigures) bool { return measured(o) && o.Architecture == t.Architecture })
	if d == nil {
		d = m.nearestType(t, measured)
	}
	return d, []string{fmt.Sprintf("the all-core runs are those of %s, the nearest %s type that was measured (%d cores)", d.Name, d.Architecture, d.Cores)}
}

func (m *matrix) nearestType(t *typeFigures, fits func(*typeFigures) bool) *typeFigures {
	var best *typeFigures
	for _, o := range m.types {
		if fits(o) && (best == nil || abs(o.Cores-t.Cores) < abs(best.Cores-t.Cores)) {
			best = o
		}
	}
	return best
}

// oneRank is the figure of one rank with all hardware threads: the type's own, else that of a type with the same
// processor, else the median of its architecture; brought to the wanted tag by the ratio of the reference's all-core figures.
func (m *matrix) oneRank(t, reference *typeFigures, wanted tag) (measurement, []string) {
	from, reason := t, ""
	if t.one == nil {
		fits := func(o *typeFigures) bool { return o.one != nil && !o.burstable() && o.processor == t.processor }
		if from = m.nearestType(t, fits); from != nil {
			reason = fmt.Sprintf("the one-rank figure is that of %s, which has the same processor", from.Name)
		} else {
			from = m.medianOneRank(reference.Architecture)
			reason = fmt.Sprintf("the one-rank figure is the median of the %s types (%s)", reference.Architecture, from.Name)
		}
	}
	out := *from.one
	out.seconds = cmp.Or(out.seconds, oneRankSeconds)
	var reasons []string
	if reason != "" {
		reasons = append(reasons, reason)
	}
	if from.oneTag != wanted {
		to, _ := reference.nearest(m.levels, wanted)
		at, _ := reference.nearest(m.levels, from.oneTag)
		out.mean, out.sd = out.mean*to.mean/at.mean, out.sd*to.mean/at.mean
		reasons = append(reasons, fmt.Sprintf("one rank was measured with %s and is scaled by the ratio of the all-core figures of the tags", from.oneTag))
	}
	return out, reasons
}

func (m *matrix) medianOneRank(architecture string) *typeFigures {
	var fit []*typeFigures
	for _, t := range m.types {
		if t.one != nil && !t.burstable() && t.Architecture == architecture {
			fit = append(fit, t)
		}
	}
	slices.SortStableFunc(fit, func(x, y *typeFigures) int { return cmp.Compare(x.one.mean, y.one.mean) })
	return fit[len(fit)/2]
}

// nearest returns the all-core runs of the wanted tag, or of the nearest one: the same compiler target at the nearest
// optimisation level, else the type's own target ("native") at that level, else the tag in the middle of all.
func (t *typeFigures) nearest(levels []string, wanted tag) (measurement, []string) {
	if c, ok := t.all[wanted]; ok {
		return c, nil
	}
	taken, ok := t.nearestLevel(levels, wanted)
	if !ok {
		taken, ok = t.nearestLevel(levels, tag{"native", wanted.level})
	}
	if !ok {
		taken = t.middle()
	}
	return t.all[taken], []string{fmt.Sprintf("%s was not measured on %s, where it may not run at all; the runs of %s are taken", wanted, t.Name, taken)}
}

func (t *typeFigures) nearestLevel(levels []string, wanted tag) (tag, bool) {
	at := slices.Index(levels, wanted.level)
	best, found := tag{}, false
	for i, level := range levels {
		candidate := tag{wanted.march, level}
		if _, ok := t.all[candidate]; !ok {
			continue
		}
		if !found || abs(i-at) < abs(slices.Index(levels, best.level)-at) {
			best, found = candidate, true
		}
	}
	return best, found && at >= 0
}

func (t *typeFigures) middle() tag {
	tags := make([]tag, 0, len(t.all))
	for candidate := range t.all {
		tags = append(tags, candidate)
	}
	slices.SortFunc(tags, func(x, y tag) int {
		return cmp.Or(cmp.Compare(t.all[x].mean, t.all[y].mean), strings.Compare(x.String(), y.String()))
	})
	return tags[len(tags)/2]
}

func abs(n int) int { return max(n, -n) }

// TrafficOf is the memory traffic in GB/s that HPCG, with its published grid and time, counts for the launch, and the distribution of its
// rating. The ratio of the two follows from how HPCG counts both.
func TrafficOf(q Query) (rating Distribution, traffic float64, err error) {
	q.Local, q.Seconds = publishedLocal, publishedSeconds
	if rating, err = distributionOf(q); err != nil {
		return rating, 0, err
	}
	return rating, rating.Mean * trafficPerFlop(q.Ranks), nil
}

// trafficPerFlop is the bytes read and written per floating-point operation, as HPCG counts both for the published grid.
func trafficPerFlop(ranks int) float64 {
	w := newProblem(publishedLocal, ranks).work(1, referenceIterations)
	return (w.reads + w.writes) / w.flops()
}
