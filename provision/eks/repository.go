package eks

import (
	"context"
	"strings"

	"github.com/compspec/ocifit-lab/provision/eks/clusterconfig"
)

// Names of the lab's repositories in the account's registry, below the lab's own name.
const (
	ImageRepository    = "ocifit-lab"               // the image of this program
	ArtifactRepository = "ocifit-k8s-compatibility" // the compatibility artifact
)

// RepositoryName is the full name of one of the lab's repositories.
func (p *Provider) RepositoryName(name string) string {
	return strings.ToLower(p.opts.Name) + "/" + name
}

func (p *Provider) repositories() []string {
	return []string{p.RepositoryName(ImageRepository), p.RepositoryName(ArtifactRepository)}
}

// Repository is a place in the account's own registry, with a login for twelve hours.
type Repository struct {
	Reference, User, Password string
	// PlainHTTP says that the registry is spoken to without TLS; AWS's own never is.
	PlainHTTP bool
}

// Repository makes a repository of the lab's in the account's ECR, unless it is there, and returns its address with a login for a push. It
// goes with the lab.
func (p *Provider) Repository(ctx context.Context, name string) (Repository, error) {
	c, err := p.aws(ctx)
	if err != nil {
		return Repository{}, err
	}
	ref, err := c.EnsureRepository(ctx, name, map[string]string{clusterconfig.TagLab: p.opts.Name, clusterconfig.TagManaged: "true"})
	if err != nil {
		return Repository{}, err
	}
	return p.login(ctx, ref)
}

// FindRepository is Repository without making one: its Reference is empty when there is none.
func (p *Provider) FindRepository(ctx context.Context, name string) (Repository, error) {
	c, err := p.aws(ctx)
	if err != nil {
		return Repository{}, err
	}
	ref, err := c.FindRepository(ctx, name)
	if err != nil || ref == "" {
		return Repository{}, err
	}
	return p.login(ctx, ref)
}

func (p *Provider) login(ctx context.Context, ref string) (Repository, error) {
	c, err := p.aws(ctx)
	if err != nil {
		return Repository{}, err
	}
	l, err := c.RegistryLogin(ctx)
	return Repository{Reference: ref, User: l.User, Password: l.Password, PlainHTTP: l.PlainHTTP}, err
}
