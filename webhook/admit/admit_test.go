package admit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/compspec/ocifit-lab/webhook/artifact"
	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/features"
	"github.com/compspec/ocifit-lab/webhook/predict"
)

const ref = "reg.example:5000/study:v1"

// specs is a source of artifacts.
type specs map[string]*artifact.Artifact

func (s specs) Get(_ context.Context, ref string) (*artifact.Artifact, error) {
	switch a := s[ref]; {
	case a != nil:
		return a, nil
	case strings.HasPrefix(ref, "bad"):
		return nil, fmt.Errorf("%w: %s", artifact.ErrReference, ref)
	case strings.HasPrefix(ref, "broken"):
		return nil, fmt.Errorf("%w: %s", artifact.ErrContent, ref)
	}
	return nil, fmt.Errorf("%w: %s: connection refused", artifact.ErrUnavailable, ref)
}

// row describes a type of the study.
func row(name, arch, smt, family, cpu, vendor string) map[string]string {
	kernel := map[string]string{"arm64": "aarch64", "amd64": "x86_64"}[arch]
	m := map[string]string{compat.LabelInstanceType: name, compat.LabelArch: arch}
	for k, v := range map[string]string{
		"cpu-hardware_multithreading": smt, "cpu-model.family": family, "cpu-model.id": cpu, "cpu-model.vendor_id": vendor,
		"kernel-version.full": "6.1.134-152.225.amzn2023." + kernel, "kernel-version.major": "6", "kernel-version.minor": "1",
		"kernel-version.revision": "134", "system-os_release.ID": "amzn", "system-os_release.VERSION_ID": "2023",
		"system-os_release.VERSION_ID.major": "2023",
	} {
		m[compat.FeaturePrefix+k] = v
	}
	return m
}

var rows = []map[string]string{
	row("hpc7g.16xlarge", "arm64", "false", "31", "54273", "ARM"),
	row("t3.2xlarge", "amd64", "true", "6", "85", "Intel"),
	row("c7a.12xlarge", "amd64", "false", "25", "17", "AMD"),
	row("m7g.16xlarge", "arm64", "false", "31", "54273", "ARM"),
}

// newDecider is a decider over four types, with all published models.
func newDecider(t testing.TB, edit func(*Config)) (*Decider, *features.Index) {
	t.Helper()
	var cs []features.Candidate
	for _, r := range rows {
		cs = append(cs, features.Candidate{Labels: r})
	}
	data, err := features.EncodeCatalogue(cs)
	if err != nil {
		t.Fatal(err)
	}
	cat, err := features.LoadCatalogue(data, "")
	if err != nil {
		t.Fatal(err)
	}
	index := features.NewIndex("")
	index.SetCatalogue(cat)
	models, err := predict.Published()
	if err != nil {
		t.Fatal(err)
	}
	list := []compat.Model{predict.RandomModel(), {Name: "setup_time_seconds", Direction: compat.Minimize}}
	for _, m := range models {
		list = append(list, m.ArtifactModel())
	}
	spec, err := artifact.Build(list, map[string]string{"amd64": "i:amd", "arm64": "i:arm"})
	if err != nil {
		t.Fatal(err)
	}
	amd, err := artifact.Build(list, map[string]string{"amd64": "i:amd"})
	if err != nil {
		t.Fatal(err)
	}
	source := specs{}
	for name, data := range map[string][]byte{ref: spec, "amd:v1": amd} {
		if source[name], err = artifact.Decode(&artifact.Content{Reference: name, Digest: "sha256:1", MediaType: compat.MediaTypeModels, Data: data}); err != nil {
			t.Fatal(err)
		}
	}
	stale := *source[ref]
	stale.Stale = "1m ago"
	source["stale:v1"] = &stale
	cfg := Config{Specs: source, Features: index, Models: models, Skip: []string{"t3.2xlarge"}, Seed: 7, Prices: map[string]float64{"hpc7g.16xlarge": 1.68, "m7g.16xlarge": 2.61}}
	if edit != nil {
		edit(&cfg)
	}
	d, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return d, index
}

