package account

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
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

// repositoryItems are those of the owner's names that bear its tag. No other repository is looked at: an account may have many, and the
// caller no right to them.
func (c *Cloud) repositoryItems(ctx context.Context, o Owner) ([]Item, error) {
	var items []Item
	for _, name := range o.Repositories {
		found, err := c.ecr.DescribeRepositories(ctx, &ecr.DescribeRepositoriesInput{RepositoryNames: []string{name}})
		if IsNotFound(err) {
			continue
		}
		if err != nil {
			return items, err
		}
		for _, r := range found.Repositories {
			tags, err := c.ecr.ListTagsForResource(ctx, &ecr.ListTagsForResourceInput{ResourceArn: r.RepositoryArn})
			if err != nil {
				return items, err
			}
			if slices.ContainsFunc(tags.Tags, func(t ecrtypes.Tag) bool {
				return aws.ToString(t.Key) == o.TagKey && aws.ToString(t.Value) == o.TagValue
			}) {
				items = append(items, Item{Kind: "repository", ID: name, ours: true, created: aws.ToTime(r.CreatedAt), remove: func(ctx context.Context) error {
					_, err := c.ecr.DeleteRepository(ctx, &ecr.DeleteRepositoryInput{RepositoryName: &name, Force: true})
					return err
				}})
			}
		}
	}
	return items, nil
}
