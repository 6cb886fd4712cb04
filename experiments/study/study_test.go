package study

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func shipped(t *testing.T, name string) *Study {
	t.Helper()
	file := filepath.Join("..", "..", "templates", "studies", name+".yaml")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Load(data, file)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestProcedureIsTheSixExperiments(t *testing.T) {
	s := shipped(t, "procedure")
	want := []Arm{
		{Name: "random", Model: "random"},
		{Name: "fom-model", Model: "fom", Tasks: "$(nproc)"},
		{Name: "gflops-per-second-waxpby", Model: "gflops_per_second_waxpby", Tasks: "$(nproc)"},
		{Name: "gflops-per-second-spmv", Model: "gflops_per_second_spmv", Tasks: "4"},
		{Name: "memory-bandwidth-across-kernels-total", Model: "memory_bandwidth_across_kernels_total", Tasks: "$(nproc)"},
		{Name: "memory-bandwidth-across-kernels-write", Model: "memory_bandwidth_across_kernels_write", Tasks: "$(nproc)"},
	}
	if d := cmp.Diff(want, s.Arms); d != "" {
		t.Error(d)
	}
	if s.Repeats != 30 || s.Iterations != 3 || s.Order != Sequential || s.BaselineArm() != "random" || s.Application != "hpcg" {
		t.Errorf("settings: %+v", s)
	}
	trials := s.Trials()
	if len(trials) != 180 || trials[0].Arm.Name != "random" || trials[29].N != 30 || trials[30].Arm.Name != "fom-model" {
		t.Errorf("%d trials, %+v ... %+v", len(trials), trials[0], trials[30])
	}
}

func TestControlledHasTheSameArmsLaunchedAlike(t *testing.T) {
	p, c := shipped(t, "procedure"), shipped(t, "controlled")
	if d := cmp.Diff(p.Arms, c.Arms, cmpopts.IgnoreFields(Arm{}, "Tasks")); d != "" {
		t.Error(d)
	}
	for _, a := range c.Arms {
		if a.Tasks != TasksCores || c.ChartTasks(&a) != CoresExpression {
			t.Errorf("%s: tasks %q", a.Name, a.Tasks)
		}
	}
	elsewhere := *c
	elsewhere.Chart = "./lammps"
	// Charts from elsewhere expand the count before there is a Flux to ask.
	if got := elsewhere.ChartTasks(&c.Arms[0]); !strings.Contains(got, "lscpu") || strings.Contains(got, "flux") {
		t.Errorf("a chart from elsewhere gets %s", got)
	}
	if c.Order != Shuffle || !c.FreshNodes || p.FreshNodes {
		t.Errorf("order %s, fresh nodes %v, in the procedure %v", c.Order, c.FreshNodes, p.FreshNodes)
	}
}

func TestEveryShippedStudyLoads(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "templates", "studies", "*.yaml"))
	if err != nil || len(files) < 4 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".yaml")
		if s := shipped(t, name); s.Name != name {
			t.Errorf("%s is named %s", f, s.Name)
		}
	}
	if n := len(shipped(t, "smoke").Trials()); n != 2 {
		t.Errorf("smoke has %d trials", n)
	}
	if n := len(shipped(t, "all-models").Arms); n != 15 {
		t.Errorf("all-models has %d arms, want random and 14 models", n)
	}
}

func TestShuffleIsARandomisedBlockDesign(t *testing.T) {
	s := shipped(t, "controlled")
	trials := s.Trials()
	orders := map[string]bool{}
	for b := 0; b < len(trials); b += len(s.Arms) {
		seen, order := map[string]bool{}, ""
		for _, tr := range trials[b : b+len(s.Arms)] {
			if tr.N != b/len(s.Arms)+1 {
				t.Fatalf("block %d has trial %d", b, tr.N)
			}
			seen[tr.Arm.Name] = true
			order += tr.Arm.Name + " "
		}
		if len(seen) != len(s.Arms) {
			t.Fatalf("block %d: %s", b, order)
		}
		orders[order] = true
	}
	if len(orders) < 20 {
		t.Errorf("only %d orders in 30 blocks", len(orders))
	}
	if d := cmp.Diff(trials, s.Trials()); d != "" {
		t.Error("the order is not stable:", d)
	}
	// Pinned: a resumed run must find the order with which it began, in every later release too.
	var first []string
	for _, tr := range trials[:6] {
		first = append(first, tr.Arm.Name)
	}
	want := []string{
		"memory-bandwidth-across-kernels-total", "fom-model", "random",
		"gflops-per-second-spmv", "memory-bandwidth-across-kernels-write", "gflops-per-second-waxpby",
	}
	if d := cmp.Diff(want, first); d != "" {
		t.Error(d)
	}
}

