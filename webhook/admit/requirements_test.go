package admit

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/features"
)

// What the pod itself requires decides what is a candidate, whether the model scores, draws or a specification matches.
func TestOwnRequirements(t *testing.T) {
	cpus := func(n int64) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceCPU: *resource.NewQuantity(n, resource.DecimalSI)}
	}
	affinity := func(key, op, values string) string {
		return fmt.Sprintf(`"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{"key":%q,"operator":%q,"values":[%s]}]}]}}},`, key, op, values)
	}
	for _, c := range []struct {
		name, spec string
		live       []features.Node
		want       string // type, or what the denial says
	}{
		{"nothing", "", nil, "hpc7g.16xlarge"},
		{"affinity on the type", affinity(compat.LabelInstanceType, "In", `"m7g.16xlarge","t3.2xlarge"`), nil, "m7g.16xlarge"},
		{"affinity away from a type", affinity(compat.LabelInstanceType, "NotIn", `"hpc7g.16xlarge"`), nil, "m7g.16xlarge"},
		{"affinity on the architecture", affinity(compat.LabelArch, "In", `"amd64"`), nil, "c7a.12xlarge"},
		{"affinity on a label that says nothing of a type", affinity("disk", "In", `"ssd"`), nil, "hpc7g.16xlarge"},
		{"affinity that nothing fits", affinity(compat.LabelArch, "In", `"riscv64"`), nil, "3 because the object's node affinity wants kubernetes.io/arch In riscv64"},
		{"the older name of the architecture", `"nodeSelector":{"beta.kubernetes.io/arch":"amd64"},`, nil, "c7a.12xlarge"},
		{"the older name of the type", `"nodeSelector":{"beta.kubernetes.io/instance-type":"m7g.16xlarge"},`, nil, "m7g.16xlarge"},
		{"requests that some types can give", `"containers":[{"name":"b","image":"placeholder:latest","resources":{"requests":{"cpu":"50"}}}],"x":[],`, nil, "hpc7g.16xlarge"},
		{"a zone", `"nodeSelector":{"topology.kubernetes.io/zone":"b"},`, []features.Node{{Name: "n", Labels: zone(rows[0], "a")}, {Name: "m", Labels: zone(rows[3], "b")}}, "m7g.16xlarge"},
		{"one of two zones", `"nodeSelector":{"failure-domain.beta.kubernetes.io/zone":"b"},`, []features.Node{{Name: "n", Labels: zone(rows[0], "a")}, {Name: "m", Labels: zone(rows[0], "b")}}, "hpc7g.16xlarge"},
		{"a taint", "", []features.Node{{Name: "n", Labels: rows[0], Taints: []corev1.Taint{{Key: "pool", Value: "x", Effect: "NoSchedule"}}}}, "m7g.16xlarge"},
		{"a taint that passes", "", []features.Node{{Name: "n", Labels: rows[0], Taints: []corev1.Taint{{Key: "node.kubernetes.io/not-ready", Effect: "NoSchedule"}}}}, "hpc7g.16xlarge"},
		{"a tolerated taint", `"tolerations":[{"key":"pool","operator":"Exists"}],`, []features.Node{{Name: "n", Labels: rows[0], Taints: []corev1.Taint{{Key: "pool", Value: "x", Effect: "NoSchedule"}}}}, "hpc7g.16xlarge"},
		{"what a live node gives", `"initContainers":[{"name":"i","image":"j","resources":{"limits":{"cpu":"40"}}}],`, []features.Node{{Name: "n", Labels: rows[0], Allocatable: cpus(39)}}, "m7g.16xlarge"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, index := newDecider(t, func(cfg *Config) {
				cfg.Allocatable = map[string]corev1.ResourceList{"hpc7g.16xlarge": cpus(64), "m7g.16xlarge": cpus(64), "c7a.12xlarge": cpus(48)}
			})
			for _, n := range c.live {
				index.Put(n)
			}
			object := pod(map[string]string{"image-ref": ref, "model": "fom"}, c.spec)
			if strings.Contains(c.spec, `"x":[]`) { // the spec brings its own containers
				object = strings.Replace(object, `"x":[],"containers":[{"name":"a","image":"placeholder:latest"}]`, `"x":[]`, 1)
			}
			_, report := d.Review(t.Context(), request(object))
			if report.Result == ResultSelected {
				if got := report.Outcome.Decision.InstanceType; got != c.want {
					t.Errorf("selected %s, left out %v", got, report.Outcome.Decision.LeftOut)
				}
			} else if !strings.Contains(report.Message, c.want) {
				t.Errorf("%s: %s", report.Result, report.Message)
			}
		})
	}
	d, _ := newDecider(t, func(cfg *Config) {
		cfg.Allocatable = map[string]corev1.ResourceList{"hpc7g.16xlarge": cpus(64), "m7g.16xlarge": cpus(64), "c7a.12xlarge": cpus(48)}
		withArtifact(t, "feature:v1", compat.MediaTypeFeatures, kernels)(cfg)
	})
	for _, ann := range []map[string]string{{"image-ref": ref, "model": "fom"}, {"image-ref": ref, "model": "random"}, {"image-ref": "feature:v1"}} {
		object := strings.Replace(pod(ann, ""), `"image":"placeholder:latest"`, `"image":"placeholder:latest","resources":{"limits":{"cpu":96}}`, 1)
		_, report := d.Review(t.Context(), request(object))
		if report.Reason != ReasonNoCandidate || !strings.Contains(report.Message, "the object requests 96 of cpu") {
			t.Errorf("%v: %s %s", ann, report.Result, report.Message)
		}
		mini := strings.Replace(object, `"Pod"`, `"MiniCluster"`, 1)
		if _, report := d.Review(t.Context(), request(mini)); report.Reason != ReasonNoCandidate {
			t.Errorf("MiniCluster, %v: %s %s", ann, report.Result, report.Message)
		}
	}
}

