package cli

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/lab"
	"github.com/compspec/ocifit-lab/provision/labstate"
	"github.com/compspec/ocifit-lab/provision/sim"
	"github.com/compspec/ocifit-lab/provision/sim/scaler"
	"github.com/compspec/ocifit-lab/provision/step"
	"github.com/compspec/ocifit-lab/templates"
)

// newProvider makes the provider that the spec names. It touches nothing.
func (a *app) newProvider(spec *lab.Spec, dir *labstate.Dir) (provision.Provider, error) {
	switch spec.Provider {
	case "sim":
		return newSim(spec, dir)
	case "kind":
		return newKind(spec, dir)
	case "eks":
		return a.newEKS(spec, dir)
	default:
		return nil, step.Try(fmt.Errorf("provider %s is not in this version", spec.Provider), "use --provider sim or --provider kind")
	}
}

func newSim(spec *lab.Spec, dir *labstate.Dir) (provision.Provider, error) {
	executable, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program's own file: %w", err)
	}
	extra, err := json.Marshal(supervisorExtra{Skip: spec.Webhook.Skip, TieBreak: spec.Webhook.TieBreak})
	if err != nil {
		return nil, err
	}
	return sim.New(sim.Options{
		Dir: dir.Path(), Kubeconfig: dir.Kubeconfig(), Executable: executable, Command: []string{supervisorName},
		Settings: sim.Settings{
			APIServerPort: spec.Sim.APIServerPort, TimeScale: spec.Sim.TimeScale, NodeStart: spec.Sim.NodeStart,
			ScaleDownAfter: spec.Sim.ScaleDownAfter, Groups: simGroups(spec), Extra: extra,
		},
	}), nil
}

func simGroups(spec *lab.Spec) []scaler.Group {
	types := map[string]templates.InstanceType{}
	for _, t := range templates.InstanceTypes() {
		types[t.Name] = t
	}
	groups := make([]scaler.Group, 0, len(spec.NodeGroups))
	for _, g := range spec.NodeGroups {
		t := types[g.InstanceType]
		groups = append(groups, scaler.Group{
			Name: g.Name, InstanceType: t.Name, Architecture: t.Architecture, VCPU: t.VCPU, MemoryMiB: t.MemoryMiB, Labels: t.Labels,
			Min: g.Min, Desired: g.Desired, Max: g.Max, Sticky: g.Sticky, PriceUSD: t.PriceUSD,
		})
	}
	return groups
}