// pod writes a labelled pod with annotations (short names) and fields of its spec.
func pod(annotations map[string]string, spec string) string {
	full := map[string]string{}
	for k, v := range annotations {
		full[compat.Prefix+k] = v
	}
	ann, err := json.Marshal(full)
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf(`{"kind":"Pod","metadata":{"name":"p","labels":{%q:"true"},"annotations":%s},"spec":{%s"containers":[{"name":"a","image":"placeholder:latest"}]}}`, compat.LabelEnabled, ann, spec)
}

func request(object string) *admissionv1.AdmissionRequest {
	var typ metav1.TypeMeta
	if err := json.Unmarshal([]byte(object), &typ); err != nil {
		panic(err)
	}
	return &admissionv1.AdmissionRequest{
		UID: "u", Kind: metav1.GroupVersionKind{Kind: typ.Kind}, Namespace: "ns", Operation: admissionv1.Create,
		Object: runtime.RawExtension{Raw: []byte(object)},
	}
}

func TestSelect(t *testing.T) {
	for name, c := range map[string]struct {
		object string
		edit   func(*Config)
		want   compat.Decision
	}{
		"best by price": {object: pod(map[string]string{"image-ref": ref, "model": "fom"}, ""), want: compat.Decision{
			Model: "fom", Direction: "maximize", InstanceType: "hpc7g.16xlarge", Architecture: "arm64", Image: "i:arm", Score: num(31.227516417709687),
			RunnerUp: &compat.RunnerUp{InstanceType: "c7a.12xlarge", Score: 27.069801573959687}, Tied: []string{"hpc7g.16xlarge", "m7g.16xlarge"},
			TieBreak: "price", Candidates: 3, Skipped: []string{"t3.2xlarge"},
		}},
		"architecture without image": {object: pod(map[string]string{"image-ref": "amd:v1", "model": "fom"}, ""), want: compat.Decision{
			Model: "fom", Direction: "maximize", InstanceType: "c7a.12xlarge", Architecture: "amd64", Image: "i:amd", Score: num(27.069801573959687),
			Tied: []string{"c7a.12xlarge"}, TieBreak: "price", Candidates: 1, Skipped: []string{"t3.2xlarge"}, ArtifactRef: "amd:v1",
			LeftOut: []compat.LeftOut{
				{InstanceType: "hpc7g.16xlarge", Reason: "the artifact has no image for arm64, only for amd64"},
				{InstanceType: "m7g.16xlarge", Reason: "the artifact has no image for arm64, only for amd64"},
			},
		}},
		"node selector": {object: pod(map[string]string{"image-ref": ref, "model": "fom"}, `"nodeSelector":{"node.kubernetes.io/instance-type":"m7g.16xlarge","disk":"ssd"},`), want: compat.Decision{
			Model: "fom", Direction: "maximize", InstanceType: "m7g.16xlarge", Architecture: "arm64", Image: "i:arm", Score: num(31.227516417709687),
			Tied: []string{"m7g.16xlarge"}, TieBreak: "price", Candidates: 1, Skipped: []string{"t3.2xlarge"},
			LeftOut: []compat.LeftOut{
				{InstanceType: "hpc7g.16xlarge", Reason: "the object's node selector wants node.kubernetes.io/instance-type=m7g.16xlarge, nodes of this type have hpc7g.16xlarge"},
				{InstanceType: "c7a.12xlarge", Reason: "the object's node selector wants node.kubernetes.io/instance-type=m7g.16xlarge, nodes of this type have c7a.12xlarge"},
			},
		}},
		"drawn, seed given": {object: pod(map[string]string{"image-ref": ref, "model": "random", "seed": "18446744073709551615"}, ""), want: compat.Decision{
			Model: "random", Direction: "random", InstanceType: "m7g.16xlarge", Architecture: "arm64", Image: "i:arm",
			Seed: seed(1<<64 - 1), Candidates: 3, Skipped: []string{"t3.2xlarge"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			d, index := newDecider(t, c.edit)
			resp, report := d.Review(t.Context(), request(c.object))
			if !resp.Allowed || report.Result != ResultSelected {
				t.Fatalf("%+v", resp.Result)
			}
			if c.want.ArtifactRef == "" {
				c.want.ArtifactRef = ref
			}
			c.want.ArtifactDigest, c.want.CatalogueHash = "sha256:1", index.Hash()
			p, err := jsonpatch.DecodePatch(resp.Patch)
			if err != nil {
				t.Fatal(err)
			}
			patched, err := p.Apply([]byte(c.object))
			if err != nil {
				t.Fatal(err)
			}
			var got struct {
				Metadata metav1.ObjectMeta
				Spec     struct {
					NodeSelector map[string]string
					Containers   []struct{ Image string }
				}
			}
			if err := json.Unmarshal(patched, &got); err != nil {
				t.Fatal(err)
			}
			record, err := compat.ParseDecision(got.Metadata.Annotations[compat.AnnotationDecision])
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&c.want, record); diff != "" {
				t.Error(diff)
			}
			if got.Spec.NodeSelector[compat.LabelInstanceType] != c.want.InstanceType || got.Spec.Containers[0].Image != c.want.Image {
				t.Errorf("%s", patched)
			}
			again := request(string(patched))
			if resp, report := d.Review(t.Context(), again); !resp.Allowed || report.Result != ResultUnchanged {
				t.Errorf("the patched object was not left alone: %+v", report)
			}
		})
	}
}

