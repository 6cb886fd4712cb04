package admit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/compspec/ocifit-lab/webhook/artifact"
	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/features"
	"github.com/compspec/ocifit-lab/webhook/predict"
)

// kernels has an image for each kernel line; the weights are negative on purpose.
const kernels = `{"version":"v1alpha1","compatibilities":[
 {"tag":"i:any","weight":-9,"rules":[{"matchFeatures":[{"matchExpressions":[{"op":"Exists","key":"feature.node.kubernetes.io/kernel-version.full"}]}]}]},
 {"tag":"i:six","weight":-1,"rules":[{"matchFeatures":[{"matchExpressions":[{"op":"Gte","key":"feature.node.kubernetes.io/kernel-version.full","value":"6.1"}]}]}]},
 {"tag":"i:mint","weight":3,"rules":[{"matchFeatures":[{"matchExpressions":[{"op":"In","key":"flavor","value":"mint"}]}]}]}]}`

// withArtifact adds an artifact to the decider's source.
func withArtifact(t testing.TB, ref, mediaType, data string, formulas ...string) func(*Config) {
	t.Helper()
	c := &artifact.Content{Reference: ref, Digest: "sha256:2", MediaType: mediaType, Data: []byte(data)}
	for _, f := range formulas {
		c.Models = append(c.Models, []byte(f))
	}
	a, err := artifact.Decode(c)
	if err != nil {
		t.Fatal(err)
	}
	return func(cfg *Config) { cfg.Specs.(specs)[ref] = a }
}

// patched applies the response to the object.
func patched(t *testing.T, d *Decider, object string) (map[string]any, Report) {
	t.Helper()
	resp, report := d.Review(t.Context(), request(object))
	if !resp.Allowed {
		t.Fatalf("%+v", resp.Result)
	}
	p, err := jsonpatch.DecodePatch(resp.Patch)
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.Apply([]byte(object))
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(out, &m); err != nil {
		t.Fatal(err)
	}
	return m, report
}

func TestByFeatures(t *testing.T) {
	d, index := newDecider(t, withArtifact(t, "feature:v1", compat.MediaTypeFeatures, kernels))
	object := func(spec string) string { return pod(map[string]string{"image-ref": "feature:v1"}, spec) }
	image := func(spec string) string {
		t.Helper()
		m, report := patched(t, d, object(spec))
		got := m["spec"].(map[string]any)
		if _, has := got["nodeSelector"]; has != (spec != "") {
			t.Errorf("the node selector was changed: %v", got)
		}
		dec := report.Outcome.Decision
		if dec.Direction != compat.ByFeatures || dec.Model != "" || dec.ArtifactDigest != "sha256:2" || dec.Weight == nil {
			t.Errorf("%+v", dec)
		}
		return got["containers"].([]any)[0].(map[string]any)["image"].(string)
	}
	denied := func(spec, reason, says string) {
		t.Helper()
		resp, report := d.Review(t.Context(), request(object(spec)))
		if resp.Allowed || report.Reason != reason || !strings.Contains(report.Message, says) {
			t.Errorf("%+v", report)
		}
	}
	if got := image(""); got != "i:six" {
		t.Errorf("catalogue, all alike: %s", got)
	}
	live := func(name, kernel, flavor string) {
		l := map[string]string{compat.LabelInstanceType: "c7a.12xlarge", compat.LabelArch: "amd64", "kubernetes.io/hostname": name, compat.FeaturePrefix + "kernel-version.full": kernel}
		if flavor != "" {
			l["flavor"] = flavor
		}
		index.Put(features.Node{Name: name, Labels: l})
	}
	live("n1", "5.10", "")
	live("n2", "5.10.236", "")
	denied("", ReasonAmbiguous, "i:any for c7a.12xlarge; i:six for hpc7g.16xlarge, m7g.16xlarge; add a node selector")
	if got := image(`"nodeSelector":{"kubernetes.io/arch":"amd64"},`); got != "i:any" {
		t.Errorf("two nodes that differ in name and in a patch level, not in their image: %s", got)
	}
	live("n3", "5.10", "mint")
	denied(`"nodeSelector":{"kubernetes.io/arch":"amd64"},`, ReasonAmbiguous, "i:any for c7a.12xlarge; i:mint for c7a.12xlarge; add a node selector")
	if got := image(`"nodeSelector":{"kubernetes.io/hostname":"n3"},`); got != "i:mint" {
		t.Errorf("by host: %s", got)
	}
	if got := image(`"nodeSelector":{"flavor":"mint"},`); got != "i:mint" {
		t.Errorf("by flavour: %s", got)
	}
	if got := image(`"nodeSelector":{"node.kubernetes.io/instance-type":"m7g.16xlarge"},`); got != "i:six" {
		t.Errorf("a type that has no node yet: %s", got)
	}
	denied(`"nodeSelector":{"disk":"ssd"},`, ReasonNoCandidate, "disk=ssd")
	denied(`"nodeSelector":{"node.kubernetes.io/instance-type":"t3.2xlarge"},`, ReasonNoCandidate, "1 types on the skip list (t3.2xlarge)")
	index.Put(features.Node{Name: "n4", Labels: map[string]string{compat.LabelInstanceType: "odd.large", compat.LabelArch: "amd64"}})
	denied(`"nodeSelector":{"node.kubernetes.io/instance-type":"odd.large"},`, ReasonNoCandidate, "kernel-version.full Exists, but there is no such label")
}