func zone(labels map[string]string, name string) map[string]string {
	out := map[string]string{corev1.LabelTopologyZone: name}
	for k, v := range labels {
		out[k] = v
	}
	return out
}

// A lab at rest has its system node only, which is on the skip list; that must hide nothing.
func TestFeaturesOfALabAtRest(t *testing.T) {
	d, index := newDecider(t, withArtifact(t, "feature:v1", compat.MediaTypeFeatures, kernels))
	object := pod(map[string]string{"image-ref": "feature:v1"}, "")
	index.Put(features.Node{Name: "sticky", Labels: map[string]string{compat.LabelInstanceType: "t3.2xlarge", compat.LabelArch: "amd64", compat.FeaturePrefix + "kernel-version.full": "5.10"}})
	if _, report := d.Review(t.Context(), request(object)); report.Result != ResultSelected || report.Outcome.Decision.Image != "i:six" || report.Outcome.Decision.Candidates != 3 {
		t.Errorf("%+v", report)
	}
	// NFD is restarting: the node lost what the catalogue knows of its type.
	index.Put(features.Node{Name: "n1", Labels: map[string]string{compat.LabelInstanceType: "c7a.12xlarge", compat.LabelArch: "amd64"}})
	_, report := d.Review(t.Context(), request(object))
	if report.Result != ResultSelected || report.Outcome.Decision.Image != "i:six" {
		t.Fatalf("%+v", report)
	}
	if c := report.Outcome.Decision.Cached; len(c) != 1 || c[0].InstanceType != "c7a.12xlarge" || !strings.Contains(c[0].Reason, "kernel-version.full is absent") {
		t.Errorf("%+v", c)
	}
}

// A switch of SMT gives a machine that no model saw: the live node is not believed, and the reason names the pair.
func TestCombinationsNeverSeen(t *testing.T) {
	d, index := newDecider(t, func(c *Config) { c.Skip = nil })
	off := map[string]string{}
	for k, v := range rows[1] {
		off[k] = v
	}
	off[compat.FeaturePrefix+"cpu-hardware_multithreading"] = "false"
	index.Put(features.Node{Name: "n", Labels: off})
	_, report := d.Review(t.Context(), request(pod(map[string]string{"image-ref": ref, "model": "fom"}, "")))
	dec := report.Outcome.Decision
	if dec.InstanceType != "hpc7g.16xlarge" || *dec.Score > 100 {
		t.Errorf("%+v", dec)
	}
	if len(dec.Cached) != 1 || !strings.Contains(dec.Cached[0].Reason, "cpu-hardware_multithreading=false and ") || !strings.Contains(dec.Cached[0].Reason, "never saw the two together") {
		t.Errorf("%+v", dec.Cached)
	}
	off[compat.LabelInstanceType] = "t3.new"
	index.Put(features.Node{Name: "n", Labels: off})
	_, report = d.Review(t.Context(), request(pod(map[string]string{"image-ref": ref, "model": "fom"}, "")))
	if dec := report.Outcome.Decision; len(dec.OutOfDomain) != 1 || dec.OutOfDomain[0].InstanceType != "t3.new" {
		t.Errorf("%+v", dec)
	}
}

// Without a seed every admission draws afresh, in every replica: 2,200 draws of one name over the types are as even as
// chance has it. The bound is passed by chance once in a million runs.
func TestRandomIsRandom(t *testing.T) {
	draw := func(d *Decider) string {
		_, report := d.Review(t.Context(), request(pod(map[string]string{"image-ref": ref, "model": "random"}, "")))
		return report.Outcome.Decision.InstanceType
	}
	fresh := func(c *Config) { c.Seed = 0 }
	d, index := newDecider(t, fresh)
	other, _ := newDecider(t, fresh)
	const types, n = 22, 2200
	for i := range types - 3 { // three are there already
		index.Put(features.Node{Name: fmt.Sprint("n", i), Labels: map[string]string{compat.LabelInstanceType: fmt.Sprint("type", i), compat.LabelArch: "amd64"}})
	}
	counts := map[string]int{}
	for range n {
		counts[draw(d)]++
	}
	chi2 := 0.0
	for _, got := range counts {
		chi2 += math.Pow(float64(got)-n/types, 2) / (n / types)
	}
	t.Logf("chi-square %.1f with %d degrees of freedom", chi2, types-1)
	if len(counts) != types || chi2 > 72.4 { // the 1-1e-6 quantile for 21 degrees of freedom is 65.2
		t.Errorf("%d types, chi-square %.1f: %v", len(counts), chi2, counts)
	}
	var one, two []string
	e, _ := newDecider(t, fresh)
	for range 64 {
		one, two = append(one, draw(e)), append(two, draw(other))
	}
	if slices.Equal(one, two) {
		t.Error("two replicas drew the same 64 times")
	}
}