// What an object wants to be made best decides, and is written down; answers are kept apart by it.
func TestObjective(t *testing.T) {
	d, _ := newDecider(t, func(c *Config) { c.Prices["c7a.12xlarge"] = 1.2 })
	decide := func(model, objective string) *compat.Decision {
		t.Helper()
		e, err := d.Explain(t.Context(), []byte(pod(map[string]string{"image-ref": ref, "model": model, "objective": objective}, "")))
		if err != nil || e.Decision == nil {
			t.Fatalf("%s %s: %+v, %v", model, objective, e, err)
		}
		return e.Decision
	}
	if got := decide("fom", ""); got.InstanceType != "hpc7g.16xlarge" || got.Objective != "" || got.Value != nil {
		t.Errorf("%+v", got)
	}
	// 31.23 at $1.68 and $2.61 against 27.07 at $1.20.
	if got := decide("fom", "per-dollar"); got.InstanceType != "c7a.12xlarge" || got.Objective != "per-dollar" || *got.Value != *got.Score/1.2 || got.RunnerUp.InstanceType != "hpc7g.16xlarge" {
		t.Errorf("%+v", got)
	}
	if got := decide("fom", "per-dollar, usd-per-hour<=2"); got.InstanceType != "c7a.12xlarge" || got.Objective != "per-dollar,usd-per-hour<=2" || len(got.LeftOut) != 1 || got.LeftOut[0].InstanceType != "m7g.16xlarge" {
		t.Errorf("%+v", got)
	}
	if got := decide("fom", "usd-per-hour<=1.5"); got.InstanceType != "c7a.12xlarge" || got.Value != nil {
		t.Errorf("%+v", got)
	}
	duration := decide("duration", "")
	if got := decide("fom", "time"); got.InstanceType != duration.InstanceType || *got.Score != *duration.Score || got.Direction != compat.Minimize || got.Model != "fom" {
		t.Errorf("%+v, model duration decides %+v", got, duration)
	}
	if got := decide("fom", "minutes<=100000"); got.InstanceType != "hpc7g.16xlarge" {
		t.Errorf("%+v", got)
	}
	for range 10 {
		if got := decide("random", "usd-per-hour<=1.5"); got.InstanceType != "c7a.12xlarge" || got.Objective != "usd-per-hour<=1.5" {
			t.Errorf("%+v", got)
		}
	}
	e, err := d.Explain(t.Context(), []byte(pod(map[string]string{"image-ref": ref, "model": "fom"}, "")))
	if err != nil {
		t.Fatal(err)
	}
	var frontier []string
	for _, l := range e.Table.Scores {
		if l.Frontier {
			frontier = append(frontier, l.InstanceType)
		}
	}
	if got := strings.Join(frontier, " "); got != "hpc7g.16xlarge c7a.12xlarge" {
		t.Errorf("on the frontier: %s", got)
	}
}