// NFD's own format selects as well, and a MiniCluster gets the Flux view of the architecture that all nodes share.
func TestByFeaturesOfNFD(t *testing.T) {
	spec := "version: v1alpha1\ncompatibilities:\n- tag: i:six\n  rules:\n  - matchFeatures:\n    - feature: kernel.version\n      matchExpressions:\n        major: {op: Ge, value: [\"6\"]}\n"
	d, _ := newDecider(t, withArtifact(t, "nfd:v1", compat.MediaTypeNFD, spec))
	object := strings.Replace(pod(map[string]string{"image-ref": "nfd:v1"}, `"pod":{"nodeSelector":{"kubernetes.io/arch":"arm64"}},`), `"Pod"`, `"MiniCluster"`, 1)
	m, report := patched(t, d, object)
	got := m["spec"].(map[string]any)
	if got["flux"].(map[string]any)["container"].(map[string]any)["image"] != compat.FluxViewImage("arm64") {
		t.Errorf("%v", got)
	}
	if dec := report.Outcome.Decision; dec.InstanceType != "" || dec.Architecture != "arm64" || dec.Candidates != 2 {
		t.Errorf("%+v", dec)
	}
}

const formula = `{"format":"ocifit-lab.model/v1","name":"setup_time_seconds","direction":"minimize","labels":{"a":{"label":"kubernetes.io/arch","known":["amd64","arm64"]}},"intercept":9,"terms":[{"when":{"a":"amd64"},"add":-5}]}`

// A formula in the artifact scores what the webhook knows no model for.
func TestFormulaOfTheArtifact(t *testing.T) {
	data, err := artifact.Build([]compat.Model{{Name: "setup_time_seconds", Direction: compat.Minimize}}, map[string]string{"amd64": "i:amd", "arm64": "i:arm"})
	if err != nil {
		t.Fatal(err)
	}
	for name, server := range map[string]Ranker{"alone": nil, "also with a model server": ranker(nil)} {
		d, _ := newDecider(t, func(c *Config) {
			withArtifact(t, "own:v1", compat.MediaTypeModels, string(data), formula)(c)
			if server != nil {
				c.ModelServer = server
			}
		})
		_, report := patched(t, d, pod(map[string]string{"image-ref": "own:v1", "model": "setup_time_seconds"}, ""))
		if dec := report.Outcome.Decision; dec.InstanceType != "c7a.12xlarge" || *dec.Score != 4 || dec.Server != "" {
			t.Errorf("%s: %+v", name, dec)
		}
	}
}

// ranker is a model server.
type ranker func(ctx context.Context, model string, candidates []features.Candidate, opts predict.Options) (*predict.Table, error)

func (r ranker) Rank(ctx context.Context, model string, _ compat.Direction, candidates []features.Candidate, opts predict.Options) (*predict.Table, error) {
	return r(ctx, model, candidates, opts)
}

