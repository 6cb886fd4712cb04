// Package addons orders what a cluster needs before the study can run on it.
package addons

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/compspec/ocifit-lab/provision/kube"
	"github.com/compspec/ocifit-lab/provision/step"
)

// Namespace is where the lab's own parts live.
const Namespace = "ocifit-system"

// Addon prepares a cluster for the study and can be taken away again.
type Addon interface {
	// Name is unique, in kebab-case.
	Name() string
	// Needs names the addons that must work first.
	Needs() []string
	// Requires says what of the cluster Install uses besides its API server.
	Requires() Requirements
	// Plan says in one line what Install does.
	Plan() string
	// Install brings the addon to its wanted state; doing so again changes nothing.
	Install(ctx context.Context, c *kube.Cluster, log step.Log) error
	// Ready tells whether the addon works now, by using it; the error says what was seen.
	Ready(ctx context.Context, c *kube.Cluster) error
	// Remove takes the addon away; it succeeds when there is none.
	Remove(ctx context.Context, c *kube.Cluster, log step.Log) error
}

// Requirements are what an addon uses of a cluster besides its API server.
type Requirements struct {
	// Nodes: it runs pods on the nodes that are always there.
	Nodes bool
	// ProgramImage: these pods are of this program's image.
	ProgramImage bool
	// Identity: its pods have rights in the cloud.
	Identity bool
}

// Connector returns the cluster that the addons go to.
type Connector func(ctx context.Context) (*kube.Cluster, error)

const (
	installTimeout = 10 * time.Minute
	// readyPause is the time between two looks at an addon that does not work yet.
	readyPause = 100 * time.Millisecond
	// doneTimeout bounds the question whether an addon works already.
	doneTimeout = 10 * time.Second
)

// Steps turns addons into steps. Each of them starts when the addons that it needs work, and after the steps that after names for it: an addon
// that talks to the API server alone need not wait for nodes.
func Steps(connect Connector, after func(Addon) []string, list ...Addon) []step.Step {
	steps := make([]step.Step, 0, len(list))
	for _, a := range list {
		steps = append(steps, step.Step{
			Name:    a.Name(),
			Needs:   append(slices.Clone(after(a)), a.Needs()...),
			Timeout: installTimeout,
			Plan:    a.Plan(),
			Done:    func(ctx context.Context) (bool, error) { return done(ctx, connect, a) },
			Run:     func(ctx context.Context, log step.Log) error { return install(ctx, connect, a, log) },
			Undo: func(ctx context.Context, log step.Log) error {
				c, err := connect(ctx)
				if err != nil {
					return err
				}
				return a.Remove(ctx, c, log)
			},
		})
	}
	return steps
}

// done is also asked about clusters that are broken; then Run finds out and says why.
func done(ctx context.Context, connect Connector, a Addon) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, doneTimeout)
	defer cancel()
	c, err := connect(ctx)
	if err != nil {
		return false, err
	}
	return a.Ready(ctx, c) == nil, nil
}

func install(ctx context.Context, connect Connector, a Addon, log step.Log) error {
	c, err := connect(ctx)
	if err != nil {
		return err
	}
	if err := a.Install(ctx, c, log); err != nil {
		return err
	}
	var seen error
	for {
		if seen = a.Ready(ctx, c); seen == nil {
			return nil
		}
		log("not ready: %v", seen)
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w; last seen: %w", ctx.Err(), seen)
		case <-time.After(readyPause):
		}
	}
}
