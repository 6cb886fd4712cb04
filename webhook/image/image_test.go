package image

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/compspec/ocifit-lab/webhook/artifact/artifacttest"
)

// binaries compiles a small static program for two architectures.
func binaries(t *testing.T) (amd64, arm64 string) {
	t.Helper()
	dir := t.TempDir()
	src := filepath.Join(dir, "main.go")
	if err := os.WriteFile(src, []byte("package main\n\nfunc main() { println(\"hello\") }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	build := func(arch string) string {
		out := filepath.Join(dir, arch)
		cmd := exec.Command("go", "build", "-trimpath", "-o", out, src)
		cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "CGO_ENABLED=0", "GOFLAGS=")
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		return out
	}
	return build("amd64"), build("arm64")
}

func TestBuild(t *testing.T) {
	amd64, arm64 := binaries(t)
	o := Options{Binaries: []string{amd64, arm64}, Name: "lab", Cmd: []string{"serve"}, Labels: map[string]string{"a": "b"}}
	img, err := Build(t.Context(), filepath.Join(t.TempDir(), "layout"), o)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Join(img.Platforms, " ") != "linux/amd64 linux/arm64" || img.Size == 0 {
		t.Errorf("%+v", img)
	}
	again, err := Build(t.Context(), t.TempDir(), o)
	if err != nil || again.Digest != img.Digest {
		t.Errorf("built again: %s, %v; first %s", again.Digest, err, img.Digest)
	}
	for _, one := range img.images {
		m, err := one.Manifest()
		if err != nil {
			t.Fatal(err)
		}
		checkConfig(t, img, m)
		checkLayer(t, img, m)
	}
	r := artifacttest.New(t)
	digest, err := img.Push(t.Context(), r.Ref("lab:v1"), Registry{PlainHTTP: []string{r.Host}})
	if err != nil || digest != img.Digest {
		t.Errorf("pushed as %s, %v", digest, err)
	}
	for _, bad := range []string{"", "lab", r.Ref("lab@" + img.Digest)} {
		if _, err := img.Push(t.Context(), bad, Registry{}); err == nil {
			t.Errorf("pushed to %q", bad)
		}
	}
}

func checkConfig(t *testing.T, img *Image, m *v1.Manifest) {
	t.Helper()
	var config ocispec.Image
	data, err := os.ReadFile(filepath.Join(img.dir, blob(m.Config.Digest)))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &config); err != nil {
		t.Fatal(err)
	}
	if config.OS != "linux" || config.Config.User != user || config.Config.Entrypoint[0] != "/lab" || config.Config.Cmd[0] != "serve" || config.Config.Labels["a"] != "b" {
		t.Errorf("%+v", config)
	}
}

func checkLayer(t *testing.T, img *Image, m *v1.Manifest) {
	t.Helper()
	f, err := os.Open(filepath.Join(img.dir, blob(m.Layers[0].Digest)))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]int64{}
	for tr := tar.NewReader(z); ; {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names[h.Name] = h.Mode
		if h.ModTime.Unix() != 0 {
			t.Errorf("%s is of %s", h.Name, h.ModTime)
		}
	}
	if names["lab"] != 0o755 || names["etc/passwd"] != 0o644 || names["tmp/"] != 0o1777 {
		t.Errorf("%v", names)
	}
}

func TestArchive(t *testing.T) {
	amd64, arm64 := binaries(t)
	for name, list := range map[string][]string{"one": {amd64}, "two": {amd64, arm64}} {
		img, err := Build(t.Context(), t.TempDir(), Options{Binaries: list, Name: "lab"})
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		file := filepath.Join(dir, "image.tar")
		if err := img.Archive(t.Context(), file, "example/lab:v1"); err != nil {
			t.Fatal(err)
		}
		files := untar(t, file)
		var docker []dockerManifest
		if err := json.Unmarshal(files["manifest.json"], &docker); err != nil || len(docker) != 1 {
			t.Fatalf("%s: %s, %v", name, files["manifest.json"], err)
		}
		for _, path := range append(docker[0].Layers, docker[0].Config) {
			if files[path] == nil {
				t.Errorf("%s: no %s", name, path)
			}
		}
		var index ocispec.Index
		if err := json.Unmarshal(files["index.json"], &index); err != nil || index.Manifests[0].Annotations["io.containerd.image.name"] != "example/lab:v1" || index.Manifests[0].Digest.String() != img.Digest {
			t.Errorf("%s: %s, %v", name, files["index.json"], err)
		}
		if want := 3 + 3*len(list) + min(1, len(list)-1); len(files) != want {
			t.Errorf("%s: %d files, want %d", name, len(files), want)
		}
		if left, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(left) > 0 {
			t.Errorf("left over: %v, %v", left, err)
		}
	}
}

func untar(t *testing.T, file string) map[string][]byte {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	files := map[string][]byte{}
	for tr := tar.NewReader(f); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[h.Name], err = io.ReadAll(tr); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRefusals(t *testing.T) {
	amd64, _ := binaries(t)
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		o    Options
		says string
	}{
		"none":       {Options{Name: "lab"}, "needs a binary"},
		"no name":    {Options{Binaries: []string{amd64}}, "name"},
		"missing":    {Options{Binaries: []string{"/nonexistent"}, Name: "lab"}, "nonexistent"},
		"a script":   {Options{Binaries: []string{text}, Name: "lab"}, "CGO_ENABLED=0"},
		"same twice": {Options{Binaries: []string{amd64, amd64}, Name: "lab"}, "two binaries are for linux/amd64"},
		"no such CA": {Options{Binaries: []string{amd64}, Name: "lab", Certificates: "/nonexistent"}, "nonexistent"},
	} {
		if _, err := Build(t.Context(), t.TempDir(), c.o); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Inspect("/bin/sh"); err == nil || !strings.Contains(err.Error(), "dynamically") {
		t.Skipf("/bin/sh is not a dynamic executable here: %v", err)
	}
}
