package eks

import (
	"context"
	"strings"

	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/eks/clusterconfig"
)

// RepositoryName implements provision.ImageRegistry: the lab's repositories are below its own name.
func (p *Provider) RepositoryName(name string) string {
	return strings.ToLower(p.opts.Name) + "/" + name
}

func (p *Provider) repositories() []string {
	return []string{p.RepositoryName(provision.ImageRepository), p.RepositoryName(provision.ArtifactRepository)}
}

// Repository makes a repository of the lab's in the account's ECR, unless it is there, and returns its address with a login for a push. It
// goes with the lab.
func (p *Provider) Repository(ctx context.Context, name string) (provision.Repository, error) {
	c, err := p.aws(ctx)
	if err != nil {
		return provision.Repository{}, err
	}
	ref, err := c.EnsureRepository(ctx, name, map[string]string{clusterconfig.TagLab: p.opts.Name, clusterconfig.TagManaged: "true"})
	if err != nil {
		return provision.Repository{}, err
	}
	return p.login(ctx, ref)
}

// FindRepository is Repository without making one: its Reference is empty when there is none.
func (p *Provider) FindRepository(ctx context.Context, name string) (provision.Repository, error) {
	c, err := p.aws(ctx)
	if err != nil {
		return provision.Repository{}, err
	}
	ref, err := c.FindRepository(ctx, name)
	if err != nil || ref == "" {
		return provision.Repository{}, err
	}
	return p.login(ctx, ref)
}

func (p *Provider) login(ctx context.Context, ref string) (provision.Repository, error) {
	c, err := p.aws(ctx)
	if err != nil {
		return provision.Repository{}, err
	}
	l, err := c.RegistryLogin(ctx)
	return provision.Repository{Reference: ref, User: l.User, Password: l.Password, PlainHTTP: l.PlainHTTP}, err
}
