package trial

import (
	"fmt"
	"hash/fnv"
	"strconv"

	"github.com/compspec/ocifit-lab/experiments/study"
	"github.com/compspec/ocifit-lab/provision/chart"
	"github.com/compspec/ocifit-lab/provision/simulated"
	"github.com/compspec/ocifit-lab/webhook/compat"
)

// Labels that every object of a trial carries.
const (
	LabelRun   = "ocifit-lab/run"
	LabelArm   = "ocifit-lab/arm"
	LabelTrial = "ocifit-lab/trial"
)

// releaseName is the same for every attempt at a trial of one run, so that what a killed program left behind is found
// again, and differs between runs. MiniCluster, Job and pods are named after it.
func releaseName(application, run string, t study.Trial) string {
	h := fnv.New32a()
	fmt.Fprintf(h, "%s/%s", run, t.Arm.Name)
	return fmt.Sprintf("%s-%08x-%s", application, h.Sum32(), number(t))
}

// number is the trial's number within its arm as text, with warm-ups told apart.
func number(t study.Trial) string {
	if t.Warmup {
		return fmt.Sprintf("w%d", t.N)
	}
	return strconv.Itoa(t.N)
}

// Seed is the random seed of one trial: repeatable from the study's seed, different for every trial. It has 53 bits, so that any JSON
// reader keeps it.
func Seed(base uint64, t study.Trial) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d/%s/%s", base, t.Arm.Name, number(t))
	return h.Sum64() >> 11
}

// diskShare is more than half of what pods can have of a node's disk, which has 80 GiB whatever the instance type. Asking for processors or
// memory would keep trials apart as well, but rule out types, and change what is drawn.
const diskShare = "45Gi"

// playedAs tells a simulation what runs in the pods of a chart that does not say so itself.
func (r *Runner) playedAs() map[string]any {
	out := map[string]any{simulated.ApplicationAnnotation: r.Study.Application}
	if r.Study.ApplicationFile != "" {
		out[simulated.ApplicationFileAnnotation] = r.Study.ApplicationFile
	}
	return out
}

// values are the chart values of a trial: what the procedure sets for every trial, then the study's, then the arm's, and last
// what makes the trial this one.
func (r *Runner) values(t study.Trial) (map[string]any, error) {
	application, err := r.Study.ApplicationValues()
	if err != nil {
		return nil, err
	}
	values := map[string]any{
		"experiment":  map[string]any{"nodes": 1, "tasks": r.Study.ChartTasks(&t.Arm), "iterations": r.Study.Iterations, "exclusive": true},
		"minicluster": map[string]any{"size": 1, "save_logs": true},
	}
	if r.Exclusive && r.Limits.Parallel > 1 {
		values["minicluster"].(map[string]any)["storage"] = diskShare
	}
	for _, of := range application {
		values = chart.Merge(values, of)
	}
	if r.Study.Chart != "" && r.Store.Info().Simulated {
		values = chart.Merge(values, map[string]any{"podAnnotation": r.playedAs()})
	}
	labels := map[string]any{LabelRun: r.Store.ID(), LabelArm: t.Arm.Name, LabelTrial: number(t)}
	if t.Arm.InstanceType != "" {
		values = chart.Merge(values, map[string]any{"nodeSelector": map[string]any{compat.LabelInstanceType: t.Arm.InstanceType}})
	}
	annotations := map[string]any{
		compat.AnnotationImageRef: r.ArtifactRef,
		compat.AnnotationModel:    t.Arm.Model,
		compat.AnnotationSeed:     strconv.FormatUint(Seed(r.Study.Seed, t), 10),
	}
	if t.Arm.Objective != "" {
		annotations[compat.AnnotationObjective] = t.Arm.Objective
	}
	return chart.Merge(chart.Merge(chart.Merge(values, r.Study.Values), t.Arm.Values), map[string]any{
		"minicluster": map[string]any{"image": compat.DefaultTargetImage},
		"label":       chart.Merge(labels, map[string]any{compat.LabelEnabled: "true"}),
		"podLabel":    labels,
		"annotation":  annotations,
	}), nil
}