func num(f float64) *float64 { return &f }
func seed(u uint64) *uint64  { return &u }

func TestDeny(t *testing.T) {
	full := map[string]string{"image-ref": ref, "model": "fom"}
	with := func(k, v string) map[string]string {
		m := map[string]string{}
		for a, b := range full {
			m[a] = b
		}
		if m[k] = v; v == "" {
			delete(m, k)
		}
		return m
	}
	for name, c := range map[string]struct {
		object, reason, says string
		code                 int32
	}{
		"no image-ref":         {pod(with("image-ref", ""), ""), ReasonMissingAnnotation, "image-ref", 422},
		"no model":             {pod(with("model", ""), ""), ReasonMissingAnnotation, "set it to one of random", 422},
		"unknown tag":          {pod(with("model", "speed"), ""), ReasonUnknownModel, `no model "speed"`, 422},
		"model nobody has":     {pod(with("model", "setup_time_seconds"), ""), ReasonUnknownModel, "the webhook has duration, fom", 422},
		"no target":            {pod(with("target-image", "mine:v1"), ""), ReasonNoTarget, `"mine:v1"`, 422},
		"bad reference":        {pod(with("image-ref", "bad"), ""), ReasonArtifactInvalid, "bad", 422},
		"broken artifact":      {pod(with("image-ref", "broken"), ""), ReasonArtifactInvalid, "broken", 422},
		"registry down":        {pod(with("image-ref", "down"), ""), ReasonArtifactUnavailable, "connection refused", 503},
		"no candidate":         {pod(full, `"nodeSelector":{"kubernetes.io/arch":"riscv64"},`), ReasonNoCandidate, "riscv64", 422},
		"no candidate to draw": {pod(with("model", "random"), `"nodeSelector":{"feature.node.kubernetes.io/gpu":"1"},`), ReasonNoCandidate, "no such label", 422},
		"bad seed":             {pod(map[string]string{"image-ref": ref, "model": "random", "seed": "-1"}, ""), ReasonBadAnnotation, "decimal", 422},
		"objective":            {pod(with("objective", "fastest"), ""), ReasonBadAnnotation, `"fastest" is not known; write fom, per-dollar or time`, 422},
		"objective of a draw":  {pod(map[string]string{"image-ref": ref, "model": "random", "objective": "per-dollar"}, ""), ReasonBadAnnotation, "a random draw makes nothing best", 422},
		"out of reach":         {pod(with("objective", "usd-per-hour<=0.1"), ""), ReasonNoCandidate, "an hour costs $1.68", 422},
		"not a pod":            {`{"kind":"Pod","metadata":{"labels":7}}`, ReasonBadObject, "decode the Pod", 400},
	} {
		t.Run(name, func(t *testing.T) {
			d, _ := newDecider(t, nil)
			resp, report := d.Review(t.Context(), request(c.object))
			if resp.Allowed || resp.Patch != nil || report.Result != ResultDenied || report.Reason != c.reason {
				t.Fatalf("%+v", report)
			}
			if resp.Result.Code != c.code || !strings.Contains(resp.Result.Message, c.says) {
				t.Errorf("code %d, message %q does not say %q", resp.Result.Code, resp.Result.Message, c.says)
			}
		})
	}
}

