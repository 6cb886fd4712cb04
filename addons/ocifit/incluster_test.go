package ocifit

import (
	"context"
	"strings"
	"testing"

	"github.com/compspec/ocifit-lab/webhook/compat"
)

// Pods may name artifacts where the lab has its own, where the lab stands for the published one, in mirrored registries, and where lab.yaml says.
func TestRegistriesThatPodsMayName(t *testing.T) {
	ref := func(text string) func(context.Context) (string, error) {
		return func(context.Context) (string, error) { return text, nil }
	}
	plain := func(list ...string) func(context.Context) ([]string, error) {
		return func(context.Context) ([]string, error) { return list, nil }
	}
	for name, c := range map[string]struct {
		addon InCluster
		want  string
	}{
		"the account's registry":   {InCluster{Artifact: ref("1.dkr.ecr.example/a:v1"), PlainHTTP: plain()}, "1.dkr.ecr.example"},
		"a registry of the lab":    {InCluster{Artifact: ref("kind-registry:5000/a:v1"), PlainHTTP: plain("kind-registry:5000")}, compat.PublishedRegistry + " kind-registry:5000"},
		"mirrors and others, once": {InCluster{Artifact: ref("r.example/a:v1"), PlainHTTP: plain(), Registries: []string{"*.site.example", "r.example"}, Mirrors: map[string][]string{"up.example": {"mirror.example"}}}, "*.site.example r.example up.example"},
	} {
		got, err := c.addon.registries(t.Context())
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}
