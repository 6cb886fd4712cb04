package assembly

import (
	"encoding/json"

	"github.com/compspec/ocifit-lab/cmd/supervisor"
	"github.com/compspec/ocifit-lab/provision/lab"
	"github.com/compspec/ocifit-lab/provision/labstate"
	"github.com/compspec/ocifit-lab/provision/sim"
	"github.com/compspec/ocifit-lab/provision/sim/scaler"
)

func newSim(spec *lab.Spec, dir *labstate.Dir, _ Options) (made, error) {
	executable, err := thisProgram()
	if err != nil {
		return made{}, err
	}
	extra, err := json.Marshal(supervisor.Webhook{Skip: spec.Webhook.Skip, TieBreak: spec.Webhook.TieBreak, Registries: allowedRegistries(spec)})
	if err != nil {
		return made{}, err
	}
	return made{spec, sim.New(sim.Options{
		Dir: dir.Path(), Kubeconfig: dir.Kubeconfig(), Executable: executable, Command: []string{supervisor.Command},
		Settings: sim.Settings{
			APIServerPort: spec.Sim.APIServerPort, TimeScale: spec.Sim.TimeScale, NodeStart: spec.Sim.NodeStart,
			ScaleDownAfter: spec.Sim.ScaleDownAfter, Groups: simGroups(spec), Extra: extra,
		},
	})}, nil
}

func simGroups(spec *lab.Spec) []scaler.Group {
	var groups []scaler.Group
	for _, g := range spec.Groups() {
		groups = append(groups, scaler.Group{
			Name: g.Name, InstanceType: g.Type.Name, Architecture: g.Type.Architecture, VCPU: g.Type.VCPU, MemoryMiB: g.Type.MemoryMiB, Labels: g.Type.Labels,
			Min: g.Min, Desired: g.Desired, Max: g.Max, Sticky: g.Sticky, PriceUSD: g.Type.PriceUSD,
		})
	}
	return groups
}