// pushed is a source whose cache is behind: its registry has another artifact by now.
type pushed struct {
	specs
	now *artifact.Artifact
}

func (p pushed) Confirm(context.Context, string) (*artifact.Artifact, error) { return p.now, nil }

// A model that was pushed a moment ago is found, though the tag named another artifact when it was last looked at.
func TestModelThatWasJustPushed(t *testing.T) {
	d, _ := newDecider(t, func(c *Config) {
		data, err := artifact.Build([]compat.Model{{Name: "fom", Direction: compat.Maximize}}, map[string]string{"arm64": "i:new"})
		if err != nil {
			t.Fatal(err)
		}
		old, err := artifact.Build([]compat.Model{{Name: "duration", Direction: compat.Minimize}}, map[string]string{"arm64": "i:old"})
		if err != nil {
			t.Fatal(err)
		}
		decode := func(data []byte) *artifact.Artifact {
			a, err := artifact.Decode(&artifact.Content{Reference: ref, Digest: "sha256:2", MediaType: compat.MediaTypeModels, Data: data})
			if err != nil {
				t.Fatal(err)
			}
			return a
		}
		c.Specs = pushed{specs{ref: decode(old)}, decode(data)}
	})
	for model, image := range map[string]string{"fom": "i:new", "duration": "i:old"} {
		e, err := d.Explain(t.Context(), []byte(pod(map[string]string{"image-ref": ref, "model": model}, "")))
		if err != nil || e.Decision == nil || e.Decision.Image != image {
			t.Errorf("%s: %+v, %v", model, e, err)
		}
	}
	if e, err := d.Explain(t.Context(), []byte(pod(map[string]string{"image-ref": ref, "model": "speed"}, ""))); err != nil || e.Reason != ReasonUnknownModel {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestUnchanged(t *testing.T) {
	d, _ := newDecider(t, nil)
	good := pod(map[string]string{"image-ref": ref, "model": "fom"}, "")
	for name, edit := range map[string]func(*admissionv1.AdmissionRequest){
		"not enabled": func(r *admissionv1.AdmissionRequest) {
			r.Object.Raw = []byte(strings.Replace(good, `"true"`, `"false"`, 1))
		},
		"no metadata": func(r *admissionv1.AdmissionRequest) { r.Object.Raw = []byte(`{"kind":"Pod"}`) },
		"update":      func(r *admissionv1.AdmissionRequest) { r.Operation = admissionv1.Update },
		"connect":     func(r *admissionv1.AdmissionRequest) { r.Operation, r.Object.Raw = admissionv1.Connect, nil },
		"delete":      func(r *admissionv1.AdmissionRequest) { r.Operation, r.Object.Raw = admissionv1.Delete, nil },
		"subresource": func(r *admissionv1.AdmissionRequest) { r.SubResource = "eviction" },
		"other kind":  func(r *admissionv1.AdmissionRequest) { r.Kind.Kind = "Deployment" },
	} {
		r := request(good)
		edit(r)
		if resp, report := d.Review(t.Context(), r); !resp.Allowed || resp.Patch != nil || report.Result != ResultUnchanged || resp.UID != "u" {
			t.Errorf("%s: %+v", name, resp)
		}
	}
}

func TestLiveNodeWithNewKernel(t *testing.T) {
	d, index := newDecider(t, nil)
	labels := map[string]string{}
	for k, v := range rows[0] {
		labels[k] = v
	}
	labels[compat.FeaturePrefix+"kernel-version.full"] = "6.12.0"
	index.Put(features.Node{Name: "n1", Labels: labels})
	_, report := d.Review(t.Context(), request(pod(map[string]string{"image-ref": ref, "model": "fom"}, "")))
	dec := report.Outcome.Decision
	if dec.InstanceType != "hpc7g.16xlarge" || len(dec.Cached) != 1 || !strings.Contains(dec.Cached[0].Reason, "kernel-version.full=6.12.0") {
		t.Errorf("the cached row must be used, and said: %+v", dec)
	}

	labels[compat.LabelInstanceType] = "x9.large"
	index.Put(features.Node{Name: "n1", Labels: labels})
	resp, report := d.Review(t.Context(), request(pod(map[string]string{"image-ref": ref, "model": "fom"}, "")))
	dec = report.Outcome.Decision
	if dec.InstanceType == "x9.large" || len(dec.OutOfDomain) != 1 || dec.OutOfDomain[0].InstanceType != "x9.large" || len(resp.Warnings) != 1 {
		t.Errorf("a type out of the domain must be left out, and said: %+v, %q", dec, resp.Warnings)
	}
}

func TestStaleArtifactIsSaid(t *testing.T) {
	d, _ := newDecider(t, nil)
	resp, report := d.Review(t.Context(), request(pod(map[string]string{"image-ref": "stale:v1", "model": "fom"}, "")))
	if len(resp.Warnings) != 1 || len(report.Outcome.Decision.Notes) != 1 {
		t.Errorf("%q %q", resp.Warnings, report.Outcome.Decision.Notes)
	}
}

func TestSeeds(t *testing.T) {
	draw := func(d *Decider, object string, dry bool) uint64 {
		t.Helper()
		r := request(object)
		r.DryRun = &dry
		_, report := d.Review(t.Context(), r)
		if report.Outcome == nil || report.Outcome.Decision.Seed == nil {
			t.Fatalf("%+v", report)
		}
		s := *report.Outcome.Decision.Seed
		if s >= 1<<53 {
			t.Errorf("seed %d has more than 53 bits", s)
		}
		return s
	}
	named := pod(map[string]string{"image-ref": ref, "model": "random"}, "")
	generated := strings.Replace(named, `"name":"p"`, `"generateName":"p-"`, 1)
	a, _ := newDecider(t, nil)
	b, _ := newDecider(t, nil)
	other, _ := newDecider(t, func(c *Config) { c.Seed = 8 })
	if draw(a, named, false) != draw(a, named, false) || draw(a, named, false) != draw(b, named, true) {
		t.Error("the same name must draw the same")
	}
	if draw(a, named, false) == draw(other, named, false) {
		t.Error("another base seed must draw another way")
	}
	first := draw(a, generated, true)
	if draw(a, generated, true) != first || draw(a, generated, false) != first {
		t.Error("a dry run must not count")
	}
	if second := draw(a, generated, false); second == first || draw(b, generated, false) != first || draw(b, generated, false) != second {
		t.Error("generated names must be numbered, the same way in every run")
	}
}

func TestMiniCluster(t *testing.T) {
	d, _ := newDecider(t, nil)
	object := strings.Replace(pod(map[string]string{"image-ref": ref, "model": "fom"}, `"pod":{"labels":{"a":"b"}},`), `"Pod"`, `"MiniCluster"`, 1)
	resp, _ := d.Review(t.Context(), request(object))
	p, err := jsonpatch.DecodePatch(resp.Patch)
	if err != nil {
		t.Fatal(err)
	}
	patched, err := p.Apply([]byte(object))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"image":"ghcr.io/converged-computing/flux-view-rocky:arm-9"`, `"nodeSelector":{"node.kubernetes.io/instance-type":"hpc7g.16xlarge"}`, `"image":"i:arm"`, `"labels":{"a":"b"}`,
	} {
		if !strings.Contains(string(patched), want) {
			t.Errorf("%s is not in %s", want, patched)
		}
	}
	if strings.Count(string(patched), compat.AnnotationDecision) != 2 {
		t.Errorf("the decision must be on the MiniCluster and on its pods: %s", patched)
	}
}

func TestExplain(t *testing.T) {
	d, _ := newDecider(t, nil)
	explain := func(object string) *Explanation {
		t.Helper()
		e, err := d.Explain(t.Context(), []byte(object))
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	good := pod(map[string]string{"image-ref": ref, "model": "fom"}, "")
	e := explain(good)
	if e.Result != ResultSelected || e.Decision.InstanceType != "hpc7g.16xlarge" || len(e.Table.Scores) != 3 || len(e.Patch) != 3 || e.Namespace != "default" {
		t.Errorf("%+v", e)
	}
	e = explain(pod(map[string]string{"image-ref": ref, "model": "fom"}, `"nodeSelector":{"kubernetes.io/arch":"riscv64"},`))
	if e.Result != ResultDenied || e.Reason != ReasonNoCandidate || e.Table == nil || len(e.Table.LeftOut) != 3 {
		t.Errorf("%+v", e)
	}
	if e = explain(`{"kind":"Pod","metadata":{"name":"x","namespace":"n"}}`); e.Result != ResultUnchanged || e.Namespace != "n" || e.Message == "" {
		t.Errorf("%+v", e)
	}
	for _, bad := range []string{`x`, `{"kind":"Job"}`, `{"kind":"Pod","spec":[]}`} {
		if e, err := d.Explain(t.Context(), []byte(bad)); err == nil {
			t.Errorf("%s: %+v", bad, e)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	good := Config{Specs: specs{}, Features: features.NewIndex("")}
	for name, edit := range map[string]func(*Config){
		"no artifacts": func(c *Config) { c.Specs = nil },
		"no features":  func(c *Config) { c.Features = nil },
		"tie-break":    func(c *Config) { c.TieBreak = "dice" },
		"same model":   func(c *Config) { c.Models = []*predict.Model{{Name: "a"}, {Name: "a"}} },
	} {
		cfg := good
		edit(&cfg)
		if _, err := New(cfg); err == nil {
			t.Error(name, "was accepted")
		}
	}
}

func TestDenialUnwraps(t *testing.T) {
	if err := denyRank(nil, fmt.Errorf("x: %w", predict.ErrNoCandidate)); !errors.Is(err, predict.ErrNoCandidate) {
		t.Error(err)
	}
	if denyRank(nil, nil) != nil {
		t.Error("nil became an error")
	}
}

func FuzzReview(f *testing.F) {
	d, _ := newDecider(f, nil)
	f.Add([]byte(pod(map[string]string{"image-ref": ref, "model": "fom"}, "")), true)
	f.Add([]byte(pod(map[string]string{"image-ref": ref, "model": "random", "seed": "1"}, `"pod":null,"flux":{"container":null},`)), false)
	f.Add([]byte(strings.NewReplacer("metadata", "metAdata", "spec", "Spec").Replace(pod(map[string]string{"image-ref": ref, "model": "fom"}, ""))), true)
	f.Add([]byte(`{"metadata":null,"spec":{"containers":[null]}}`), true)
	f.Fuzz(func(t *testing.T, object []byte, isPod bool) {
		r := &admissionv1.AdmissionRequest{Operation: admissionv1.Create, Object: runtime.RawExtension{Raw: object}}
		if r.Kind.Kind = "MiniCluster"; isPod {
			r.Kind.Kind = "Pod"
		}
		resp, _ := d.Review(t.Context(), r)
		if !resp.Allowed && resp.Result.Message == "" {
			t.Fatal("a denial without a message")
		}
		if resp.Patch == nil {
			return
		}
		p, err := jsonpatch.DecodePatch(resp.Patch)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Apply(object); err != nil {
			t.Fatalf("%s does not fit %s: %v", resp.Patch, object, err)
		}
	})
}

func BenchmarkReview(b *testing.B) {
	d, _ := newDecider(b, nil)
	r := request(pod(map[string]string{"image-ref": ref, "model": "fom"}, ""))
	b.ReportAllocs()
	for b.Loop() {
		d.Review(b.Context(), r)
	}
}
