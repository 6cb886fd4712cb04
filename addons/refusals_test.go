package addons_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/compspec/ocifit-lab/addons"
	"github.com/compspec/ocifit-lab/addons/component"
	"github.com/compspec/ocifit-lab/addons/nfd"
	"github.com/compspec/ocifit-lab/provision/chart"
	"github.com/compspec/ocifit-lab/provision/kube"
	"github.com/compspec/ocifit-lab/provision/step"
)

func settings(version string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {version: \"" + version + "\"}\n"
}

func quiet(string, ...any) {}

// TestDigests: what is pinned must be what comes, and what is not pinned must stay what came first.
func TestDigests(t *testing.T) {
	w, ctx := shared, t.Context()
	address := w.put("digests.yaml", []byte(settings("one")))
	wrong := w.part("digests", address, "1", []byte("something else"))
	err := wrong.Install(ctx, w.cluster, quiet)
	if !errors.Is(err, chart.ErrDigest) || !strings.Contains(err.Error(), "nothing was installed") || step.HintOf(err) == "" {
		t.Errorf("error %v, want the digest's with a hint", err)
	}
	if r, err := wrong.Record(ctx, w.cluster); r != nil || err != nil {
		t.Errorf("a refused chart left the record %+v, %v", r, err)
	}

	lock := &component.Lock{File: filepath.Join(t.TempDir(), "digests.json")}
	open := w.part("digests", address, "1", nil)
	open.Ref.Digest, open.Lock = "", lock
	if err := open.Install(ctx, w.cluster, quiet); err != nil {
		t.Fatal(err)
	}
	w.put("digests.yaml", []byte(settings("changed")))
	open.Values = map[string]any{"a": "b"} // so that there is something to do
	if err := open.Install(ctx, w.cluster, quiet); !errors.Is(err, chart.ErrDigest) {
		t.Errorf("error %v, want the digest's: version 1 has changed", err)
	}
	if err := open.Remove(ctx, w.cluster, quiet); err != nil {
		t.Fatal(err)
	}
	if err := open.Install(ctx, w.cluster, quiet); !errors.Is(err, chart.ErrDigest) {
		t.Errorf("error %v: the lab's folder remembers what the cluster forgot", err)
	}
}

// TestServerHasTroubles: what a server refuses for the moment is tried again; what it does not have is not.
func TestServerHasTroubles(t *testing.T) {
	w := shared
	data := []byte(settings("x"))
	ref := chart.Ref{Location: w.put("troubled.yaml", data), Digest: digestOf(data)}
	w.mu.Lock()
	w.failures["troubled.yaml"] = 3
	w.mu.Unlock()
	if _, err := chart.Fetch(t.Context(), ref, w.sources()); err != nil {
		t.Errorf("three refusals: %v", err)
	}
	for name, location := range map[string]string{
		"404 Not Found": w.web.URL + "/none.yaml", "not found": "oci://" + w.registry + "/charts/none", "no such file": filepath.Join(t.TempDir(), "none.tgz"),
	} {
		begin := time.Now()
		_, err := chart.Fetch(t.Context(), chart.Ref{Location: location, Version: "1"}, chart.Options{PlainHTTP: []string{w.registry}, Pause: time.Minute})
		if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(step.HintOf(err), "--bundle") {
			t.Errorf("error %v, want %q and a hint", err, name)
		}
		if time.Since(begin) > 30*time.Second {
			t.Errorf("%s was tried again", location)
		}
	}
	if _, err := chart.Fetch(t.Context(), chart.Ref{Location: "https://charts.invalid/troubled.yaml", Digest: digestOf(data)},
		chart.Options{Mirrors: map[string][]string{"charts.invalid": {w.web.URL}}, Pause: time.Millisecond}); err != nil {
		t.Errorf("through a mirror: %v", err)
	}
}

// TestForeignDefinition: definitions that something else has brought are not taken over.
func TestForeignDefinition(t *testing.T) {
	w, ctx := shared, t.Context()
	theirs := []byte(crd("foreign.test", "v1beta1", "Thing"))
	if err := w.cluster.Apply(ctx, theirs, "helm"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.cluster.Delete(context.Background(), theirs) })
	ours := []byte(crd("foreign.test", "v1", "Thing"))
	part := w.part("foreign", w.put("foreign.yaml", ours), "1", ours)
	err := part.Install(ctx, w.cluster, quiet)
	for _, want := range []string{"things.foreign.test already", "v1beta1", "made by helm", "has versions v1"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if err := part.Remove(ctx, w.cluster, quiet); err != nil {
		t.Error(err)
	}
	if _, err := w.cluster.Dynamic.Resource(definitions).Get(ctx, "things.foreign.test", metav1.GetOptions{}); err != nil {
		t.Errorf("the other's definition is gone: %v", err)
	}
}

// TestHalfInstalled: an installation that broke in the middle can be removed, and can be taken up again.
func TestHalfInstalled(t *testing.T) {
	w := shared
	data := []byte(settings("x") + "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: Not Valid}\n")
	part := w.part("half", w.put("half.yaml", data), "1", data)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := part.Install(ctx, w.cluster, quiet); err == nil {
		t.Fatal("it was installed")
	}
	if err := part.Complete(ctx, w.cluster); err == nil || !strings.Contains(err.Error(), "not installed to the end") {
		t.Errorf("error %v", err)
	}
	good := []byte(settings("y"))
	again := w.part("half", w.put("half2.yaml", good), "2", good)
	if err := again.Install(ctx, w.cluster, quiet); err != nil {
		t.Fatalf("another version after it: %v", err)
	}
	if err := again.Remove(ctx, w.cluster, quiet); err != nil {
		t.Fatal(err)
	}
	if _, err := w.cluster.Clientset.CoreV1().ConfigMaps("half").Get(ctx, "settings", metav1.GetOptions{}); err == nil {
		t.Error("something is left")
	}
}

// TestNeverReady keeps the deadline and says what it hangs on; the removal works all the same.
func TestNeverReady(t *testing.T) {
	w := shared
	text := strings.Replace(workload("Deployment", "stuck", 1), "spec: {containers", "spec: {nodeSelector: {nowhere: \"yes\"}, containers", 1)
	data := chartArchive(t, "stuck", 1, text)
	addon := &nfd.Addon{Component: w.part("stuck", w.put("stuck.tgz", data), "1", data)}
	steps := addons.Steps(func(context.Context) (*kube.Cluster, error) { return w.cluster, nil }, free, addon)
	// How long the cluster takes until the scheduler has given the pod up depends on the machine: a longer deadline is tried where one was short.
	var err error
	for _, deadline := range []time.Duration{3 * time.Second, 15 * time.Second, time.Minute} {
		ctx, cancel := context.WithTimeout(t.Context(), deadline)
		begin := time.Now()
		err = steps[0].Run(ctx, quiet)
		if took := time.Since(begin); took > deadline+7*time.Second {
			t.Errorf("gave up after %s of %s", took, deadline)
		}
		if ended := ctx.Err(); err == nil || ended == nil {
			t.Errorf("it ended with %v before its deadline (%v)", err, ended)
		}
		cancel()
		if err != nil && strings.Contains(err.Error(), "Unschedulable") {
			break
		}
	}
	if err == nil || !strings.Contains(err.Error(), "0 of 1 pods ready") || !strings.Contains(err.Error(), "Unschedulable") {
		t.Errorf("error %v, want it to say why", err)
	}
	if err := steps[0].Undo(t.Context(), quiet); err != nil {
		t.Errorf("remove: %v", err)
	}
}

// TestBundle: charts come out of a bundle as they went in, and nothing else does.
func TestBundle(t *testing.T) {
	w, ctx := shared, t.Context()
	data := []byte(settings("bundled"))
	ref := chart.Ref{Location: w.put("bundled.yaml", data), Version: "1", Digest: digestOf(data)}
	image := strings.TrimPrefix(w.push(t, "images/app", "v1", []byte("layer")), "oci://") + ":v1"
	dir := t.TempDir()
	out, err := chart.NewWriter(filepath.Join(dir, "layout"))
	if err != nil {
		t.Fatal(err)
	}
	content, err := chart.Fetch(ctx, ref, w.sources())
	if err != nil {
		t.Fatal(err)
	}
	if err := out.AddChart(ctx, ref, content); err != nil {
		t.Fatal(err)
	}
	digest, err := out.AddImage(ctx, image, "", w.sources())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "lab.tar")
	if err := out.Save(file); err != nil {
		t.Fatal(err)
	}
	b, err := chart.OpenBundle(ctx, file)
	if err != nil {
		t.Fatal(err)
	}
	entries := b.Entries()
	if len(entries) != 2 || entries[0].Name != ref.Location || !entries[1].Image || entries[1].Name != image || entries[1].Digest != digest {
		t.Errorf("entries %+v", entries)
	}
	part := w.part("bundled", ref.Location, "1", data)
	part.Source = chart.Options{BundleFile: file}
	if err := part.Install(ctx, w.cluster, quiet); err != nil {
		t.Fatal(err)
	}
	if err := part.Remove(ctx, w.cluster, quiet); err != nil {
		t.Fatal(err)
	}
	if _, err := chart.Fetch(ctx, chart.Ref{Location: "https://elsewhere.invalid/x.yaml"}, part.Source); err == nil || !strings.Contains(err.Error(), "has no") {
		t.Errorf("error %v: a bundle must not be left", err)
	}
	var images strings.Builder
	if err := b.Images(&images); err != nil || !strings.Contains(images.String(), image) || strings.Contains(images.String(), `"ocifit-lab.chart":"`+ref.Location+`","ocifit-lab.version"`) {
		t.Errorf("images for the nodes: %v", err)
	}
}

// free is for addons that wait for no step.
func free(addons.Addon) []string { return nil }
