package eks

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/atomicfile"
	"github.com/compspec/ocifit-lab/provision/eks/clusterconfig"
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
		if c.State == provision.CheckWarning || c.State == provision.CheckUnknown {
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

// Preview returns the cluster file as far as it can be known without asking AWS: the user's own, the one that the cluster was made from, or a
// generated one in which the zones are those that the groups wish for.
func (p *Provider) Preview() ([]byte, error) {
	if p.opts.ClusterConfig != "" {
		if p.factErr != nil {
			return nil, p.factErr
		}
		return os.ReadFile(p.opts.ClusterConfig)
	}
	if old, err := os.ReadFile(p.path(fileName)); err == nil && p.fits(old) {
		return old, nil
	}
	var zones []string
	for _, g := range p.opts.NodeGroups {
		zones = union(zones, g.Zones)
	}
	if slices.Sort(zones); len(zones) < 2 {
		zones = nil
	}
	version := p.opts.KubernetesVersion
	if version == "" {
		version = knownVersions[len(knownVersions)-1]
	}
	return clusterconfig.Generate(clusterconfig.Options{Name: p.opts.Name, Region: p.opts.Region, KubernetesVersion: version, Zones: zones, NodeGroups: p.opts.NodeGroups, Tags: p.opts.Tags})
}

// fits tells whether a file was made from the groups that the lab has now.
func (p *Provider) fits(file []byte) bool {
	f, err := clusterconfig.Read(file)
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
	if f, err := clusterconfig.Read(old); err == nil {
		keep = f.Zones
	}
	where, groups, err := chooseZones(p.opts.NodeGroups, offers, controlPlaneZones(zones), keep)
	if err != nil {
		return nil, err
	}
	if err := p.fillSizes(ctx, groups); err != nil {
		return nil, err
	}
	version := p.opts.KubernetesVersion
	if version == "" {
		offered, err := c.Versions(ctx)
		if err != nil {
			return nil, err
		}
		version = chooseVersion(offered, time.Now())
	}
	return clusterconfig.Generate(clusterconfig.Options{Name: p.opts.Name, Region: p.opts.Region, KubernetesVersion: version, Zones: where, NodeGroups: groups, Tags: p.opts.Tags})
}

// fillSizes asks for the sizes of types that came without.
func (p *Provider) fillSizes(ctx context.Context, groups []NodeGroup) error {
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

// writeFile makes a file appear at once, with its folder.
func writeFile(name string, data []byte, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	return atomicfile.Write(name, data, mode)
}
