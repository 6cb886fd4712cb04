package cloud

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
		var found struct{ Repositories []ecrRepository }
		err = c.ecr(ctx, "DescribeRepositories", map[string]any{"repositoryNames": []string{name}}, &found)
		if err == nil && len(found.Repositories) == 1 {
			return found.Repositories[0].URI, nil
		}
	}
	if err != nil {
		return "", Explain(fmt.Errorf("make repository %s: %w", name, err))
	}
	return made.Repository.URI, nil
}

// RegistryLogin returns user and password for the account's registry; they hold for twelve hours.
func (c *Cloud) RegistryLogin(ctx context.Context) (user, password string, err error) {
	var out struct {
		AuthorizationData []struct {
			Token string `json:"authorizationToken"`
		} `json:"authorizationData"`
	}
	if err := c.ecr(ctx, "GetAuthorizationToken", map[string]any{}, &out); err != nil {
		return "", "", Explain(fmt.Errorf("log in to the registry: %w", err))
	}
	if len(out.AuthorizationData) == 0 {
		return "", "", fmt.Errorf("log in to the registry: ECR gave no token")
	}
	data, err := base64.StdEncoding.DecodeString(out.AuthorizationData[0].Token)
	if err != nil {
		return "", "", fmt.Errorf("log in to the registry: %w", err)
	}
	user, password, _ = strings.Cut(string(data), ":")
	return user, password, nil
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
