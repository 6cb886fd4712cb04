package eks

import (
	"fmt"
	"slices"

	"github.com/compspec/ocifit-lab/provision/eks/account"
	"github.com/compspec/ocifit-lab/provision/step"
)

// withoutControlPlanes are the zones, by their ids, in which EKS places no control planes.
var withoutControlPlanes = []string{"use1-az3", "usw1-az2", "cac1-az3"}

// controlPlaneZones are the names of the zones that a cluster's network may be in.
func controlPlaneZones(zones []account.Zone) []string {
	var names []string
	for _, z := range zones {
		if !slices.Contains(withoutControlPlanes, z.ID) {
			names = append(names, z.Name)
		}
	}
	slices.Sort(names)
	return names
}

// chooseZones chooses the cluster's zones and each group's, so that every type is offered where its group is. Zones that a group asks for are
// taken where they have the type: the same letter is another place in another account. keep are the zones of a cluster that exists.
func chooseZones(groups []NodeGroup, offers map[string][]string, zones, keep []string) ([]string, []NodeGroup, error) {
	groups = slices.Clone(groups)
	chosen := slices.Clone(keep)
	candidates := zones
	if len(keep) > 0 {
		candidates = keep
	}
	open := map[int][]string{} // groups that are nowhere yet, and where they could be
	for i, g := range groups {
		can := intersect(candidates, offers[g.InstanceType])
		if len(can) == 0 {
			return nil, nil, step.Try(fmt.Errorf("node group %s: %s is not offered in any zone of %v (it is in %v)", g.Name, g.InstanceType, candidates, offers[g.InstanceType]),
				"take another instance type or region")
		}
		if wish := intersect(can, g.Zones); len(wish) > 0 {
			groups[i].Zones = wish
			chosen = union(chosen, wish)
			continue
		}
		groups[i].Zones = nil
		open[i] = can
	}
	for {
		for i, can := range open {
			if len(intersect(can, chosen)) > 0 {
				delete(open, i)
			}
		}
		if len(open) == 0 && len(chosen) >= 2 {
			break
		}
		next := busiest(candidates, chosen, open)
		if next == "" {
			return nil, nil, fmt.Errorf("the region has fewer than two zones for EKS: %v", candidates)
		}
		chosen = union(chosen, []string{next})
	}
	slices.Sort(chosen)
	for i, g := range groups {
		if len(g.Zones) == 0 {
			if can := intersect(chosen, offers[g.InstanceType]); len(can) < len(chosen) {
				groups[i].Zones = can
			}
		}
	}
	return chosen, groups, nil
}

// busiest is the zone, not yet chosen, in which most of the open groups could be; the first of several.
func busiest(zones, chosen []string, open map[int][]string) string {
	best, most := "", -1
	for _, z := range zones {
		if slices.Contains(chosen, z) {
			continue
		}
		n := 0
		for _, can := range open {
			if slices.Contains(can, z) {
				n++
			}
		}
		if n > most {
			best, most = z, n
		}
	}
	return best
}

func intersect(a, b []string) []string {
	var out []string
	for _, x := range a {
		if slices.Contains(b, x) {
			out = append(out, x)
		}
	}
	return out
}

func union(a, b []string) []string {
	out := slices.Clone(a)
	for _, x := range b {
		if !slices.Contains(out, x) {
			out = append(out, x)
		}
	}
	return out
}
