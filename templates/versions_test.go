package templates

import (
	"regexp"
	"strings"
	"testing"
)

var (
	digestForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	commitForm = regexp.MustCompile(`/[0-9a-f]{40}/`)
)

// TestNothingMoves demands that every source names a version or a commit: what a branch or a tag "latest" means changes.
func TestNothingMoves(t *testing.T) {
	for _, set := range VersionSets() {
		for _, name := range Components() {
			c, err := ComponentOf(set, name)
			if err != nil {
				t.Fatal(err)
			}
			where := set + "/" + name
			if c.Version == "" || c.Namespace == "" || c.Name != name {
				t.Errorf("%s: version %q, namespace %q", where, c.Version, c.Namespace)
			}
			if !strings.HasPrefix(c.Chart, "oci://") && !strings.Contains(c.Chart, strings.TrimPrefix(c.Version, "v")) && !commitForm.MatchString(c.Chart) {
				t.Errorf("%s: %s names neither its version nor a commit", where, c.Chart)
			}
			if strings.Contains(c.Chart, "refs/heads") {
				t.Errorf("%s: %s is a branch", where, c.Chart)
			}
			if c.Digest != "" && !digestForm.MatchString(c.Digest) {
				t.Errorf("%s: digest %q", where, c.Digest)
			}
			if number(c.Kubernetes.From) < 0 || number(c.Kubernetes.To) < number(c.Kubernetes.From) {
				t.Errorf("%s: range %+v", where, c.Kubernetes)
			}
			if c.Source.Repository == "" || !regexp.MustCompile(`^[0-9a-f]{40}$`).MatchString(c.Source.Commit) || c.Source.Date == "" {
				t.Errorf("%s: read from %+v", where, c.Source)
			}
			checkImages(t, where, c)
		}
	}
}

func checkImages(t *testing.T, where string, c Component) {
	t.Helper()
	if len(c.ImagesFor("")) == 0 {
		t.Errorf("%s: no images", where)
	}
	for _, i := range c.ImagesFor("") {
		if i.Digest != "" && !digestForm.MatchString(i.Digest) {
			t.Errorf("%s: %s has digest %q", where, i.Ref, i.Digest)
		}
		if strings.HasSuffix(i.Ref, ":latest") && i.Digest == "" {
			t.Errorf("%s: %s moves", where, i.Ref)
		}
	}
}

func TestComponentOf(t *testing.T) {
	for _, tc := range []struct{ set, name, version, err string }{
		{"pinned", "cert-manager", "v1.20.2", ""},
		{"procedure", "cert-manager", "v1.17.2", ""},
		{"procedure", "nfd", "0.17.3", ""},
		{"procedure", "flux-operator", "117c17c", ""},
		{"newest", "nfd", "", `no set of versions "newest"; known: pinned, procedure`},
		{"pinned", "istio", "", `no component "istio"; known: cert-manager, cluster-autoscaler, flux-operator, nfd`},
	} {
		got, err := ComponentOf(tc.set, tc.name)
		if tc.err != "" {
			if err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("%s/%s: error %v, want %q", tc.set, tc.name, err, tc.err)
			}
			continue
		}
		if err != nil || got.Version != tc.version {
			t.Errorf("%s/%s: version %q, error %v, want %q", tc.set, tc.name, got.Version, err, tc.version)
		}
	}
}

func TestSupports(t *testing.T) {
	c, err := ComponentOf("pinned", "cluster-autoscaler")
	if err != nil {
		t.Fatal(err)
	}
	for minor, want := range map[string]bool{"1.29": false, "1.31": true, "v1.34": true, "1.36": true, "1.37": false, "1.9": false, "": false} {
		if got := c.Supports(minor); got != want {
			t.Errorf("%q: %v", minor, got)
		}
	}
	if got := c.ImagesFor("1.33"); len(got) != 1 || !strings.HasSuffix(got[0].Ref, ":v1.33.1") {
		t.Errorf("images for 1.33: %v", got)
	}
}

func TestReplacements(t *testing.T) {
	c, err := ComponentOf("procedure", "flux-operator")
	if err != nil {
		t.Fatal(err)
	}
	got := c.Replacements()
	for _, name := range []string{"ghcr.io/flux-framework/flux-operator:latest", "gcr.io/kubebuilder/kube-rbac-proxy:v0.11.0"} {
		if by := got[name]; by == "" || strings.HasSuffix(by, ":latest") || strings.HasPrefix(by, "gcr.io/kubebuilder/") {
			t.Errorf("%s is replaced by %q", name, by)
		}
	}
	c, err = ComponentOf("pinned", "cert-manager")
	if got := c.Replacements(); err != nil || len(got) != 0 {
		t.Errorf("%v, error %v: images without a digest and without another name stay", got, err)
	}
}

// TestLacks holds what is used against facts, among them those of a commit of flux-operator that was pinned once: it serves an older version.
func TestLacks(t *testing.T) {
	old := Component{Serves: []string{"flux-framework.org/v1alpha1/MiniCluster"}}
	chart := Component{Values: []string{"image.tag", "extraArgs"}}
	for name, tc := range map[string]struct {
		c      Component
		kinds  []string
		values map[string]any
		want   string
	}{
		"old operator":    {old, []string{"flux-framework.org/v1alpha2/MiniCluster"}, nil, "flux-framework.org/v1alpha2/MiniCluster"},
		"known values":    {chart, nil, map[string]any{"image": map[string]any{"tag": 1}, "extraArgs": map[string]any{"x": 1}}, ""},
		"unknown values":  {chart, nil, map[string]any{"image": map[string]any{"digest": 1}, "extra": true}, "value extra, value image.digest"},
		"nothing is used": {Component{}, nil, nil, ""},
	} {
		if got := strings.Join(tc.c.Lacks(tc.kinds, tc.values), ", "); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}
