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
		if strings.HasSuffix(i.Ref, ":latest") && i.Digest == "" && !i.Replaces {
			t.Errorf("%s: %s moves", where, i.Ref)
		}
	}
}

func TestComponentOf(t *testing.T) {
	for _, tc := range []struct{ set, name, version, err string }{
		{"pinned", "cert-manager", "v1.20.2", ""},
		{"procedure", "cert-manager", "v1.17.2", ""},
		{"procedure", "nfd", "0.17.3", ""},
		{"procedure", "flux-operator", "d4b92b8", ""},
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
	for minor, want := range map[string]bool{"1.29": false, "1.30": true, "v1.34": true, "1.36": false, "1.9": false, "": false} {
		if got := c.Supports(minor); got != want {
			t.Errorf("%q: %v", minor, got)
		}
	}
	if got := c.ImagesFor("1.33"); len(got) != 1 || !strings.HasSuffix(got[0].Ref, ":v1.33.1") {
		t.Errorf("images for 1.33: %v", got)
	}
}
