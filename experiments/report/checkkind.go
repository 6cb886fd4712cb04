package report

import "fmt"

// checkKind is a question that is put to the data: its stable name, and in a few words what each outcome means. An outcome without
// words is one that the check never has.
type checkKind struct {
	name                      string
	pass, note, limit, refuse string
	// within finishes "only within limits for an arm (…)"; every kind that can limit has it.
	within string
}

// checkKinds are all questions, by the order of their definition.
var checkKinds []*checkKind

func newKind(k checkKind) *checkKind {
	checkKinds = append(checkKinds, &k)
	return &k
}

// The checks of a comparison.
var (
	equalLaunch = newKind(checkKind{
		name: "equal-launch", pass: "The arms were launched alike", refuse: "The arms were not launched alike",
	})
	equalThreads = newKind(checkKind{
		name: "equal-threads", pass: "Threads per rank are equal", note: "Threads per rank follow the machine", refuse: "Threads per rank differ",
	})
	equalProblem = newKind(checkKind{
		name: "equal-problem", pass: "The problem size is equal", refuse: "The problem sizes differ",
	})
	equalImage = newKind(checkKind{
		name: "equal-image", pass: "The image is the same", note: "The images differ between architectures or are not known",
		refuse: "The images differ within an architecture",
	})
	equalArtifact = newKind(checkKind{
		name: "equal-artifact", pass: "The artifact is the same", note: "Some artifacts are not recorded", refuse: "The decisions came from different artifacts",
	})
	decisionFollowed = newKind(checkKind{
		name: "decision-followed", pass: "Every trial ran where the webhook decided", note: "The decisions are not recorded",
		refuse: "Trials ran elsewhere than the webhook decided",
	})
	completeArms = newKind(checkKind{
		name: "complete", pass: "The arms are complete", limit: "Trials are missing", refuse: "Too few trials to compare", within: "trials are missing",
	})
	severalNodes = newKind(checkKind{
		name: "several-nodes", pass: "Each arm ran on several machines", limit: "An arm ran on too few machines", within: "few machines stand for all",
	})
	knownMachines = newKind(checkKind{
		name: "known-machines", pass: "Every trial's machine is recorded", limit: "Machines are not recorded", within: "machines are not recorded",
	})
	sameTime = newKind(checkKind{
		name: "same-time", pass: "The arms took turns", note: "When the trials ran is not known", limit: "The arms did not take turns",
		within: "the arms did not take turns",
	})
	planKept = newKind(checkKind{
		name: "plan-kept", note: "The plan was changed while the study ran", limit: "The plan was changed after the comparison was read",
		within: "the plan was changed after a look",
	})
	skippedTypes = newKind(checkKind{
		name: "skipped-types", limit: "Trials ran on types that the study skips", within: "trials ran on skipped types",
	})
	totalProblem = newKind(checkKind{name: "total-problem", note: "The total problem differs: this is weak scaling"})
	cacheSize    = newKind(checkKind{
		name: "cache-size", pass: "The problem does not fit a cache", limit: "The problem may fit a cache", within: "the problem may fit a cache",
	})
	perRankLoss   = newKind(checkKind{name: "per-rank", note: "Per rank the arm loses"})
	perDollarLoss = newKind(checkKind{name: "per-dollar", note: "Per dollar the arm loses"})
	ownEndpoint   = newKind(checkKind{name: "own-endpoint", note: "The logs do not show what the model was made for"})
	converged     = newKind(checkKind{name: "converged", pass: "The solver converged"})
	ownRemarks    = newKind(checkKind{
		name: "own-remarks", note: "HPCG remarks on its threads", limit: "HPCG doubts its own figures in one arm",
		within: "the benchmark doubts its own figures in one arm",
	})
)

// The checks of a run.
var (
	realFigures = newKind(checkKind{
		name: "real-figures", pass: "Every figure was measured", limit: "The figures are simulated", within: "the figures are simulated",
	})
	likeStudy = newKind(checkKind{name: "like-study", note: "The cluster is not as the study's was"})
	wholeRun  = newKind(checkKind{
		name: "whole", pass: "The run is whole", note: "Some attempts failed before", limit: "The run is not complete", within: "the run is not complete",
	})
	untouched = newKind(checkKind{
		name: "untouched", limit: "The run folder was changed by hand", within: "the run folder was changed by hand",
	})
	realNodes = newKind(checkKind{
		name: "real-nodes", limit: "The nodes only carry the labels of instance types", within: "the nodes only carry the labels of instance types",
	})
	studySize = newKind(checkKind{
		name: "study-size", limit: "The problem size is not the study's: not comparable", within: "the problem size is not the study's",
	})
	copied = newKind(checkKind{
		name: "copies", limit: "The same trial lies in the folder more than once", within: "trials are copies",
	})
	oneChoice      = newKind(checkKind{name: "one-choice", note: "Several models made the same choice"})
	firstIteration = newKind(checkKind{
		name: "first-iteration", pass: "The first iteration is as the others", note: "The first iteration differs from the others",
	})
	evenDraw = newKind(checkKind{
		name: "even-draw", pass: "The random arm drew evenly", note: "How the random arm drew is not recorded",
		limit: "The random arm did not draw evenly over types", within: "the random arm did not draw evenly",
	})
	jobSection = newKind(checkKind{name: "job-section", note: "Some logs lack the section of job records"})
	shortRuns  = newKind(checkKind{name: "short-runs", note: "The runs are too short to be official HPCG results"})
	estimates  = newKind(checkKind{name: "estimates", note: "Some figures are estimates"})
	prices     = newKind(checkKind{name: "prices", note: "Some prices are unknown"})
)

func (k *checkKind) passes(format string, args ...any) Check  { return k.outcome(Pass, format, args) }
func (k *checkKind) notes(format string, args ...any) Check   { return k.outcome(Note, format, args) }
func (k *checkKind) limits(format string, args ...any) Check  { return k.outcome(Limit, format, args) }
func (k *checkKind) refuses(format string, args ...any) Check { return k.outcome(Refuse, format, args) }

func (k *checkKind) outcome(s Status, format string, args []any) Check {
	return Check{Name: k.name, Status: s, Text: fmt.Sprintf(format, args...), kind: k}
}

// of names trials that the check concerns.
func (c Check) of(rows ...[]TrialRow) Check {
	for _, r := range rows {
		c.Trials = append(c.Trials, refs(r)...)
	}
	return c
}

// title says the outcome in a few words.
func (c Check) title() string {
	return map[Status]string{Pass: c.kind.pass, Note: c.kind.note, Limit: c.kind.limit, Refuse: c.kind.refuse}[c.Status]
}
