package component_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compspec/ocifit-lab/addons/autoscaler"
	"github.com/compspec/ocifit-lab/addons/certmanager"
	"github.com/compspec/ocifit-lab/addons/nfd"
	"github.com/compspec/ocifit-lab/provision/chart"
	"github.com/compspec/ocifit-lab/provision/kube"
	"github.com/compspec/ocifit-lab/templates"
	"github.com/compspec/ocifit-lab/webhook/deploy"
)

// used are the kinds of our objects that are not Kubernetes' own, by the component that must serve them.
func used(t *testing.T) map[string][]string {
	t.Helper()
	kinds := map[string][]string{"cert-manager": certmanager.Kinds()}
	for _, application := range []string{"hpcg", "stream"} {
		files, err := templates.Chart(application)
		if err != nil {
			t.Fatal(err)
		}
		ch, err := chart.FromFS(files)
		if err != nil {
			t.Fatal(err)
		}
		text, err := ch.Render(nil, chart.Target{Release: "a", Namespace: "b"})
		if err != nil {
			t.Fatal(err)
		}
		kinds["flux-operator"] = append(kinds["flux-operator"], kindsOf(t, text, "flux-framework.org")...)
	}
	v, err := deploy.Defaults()
	if err != nil {
		t.Fatal(err)
	}
	text, err := deploy.Render(v, "lab")
	if err != nil {
		t.Fatal(err)
	}
	kinds["cert-manager"] = append(kinds["cert-manager"], kindsOf(t, string(text), "cert-manager.io")...)
	return kinds
}

func kindsOf(t *testing.T, text, group string) []string {
	t.Helper()
	objects, err := kube.Objects([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, o := range objects {
		if kind := o.GetAPIVersion() + "/" + o.GetKind(); strings.HasPrefix(kind, group+"/") && !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	if len(kinds) == 0 {
		t.Errorf("no kind of %s is used", group)
	}
	return kinds
}

// TestPinsServeWhatWeUse: a pin that serves another version of a kind, or a chart that does not know a value, would be found out in the
// middle of an installation.
func TestPinsServeWhatWeUse(t *testing.T) {
	kinds := used(t)
	sticky := map[string]any{"x": "y"}
	values := map[string]map[string]any{
		"cert-manager": chart.Merge(certmanager.Values(), map[string]any{
			"nodeSelector": sticky, "webhook": map[string]any{"nodeSelector": sticky}, "cainjector": map[string]any{"nodeSelector": sticky},
			"startupapicheck": map[string]any{"nodeSelector": sticky},
		}),
		"nfd":                chart.Merge(nfd.Values(), map[string]any{"master": map[string]any{"nodeSelector": sticky}, "gc": map[string]any{"nodeSelector": sticky}}),
		"cluster-autoscaler": autoscaler.Values(autoscaler.Options{ScaleDownAfter: time.Minute, Role: "r", Repository: "a", Tag: "b"}),
	}
	for _, set := range templates.VersionSets() {
		for _, name := range templates.Components() {
			c, err := templates.ComponentOf(set, name)
			if err != nil {
				t.Fatal(err)
			}
			v := values[name]
			if strings.HasSuffix(c.Chart, ".yaml") {
				v = nil // a manifest takes no values
			}
			if missing := c.Lacks(kinds[name], v); len(missing) > 0 {
				t.Errorf("%s/%s %s lacks %s", set, name, c.Version, strings.Join(missing, ", "))
			}
		}
	}
}
