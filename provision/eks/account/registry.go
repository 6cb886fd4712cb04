package account

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"
)

// EnsureRepository makes an ECR repository with tags unless it exists, and returns its address: registry host, slash, name.
func (c *Cloud) EnsureRepository(ctx context.Context, name string, tags map[string]string) (string, error) {
	in := &ecr.CreateRepositoryInput{RepositoryName: &name}
	for k, v := range tags {
		in.Tags = append(in.Tags, ecrtypes.Tag{Key: aws.String(k), Value: aws.String(v)})
	}
	made, err := c.ecr.CreateRepository(ctx, in)
	if Code(err) == "RepositoryAlreadyExistsException" {
		uri, err := c.FindRepository(ctx, name)
		if err == nil && uri == "" {
			err = fmt.Errorf("repository %s was there and is gone", name)
		}
		return uri, err
	}
	if err != nil {
		return "", Explain(fmt.Errorf("make repository %s: %w", name, err))
	}
	return aws.ToString(made.Repository.RepositoryUri), nil
}

// FindRepository returns the address of an ECR repository, empty if there is none.
func (c *Cloud) FindRepository(ctx context.Context, name string) (string, error) {
	found, err := c.ecr.DescribeRepositories(ctx, &ecr.DescribeRepositoriesInput{RepositoryNames: []string{name}})
	switch {
	case IsNotFound(err):
		return "", nil
	case err != nil:
		return "", Explain(fmt.Errorf("look for repository %s: %w", name, err))
	case len(found.Repositories) != 1:
		return "", nil
	}
	return aws.ToString(found.Repositories[0].RepositoryUri), nil
}

// Login is what the account's registry is asked with; it holds for twelve hours.
type Login struct {
	User, Password string
	// PlainHTTP says that the registry is spoken to without TLS; AWS's own never is.
	PlainHTTP bool
}

// RegistryLogin asks for a login to the account's registry.
func (c *Cloud) RegistryLogin(ctx context.Context) (Login, error) {
	out, err := c.ecr.GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
	if err != nil {
		return Login{}, Explain(fmt.Errorf("log in to the registry: %w", err))
	}
	if len(out.AuthorizationData) == 0 {
		return Login{}, errors.New("log in to the registry: ECR gave no token")
	}
	given := out.AuthorizationData[0]
	data, err := base64.StdEncoding.DecodeString(aws.ToString(given.AuthorizationToken))
	if err != nil {
		return Login{}, fmt.Errorf("log in to the registry: %w", err)
	}
	l := Login{PlainHTTP: strings.HasPrefix(aws.ToString(given.ProxyEndpoint), "http://")}
	l.User, l.Password, _ = strings.Cut(string(data), ":")
	return l, nil
}

// repositoryItems lists the repositories that bear the owner's tag.
func (c *Cloud) repositoryItems(ctx context.Context, o Owner) ([]Item, error) {
	if o.TagKey == "" {
		return nil, nil
	}
	var items []Item
	pages := ecr.NewDescribeRepositoriesPaginator(c.ecr, &ecr.DescribeRepositoriesInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return items, err
		}
		for _, r := range page.Repositories {
			tags, err := c.ecr.ListTagsForResource(ctx, &ecr.ListTagsForResourceInput{ResourceArn: r.RepositoryArn})
			if err != nil {
				return items, err
			}
			for _, t := range tags.Tags {
				if aws.ToString(t.Key) == o.TagKey && aws.ToString(t.Value) == o.TagValue {
					items = append(items, Item{Kind: "repository", ID: aws.ToString(r.RepositoryName), ours: true, remove: func(ctx context.Context) error {
						_, err := c.ecr.DeleteRepository(ctx, &ecr.DeleteRepositoryInput{RepositoryName: r.RepositoryName, Force: true})
						return err
					}})
				}
			}
		}
	}
	return items, nil
}
