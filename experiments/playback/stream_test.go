package playback

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/compspec/ocifit-lab/experiments/application"
	"github.com/compspec/ocifit-lab/experiments/application/stream"
	"github.com/compspec/ocifit-lab/experiments/replay"
	"github.com/compspec/ocifit-lab/provision/simulated"
)

var streamEnv = map[string]string{application.EnvApplication: "stream", application.EnvTasks: "1", application.EnvIterations: "2"}

func TestPlaysStream(t *testing.T) {
	s := open(t, Options{Instant: true, Seed: 5}, node("n1", "r6i.8xlarge", nil), node("n2", "r6i.8xlarge", nil))
	p := pod("bw-1", "n1", "ghcr.io/x/stream:znver3-Ofast", streamEnv)
	again := pod("bw-1", "n2", "ghcr.io/x/stream:znver3-Ofast", streamEnv)
	again.Name, again.UID = "bw-1-0-zzzzz", "uid-again"
	s.create(p)
	_, note := s.reaches(p, simulated.PhaseSucceeded)
	if note.Source != replay.Estimated || !strings.HasPrefix(note.Rule, "STREAM was not measured on r6i.8xlarge; triad is ") || note.RunSeconds < 8 || note.RunSeconds > 60 {
		t.Errorf("%+v", note)
	}
	log := s.read(p, "bw-1.log")
	lines := strings.Split(log, "\n")
	at := 0
	for lines[at] != "#!/bin/bash" {
		at++
	}
	if !strings.HasPrefix(lines[at+1], "# REPLAY: ") || !strings.Contains(lines[at+1], note.Rule) || lines[at+3] != "export OMP_NUM_THREADS=$(flux resource list -s all -no {ncores})" {
		t.Errorf("script: %q", lines[at:at+5])
	}
	for _, want := range []string{
		"\nFLUX-RUN START stream-iter-1\n", "\nFLUX-RUN END stream-iter-2\n", " -n 1 ", "--exclusive /opt/stream/stream\n",
		"\nNumber of Threads counted = 16\n", "\nSolution Validates", "\nFLUX-JOB START ", "\nFLUX JOB STATS\n",
	} {
		if !strings.Contains(log, want) {
			t.Errorf("no %q in\n%s", want, log)
		}
	}
	if strings.Contains(log, "HPCG-") || strings.Contains(log, "hpcg.dat") || strings.Contains(log, "FLUX-RESULTS") {
		t.Errorf("HPCG's parts in\n%s", log)
	}
	checkTriad(t, log, note.Rule)
	s.create(again)
	s.reaches(again, simulated.PhaseSucceeded)
	if table(log) != table(s.read(again, "bw-1.log")) {
		t.Error("the same trial has other figures")
	}
}

var triadLine = regexp.MustCompile(`(?m)^Triad: +([0-9.]+) +([0-9.]+) +([0-9.]+) +([0-9.]+)$`)

func table(log string) string { return strings.Join(triadLine.FindAllString(log, -1), "\n") }

func checkTriad(t *testing.T, log, rule string) {
	t.Helper()
	var mean float64
	if _, err := fmt.Sscanf(rule[strings.Index(rule, "triad is "):], "triad is %f GB/s", &mean); err != nil {
		t.Fatal(err)
	}
	rows := triadLine.FindAllStringSubmatch(log, -1)
	if len(rows) != 2 {
		t.Fatalf("%d rows in\n%s", len(rows), log)
	}
	for _, row := range rows {
		var v [4]float64
		for i := range v {
			v[i], _ = strconv.ParseFloat(row[i+1], 64)
		}
		if math.Abs(v[0]/1000-mean) > 0.031*mean || v[2] > v[1] || v[1] > v[3] {
			t.Errorf("triad %v, the rule says %v GB/s", v, mean)
		}
		if rate := 3 * 8 * float64((1 << 28)) / v[2] / 1e6; math.Abs(rate-v[0]) > rate*(0.001+1e-6/v[2]) {
			t.Errorf("rate %v, from the time %v", v[0], rate)
		}
	}
}

func TestStreamRefusals(t *testing.T) {
	s := open(t, Options{Instant: true}, node("n1", "r6i.8xlarge", nil))
	for name, tc := range map[string]struct{ key, value, want string }{
		"ranks":   {application.EnvTasks, "4", "STREAM is one process on one node"},
		"cores":   {application.EnvTasks, "cores", "STREAM is one process on one node"},
		"threads": {stream.EnvThreads, "many", "OMP_NUM_THREADS=many is no number"},
	} {
		env := map[string]string{application.EnvApplication: "stream", tc.key: tc.value}
		p := pod(name, "n1", "x:znver3-Ofast", env)
		s.create(p)
		_, note := s.reaches(p, simulated.PhaseFailed)
		if log := s.read(p, name+".log"); !strings.Contains(note.Rule, tc.want) || !strings.Contains(log, "flux-run: ERROR: ") {
			t.Errorf("%s: %s\n%s", name, note.Rule, log)
		}
	}
}

func TestUnknownApplicationIsSaid(t *testing.T) {
	s := open(t, Options{Instant: true}, node("n1", "r6i.8xlarge", nil))
	other := pod("lammps", "n1", "x:znver3-Ofast", map[string]string{application.EnvApplication: "lammps"})
	none := pod("none", "n1", "x:znver3-Ofast", nil)
	none.Spec.Containers[0].Env = nil
	for p, want := range map[string]string{"lammps": `OCIFIT_APP="lammps"`, "none": `OCIFIT_APP=""`} {
		pod := other
		if p == "none" {
			pod = none
		}
		s.create(pod)
		have, note := s.reaches(pod, simulated.PhaseFailed)
		log := s.read(pod, p+".log")
		if have.Annotations[simulated.ExitCodeAnnotation] != "1" || !strings.Contains(note.Rule, want) || !strings.Contains(log, "\nocifit-lab sim: ") || !strings.Contains(log, want) {
			t.Errorf("%s: %v\n%s", p, have.Annotations, log)
		}
	}
	events, err := s.kube.CoreV1().Events("study").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(events.Items) != 2 {
		t.Fatalf("%v, %v", events, err)
	}
	for _, e := range events.Items {
		if e.Type != "Warning" || e.Reason != "NotReplayed" || !strings.Contains(e.Message, "hpcg, stream alone") {
			t.Errorf("%+v", e)
		}
	}
}
