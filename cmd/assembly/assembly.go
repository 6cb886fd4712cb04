// Package assembly puts a lab together from its spec: the provider, the add-ons, the artifact, the image of this program, and what trials run
// with. It knows no flags and prints nothing.
package assembly

import (
	"context"
	"path/filepath"

	"github.com/compspec/ocifit-lab/addons"
	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/eks"
	"github.com/compspec/ocifit-lab/provision/lab"
	"github.com/compspec/ocifit-lab/provision/labstate"
	"github.com/compspec/ocifit-lab/provision/step"
)

// Lab is a lab with everything that it consists of.
type Lab struct {
	Spec     *lab.Spec // with what the provider knows better than lab.yaml
	Dir      *labstate.Dir
	Provider provision.Provider
	Addons   []addons.Addon
	// Missing is what the study needs and this version cannot install there.
	Missing []string
	// Edited are the settings that were changed in lab.yaml since the lab was brought up; it goes on as it was made.
	Edited []string

	program string // the version of this program
}

// Options are what a lab is put together with besides its spec.
type Options struct {
	// Version is this program's.
	Version string
	// Profile replaces the spec's profile of the shared AWS configuration, when it is given.
	Profile string
	// Consent is asked before what failed is deleted to make it again; nil refuses.
	Consent func(ctx context.Context, question string) (bool, error)
	// EKS changes how provider eks is made; for tests.
	EKS func(*eks.Options)
}

// Assemble puts a lab together. It touches nothing.
func Assemble(_ context.Context, spec *lab.Spec, dir *labstate.Dir, o Options) (*Lab, error) {
	made, err := newProvider(spec, dir, o)
	if err != nil {
		return nil, err
	}
	l := &Lab{Spec: made.spec, Dir: dir, Provider: made.provider, program: o.Version}
	if l.Provider.Traits().Outside {
		l.Addons = l.outsideAddons()
		return l, nil
	}
	if l.Addons, err = l.insideAddons(); err != nil {
		return nil, err
	}
	if p, ok := l.Provider.(provision.CheckTaker); ok {
		for _, c := range l.checks() {
			p.AddCheck(c)
		}
	}
	return l, nil
}

// Existing puts the lab together that was brought up as wanted's name says. The cluster is as it was made; what runs on it is as wanted says.
func Existing(ctx context.Context, wanted *lab.Spec, stateDir string, o Options) (*Lab, *labstate.State, error) {
	dir, err := labstate.Open(stateDir, wanted.Name)
	if err != nil {
		return nil, nil, err
	}
	state, err := dir.Read()
	if err != nil {
		return nil, nil, step.Try(err, "create it with `ocifit-lab up`")
	}
	made, err := dir.Spec()
	if err != nil {
		return nil, nil, err
	}
	made.Experiment = wanted.Experiment
	l, err := Assemble(ctx, made, dir, o)
	if err != nil {
		return nil, nil, err
	}
	l.Edited, err = edited(dir, wanted)
	return l, state, err
}

// Steps bring the lab up in their order; undoing the provider's takes it down.
func (l *Lab) Steps() []step.Step {
	steps := l.Provider.Steps()
	return append(steps, addons.Steps(l.Provider.Connect, l.startsAfter(steps), l.Addons...)...)
}

// DownSteps are the steps to undo. With proof, undoing the first one proves that nothing is left.
func (l *Lab) DownSteps(proof bool) []step.Step {
	steps := append([]step.Step(nil), l.Provider.Steps()...)
	for i := range steps {
		if steps[i].Name == l.Provider.Traits().ProofStep && !proof {
			steps[i].Undo = nil
		}
	}
	return steps
}

// RunDir is the folder of a run.
func RunDir(spec *lab.Spec, run string) string {
	return filepath.Join(spec.Experiment.Results, spec.Name, run)
}