func TestModelServer(t *testing.T) {
	models, err := predict.Published()
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	d, _ := newDecider(t, func(c *Config) {
		c.ModelServerURL = "http://models"
		c.ModelServer = ranker(func(ctx context.Context, model string, cs []features.Candidate, opts predict.Options) (*predict.Table, error) {
			if asked++; asked > 2 {
				end, _ := ctx.Deadline()
				return nil, fmt.Errorf("%w: asked with %s left", predict.ErrServer, time.Until(end).Round(time.Minute))
			}
			for _, m := range models {
				if m.Name == model {
					return predict.Rank(m, "", cs, opts)
				}
			}
			return nil, predict.ErrServer
		})
	})
	object := pod(map[string]string{"image-ref": ref, "model": "fom"}, "")
	for range 2 {
		_, report := patched(t, d, object)
		if dec := report.Outcome.Decision; dec.InstanceType != "hpc7g.16xlarge" || dec.Server != "http://models" {
			t.Errorf("%+v", dec)
		}
	}
	if asked != 2 {
		t.Errorf("asked %d times: a server's models may change, so it is asked each time", asked)
	}
	if _, report := patched(t, d, pod(map[string]string{"image-ref": ref, "model": "random"}, "")); report.Outcome.Decision.Server != "" || asked != 2 {
		t.Error("draws are the webhook's own")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	resp, report := d.Review(ctx, request(object))
	if resp.Allowed || report.Reason != ReasonModelServer || resp.Result.Code != http.StatusServiceUnavailable || !strings.Contains(report.Message, "with 9m0s left") {
		t.Errorf("%+v", report)
	}
}

// counting counts how often the candidates are merged.
type counting struct {
	*features.Index
	mu     sync.Mutex
	merged int
}

func (c *counting) Candidates(domain features.Domain, excludes func(features.Candidate) string, reads []string) []features.Candidate {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.merged++
	return c.Index.Candidates(domain, excludes, reads)
}

// Work is shared between objects until something changes, and the decision is the same as without.
func TestDecisionsAreCached(t *testing.T) {
	var count *counting
	d, index := newDecider(t, func(c *Config) { count = &counting{Index: c.Features.(*features.Index)}; c.Features = count })
	fresh, _ := newDecider(t, nil)
	objects := []string{
		pod(map[string]string{"image-ref": ref, "model": "fom"}, ""),
		pod(map[string]string{"image-ref": ref, "model": "fom"}, `"nodeSelector":{"disk":"ssd"},`),
		pod(map[string]string{"image-ref": ref, "model": "fom"}, `"nodeSelector":{"kubernetes.io/arch":"amd64"},`),
		pod(map[string]string{"image-ref": ref, "model": "random", "seed": "3"}, ""),
		pod(map[string]string{"image-ref": ref, "model": "random", "seed": "4"}, ""),
		pod(map[string]string{"image-ref": "stale:v1", "model": "fom"}, ""),
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for _, o := range objects {
				d.Review(t.Context(), request(o))
			}
		})
	}
	wg.Wait()
	for _, o := range objects {
		got, _ := d.Review(t.Context(), request(o))
		want, _ := fresh.Review(t.Context(), request(o))
		if diff := cmp.Diff(string(want.Patch), string(got.Patch)); diff != "" {
			t.Error(diff)
		}
	}
	if count.merged != 4 {
		t.Errorf("merged %d times, want 4: fom, fom with each of two selectors, random", count.merged)
	}
	index.Put(features.Node{Name: "n", Labels: map[string]string{compat.LabelInstanceType: "new", compat.LabelArch: "amd64"}})
	_, report := d.Review(t.Context(), request(objects[0]))
	if count.merged != 5 || len(report.Outcome.Decision.OutOfDomain) != 1 {
		t.Errorf("merged %d times; a node of a new type must be seen at once: %+v", count.merged, report.Outcome.Decision)
	}
}

// Whoever panics while choosing must not poison the memory.
func TestCacheSurvivesAPanic(t *testing.T) {
	d, _ := newDecider(t, nil)
	key := cacheKey{scheduling: "x"}
	func() {
		defer func() { _ = recover() }()
		d.cached(key, func() *selection { panic("for the test") })
	}()
	want := errors.New("chosen")
	if s := d.cached(key, func() *selection { return &selection{err: want} }); s.err != want {
		t.Error(s)
	}
}

func TestCacheIsBounded(t *testing.T) {
	d, _ := newDecider(t, nil)
	for i := range 3 * maxEntries {
		d.Review(t.Context(), request(pod(map[string]string{"image-ref": ref, "model": "fom"}, fmt.Sprintf(`"nodeSelector":{"kubernetes.io/arch":"x%d"},`, i))))
	}
	if n := len(d.cache.entries); n > maxEntries {
		t.Errorf("%d entries", n)
	}
	d.cache.entries = nil
	d.Review(t.Context(), request(pod(map[string]string{"image-ref": ref, "model": "fom"}, fmt.Sprintf(`"nodeSelector":{"kubernetes.io/arch":%q},`, strings.Repeat("x", maxScheduling)))))
	if len(d.cache.entries) != 0 {
		t.Error("a huge selector was remembered")
	}
}

func TestExplainByFeatures(t *testing.T) {
	d, _ := newDecider(t, withArtifact(t, "feature:v1", compat.MediaTypeFeatures, kernels))
	e, err := d.Explain(t.Context(), []byte(pod(map[string]string{"image-ref": "feature:v1"}, "")))
	if err != nil {
		t.Fatal(err)
	}
	if e.Result != ResultSelected || len(e.Machines) != 3 || e.Machines[0].Image != "i:six" || e.Table != nil {
		t.Errorf("%+v", e)
	}
}
