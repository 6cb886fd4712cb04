// Package builtin runs the lab's own MiniCluster controller in a cluster, where flux-operator cannot be installed, and proves
// either of them by a MiniCluster.
package builtin

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"

	"github.com/compspec/ocifit-lab/addons"
	"github.com/compspec/ocifit-lab/addons/builtin/minicluster"
	"github.com/compspec/ocifit-lab/provision/kube"
	"github.com/compspec/ocifit-lab/provision/step"
)

//go:embed manifests.yaml
var manifests []byte

const fieldOwner = "ocifit-lab"

// Command is the hidden command of the program that runs the controller.
const Command = "minicluster-controller"

// Addon is the controller as a deployment.
type Addon struct {
	Namespace string
	// Image names the image of this program, once it is known.
	Image func(ctx context.Context) (string, error)
	// NodeSelector keeps the controller on the nodes that are always there.
	NodeSelector map[string]string
}

// Name implements addons.Addon.
func (*Addon) Name() string { return "miniclusters" }

// Needs implements addons.Addon.
func (*Addon) Needs() []string { return nil }

// Requires implements addons.Addon.
func (*Addon) Requires() addons.Requirements {
	return addons.Requirements{Nodes: true, ProgramImage: true}
}

// Plan implements addons.Addon.
func (a *Addon) Plan() string {
	return "run the lab's own MiniCluster controller in namespace " + a.Namespace + " (stands in for flux-operator), and prove it with a MiniCluster"
}

// Install implements addons.Addon.
func (a *Addon) Install(ctx context.Context, c *kube.Cluster, log step.Log) error {
	image, err := a.Image(ctx)
	if err != nil {
		return err
	}
	if err := c.Apply(ctx, a.all(image), fieldOwner); err != nil {
		return err
	}
	log("waiting for the controller")
	return c.WaitRuns(ctx, a.Namespace, "ocifit-lab-minicluster")
}

// Ready makes a MiniCluster and looks whether the controller answers.
func (a *Addon) Ready(ctx context.Context, c *kube.Cluster) error {
	image, err := a.Image(ctx)
	if err != nil {
		return err
	}
	if err := c.Runs(ctx, a.Namespace, "ocifit-lab-minicluster", image); err != nil {
		return err
	}
	return Prove(ctx, c, a.Namespace)
}

// Remove takes the MiniClusters away with their definition, while the controller still runs to clean up after them.
func (a *Addon) Remove(ctx context.Context, c *kube.Cluster, _ step.Log) error {
	return c.Delete(ctx, withoutNamespace(a.all("none")))
}

func (a *Addon) all(image string) []byte {
	text := bytes.ReplaceAll(manifests, []byte("NAMESPACE"), []byte(a.Namespace))
	text = bytes.ReplaceAll(text, []byte("IMAGE"), []byte(image))
	selector := map[string]string{}
	maps.Copy(selector, a.NodeSelector)
	nodes, _ := json.Marshal(selector) // of strings, never fails
	text = bytes.ReplaceAll(text, []byte("NODES"), nodes)
	return append(append(minicluster.CRD(), "\n---\n"...), text...)
}

// withoutNamespace leaves the first document of the manifests out: others live in the namespace.
func withoutNamespace(text []byte) []byte {
	docs := bytes.Split(text, []byte("\n---\n"))
	var out [][]byte
	for _, d := range docs {
		if !bytes.Contains(d, []byte("\nkind: Namespace\n")) {
			out = append(out, d)
		}
	}
	return bytes.Join(out, []byte("\n---\n"))
}

// String says which controller this is.
func (*Addon) String() string {
	return fmt.Sprintf("builtin MiniCluster controller of %s", minicluster.GVR.Group)
}
