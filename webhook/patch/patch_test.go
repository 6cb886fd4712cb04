package patch

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/compspec/ocifit-lab/webhook/compat"
)

var change = Change{
	NodeSelector: map[string]string{compat.LabelInstanceType: "hpc7g.16xlarge"},
	TargetImage:  "placeholder:latest", Image: "reg:5000/hpcg@sha256:1",
	FluxView:    compat.FluxViewImage("arm64"),
	Annotations: map[string]string{compat.AnnotationDecision: `{"model":"fom/~x"}`},
}

// apply builds the patch and applies it.
func apply(t *testing.T, kind Kind, object string, c Change) map[string]any {
	t.Helper()
	o, err := Decode(kind, []byte(object))
	if err != nil {
		t.Fatal(err)
	}
	ops, err := Build(o, c)
	if err != nil {
		t.Fatalf("%s: %v", object, err)
	}
	data, err := json.Marshal(ops)
	if err != nil {
		t.Fatal(err)
	}
	p, err := jsonpatch.DecodePatch(data)
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.Apply([]byte(object))
	if err != nil {
		t.Fatalf("patch %s on %s: %v", data, object, err)
	}
	return decode(t, out)
}

func decode(t *testing.T, data []byte) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestBuild(t *testing.T) {
	const (
		meta   = `"metadata":{"annotations":{"oci.image.compatibilities.selection/decision":"{\"model\":\"fom/~x\"}"}}`
		sel    = `"nodeSelector":{"node.kubernetes.io/instance-type":"hpc7g.16xlarge"`
		flux   = `"flux":{"container":{"image":"ghcr.io/converged-computing/flux-view-rocky:arm-9"}}`
		target = `{"name":"a","image":"placeholder:latest"}`
		done   = `{"name":"a","image":"reg:5000/hpcg@sha256:1"}`
		podAnn = `"annotations":{"oci.image.compatibilities.selection/decision":"{\"model\":\"fom/~x\"}"}`
	)
	for name, c := range map[string]struct {
		kind          Kind
		object, wants string
	}{
		"pod, no metadata": {
			Pod, `{"spec":{"containers":[` + target + `]}}`,
			`{` + meta + `,"spec":{` + sel + `},"containers":[` + done + `]}}`,
		},
		"pod, null maps": {
			Pod, `{"metadata":{"annotations":null},"spec":{"nodeSelector":null,"containers":[` + target + `]}}`,
			`{` + meta + `,"spec":{` + sel + `},"containers":[` + done + `]}}`,
		},
		"pod, empty maps": {
			Pod, `{"metadata":{"annotations":{}},"spec":{"nodeSelector":{},"containers":[` + target + `]}}`,
			`{` + meta + `,"spec":{` + sel + `},"containers":[` + done + `]}}`,
		},
		"pod, selector there": {
			Pod, `{"metadata":{},"spec":{"nodeSelector":{"disk":"ssd","node.kubernetes.io/instance-type":"x"},"containers":[{"name":"s","image":"sidecar"},` + target + `],"initContainers":[` + target + `]}}`,
			`{` + meta + `,"spec":{` + sel + `,"disk":"ssd"},"containers":[{"name":"s","image":"sidecar"},` + done + `],"initContainers":[` + done + `]}}`,
		},
		"minicluster, bare": {
			MiniCluster, `{"metadata":{},"spec":{"containers":[` + target + `]}}`,
			`{` + meta + `,"spec":{"pod":{` + sel + `},` + podAnn + `},` + flux + `,"containers":[` + done + `]}}`,
		},
		"minicluster, empty parts": {
			MiniCluster, `{"metadata":{},"spec":{"pod":{},"flux":{},"containers":[` + target + `]}}`,
			`{` + meta + `,"spec":{"pod":{` + sel + `},` + podAnn + `},` + flux + `,"containers":[` + done + `]}}`,
		},
		"minicluster, null parts": {
			MiniCluster, `{"metadata":{},"spec":{"pod":null,"flux":{"container":null},"containers":[` + target + `]}}`,
			`{` + meta + `,"spec":{"pod":{` + sel + `},` + podAnn + `},` + flux + `,"containers":[` + done + `]}}`,
		},
		"minicluster, parts there": {
			MiniCluster, `{"metadata":{},"spec":{"pod":{"labels":{"l":"1"},"nodeSelector":{"a":"b"},"annotations":{}},"flux":{"optionFlags":"-v","container":{"disable":false,"image":"old"}},"containers":[` + target + `,` + target + `]}}`,
			`{` + meta + `,"spec":{"pod":{"labels":{"l":"1"},` + sel + `,"a":"b"},` + podAnn + `},"flux":{"optionFlags":"-v","container":{"disable":false,"image":"ghcr.io/converged-computing/flux-view-rocky:arm-9"}},"containers":[` + done + `,` + done + `]}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(decode(t, []byte(c.wants)), apply(t, c.kind, c.object, change)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestBuildWithoutTarget(t *testing.T) {
	for _, object := range []string{`{}`, `{"spec":null}`, `{"spec":{"containers":[]}}`, `{"spec":{"containers":[{"image":"placeholder"}]}}`} {
		o, err := Decode(Pod, []byte(object))
		if err != nil {
			t.Fatal(err)
		}
		if ops, err := Build(o, change); !errors.Is(err, ErrNoTarget) {
			t.Errorf("%s: %v, %v", object, ops, err)
		}
	}
	if _, err := Decode("Deployment", []byte(`{}`)); err == nil {
		t.Error("a Deployment was accepted")
	}
	for _, bad := range []string{`{"spec":{"nodeSelector":7}}`, `{"spec":{},"spec":{"containers":[]}}`, `[]`, ``} {
		if _, err := Decode(Pod, []byte(bad)); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
	o, err := Decode(Pod, []byte(`{"Spec":{"containers":[{"image":"placeholder:latest"}]}}`))
	if err != nil || o.Spec != nil {
		t.Errorf("Spec was read as spec: %+v, %v", o, err)
	}
}

// Over random objects: the patched object differs from the original in exactly the wanted places.
func TestBuildProperty(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	for range 3000 {
		kind := []Kind{Pod, MiniCluster}[rng.IntN(2)]
		object := randomObject(rng, kind)
		data, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		got := apply(t, kind, string(data), change)
		if diff := cmp.Diff(expect(decode(t, data), kind), got); diff != "" {
			t.Fatalf("%s\n%s", data, diff)
		}
		again, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		o, err := Decode(kind, again)
		if err != nil {
			t.Fatal(err)
		}
		if o.Targets(change.TargetImage) != 0 || o.NodeSelector()[compat.LabelInstanceType] != "hpc7g.16xlarge" {
			t.Fatalf("patched object %s", again)
		}
	}
}

// expect changes a decoded object the plain way.
func expect(o map[string]any, kind Kind) map[string]any {
	into := func(parent map[string]any, key string) map[string]any {
		m, ok := parent[key].(map[string]any)
		if !ok {
			m = map[string]any{}
			parent[key] = m
		}
		return m
	}
	set := func(m map[string]any, values map[string]string) {
		for k, v := range values {
			m[k] = v
		}
	}
	set(into(into(o, "metadata"), "annotations"), change.Annotations)
	spec := into(o, "spec")
	for _, list := range []string{"containers", "initContainers"} {
		cs, _ := spec[list].([]any)
		for _, c := range cs {
			if m := c.(map[string]any); m["image"] == change.TargetImage {
				m["image"] = change.Image
			}
		}
	}
	if kind == Pod {
		set(into(spec, "nodeSelector"), change.NodeSelector)
		return o
	}
	pod := into(spec, "pod")
	set(into(pod, "nodeSelector"), change.NodeSelector)
	set(into(pod, "annotations"), change.Annotations)
	into(into(spec, "flux"), "container")["image"] = change.FluxView
	return o
}

func randomObject(rng *rand.Rand, kind Kind) map[string]any {
	keys := []string{"a", "b/c", "d~e", "f~1g/h", compat.LabelInstanceType, compat.AnnotationDecision, "äöü \"quoted\""}
	strings := func() any {
		switch rng.IntN(4) {
		case 0:
			return nil
		case 1:
			return map[string]string{}
		}
		m := map[string]string{}
		for range 1 + rng.IntN(3) {
			m[keys[rng.IntN(len(keys))]] = fmt.Sprint(rng.IntN(100))
		}
		return m
	}
	maybe := func(m map[string]any, key string, v any) {
		if rng.IntN(3) > 0 {
			m[key] = v
		}
	}
	containers := func(atLeast int) []any {
		list := []any{}
		for i := range atLeast + rng.IntN(3) {
			image := "other:" + fmt.Sprint(i)
			if i < atLeast || rng.IntN(2) == 0 {
				image = change.TargetImage
			}
			list = append(list, map[string]any{"name": fmt.Sprint("c", i), "image": image, "args": []string{image}})
		}
		rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		return list
	}
	meta := map[string]any{"name": "x"}
	maybe(meta, "annotations", strings())
	maybe(meta, "labels", strings())
	spec := map[string]any{"containers": containers(1), "size": rng.IntN(9)}
	maybe(spec, "initContainers", containers(0))
	if kind == Pod {
		maybe(spec, "nodeSelector", strings())
	} else {
		pod := map[string]any{"serviceAccountName": "s"}
		maybe(pod, "nodeSelector", strings())
		maybe(pod, "annotations", strings())
		maybe(spec, "pod", pod)
		flux := map[string]any{"connectTimeout": "5s"}
		maybe(flux, "container", map[string]any{"image": "v", "disable": true})
		maybe(spec, "flux", flux)
	}
	o := map[string]any{"kind": string(kind), "spec": spec}
	maybe(o, "metadata", meta)
	return o
}

func BenchmarkDecodeAndBuild(b *testing.B) {
	raw := []byte(`{"metadata":{"name":"x","labels":{"a":"b"},"annotations":{"c":"d"}},"spec":{"containers":[{"name":"a","image":"placeholder:latest"}]}}`)
	b.ReportAllocs()
	for b.Loop() {
		o, err := Decode(Pod, raw)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := Build(o, change); err != nil {
			b.Fatal(err)
		}
	}
}
