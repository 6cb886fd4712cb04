package assembly

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/lab"
	"github.com/compspec/ocifit-lab/provision/labstate"
	"github.com/compspec/ocifit-lab/provision/step"
	"github.com/compspec/ocifit-lab/templates"
)

// constructor makes one provider. It is the only place that tells one provider from another by its name.
type constructor struct {
	// make returns the provider, and the spec with what the provider's own files say in the place of lab.yaml. It touches nothing.
	make func(*lab.Spec, *labstate.Dir, Options) (made, error)
	// named finds a cluster of which nothing is known but its name and place; nil where that is not enough.
	named func(n Name, dir *labstate.Dir, o Options) (provision.Provider, error)
	// priceless says why no price applies to the provider's nodes; empty where the catalogue's prices do.
	priceless string
}

type made struct {
	spec     *lab.Spec
	provider provision.Provider
}

var constructors = map[string]constructor{
	"sim":  {make: newSim},
	"kind": {make: newKind, named: namedKind, priceless: "no price applies: the nodes are containers of one machine"},
	"eks":  {make: newEKS, named: namedEKS},
}

func newProvider(spec *lab.Spec, dir *labstate.Dir, o Options) (made, error) {
	c, ok := constructors[spec.Provider]
	if !ok {
		return made{}, step.Try(fmt.Errorf("provider %s is not in this version", spec.Provider), "choose one of %s", strings.Join(slices.Sorted(maps.Keys(constructors)), ", "))
	}
	return c.make(spec, dir, o)
}

// Prices are those of the nodes that a provider makes, in USD an hour by instance type, with a sentence on where they are from. Nodes on this
// machine cost what no table knows.
func Prices(provider string) (prices map[string]float64, note string) {
	if why := constructors[provider].priceless; why != "" {
		return nil, why
	}
	return templates.Prices()
}

// Name is all that is left of a lab whose state folder is gone.
type Name struct{ Provider, Name, Region string }

// Named is the lab of which nothing is known but its name and region.
func Named(spec *lab.Spec, stateDir string, n Name, o Options) (*Lab, *labstate.State, error) {
	c := constructors[n.Provider]
	if c.named == nil {
		return nil, nil, fmt.Errorf("a lab on provider %s cannot be found by its name alone", n.Provider)
	}
	dir, err := labstate.Open(stateDir, n.Name)
	if err != nil {
		return nil, nil, err
	}
	state, err := dir.Read()
	switch {
	case errors.Is(err, labstate.ErrNoLab):
		state = &labstate.State{Name: n.Name, Provider: n.Provider, Steps: map[string]time.Time{}}
	case err != nil:
		return nil, nil, err
	case constructors[state.Provider].named == nil:
		return nil, nil, step.Try(fmt.Errorf("lab %s is on %s", n.Name, state.Provider), "leave out --name")
	}
	p, err := c.named(n, dir, o)
	if err != nil {
		return nil, nil, err
	}
	named := *spec
	named.Name, named.Provider, named.Region = n.Name, n.Provider, n.Region
	return &Lab{Spec: &named, Dir: dir, Provider: p}, state, nil
}

// webhookProgram is the file of the small program that is the webhook and nothing else, which stands beside this one.
const webhookProgram = "ocifit-webhook"

// inCluster is the file of which the lab's image is made: the small program where it is there and the cluster runs nothing else of ours.
func inCluster(spec *lab.Spec) (string, error) {
	file, err := thisProgram()
	if err != nil || spec.Components.MiniClustersBy() == lab.Builtin {
		return file, err
	}
	return WebhookProgram(file), nil
}

// WebhookProgram is the small program beside a program's file, or that file where there is none.
func WebhookProgram(file string) string {
	small := filepath.Join(filepath.Dir(file), webhookProgram)
	if info, err := os.Stat(small); err != nil || !info.Mode().IsRegular() {
		return file
	}
	return small
}

// thisProgram is the file of this program, which providers start again and put into images.
func thisProgram() (string, error) {
	file, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find this program's own file: %w", err)
	}
	return file, nil
}

// WithLogs exports what a running cluster said when something in it did not come up, as far as the provider can.
func (l *Lab) WithLogs(ctx context.Context, err error) error {
	p, ok := l.Provider.(provision.LogCollector)
	if !ok {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if status, e := l.Provider.Status(ctx); e != nil || status.State != provision.Running {
		return err
	}
	dir := l.Dir.Path("logs", "up-"+time.Now().UTC().Format("20060102-150405"))
	if e := p.CollectLogs(ctx, dir); e != nil {
		return errors.Join(err, fmt.Errorf("and the cluster's logs could not be exported: %w", e))
	}
	return step.Try(err, "the logs of its nodes and pods are in %s", dir)
}
