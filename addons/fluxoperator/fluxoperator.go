// Package fluxoperator installs flux-operator, which runs MiniClusters, and proves it by one.
package fluxoperator

import (
	"context"
	"fmt"

	"github.com/compspec/ocifit-lab/addons"
	"github.com/compspec/ocifit-lab/addons/builtin"
	"github.com/compspec/ocifit-lab/addons/component"
	"github.com/compspec/ocifit-lab/provision/kube"
)

// Addon is flux-operator.
type Addon struct {
	*component.Component
	// Proof is the namespace where Ready makes its MiniCluster.
	Proof string
}

// Name implements addons.Addon.
func (*Addon) Name() string { return "miniclusters" }

// Needs implements addons.Addon.
func (*Addon) Needs() []string { return nil }

// Requires implements addons.Addon.
func (*Addon) Requires() addons.Requirements { return addons.Requirements{Nodes: true} }

// Plan implements addons.Addon.
func (a *Addon) Plan() string {
	return fmt.Sprintf("install %s, and prove it by a MiniCluster", a.Title())
}

// Ready looks at the operator and then lets it make a MiniCluster's job.
func (a *Addon) Ready(ctx context.Context, c *kube.Cluster) error {
	if err := a.Complete(ctx, c); err != nil {
		return err
	}
	return builtin.Prove(ctx, c, a.Proof)
}
