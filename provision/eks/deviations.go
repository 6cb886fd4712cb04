package eks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/compspec/ocifit-lab/provision/cost"
)

// Deviations implements provision.Deviator: how a generated cluster differs from the study's, which changes what is measured and chosen.
func (p *Provider) Deviations() []string {
	if p.facts != nil || p.factErr != nil {
		return nil // a user's own file says itself what it is
	}
	notes := []string{
		"live labels will not decide: Amazon Linux 2023 of EKS has kernel 6.12 or later since October 2026, the published models know 6.1.134 and 5.10.236 only, so the labels recorded in July 2025 stand for every node",
	}
	sizes := map[int]bool{}
	for _, g := range p.opts.NodeGroups {
		size := g.VolumeGiB
		if size == 0 {
			size = cost.DefaultDiskGiB
		}
		sizes[size] = true
	}
	var list []int
	for s := range sizes {
		list = append(list, s)
	}
	slices.Sort(list)
	notes = append(notes, fmt.Sprintf("disks are gp3 of %s GiB; the study's were gp2 of 20 or 30 GiB", strings.Trim(strings.Join(strings.Fields(fmt.Sprint(list)), " or "), "[]")))
	if i := slices.IndexFunc(p.opts.NodeGroups, func(g NodeGroup) bool { return strings.HasPrefix(g.InstanceType, "r6i.") }); i >= 0 {
		notes = append(notes, p.opts.NodeGroups[i].InstanceType+" starts with Amazon Linux 2023; the study measured it with Amazon Linux 2 and kernel 5.10, which EKS has no images of any more")
	}
	return notes
}
