package eks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/compspec/ocifit-lab/provision/eks/cloud"
	"github.com/compspec/ocifit-lab/provision/eks/config"
	"github.com/compspec/ocifit-lab/provision/step"
)

// fileName is the cluster file as it was given to eksctl.
const fileName = "cluster.yaml"

// prepare runs the preflight, and writes the cluster file when nothing stands against the lab.
func (p *Provider) prepare(ctx context.Context, log step.Log) error {
	report, err := p.Preflight(ctx)
	if err != nil {
		return err
	}
	for _, c := range report.Checks {
		if c.State == Warning || c.State == Unknown {
			log("%s: %s", c.Name, c.Text)
		}
	}
	if err := report.Err(); err != nil {
		return err
	}
	_, err = p.clusterFile(ctx)
	return err
}

// clusterFile returns the file for eksctl: the user's, or one generated for the zones that this region has now. A cluster that exists keeps
// the zones of the file it was made from.
func (p *Provider) clusterFile(ctx context.Context) ([]byte, error) {
	if p.opts.ClusterConfig != "" {
		if p.factErr != nil {
			return nil, p.factErr
		}
		return os.ReadFile(p.opts.ClusterConfig)
	}
	name := p.path(fileName)
	old, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err == nil && p.fits(old) {
		return old, nil
	}
	data, err := p.generate(ctx, old)
	if err != nil {
		return nil, err
	}
	return data, writeFile(name, data, 0o600)
}

// fits tells whether a file was made from the groups that the lab has now.
func (p *Provider) fits(file []byte) bool {
	f, err := config.Read(file)
	if err != nil || f.Name != p.opts.Name || f.Region != p.opts.Region || len(f.NodeGroups) != len(p.opts.NodeGroups) {
		return false
	}
	for i, g := range p.opts.NodeGroups {
		h := f.NodeGroups[i]
		if g.Name != h.Name || g.InstanceType != h.InstanceType || g.Min != h.Min || g.Desired != h.Desired || g.Max != h.Max || g.Sticky != h.Sticky {
			return false
		}
	}
	return true
}

func (p *Provider) generate(ctx context.Context, old []byte) ([]byte, error) {
	c, err := p.aws(ctx)
	if err != nil {
		return nil, err
	}
	offers, err := c.Offerings(ctx)
	if err != nil {
		return nil, err
	}
	zones, err := c.Zones(ctx)
	if err != nil {
		return nil, err
	}
	var keep []string
	if f, err := config.Read(old); err == nil {
		keep = f.Zones
	}
	where, groups, err := place(p.opts.NodeGroups, offers, capable(zones), keep)
	if err != nil {
		return nil, err
	}
	if err := p.measure(ctx, groups); err != nil {
		return nil, err
	}
	version := p.opts.KubernetesVersion
	if version == "" {
		if _, version, err = c.Versions(ctx); err != nil {
			return nil, err
		}
	}
	return config.Generate(config.Options{Name: p.opts.Name, Region: p.opts.Region, KubernetesVersion: version, Zones: where, NodeGroups: groups, Tags: p.opts.Tags})
}

// measure asks for the sizes of types that came without.
func (p *Provider) measure(ctx context.Context, groups []NodeGroup) error {
	var types []string
	for _, g := range groups {
		if (g.VCPU == 0 || g.MemoryMiB == 0 || g.Architecture == "") && !slices.Contains(types, g.InstanceType) {
			types = append(types, g.InstanceType)
		}
	}
	if len(types) == 0 {
		return nil
	}
	c, err := p.aws(ctx)
	if err != nil {
		return err
	}
	shapes, err := c.Shapes(ctx, types)
	if err != nil {
		return err
	}
	for i, g := range groups {
		s := shapes[g.InstanceType]
		if g.VCPU == 0 {
			groups[i].VCPU = s.VCPU
		}
		if g.MemoryMiB == 0 {
			groups[i].MemoryMiB = s.MemoryMiB
		}
		if g.Architecture == "" {
			groups[i].Architecture = s.Architecture
		}
	}
	return nil
}

// withoutControlPlanes are the zones, by their ids, in which EKS places no control planes.
var withoutControlPlanes = []string{"use1-az3", "usw1-az2", "cac1-az3"}

// capable are the names of the zones that a cluster's network may be in.
func capable(zones []cloud.Zone) []string {
	var names []string
	for _, z := range zones {
		if !slices.Contains(withoutControlPlanes, z.ID) {
			names = append(names, z.Name)
		}
	}
	slices.Sort(names)
	return names
}

// place chooses the cluster's zones and each group's, so that every type is offered where its group is. Zones that a group asks for are
// taken where they have the type: the same letter is another place in another account. keep are the zones of a cluster that exists.
func place(groups []NodeGroup, offers map[string][]string, zones, keep []string) ([]string, []NodeGroup, error) {
	groups = slices.Clone(groups)
	chosen := slices.Clone(keep)
	candidates := zones
	if len(keep) > 0 {
		candidates = keep
	}
	open := map[int][]string{} // groups that are nowhere yet, and where they could be
	for i, g := range groups {
		can := both(candidates, offers[g.InstanceType])
		if len(can) == 0 {
			return nil, nil, step.Try(fmt.Errorf("node group %s: %s is not offered in any zone of %v (it is in %v)", g.Name, g.InstanceType, candidates, offers[g.InstanceType]),
				"take another instance type or region")
		}
		if wish := both(can, g.Zones); len(wish) > 0 {
			groups[i].Zones = wish
			chosen = union(chosen, wish)
			continue
		}
		groups[i].Zones = nil
		open[i] = can
	}
	for {
		for i, can := range open {
			if len(both(can, chosen)) > 0 {
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
			if can := both(chosen, offers[g.InstanceType]); len(can) < len(chosen) {
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

func both(a, b []string) []string {
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

// writeFile makes a file appear at once, with its folder.
func writeFile(name string, data []byte, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("write %s: %w", strings.TrimSpace(name), err)
	}
	return nil
}
