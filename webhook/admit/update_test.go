package admit

import (
	"encoding/json"
	"strings"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/predict"
)

// changed reviews an update and returns the object as it is stored.
func changed(t *testing.T, d *Decider, object, old string) (string, *admissionv1.AdmissionResponse, Report) {
	t.Helper()
	r := request(object)
	r.Operation, r.OldObject = admissionv1.Update, runtime.RawExtension{Raw: []byte(old)}
	resp, report := d.Review(t.Context(), r)
	if !resp.Allowed || resp.Patch == nil {
		return object, resp, report
	}
	p, err := jsonpatch.DecodePatch(resp.Patch)
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.Apply([]byte(object))
	if err != nil {
		t.Fatal(err)
	}
	return string(out), resp, report
}

// same compares objects by their JSON.
func same(t *testing.T, what, got, want string) {
	t.Helper()
	var a, b any
	if err := json.Unmarshal([]byte(got), &a); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(want), &b); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b, a); diff != "" {
		t.Errorf("%s: %s", what, diff)
	}
}

func TestUpdatesKeepTheDecision(t *testing.T) {
	for _, kind := range []string{"Pod", "MiniCluster"} {
		for _, model := range []string{"fom", "random", ""} {
			t.Run(kind+" "+model, func(t *testing.T) {
				d, _ := newDecider(t, func(c *Config) {
					withArtifact(t, "feature:v1", compat.MediaTypeFeatures, kernels)(c)
					c.Seed = 0
				})
				ann := map[string]string{"image-ref": ref, "model": model}
				if model == "" {
					ann = map[string]string{"image-ref": "feature:v1"}
				}
				manifest := strings.Replace(pod(ann, ""), `"Pod"`, `"`+kind+`"`, 1)
				m, _ := patched(t, d, manifest)
				stored, err := json.Marshal(m)
				if err != nil {
					t.Fatal(err)
				}
				d.cfg.Specs = specs{} // the record is all that is needed

				// kubectl apply writes back the fields of the manifest and leaves the others.
				applied := strings.NewReplacer(`"image":"i:arm"`, `"image":"placeholder:latest"`, `"image":"i:amd"`, `"image":"placeholder:latest"`, `"image":"i:six"`, `"image":"placeholder:latest"`).Replace(string(stored))
				got, _, report := changed(t, d, applied, string(stored))
				same(t, "applied again", got, string(stored))
				if report.Result != ResultKept {
					t.Errorf("%+v", report)
				}
				// kubectl replace writes the whole manifest.
				got, _, _ = changed(t, d, manifest, string(stored))
				same(t, "replaced", got, string(stored))
				// What nobody takes back needs no answer, and what is being deleted is left alone.
				if _, resp, report := changed(t, d, string(stored), string(stored)); resp.Patch != nil || report.Result != ResultUnchanged {
					t.Errorf("%+v", report)
				}
				going := strings.Replace(applied, `"name":"p"`, `"name":"p","deletionTimestamp":"2025-07-21T00:00:00Z"`, 1)
				if _, resp, _ := changed(t, d, going, string(stored)); resp.Patch != nil {
					t.Error("an object on its way out was changed")
				}
			})
		}
	}
}

func TestUpdatesOfWhatIsAskedFor(t *testing.T) {
	d, _ := newDecider(t, nil)
	store := func(kind string) string {
		m, _ := patched(t, d, strings.Replace(pod(map[string]string{"image-ref": ref, "model": "fom"}, ""), `"Pod"`, `"`+kind+`"`, 1))
		data, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	other := func(stored string) string {
		return strings.Replace(stored, compat.AnnotationModel+`":"fom"`, compat.AnnotationModel+`":"gflops_per_second_spmv"`, 1)
	}
	mini := store("MiniCluster")
	got, _, report := changed(t, d, other(mini), mini)
	if report.Result != ResultSelected || !strings.Contains(got, `"nodeSelector":{"`+compat.LabelInstanceType+`":"c7a.12xlarge"}`) || !strings.Contains(got, `"image":"i:amd"`) || strings.Contains(got, "i:arm") {
		t.Errorf("%+v: %s", report, got)
	}
	again, resp, _ := changed(t, d, got, got)
	if same(t, "settled", again, got); resp.Patch != nil {
		t.Error("the new decision does not last")
	}
	pod := store("Pod")
	got, resp, report = changed(t, d, strings.Replace(other(pod), "i:arm", compat.DefaultTargetImage, 1), pod)
	same(t, "a pod", got, other(pod))
	if report.Result != ResultKept || len(resp.Warnings) != 1 || !strings.Contains(resp.Warnings[0], "delete the pod and create it again") {
		t.Errorf("%+v, %q", report, resp.Warnings)
	}
	if _, resp, _ := changed(t, d, other(pod), other(pod)); len(resp.Warnings) != 0 {
		t.Error("the warning comes back with every update")
	}
}

// A pod that was created while the webhook was away is told of, and never refused: its finalizers must come off.
func TestUpdateOfAPodWithoutDecision(t *testing.T) {
	d, _ := newDecider(t, func(c *Config) { c.Models = []*predict.Model{} })
	object := pod(map[string]string{"image-ref": "down"}, "")
	_, resp, report := changed(t, d, object, object)
	if !resp.Allowed || resp.Patch != nil || report.Result != ResultUnchanged || len(resp.Warnings) != 1 {
		t.Errorf("%+v %+v", resp, report)
	}
}