func TestWarmupsComeFirst(t *testing.T) {
	for _, order := range []Order{Sequential, Interleaved, Shuffle} {
		s := shipped(t, "smoke")
		s.Order, s.Warmup, s.Repeats = order, 1, 2
		seen := map[string]int{}
		for _, tr := range s.Trials() {
			if tr.Warmup && seen[tr.Arm.Name] > 0 {
				t.Errorf("%s: a warm-up of %s after a measured trial", order, tr.Arm.Name)
			}
			if !tr.Warmup {
				seen[tr.Arm.Name]++
			}
		}
		if seen["random"] != 2 || seen["fom-model"] != 2 {
			t.Errorf("%s: %v", order, seen)
		}
	}
}

func TestSelect(t *testing.T) {
	s := shipped(t, "procedure")
	got, err := s.Select(Selection{Arms: []string{"fom-model"}, Trials: "4-6, 9"})
	if err != nil {
		t.Fatal(err)
	}
	var ns []int
	for _, tr := range got {
		ns = append(ns, tr.N)
	}
	if d := cmp.Diff([]int{4, 5, 6, 9}, ns); d != "" {
		t.Error(d)
	}
	for _, bad := range []Selection{{Arms: []string{"fom"}}, {Trials: "0-3"}, {Trials: "9-4"}, {Trials: "31"}, {Trials: "x"}, {Trials: "1-"}} {
		if _, err := s.Select(bad); err == nil {
			t.Errorf("%+v: no error", bad)
		}
	}
}

