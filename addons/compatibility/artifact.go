// Package compatibility builds the study's compatibility artifact and puts it into a registry.
package compatibility

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"

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

// Options are how the registry is spoken to.
func (t Target) Options() oci.Options {
	return oci.Options{PlainHTTP: t.PlainHTTP, Credential: t.Credential}
}

// Addon is the artifact with all models of the program, those of one's own and the random choice.
type Addon struct {
	// Title says in the plan where the artifact goes.
	Title string
	// Target tells where it goes, once the cluster runs.
	Target func(ctx context.Context) (Target, error)
	// Make makes that place where it has to be made first; nil: it is there.
	Make func(ctx context.Context) error
	// Images maps an architecture to the application's image.
	Images map[string]string
	// Models are the files of models of one's own.
	Models []string
}

// Own reads model files. Their names must differ from each other and from those of the program's own models.
func Own(files []string) ([]*predict.Model, [][]byte, error) {
	builtIn, err := predict.BuiltIn()
	if err != nil {
		return nil, nil, err
	}
	taken := map[string]string{}
	for _, m := range builtIn {
		taken[m.Name] = "a model of the program"
	}
	var models []*predict.Model
	var contents [][]byte
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, nil, err
		}
		m, err := predict.DecodeModel(data)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", file, err)
		}
		if other, twice := taken[m.Name]; twice {
			return nil, nil, fmt.Errorf("%s: %s is called %s too; give it another name", file, other, m.Name)
		}
		taken[m.Name] = file
		models, contents = append(models, m), append(contents, data)
	}
	return models, contents, nil
}

// Build returns what is pushed.
func Build(images map[string]string, files []string) (oci.Bundle, error) {
	models, err := predict.BuiltIn()
	if err != nil {
		return oci.Bundle{}, err
	}
	own, contents, err := Own(files)
	if err != nil {
		return oci.Bundle{}, err
	}
	list := []compat.Model{predict.RandomModel()}
	for _, m := range append(models, own...) {
		list = append(list, m.ArtifactModel())
	}
	data, err := oci.Build(list, images)
	return oci.Bundle{MediaType: compat.MediaTypeModels, Data: data, Models: contents}, err
}

// Name implements addons.Addon.
func (*Addon) Name() string { return "artifact" }

// Needs implements addons.Addon.
func (*Addon) Needs() []string { return nil }

// Requires implements addons.Addon.
func (*Addon) Requires() addons.Requirements { return addons.Requirements{} }

// Plan implements addons.Addon.
func (a *Addon) Plan() string {
	what := "the program's models and random"
	if models, err := predict.BuiltIn(); err == nil {
		what = fmt.Sprintf("%d models and random", len(models)+len(a.Models))
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
	bundle, err := Build(a.Images, a.Models)
	if err != nil {
		return err
	}
	for _, ref := range target.refs() {
		pushed, err := oci.PushBundle(ctx, ref, bundle, target.Options())
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
	want, err := Build(a.Images, a.Models)
	if err != nil {
		return err
	}
	for _, ref := range target.refs() {
		got, err := oci.Pull(ctx, ref, target.Options())
		if err != nil {
			return err
		}
		if !bytes.Equal(got.Data, want.Data) || !slices.EqualFunc(got.Models, want.Models, bytes.Equal) {
			return fmt.Errorf("%s holds another artifact than this lab's", ref)
		}
	}
	return nil
}

// Remove implements addons.Addon. The artifact stays: other labs may read it, and a lab's own registry goes with the lab.
func (a *Addon) Remove(context.Context, *kube.Cluster, step.Log) error { return nil }
