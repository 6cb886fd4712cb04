package chart

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	helmregistry "helm.sh/helm/v3/pkg/registry"
	"helm.sh/helm/v3/pkg/repo"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/compspec/ocifit-lab/provision/registry"
	"github.com/compspec/ocifit-lab/provision/step"
	"github.com/compspec/ocifit-lab/templates"
)

// packed is the chart of STREAM, with its library, as a folder and as an archive.
func packed(t *testing.T) (folder, archive string) {
	t.Helper()
	files, err := templates.Chart("stream")
	if err != nil {
		t.Fatal(err)
	}
	ch, err := FromFS(files)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := chartutil.SaveDir(ch.Chart, dir); err != nil {
		t.Fatal(err)
	}
	if archive, err = chartutil.Save(ch.Chart, dir); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "stream"), archive
}

func sum(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("sha256:%x", sha256.Sum256(data))
}

// whole checks that a chart renders, which needs its library.
func whole(t *testing.T, ch *Chart, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	text, err := ch.Render(nil, Target{Release: "a", Namespace: "b"})
	if err != nil || !strings.Contains(text, "kind: MiniCluster") {
		t.Errorf("%v\n%s", err, text)
	}
	if ch.Name() != "stream" || !strings.HasPrefix(ch.Digest, "sha256:") || len(ch.Digest) != 7+64 {
		t.Errorf("%s, digest %q", ch.Name(), ch.Digest)
	}
}