func TestLoadFaults(t *testing.T) {
	const head = "apiVersion: ocifit-lab/v1alpha1\nname: x\n"
	const arm = "arms:\n- {name: a, model: random}\n"
	for name, tc := range map[string]struct{ in, want string }{
		"empty":                {"", "f.yaml: the file is empty"},
		"only a comment":       {"# nothing\n", "f.yaml: the file is empty"},
		"not yaml":             {"a: [", "f.yaml: not YAML"},
		"a list":               {"- a\n", "f.yaml:1: should be a mapping, not a list"},
		"two documents":        {head + arm + "---\nname: y\n", "more than one YAML document"},
		"unknown":              {head + arm + "repeat: 3\n", "f.yaml:5: repeat: unknown field; known here:"},
		"twice":                {head + arm + "name: y\n", "f.yaml:5: name: given twice"},
		"unknown in arm":       {head + "arms:\n- name: a\n  modl: fom\n", "f.yaml:5: arms[0].modl: unknown field"},
		"no model":             {head + "arms:\n- name: a\n", "f.yaml:4: arms[0].model: the arm names no model"},
		"null model":           {head + "arms:\n- name: a\n  model:\n", "f.yaml:5: arms[0].model: should be text, not nothing"},
		"no arms":              {head, "arms: a study needs at least one arm"},
		"no name":              {"apiVersion: ocifit-lab/v1alpha1\n" + arm, "name: \"\" is no name"},
		"same arm":             {head + arm + "- {name: a, model: fom}\n", "f.yaml:5: arms[1].name: \"a\" is also the name of arms[0]"},
		"tasks all":            {head + "arms:\n- {name: a, model: fom, tasks: all}\n", "f.yaml:4: arms[0].tasks: \"all\" is no launch policy"},
		"objective":            {head + "arms:\n- {name: a, model: fom, objective: fast}\n", "f.yaml:4: arms[0].objective: objective \"fast\": \"fast\" is not known"},
		"objective of a draw":  {head + "arms:\n- {name: a, model: random, objective: per-dollar}\n", "arms[0].objective: \"per-dollar\": a random draw"},
		"tasks zero":           {head + "arms:\n- {name: a, model: fom, tasks: 0}\n", "arms[0].tasks"},
		"wrong type":           {head + arm + "repeats: many\n", "f.yaml:5: repeats: should be a whole number"},
		"fraction":             {head + arm + "repeats: 1.5\n", "f.yaml:5: repeats: should be a whole number"},
		"zero repeats":         {head + arm + "repeats: 0\n", "f.yaml:5: repeats: 0 is not between"},
		"negative":             {head + arm + "iterations: -1\n", "f.yaml:5: iterations: -1 is not between"},
		"negative seed":        {head + arm + "seed: -1\n", "f.yaml:5: seed: should be a whole number, 0 or more"},
		"order":                {head + arm + "order: random\n", "f.yaml:5: order: \"random\" is no order"},
		"deadline":             {head + arm + "deadlines: {run: soon}\n", "f.yaml:5: deadlines.run: not a duration"},
		"no time":              {head + arm + "deadlines: {run: 0s}\n", "f.yaml:5: deadlines.run: 0s is shorter"},
		"fresh nodes":          {head + arm + "freshNodes: maybe\n", "f.yaml:5: freshNodes: should be true or false, not \"maybe\""},
		"fresh number":         {head + arm + "freshNodes: 1\n", "f.yaml:5: freshNodes: should be true or false"},
		"cost":                 {head + arm + "maxCost: -5\n", "f.yaml:5: maxCost: -5 is no amount"},
		"nan cost":             {head + arm + "maxCost: .nan\n", "maxCost"},
		"baseline":             {head + arm + "baseline: b\n", "f.yaml:5: baseline: \"b\" is no arm"},
		"version":              {"apiVersion: v2\nname: x\n" + arm, "f.yaml:1: apiVersion: should be"},
		"values":               {head + arm + "values: [1]\n", "f.yaml:5: values: should be a mapping, not a list"},
		"iterations as values": {head + arm + "iterations: 1\nvalues: {experiment: {iterations: 7}}\n", "f.yaml:6: values.experiment.iterations: 7 contradicts the study; write `iterations`"},
		"tasks as values":      {head + arm + "values: {experiment: {tasks: 8}}\n", "values.experiment.tasks: 8 contradicts the study"},
		"nodes as values":      {head + arm + "values: {experiment: {nodes: 2}}\n", "values.experiment.nodes: 2 contradicts the study; a trial is one node"},
		"size as values":       {head + arm + "values: {minicluster: {size: 2}}\n", "values.minicluster.size: 2 contradicts the study"},
		"image as values":      {head + arm + "values: {minicluster: {image: app}}\n", "the webhook sets the image"},
		"iterations of an arm": {head + "arms:\n- {name: a, model: random, values: {experiment: {iterations: 7}}}\n", "arms[0].values.experiment.iterations: 7 contradicts"},
		"odd values":           {head + arm + "values: {a: .inf}\n", "values: cannot be chart values"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load([]byte(tc.in), "f.yaml")
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

// What values say as the study does is no contradiction, and what the study does not say is theirs.
func TestLoadTakesValues(t *testing.T) {
	text := "apiVersion: ocifit-lab/v1alpha1\nname: x\niterations: 7\nvalues: {experiment: {iterations: 7, nodes: 1}, env: {A: b}}\n" +
		"arms:\n- {name: a, model: random, tasks: \"4\", values: {experiment: {tasks: 4}}}\n"
	if _, err := Load([]byte(text), "f.yaml"); err != nil {
		t.Error(err)
	}
}

func TestLoadReportsAllFaultsInOrder(t *testing.T) {
	_, err := Load([]byte("bogus: 1\nname: x\nrepeats: x\nalso: 2\n"), "f.yaml")
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("got %v", err)
	}
}

func TestDefaults(t *testing.T) {
	s, err := Load([]byte("apiVersion: ocifit-lab/v1alpha1\nname: x\narms:\n- {name: a, model: fom, tasks: 4}\n"), "f.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if s.Repeats != 30 || s.Iterations != 3 || s.Order != Sequential || s.BaselineArm() != "a" || s.Arms[0].Tasks != "4" || s.ParserName() != "hpcg" {
		t.Errorf("%+v", s)
	}
	if err := s.CheckModels([]string{"ddot"}); err == nil || !strings.Contains(err.Error(), `f.yaml:4: arms[0].model: no model is named "fom"`) {
		t.Errorf("CheckModels: %v", err)
	}
}

func TestJSONRoundTrip(t *testing.T) {
	s := shipped(t, "controlled")
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var back Study
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(*s, back, cmpopts.IgnoreUnexported(Study{})); d != "" {
		t.Error(d)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte("apiVersion: ocifit-lab/v1alpha1\nname: x\narms:\n- {name: a, model: fom}\n"))
	f.Add([]byte("a: &a [*a]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Load(data, "fuzz.yaml")
		if err == nil && len(s.Arms) == 0 {
			t.Error("a study without arms was accepted")
		}
	})
}
