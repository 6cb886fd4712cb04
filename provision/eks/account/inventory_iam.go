package account

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
)

// oidcItems asks for the provider of the cluster's issuer where that is known. Otherwise it looks through those that are of an EKS cluster of
// the region, for IAM's lists leave tags out.
func (c *Cloud) oidcItems(ctx context.Context, o Owner) ([]Item, error) {
	if o.Issuer != "" {
		arn, err := c.oidcARN(ctx, o.Issuer)
		if err != nil {
			return nil, err
		}
		return c.oidcItem(ctx, o, arn)
	}
	out, err := c.iam.ListOpenIDConnectProviders(ctx, &iam.ListOpenIDConnectProvidersInput{})
	if err != nil {
		return nil, err
	}
	var items []Item
	for _, p := range out.OpenIDConnectProviderList {
		arn := aws.ToString(p.Arn)
		if !strings.Contains(arn, "/id/") || (strings.Contains(arn, "/oidc.eks.") && !strings.Contains(arn, "/oidc.eks."+c.Region+".")) {
			continue
		}
		found, err := c.oidcItem(ctx, o, arn)
		if err != nil {
			return items, err
		}
		items = append(items, found...)
	}
	return items, nil
}

// oidcARN is the name under which IAM keeps the provider of an issuer: its host, without a port, and its path.
func (c *Cloud) oidcARN(ctx context.Context, issuer string) (string, error) {
	id, err := c.Identity(ctx)
	if err != nil {
		return "", err
	}
	rest := issuer[strings.Index(issuer, "://")+len("://"):]
	host, path, _ := strings.Cut(rest, "/")
	host, _, _ = strings.Cut(host, ":")
	return fmt.Sprintf("arn:%s:iam::%s:oidc-provider/%s/%s", id.Partition(), id.Account, host, path), nil
}

func (c *Cloud) oidcItem(ctx context.Context, o Owner, arn string) ([]Item, error) {
	got, err := c.iam.GetOpenIDConnectProvider(ctx, &iam.GetOpenIDConnectProviderInput{OpenIDConnectProviderArn: &arn})
	if IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	of, ours := o.iamTags(got.Tags)
	if !of {
		return nil, nil
	}
	return []Item{{Kind: "OIDC provider", ID: arn, ours: ours, created: aws.ToTime(got.CreateDate), remove: func(ctx context.Context) error {
		_, err := c.iam.DeleteOpenIDConnectProvider(ctx, &iam.DeleteOpenIDConnectProviderInput{OpenIDConnectProviderArn: &arn})
		return err
	}}}, nil
}

// iamTags tells whether tags are those of the cluster, and whether they hold the lab's own.
func (o Owner) iamTags(tags []iamtypes.Tag) (of, ours bool) {
	for _, t := range tags {
		key, value := aws.ToString(t.Key), aws.ToString(t.Value)
		of = of || (key == TagCluster && value == o.Cluster)
		ours = ours || (key == o.TagKey && value == o.TagValue)
	}
	return of, ours
}

// prefix is how the names begin that eksctl gives to roles and policies of the cluster.
func (o Owner) prefix() string { return "eksctl-" + o.Cluster + "-" }

func (c *Cloud) roleItems(ctx context.Context, o Owner) ([]Item, error) {
	var items []Item
	pages := iam.NewListRolesPaginator(c.iam, &iam.ListRolesInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return items, err
		}
		for _, r := range page.Roles {
			name := aws.ToString(r.RoleName)
			if !strings.HasPrefix(name, o.prefix()) {
				continue
			}
			got, err := c.iam.GetRole(ctx, &iam.GetRoleInput{RoleName: r.RoleName})
			if IsNotFound(err) {
				continue
			}
			if err != nil {
				return items, err
			}
			if of, ours := o.iamTags(got.Role.Tags); of {
				items = append(items, Item{Kind: "IAM role", ID: name, Held: true, ours: ours, created: aws.ToTime(r.CreateDate)})
			}
		}
	}
	return items, nil
}

// policyItems are the account's own managed policies that eksctl made for the cluster.
func (c *Cloud) policyItems(ctx context.Context, o Owner) ([]Item, error) {
	var items []Item
	pages := iam.NewListPoliciesPaginator(c.iam, &iam.ListPoliciesInput{Scope: iamtypes.PolicyScopeTypeLocal})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return items, err
		}
		for _, p := range page.Policies {
			if !strings.HasPrefix(aws.ToString(p.PolicyName), o.prefix()) {
				continue
			}
			tags, err := c.iam.ListPolicyTags(ctx, &iam.ListPolicyTagsInput{PolicyArn: p.Arn})
			if IsNotFound(err) {
				continue
			}
			if err != nil {
				return items, err
			}
			if of, ours := o.iamTags(tags.Tags); of {
				items = append(items, Item{Kind: "IAM policy", ID: aws.ToString(p.Arn), Held: true, ours: ours, created: aws.ToTime(p.CreateDate)})
			}
		}
	}
	return items, nil
}

// profileItems are the instance profiles whose role is one of a node group: EKS makes them, and a role cannot go before its profile does.
func (c *Cloud) profileItems(ctx context.Context, o Owner) ([]Item, error) {
	var items []Item
	pages := iam.NewListInstanceProfilesPaginator(c.iam, &iam.ListInstanceProfilesInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return items, err
		}
		for _, p := range page.InstanceProfiles {
			for _, r := range p.Roles {
				if !strings.HasPrefix(aws.ToString(r.RoleName), o.prefix()+"nodegroup-") {
					continue
				}
				items = append(items, Item{
					Kind: "instance profile", ID: aws.ToString(p.InstanceProfileName), Detail: "of role " + aws.ToString(r.RoleName),
					created: aws.ToTime(p.CreateDate), remove: func(ctx context.Context) error {
						_, err := c.iam.RemoveRoleFromInstanceProfile(ctx, &iam.RemoveRoleFromInstanceProfileInput{InstanceProfileName: p.InstanceProfileName, RoleName: r.RoleName})
						if err != nil && !IsNotFound(err) {
							return err
						}
						_, err = c.iam.DeleteInstanceProfile(ctx, &iam.DeleteInstanceProfileInput{InstanceProfileName: p.InstanceProfileName})
						return err
					},
				})
			}
		}
	}
	return items, nil
}