func TestOpenPath(t *testing.T) {
	folder, archive := packed(t)
	a, err := Open(t.Context(), folder, Options{})
	whole(t, a, err)
	b, err := Open(t.Context(), "./stream", Options{Dir: filepath.Dir(folder)})
	whole(t, b, err)
	if a.Digest != b.Digest {
		t.Errorf("the same folder has the digests %s and %s", a.Digest, b.Digest)
	}
	values := filepath.Join(folder, "values.yaml")
	data, err := os.ReadFile(values)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(values, append(data, '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err = Open(t.Context(), folder, Options{}); err != nil || a.Digest == b.Digest {
		t.Errorf("%v; another folder has the digest %s too", err, a.Digest)
	}
	c, err := Open(t.Context(), archive, Options{})
	whole(t, c, err)
	if c.Digest != sum(t, archive) {
		t.Errorf("digest %s", c.Digest)
	}
	files, err := templates.Chart("stream")
	if err != nil {
		t.Fatal(err)
	}
	d, err := FromFS(files)
	whole(t, d, err)
}

func TestOpenRegistry(t *testing.T) {
	_, archive := packed(t)
	r, err := registry.Start(t.Context(), registry.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Stop() })
	client, err := helmregistry.NewClient(helmregistry.ClientOptPlainHTTP(), helmregistry.ClientOptCredentialsFile(filepath.Join(t.TempDir(), "none.json")))
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	at := r.Addr() + "/charts/stream"
	pushed, err := client.Push(data, at+":0.1.0")
	if err != nil {
		t.Fatal(err)
	}
	o := Options{PlainHTTP: []string{r.Addr()}}
	ch, err := Open(t.Context(), "oci://"+at+":0.1.0", o)
	whole(t, ch, err)
	if ch.Digest != pushed.Manifest.Digest {
		t.Errorf("digest %s, pushed %s", ch.Digest, pushed.Manifest.Digest)
	}
	ch, err = Open(t.Context(), "oci://"+at+"@"+ch.Digest, o)
	whole(t, ch, err)

	other, err := remote.NewRepository(r.Addr() + "/other")
	if err != nil {
		t.Fatal(err)
	}
	other.PlainHTTP = true
	d, err := oras.PackManifest(t.Context(), other, oras.PackManifestVersion1_1, "application/x", oras.PackManifestOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for source, want := range map[string]string{
		"oci://" + at:                   "it names no version",
		"oci://" + at + ":0.2.0":        "no such chart or version",
		"oci://" + r.Addr() + "/none:1": "no such chart or version",
		"oci://x":                       "invalid reference",
		"oci://" + r.Addr() + "/other@" + d.Digest.String(): `an artifact of type "application/x", not a chart`,
	} {
		refuse(t, source, o, want)
	}
	refuse(t, "oci://"+at+":0.1.0", Options{Pause: time.Millisecond}, "ask the registry") // TLS with a server that has none
}

func TestOpenRepository(t *testing.T) {
	_, archive := packed(t)
	dir := filepath.Dir(archive)
	index := repo.NewIndexFile()
	meta := &chart.Metadata{APIVersion: "v2", Name: "stream", Version: "0.1.0"}
	add := func(version, file, digest string) {
		m := *meta
		m.Version = version
		if err := index.MustAdd(&m, file, "", digest); err != nil {
			t.Fatal(err)
		}
	}
	add("0.1.0", filepath.Base(archive), strings.TrimPrefix(sum(t, archive), "sha256:"))
	add("0.2.0", filepath.Base(archive), strings.Repeat("0", 64))
	add("0.3.0", "gone.tgz", "")
	add("0.4.0", "index.yaml", "")
	if err := index.WriteFile(filepath.Join(dir, "index.yaml"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.StripPrefix("/stable", http.FileServer(http.Dir(dir))))
	t.Cleanup(server.Close)
	ch, err := Open(t.Context(), server.URL+"/stable/stream@0.1.0", Options{})
	whole(t, ch, err)
	if ch.Digest != sum(t, archive) {
		t.Errorf("digest %s", ch.Digest)
	}
	for source, want := range map[string]string{
		server.URL + "/stable/stream":       "it names no version",
		server.URL + "/stable/other@1":      `no chart "other"`,
		server.URL + "/stable/stream@9":     `no version "9" of stream; it has `,
		server.URL + "/stable/stream@0.2.0": "the repository's index says 0000",
		server.URL + "/stable/stream@0.3.0": "archive: " + server.URL + "/stable/gone.tgz answers 404",
		server.URL + "/stable/stream@0.4.0": "read archive",
		server.URL + "/none/stream@0.1.0":   "index of the repository: " + server.URL + "/none/index.yaml answers 404",
		strings.Replace(server.URL, "http://", "http://me:secret@", 1) + "/stable/stream@0.1.0": "has a password",
		"ftp://x/stream@1": "ftp:// is no source of charts",
		"":                 "no source is given",
		"./nothing-here":   "no such file",
	} {
		refuse(t, source, Options{}, want)
	}
}

func refuse(t *testing.T, source string, o Options, want string) {
	t.Helper()
	if ch, err := Open(t.Context(), source, o); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%s: %v, %v; want %q", source, ch, err, want)
	}
}

func TestOpenEndsWithItsContext(t *testing.T) {
	stuck := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-stuck:
		}
	}))
	t.Cleanup(func() { close(stuck); server.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	for _, source := range []string{server.URL + "/a@1", "oci://" + strings.TrimPrefix(server.URL, "http://") + "/a:1"} {
		if _, err := Open(ctx, source, Options{PlainHTTP: []string{strings.TrimPrefix(server.URL, "http://")}}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", source, err)
		}
	}
}

func TestIncompleteCharts(t *testing.T) {
	folder, _ := packed(t)
	if err := os.RemoveAll(filepath.Join(folder, "charts")); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), folder, Options{})
	if err == nil || !strings.Contains(err.Error(), "dependency trial in ") || !strings.Contains(step.HintOf(err), "helm dependency build") {
		t.Errorf("%v", err)
	}
	library := t.TempDir()
	if err := os.WriteFile(filepath.Join(library, "Chart.yaml"), []byte("apiVersion: v2\nname: l\nversion: 1.0.0\ntype: library\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	refuse(t, library, Options{}, "a library chart")
}

// Charts of one template, as those of many applications, name it as the folder beside them.
func TestDependenciesBeside(t *testing.T) {
	folder, _ := packed(t)
	root := filepath.Dir(folder)
	complete, err := Open(t.Context(), folder, Options{})
	whole(t, complete, err)
	library := filepath.Join(root, "trial")
	if err := chartutil.SaveDir(complete.Dependencies()[0], root); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(folder, "charts")); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(folder, "Chart.yaml")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	beside := func(version string) {
		t.Helper()
		lines := strings.Split(string(data), "\n")
		for i, l := range lines {
			switch key := strings.TrimLeft(l, " -"); {
			case strings.HasPrefix(key, "repository:"):
				lines[i] = l[:len(l)-len(key)] + "repository: file://../trial"
			case strings.HasPrefix(l, " ") && strings.HasPrefix(key, "version:"), strings.HasPrefix(l, "-") && strings.HasPrefix(key, "version:"):
				lines[i] = l[:len(l)-len(key)] + "version: " + version
			}
		}
		if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	beside("'>= 0.0.1'")
	ch, err := Open(t.Context(), folder, Options{})
	whole(t, ch, err)
	if err := os.WriteFile(filepath.Join(library, "templates", "_more.tpl"), []byte("{{/* more */}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	changed, err := Open(t.Context(), folder, Options{})
	whole(t, changed, err)
	if ch.Digest == changed.Digest {
		t.Error("the digest does not show a change of the dependency")
	}
	beside("99.0.0")
	refuse(t, folder, Options{}, "dependency trial 99.0.0: in")
	if err := os.RemoveAll(library); err != nil {
		t.Fatal(err)
	}
	refuse(t, folder, Options{}, "dependency trial in")
}

func TestFromFSRefuses(t *testing.T) {
	for name, fsys := range map[string]fstest.MapFS{
		"empty":   {},
		"invalid": {"Chart.yaml": {Data: []byte("apiVersion: v2\nname: x\nversion: not-a-version\n")}},
		"broken":  {"Chart.yaml": {Data: []byte("a: [")}},
	} {
		if _, err := FromFS(fsys); err == nil || !strings.Contains(err.Error(), "load chart") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := (*Chart)(nil).Render(nil, Target{Release: "a", Namespace: "b"}); err == nil {
		t.Error("rendered no chart")
	}
}
