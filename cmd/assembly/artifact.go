package assembly

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/compspec/ocifit-lab/addons/compatibility"
	"github.com/compspec/ocifit-lab/experiments/study"
	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/lab"
	"github.com/compspec/ocifit-lab/provision/step"
	oci "github.com/compspec/ocifit-lab/webhook/artifact"
	"github.com/compspec/ocifit-lab/webhook/artifact/ecr"
	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/predict"
	"github.com/compspec/ocifit-lab/webhook/serve"
)

// artifactName is the repository of the study's artifact in a lab's own registry.
const artifactName = "compspec/ocifit-k8s-compatibility"

// artifactModels are those that the lab's artifact has: the program's and those of one's own.
func artifactModels(spec *lab.Spec) ([]*predict.Model, error) {
	models, err := predict.BuiltIn()
	if err != nil {
		return nil, err
	}
	own, _, err := compatibility.Own(spec.Artifact.Models)
	if err != nil {
		return nil, fmt.Errorf("artifact.models: %w", err)
	}
	return append(models, own...), nil
}

// CheckModels refuses a study with arms whose model the lab's artifact does not have.
func CheckModels(spec *lab.Spec, s *study.Study) error {
	models, err := artifactModels(spec)
	if err != nil {
		return err
	}
	names := []string{compat.Random}
	for _, m := range models {
		names = append(names, m.Name)
	}
	if s.Adaptive != nil {
		if slices.Contains(names, s.Adaptive.Model) {
			return fmt.Errorf("adaptive.model: there is a model %s already; give what is learnt another name", s.Adaptive.Model)
		}
		names = append(names, s.Adaptive.Model)
	}
	return s.CheckModels(names)
}

// sharedRegistry is the registry outside of the cluster that takes the artifact; nil when lab.yaml names a repository or the lab has its own.
func (l *Lab) sharedRegistry() provision.ImageRegistry {
	if l.Spec.Artifact.Repository != "" {
		return nil
	}
	r, _ := l.Provider.(provision.ImageRegistry)
	return r
}

func (l *Lab) artifactTitle() string {
	tag := ":" + l.Spec.Artifact.Tag
	if l.Spec.Artifact.Repository != "" {
		return l.Spec.Artifact.Repository + tag
	}
	if r := l.sharedRegistry(); r != nil {
		return "the account's registry as " + r.RepositoryName(provision.ArtifactRepository) + tag
	}
	return "the lab's registry as " + artifactName + tag
}

// ArtifactTarget is the lab's artifact as this machine names it.
func (l *Lab) ArtifactTarget(ctx context.Context) (compatibility.Target, error) {
	if l.Spec.Artifact.Repository != "" {
		target := compatibility.Target{
			Ref:        l.Spec.Artifact.Repository + ":" + l.Spec.Artifact.Tag,
			Credential: new(ecr.Source).Credential(oci.DockerCredentials()),
		}
		if host := registryOf(target.Ref); oci.PlainLoopback(ctx, host) {
			target.PlainHTTP = []string{host}
		}
		return target, nil
	}
	if r := l.sharedRegistry(); r != nil {
		return l.sharedTarget(ctx, r)
	}
	env, err := l.Provider.Environment(ctx)
	if err != nil {
		return compatibility.Target{}, err
	}
	if env.Registry == "" {
		return compatibility.Target{}, step.Try(fmt.Errorf("provider %s has no registry of its own", l.Spec.Provider), "set artifact.repository in lab.yaml")
	}
	target := compatibility.Target{
		Ref:        env.Registry + "/" + artifactName + ":" + l.Spec.Artifact.Tag,
		Credential: env.RegistryLogin.Credential(env.Registry, oci.DockerCredentials()),
	}
	if published := env.Registry + "/" + compat.PublishedArtifact; published != target.Ref {
		target.Aliases = []string{published}
	}
	if env.PlainHTTP {
		target.PlainHTTP = []string{env.Registry}
	}
	return target, nil
}

