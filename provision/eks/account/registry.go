package account

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
)

const ecrTarget = "AmazonEC2ContainerRegistry_V20150921."

func (c *Cloud) ecr(ctx context.Context, op string, in, out any) error {
	return c.call(ctx, "api.ecr", "ecr", ecrTarget+op, in, out)
}

type ecrRepository struct {
	Name string `json:"repositoryName"`
	ARN  string `json:"repositoryArn"`
	URI  string `json:"repositoryUri"`
}

// EnsureRepository makes an ECR repository with tags unless it exists, and returns its address: registry host, slash, name.
func (c *Cloud) EnsureRepository(ctx context.Context, name string, tags map[string]string) (string, error) {
	var made struct{ Repository ecrRepository }
	in := map[string]any{"repositoryName": name}
	var list []map[string]string
	for k, v := range tags {
		list = append(list, map[string]string{"Key": k, "Value": v})
	}
	in["tags"] = list
	err := c.ecr(ctx, "CreateRepository", in, &made)
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
	return made.Repository.URI, nil
}

// FindRepository returns the address of an ECR repository, empty if there is none.
func (c *Cloud) FindRepository(ctx context.Context, name string) (string, error) {
	var found struct{ Repositories []ecrRepository }
	err := c.ecr(ctx, "DescribeRepositories", map[string]any{"repositoryNames": []string{name}}, &found)
	switch {
	case IsNotFound(err):
		return "", nil
	case err != nil:
		return "", Explain(fmt.Errorf("look for repository %s: %w", name, err))
	case len(found.Repositories) != 1:
		return "", nil
	}
	return found.Repositories[0].URI, nil
}

// Login is what the account's registry is asked with; it holds for twelve hours.
type Login struct {
	User, Password string
	// PlainHTTP says that the registry is spoken to without TLS; AWS's own never is.
	PlainHTTP bool
}

// RegistryLogin asks for a login to the account's registry.
func (c *Cloud) RegistryLogin(ctx context.Context) (Login, error) {
	var out struct {
		AuthorizationData []struct {
			Token    string `json:"authorizationToken"`
			Endpoint string `json:"proxyEndpoint"`
		} `json:"authorizationData"`
	}
	if err := c.ecr(ctx, "GetAuthorizationToken", map[string]any{}, &out); err != nil {
		return Login{}, Explain(fmt.Errorf("log in to the registry: %w", err))
	}
	if len(out.AuthorizationData) == 0 {
		return Login{}, fmt.Errorf("log in to the registry: ECR gave no token")
	}
	given := out.AuthorizationData[0]
	data, err := base64.StdEncoding.DecodeString(given.Token)
	if err != nil {
		return Login{}, fmt.Errorf("log in to the registry: %w", err)
	}
	l := Login{PlainHTTP: strings.HasPrefix(given.Endpoint, "http://")}
	l.User, l.Password, _ = strings.Cut(string(data), ":")
	return l, nil
}

// repositoryItems lists the repositories that bear the owner's tag.
func (c *Cloud) repositoryItems(ctx context.Context, o Owner) ([]Item, error) {
	if o.TagKey == "" {
		return nil, nil
	}
	var items []Item
	in := map[string]any{}
	for {
		var page struct {
			Repositories []ecrRepository
			NextToken    string `json:"nextToken"`
		}
		if err := c.ecr(ctx, "DescribeRepositories", in, &page); err != nil {
			return items, err
		}
		for _, r := range page.Repositories {
			var tags struct{ Tags []struct{ Key, Value string } }
			if err := c.ecr(ctx, "ListTagsForResource", map[string]any{"resourceArn": r.ARN}, &tags); err != nil {
				return items, err
			}
			for _, t := range tags.Tags {
				if t.Key == o.TagKey && t.Value == o.TagValue {
					items = append(items, Item{Kind: "repository", ID: r.Name, ours: true, remove: func(ctx context.Context) error {
						var out any
						return c.ecr(ctx, "DeleteRepository", map[string]any{"repositoryName": r.Name, "force": true}, &out)
					}})
				}
			}
		}
		if page.NextToken == "" {
			return items, nil
		}
		in["nextToken"] = page.NextToken
	}
}
