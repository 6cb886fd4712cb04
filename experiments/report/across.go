package report

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/compspec/ocifit-lab/experiments/store"
)

// Across compares two runs arm by arm, such as a rehearsal with the real study, or the published data with one's own.
type Across struct {
	SchemaVersion int          `json:"schemaVersion"`
	Simulated     bool         `json:"simulated"` // at least one of the runs was
	Run           RunFacts     `json:"run"`
	Reference     RunFacts     `json:"reference"`
	Metric        store.Metric `json:"metric"`
	// Comparisons set each arm of Run against the same arm of Reference, by name or else by model.
	Comparisons []Comparison `json:"comparisons"`
	Unmatched   []string     `json:"unmatched,omitempty"` // arms of Run that Reference does not have
}

// Compare sets the arms of a run against those of a reference run. The same checks apply as between arms.
func Compare(ctx context.Context, run, reference *store.Run, opt Options) (*Across, error) {
	if run.Parser().Name() != reference.Parser().Name() {
		return nil, fmt.Errorf("the runs are of %s and of %s: their figures have nothing in common", run.Parser().Name(), reference.Parser().Name())
	}
	opt.Baseline = ""
	a, err := Analyse(ctx, run, opt)
	if err != nil {
		return nil, err
	}
	b, err := Analyse(ctx, reference, opt)
	if err != nil {
		return nil, err
	}
	out := &Across{SchemaVersion: SchemaVersion, Simulated: a.Simulated || b.Simulated, Run: a.Run, Reference: b.Run, Metric: a.Metric, Comparisons: []Comparison{}}
	var pairs []pair
	for i := range a.Arms {
		arm := &a.Arms[i]
		j := slices.IndexFunc(b.Arms, func(o Arm) bool { return o.Name == arm.Name })
		if j < 0 {
			j = slices.IndexFunc(b.Arms, func(o Arm) bool { return o.Model == arm.Model })
		}
		if j < 0 {
			out.Unmatched = append(out.Unmatched, arm.Name)
			continue
		}
		base := b.Arms[j]
		base.Name += " of " + b.Run.ID
		out.Comparisons = append(out.Comparisons, Comparison{Arm: arm.Name, Baseline: base.Name})
		theirs := b.rowsOf(b.Arms[j].Name)
		for k := range theirs { // the same name in another run is another machine
			theirs[k].Node = b.Run.ID + "/" + clusterOf(&theirs[k])
		}
		own := a.rowsOf(arm.Name)
		out.Comparisons[len(out.Comparisons)-1].Choice = typesText(arm.InstanceTypes, 2)
		pairs = append(pairs, pair{study: run.Info().Study, arm: arm, base: &base, own: own, a: own, b: theirs})
	}
	inParallel(len(pairs), func(i int) { out.Comparisons[i].fill(pairs[i], a.endpoint, a.Metric) })
	adjust(out.Comparisons, len(out.Comparisons))
	for i := range out.Comparisons {
		out.Comparisons[i].conclude(wholeLevel)
	}
	return out, nil
}

func (a *Analysis) rowsOf(arm string) []TrialRow {
	var out []TrialRow
	for _, r := range a.Trials {
		if r.Arm == arm {
			out = append(out, r)
		}
	}
	return out
}

// WriteAcross writes a comparison of runs for a terminal.
func WriteAcross(w io.Writer, x *Across) error {
	t := &textWriter{w: w}
	suffix := ""
	if x.Simulated {
		t.line("SIMULATED. At least one of the two runs has figures that were not measured.\n")
		suffix = " (simulated)"
	}
	t.line("%s of run %s (%s) against run %s (%s)%s\n", x.Metric.Unit, x.Run.ID, x.Run.Study, x.Reference.ID, x.Reference.Study, suffix)
	head, rows := comparisonTable(x.Comparisons, true)
	rows = slices.Insert(rows, 0, upper(head))
	t.table(rows)
	t.line("")
	for i := range x.Comparisons {
		t.line("- %s: %s", x.Comparisons[i].Arm, x.Comparisons[i].Sentence)
	}
	for _, name := range x.Unmatched {
		t.line("- %s: the other run has no such arm", name)
	}
	return t.err
}