// sharedTarget is the artifact in a registry that labs share.
func (l *Lab) sharedTarget(ctx context.Context, r provision.ImageRegistry) (compatibility.Target, error) {
	name := r.RepositoryName(provision.ArtifactRepository)
	repo, err := r.FindRepository(ctx, name)
	if err != nil {
		return compatibility.Target{}, err
	}
	if repo.Reference == "" {
		return compatibility.Target{}, step.Try(fmt.Errorf("the account's registry has no repository %s", name), "`ocifit-lab up` makes it")
	}
	host := registryOf(repo.Reference)
	t := compatibility.Target{Ref: repo.Reference + ":" + l.Spec.Artifact.Tag, Credential: loginTo(host, repo)}
	if repo.PlainHTTP {
		t.PlainHTTP = []string{host}
	}
	return t, nil
}

// makeRepository makes the artifact's repository where the lab has no other registry than the account's.
func (l *Lab) makeRepository(ctx context.Context) error {
	r := l.sharedRegistry()
	if r == nil {
		return nil
	}
	_, err := r.Repository(ctx, r.RepositoryName(provision.ArtifactRepository))
	return err
}

// ArtifactRef is the artifact as pods name it.
func (l *Lab) ArtifactRef(ctx context.Context) (string, error) {
	if l.Spec.Artifact.Repository == "" {
		env, err := l.Provider.Environment(ctx)
		if err != nil {
			return "", err
		}
		if env.RegistryInCluster != "" {
			return env.RegistryInCluster + "/" + artifactName + ":" + l.Spec.Artifact.Tag, nil
		}
	}
	target, err := l.ArtifactTarget(ctx)
	return target.Ref, err
}

// allowedRegistries are those beside the lab's own that pods may name artifacts in.
func allowedRegistries(spec *lab.Spec) []string {
	list := slices.Clone(spec.Webhook.AllowRegistries)
	if spec.Artifact.Repository != "" {
		list = append(list, registryOf(spec.Artifact.Repository))
	}
	return list
}

// pinnedArtifact is the artifact as the pods of trials name it, with the digest that it has now: whatever is pushed meanwhile, and whatever the
// webhook remembers of the tag, a run's trials are decided by one artifact.
func (l *Lab) pinnedArtifact(ctx context.Context) (string, error) {
	ref, err := l.ArtifactRef(ctx)
	if err != nil {
		return "", err
	}
	target, err := l.ArtifactTarget(ctx)
	if err != nil {
		return "", err
	}
	digest, err := oci.Digest(ctx, target.Ref, target.Options())
	if err != nil {
		return "", step.Try(fmt.Errorf("the artifact that trials would be decided by: %w", err), "see `ocifit-lab status`; `ocifit-lab up` pushes it again")
	}
	return ref + "@" + digest, nil
}

// plainInCluster lists the registries that a pod speaks to without TLS.
func (l *Lab) plainInCluster(ctx context.Context) ([]string, error) {
	env, err := l.Provider.Environment(ctx)
	if err != nil || !env.PlainHTTP || env.RegistryInCluster == "" {
		return nil, err
	}
	return []string{env.RegistryInCluster}, nil
}

func (l *Lab) webhookEndpoint(ctx context.Context) (*provision.WebhookEndpoint, error) {
	env, err := l.Provider.Environment(ctx)
	if err != nil {
		return nil, err
	}
	if env.Webhook == nil {
		return nil, fmt.Errorf("provider %s serves no webhook", l.Spec.Provider)
	}
	return &provision.WebhookEndpoint{URL: env.Webhook.URL + serve.PathMutate, CABundle: env.Webhook.CABundle}, nil
}

func registryOf(reference string) string {
	host, _, _ := strings.Cut(reference, "/")
	return host
}

// loginTo answers for one registry and no other.
func loginTo(host string, repo provision.Repository) auth.CredentialFunc {
	return func(_ context.Context, asked string) (auth.Credential, error) {
		if asked != host {
			return auth.EmptyCredential, nil
		}
		return auth.Credential{Username: repo.User, Password: repo.Password}, nil
	}
}
