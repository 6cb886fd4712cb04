// Package storetest fills run folders with synthetic trials for tests.
package storetest

import (
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	"github.com/compspec/ocifit-lab/experiments/application/hpcg/hpcgtest"
	"github.com/compspec/ocifit-lab/experiments/store"
	"github.com/compspec/ocifit-lab/experiments/study"
	"github.com/compspec/ocifit-lab/webhook/compat"
)

// Start is when the first synthetic trial begins.
var Start = time.Date(2025, 7, 21, 0, 0, 0, 0, time.UTC)

// Trial is what a synthetic trial shows.
type Trial struct {
	Log          hpcgtest.Spec
	Node         string
	InstanceType string
	Image        string
	Price        float64
	Created      time.Time
	NodeStart    time.Duration // 0: the node was there
	Replay       string        // JSON of the replay note
	Decision     *compat.Decision
}

// Study makes a study of the given arms, all launched one rank per physical core.
func Study(t testing.TB, repeats, iterations int, arms ...study.Arm) *study.Study {
	t.Helper()
	doc := map[string]any{
		"apiVersion": study.APIVersion, "name": "test", "repeats": repeats, "iterations": iterations, "order": "shuffle", "arms": arms,
	}
	data, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	s, err := study.Load(data, "test.yaml") // JSON is YAML
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Put runs one synthetic trial to its commit.
func Put(t testing.TB, r *store.Run, arm string, n int, tr Trial) {
	t.Helper()
	a, err := r.Begin(arm, n, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := Fill(a, r, tr); err != nil {
		t.Fatal(err)
	}
	if err := a.Commit(Describe(a, tr)); err != nil {
		t.Fatal(err)
	}
}

// Fill writes the trial's log.
func Fill(a *store.Attempt, r *store.Run, tr Trial) error {
	return a.WriteFile(r.LogName(), hpcgtest.Log(tr.Log))
}

// Describe makes the trial's record.
func Describe(a *store.Attempt, tr Trial) store.Trial {
	rec := a.Record()
	rec.Node = store.Node{Name: tr.Node, InstanceType: tr.InstanceType, Labels: map[string]string{"kubernetes.io/arch": "amd64"}}
	rec.Image, rec.PriceUSDPerHour, rec.Decision = tr.Image, tr.Price, tr.Decision
	if tr.Replay != "" {
		rec.Replay, rec.Simulated = json.RawMessage(tr.Replay), true
	}
	created := tr.Created
	if created.IsZero() {
		created = Start
	}
	ready := created.Add(tr.NodeStart)
	rec.Phases = store.Phases{Created: created, Scheduled: ready, Started: ready.Add(18 * time.Second), Finished: ready.Add(73 * time.Second)}
	if tr.NodeStart > 0 {
		rec.Phases.NodeReady = ready
	}
	return rec
}

// Dir returns the folder of a trial.
func Dir(r *store.Run, arm, trial string) string {
	return filepath.Join(r.Dir(), "logs", r.Info().Study.Application, arm, trial)
}
