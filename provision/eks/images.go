package eks

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/eks/account"
)

// imageParameter names the public parameter that holds the id of EKS' image of a Kubernetes version for a node group.
func imageParameter(version string, g NodeGroup) string {
	arch, variant := "x86_64", "standard"
	if g.Architecture == "arm64" {
		arch = "arm64"
	}
	if family := familyOf(g.InstanceType).name; family == "inf" || family == "trn" {
		variant = "neuron"
	}
	return fmt.Sprintf("/aws/service/eks/optimized-ami/%s/amazon-linux-2023/%s/%s/recommended/image_id", version, arch, variant)
}

// checkImages wants EKS to have machine images of the version for every kind of node.
func (p *Provider) checkImages(ctx context.Context, c *account.Cloud, r *provision.Report) error {
	if p.facts != nil {
		return nil // a user's file may name images of its own
	}
	groups := slices.Clone(p.opts.NodeGroups)
	if p.fillSizes(ctx, groups) != nil {
		return nil // a type that does not exist is another check's matter
	}
	version := p.opts.KubernetesVersion
	if version == "" {
		offered, err := c.Versions(ctx)
		if err != nil {
			return err
		}
		version = chooseVersion(offered, time.Now())
	}
	var names []string
	for _, g := range groups {
		if name := imageParameter(version, g); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	var found, missing []string
	for _, name := range names {
		id, err := c.Parameter(ctx, name)
		switch {
		case err != nil:
			r.Add("machine images", provision.CheckUnknown, "", "they cannot be asked: %v", err)
			return nil
		case id == "":
			missing = append(missing, name)
		default:
			found = append(found, id)
		}
	}
	if len(missing) > 0 {
		r.Add("machine images", provision.CheckFailed, "choose another kubernetesVersion in lab.yaml", "EKS has no image of Kubernetes %s in %s: there is no parameter %s", version, p.opts.Region, strings.Join(missing, ", "))
		return nil
	}
	r.Add("machine images", provision.CheckOK, "", "Amazon Linux 2023 of Kubernetes %s: %s", version, strings.Join(found, ", "))
	return nil
}
