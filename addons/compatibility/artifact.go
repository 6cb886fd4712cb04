// Package compatibility builds the study's compatibility artifact and puts it into a registry.
package compatibility

import (
	"context"
	"fmt"

	"github.com/opencontainers/go-digest"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/compspec/ocifit-lab/addons"
	"github.com/compspec/ocifit-lab/provision/kube"
	"github.com/compspec/ocifit-lab/provision/step"
	oci "github.com/compspec/ocifit-lab/webhook/artifact"
	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/predict"
)

// Target is where the artifact goes.
type Target struct {
	// Ref has registry, repository and tag.
	Ref string
	// Aliases are references that lead to the artifact too.
	Aliases []string
	// PlainHTTP lists the registries that are spoken to without TLS.
	PlainHTTP []string
	// Credential is what registries are asked with; nil asks without.
	Credential auth.CredentialFunc
}

func (t Target) refs() []string { return append([]string{t.Ref}, t.Aliases...) }

func (t Target) options() oci.Options {
	return oci.Options{PlainHTTP: t.PlainHTTP, Credential: t.Credential}
}

// Addon is the artifact with all published models and the random choice.
type Addon struct {
	// Title says in the plan where the artifact goes.
	Title string
	// Target tells where it goes, once the cluster runs.
	Target func(ctx context.Context) (Target, error)
	// Make makes that place where it has to be made first; nil: it is there.
	Make func(ctx context.Context) error
	// Images maps an architecture to the application's image.
	Images map[string]string
}

// Build returns the artifact's layer.
func Build(images map[string]string) ([]byte, error) {
	models, err := predict.Published()
	if err != nil {
		return nil, err
	}
	list := []compat.Model{predict.RandomModel()}
	for _, m := range models {
		list = append(list, m.ArtifactModel())
	}
	return oci.Build(list, images)
}

// Name implements addons.Addon.
func (*Addon) Name() string { return "artifact" }

// Needs implements addons.Addon.
func (*Addon) Needs() []string { return nil }

// Requires implements addons.Addon.
func (*Addon) Requires() addons.Requirements { return addons.Requirements{} }

// Plan implements addons.Addon.
func (a *Addon) Plan() string {
	what := "the published models and random"
	if models, err := predict.Published(); err == nil {
		what = fmt.Sprintf("%d models and random", len(models))
	}
	return fmt.Sprintf("push the compatibility artifact (%s) to %s", what, a.Title)
}

// Install implements addons.Addon.
func (a *Addon) Install(ctx context.Context, _ *kube.Cluster, log step.Log) error {
	if a.Make != nil {
		if err := a.Make(ctx); err != nil {
			return err
		}
	}
	target, err := a.Target(ctx)
	if err != nil {
		return err
	}
	data, err := Build(a.Images)
	if err != nil {
		return err
	}
	for _, ref := range target.refs() {
		pushed, err := oci.Push(ctx, ref, data, compat.MediaTypeModels, target.options())
		if err != nil {
			return err
		}
		log("pushed %s@%s", ref, pushed)
	}
	return nil
}

// Ready pulls the artifact; it has to hold what this lab would push.
func (a *Addon) Ready(ctx context.Context, _ *kube.Cluster) error {
	target, err := a.Target(ctx)
	if err != nil {
		return err
	}
	want, err := Build(a.Images)
	if err != nil {
		return err
	}
	for _, ref := range target.refs() {
		got, err := oci.Pull(ctx, ref, target.options())
		if err != nil {
			return err
		}
		if digest.FromBytes(got.Data) != digest.FromBytes(want) {
			return fmt.Errorf("%s holds another artifact than this lab's", ref)
		}
	}
	return nil
}

// Remove implements addons.Addon. The artifact stays: other labs may read it, and a lab's own registry goes with the lab.
func (a *Addon) Remove(context.Context, *kube.Cluster, step.Log) error { return nil }
