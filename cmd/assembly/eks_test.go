package assembly

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/compspec/ocifit-lab/addons/autoscaler"
	"github.com/compspec/ocifit-lab/addons/builtin"
	"github.com/compspec/ocifit-lab/addons/fluxoperator"
	"github.com/compspec/ocifit-lab/addons/ocifit"
	"github.com/compspec/ocifit-lab/provision/eks"
	"github.com/compspec/ocifit-lab/provision/eks/awstest"
	"github.com/compspec/ocifit-lab/provision/lab"
	"github.com/compspec/ocifit-lab/provision/labstate"
	"github.com/compspec/ocifit-lab/provision/step"
)

// assembled is the lab of a lab.yaml, to which lines are added.
func assembled(t *testing.T, provider, more string) *Lab {
	t.Helper()
	file := filepath.Join(t.TempDir(), "lab.yaml")
	text := "apiVersion: " + lab.APIVersion + "\nname: study\nprovider: " + provider + "\n" + more
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	spec, err := lab.Load(file, false)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := labstate.Open(t.TempDir(), spec.Name)
	if err != nil {
		t.Fatal(err)
	}
	l, err := Assemble(t.Context(), spec, dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// The lab of a real cluster: everything runs in it, starts as early as it can, and stays on the nodes that are always there.
func TestEKSLab(t *testing.T) {
	l := assembled(t, "eks", "components: {certificates: lab, miniclusters: builtin}\n")
	needs := map[string][]string{}
	for _, step := range l.Steps() {
		needs[step.Name] = step.Needs
	}
	for addon, want := range map[string][]string{
		"node-features": {eks.StepKubeconfig}, "artifact": {eks.StepKubeconfig}, "lab-image": {eks.StepKubeconfig}, "certificates": {eks.StepKubeconfig},
		"node-feature-discovery": {eks.StepKubeconfig, eks.StepSticky},
		"autoscaler":             {eks.StepKubeconfig, eks.StepSticky, eks.StepIdentity},
		"miniclusters":           {eks.StepKubeconfig, eks.StepSticky, "lab-image"},
		"webhook":                {eks.StepKubeconfig, eks.StepSticky, "lab-image", "node-features", "artifact", "certificates"},
	} {
		if !slices.Equal(needs[addon], want) {
			t.Errorf("%s starts after %v, want %v", addon, needs[addon], want)
		}
	}
	sticky := map[string]string{"ocifit-lab/pool": "sticky"}
	for _, a := range l.Addons {
		switch a := a.(type) {
		case *builtin.Addon:
			if !maps.Equal(a.NodeSelector, sticky) {
				t.Errorf("the MiniCluster controller runs on %v", a.NodeSelector)
			}
		case *ocifit.InCluster:
			if !maps.Equal(a.NodeSelector, sticky) {
				t.Errorf("the webhook runs on %v", a.NodeSelector)
			}
		}
	}
	for _, a := range assembled(t, "eks", "").Addons {
		if a, ok := a.(*fluxoperator.Addon); ok && !maps.Equal(a.Nodes, sticky) {
			t.Errorf("flux-operator runs on %v", a.Nodes)
		}
	}
	for _, a := range l.Addons {
		scaler, ok := a.(*autoscaler.Addon)
		if !ok {
			continue
		}
		want := map[string]any{
			"autoDiscovery": map[string]any{"clusterName": "study"}, "awsRegion": "us-east-1", "nodeSelector": map[string]any{"ocifit-lab/pool": "sticky"},
			"rbac":  map[string]any{"serviceAccount": map[string]any{"create": false, "name": "cluster-autoscaler"}},
			"image": map[string]any{"repository": "registry.k8s.io/autoscaling/cluster-autoscaler", "tag": "v1.35.2"},
		}
		for k, v := range want {
			if diff := cmp.Diff(v, scaler.Values[k]); diff != "" {
				t.Errorf("value %s of the autoscaler: %s", k, diff)
			}
		}
		return
	}
	t.Error("the lab has no autoscaler")
}

// The image of this program goes to the account's registry, once.
func TestEKSOwnImage(t *testing.T) {
	aws, err := awstest.New(awstest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = aws.Close() })
	for _, e := range aws.Env() {
		k, v, _ := strings.Cut(e, "=")
		t.Setenv(k, v)
	}
	l, dir := assembled(t, "eks", ""), t.TempDir()
	source, program := filepath.Join(dir, "main.go"), filepath.Join(dir, "program")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-o", program, source)
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var own *pushedImage
	for _, a := range l.Addons {
		if i, ok := a.(*pushedImage); ok {
			own = i
		}
	}
	own.program = source
	if err := l.CheckProgramImage(); err == nil || !strings.Contains(step.HintOf(err), "--webhook-image") {
		t.Errorf("a program that is none: %v", err)
	}
	own.program = program
	if err := l.CheckProgramImage(); err != nil {
		t.Error(err)
	}
	ctx := t.Context()
	if err := own.Ready(ctx, nil); err == nil {
		t.Error("there is an image before it was made")
	}
	if err := own.Install(ctx, nil, func(string, ...any) {}); err != nil {
		t.Fatal(err)
	}
	if err := own.Ready(ctx, nil); err != nil {
		t.Error(err)
	}
	if ref, err := own.ref(ctx); err != nil || !strings.Contains(ref, "/study/ocifit-lab:") {
		t.Errorf("reference %q, %v", ref, err)
	}
	// It goes with the lab, as everything that bears its tag.
	if have := strings.Join(aws.Inventory(), "\n"); !strings.Contains(have, "study/ocifit-lab") {
		t.Errorf("the account has\n%s", have)
	}
}
