package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/compspec/ocifit-lab/provision/atomicfile"
	"github.com/compspec/ocifit-lab/provision/eks"
	"github.com/compspec/ocifit-lab/provision/labstate"
	"github.com/compspec/ocifit-lab/provision/step"
)

// named is the setup of a cluster of which nothing is known but its name and region.
func (a *app) named(o downOptions) (*setup, *labstate.State, error) {
	spec, err := a.spec()
	if err != nil {
		return nil, nil, err
	}
	dir, err := labstate.Open(a.stateDir, o.name)
	if err != nil {
		return nil, nil, err
	}
	state, err := dir.Read()
	switch {
	case errors.Is(err, labstate.ErrNoLab):
		state = &labstate.State{Name: o.name, Provider: "eks", Steps: map[string]time.Time{}}
	case err != nil:
		return nil, nil, err
	case state.Provider != "eks":
		return nil, nil, step.Try(fmt.Errorf("lab %s is on %s", o.name, state.Provider), "leave out --name and --region")
	}
	options, err := a.eksOptions(dir)
	if err != nil {
		return nil, nil, err
	}
	options.Name, options.Region, options.Profile = o.name, o.region, o.profile
	spec.Name, spec.Provider, spec.Region = o.name, "eks", o.region
	return &setup{spec: spec, dir: dir, provider: eks.New(options)}, state, nil
}

// downSteps are the steps to undo. Undoing the first one proves that nothing is left.
func downSteps(s *setup, verify bool) []step.Step {
	steps := slices.Clone(s.provider.Steps())
	for i := range steps {
		if steps[i].Name == eks.StepPreflight && !verify {
			steps[i].Undo = nil
		}
	}
	return steps
}

// merged remembers which kubeconfig of the user's the cluster was put into, and for which API server.
type merged struct {
	File     string `json:"file"`
	Endpoint string `json:"endpoint"`
}

const mergedFile = "eks/merged.json"

// merge puts the cluster into the user's own kubeconfig.
func (a *app) merge(ctx context.Context, s *setup, wanted bool) error {
	if !wanted {
		return nil
	}
	p, ok := s.provider.(*eks.Provider)
	if !ok {
		return step.Try(errors.New("--merge is for provider eks"), "use the lab's own kubeconfig, %s", s.dir.Kubeconfig())
	}
	status, err := p.Status(ctx)
	if err != nil {
		return err
	}
	m := merged{File: clientcmd.NewDefaultPathOptions().GetDefaultFilename(), Endpoint: status.Endpoint}
	// Remembered first: an entry that is not there can be taken out, one that is forgotten stays for ever.
	if err := atomicfile.WriteJSON(s.dir.Path(mergedFile), m, 0o600); err != nil {
		return err
	}
	if err := p.Merge(ctx, m.File); err != nil {
		return err
	}
	a.say("context %s was added to %s", p.Cluster(), m.File)
	return nil
}

// unmerge takes out of the user's kubeconfig what merge put in.
func (s *setup) unmerge() error {
	p, ok := s.provider.(*eks.Provider)
	if !ok {
		return nil
	}
	var m merged
	err := atomicfile.ReadJSON(s.dir.Path(mergedFile), &m)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := os.Stat(m.File); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return p.Unmerge(m.File, m.Endpoint)
}
