// Package webhookcmd is the commands about the webhook.
package webhookcmd

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/compspec/ocifit-lab/addons/compatibility"
	"github.com/compspec/ocifit-lab/cmd/assembly"
	"github.com/compspec/ocifit-lab/cmd/cli/command"
	"github.com/compspec/ocifit-lab/cmd/cli/modelcmd"
	"github.com/compspec/ocifit-lab/cmd/serving"
	"github.com/compspec/ocifit-lab/cmd/ui"
	"github.com/compspec/ocifit-lab/templates"
	"github.com/compspec/ocifit-lab/webhook/admit"
	"github.com/compspec/ocifit-lab/webhook/artifact"
	"github.com/compspec/ocifit-lab/webhook/features"
	"github.com/compspec/ocifit-lab/webhook/predict"
)

// app is what the commands of this package share.
type app struct{ *command.App }

// Webhook is the command webhook.
func Webhook(shared *command.App) *cobra.Command {
	a := app{shared}
	cmd := &cobra.Command{Use: "webhook", Short: "Serve the admission webhook, explain what it would decide, deploy it, build its image"}
	cmd.AddCommand(serving.Command(a.Err), a.explainCmd(), a.deployCmd(), a.imageCmd())
	return cmd
}

type explainOptions struct {
	file, features, kubeconfig, tieBreak string
	skip, plainHTTP                      []string
}

func (a app) explainCmd() *cobra.Command {
	var o explainOptions
	cmd := &cobra.Command{
		Use:   "explain -f FILE",
		Short: "Show what the webhook would decide for a Pod or MiniCluster, and why",
		Long: `explain runs the webhook's own code on the objects of a file, those of lists and the pods of Deployments, Jobs and the
like among them, and prints every candidate with its score, why others
were left out, and the patch. Candidates are those of the lab's cluster; or the types of --features, or the nodes of --kubeconfig,
or both together. It exits with 4 when the object would be denied.`,
		Example: "  ocifit-lab webhook explain -f pod.yaml\n  ocifit-lab webhook explain -f pod.yaml --features node-features.json -o json",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.explain(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringVarP(&o.file, "filename", "f", "", "Pod or MiniCluster, YAML or JSON; - reads stdin (required)")
	f.StringVar(&o.features, "features", "", "cached node features instead of the lab's")
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "cluster whose nodes are candidates, instead of the lab's")
	f.StringVar(&o.tieBreak, "tie-break", "", "equal scores: price or first (default: the lab's)")
	f.StringSliceVar(&o.skip, "skip", nil, "instance types that are never chosen (default: the lab's)")
	f.StringSliceVar(&o.plainHTTP, "plain-http", nil, "registries (host:port) that are spoken to without TLS")
	_ = cmd.MarkFlagRequired("filename")
	return cmd
}

func (a app) explain(ctx context.Context, o explainOptions) error {
	file, err := a.ReadFile(o.file)
	if err != nil {
		return err
	}
	spec, err := a.Spec()
	if err != nil {
		return err
	}
	index, registry, err := a.candidates(ctx, o)
	if err != nil {
		return err
	}
	models, err := predict.BuiltIn()
	if err != nil {
		return err
	}
	if o.tieBreak == "" {
		o.tieBreak = spec.Webhook.TieBreak
	}
	if o.skip == nil {
		o.skip = spec.Webhook.Skip
	}
	prices, _ := templates.Prices()
	registry.PlainHTTP = append(registry.PlainHTTP, o.plainHTTP...)
	specs := artifact.NewCache(artifact.CacheOptions{Options: command.RegistryOptions(registry)})
	decider, err := admit.New(admit.Config{Specs: specs, Features: index, Models: models, Prices: prices, Skip: o.skip, TieBreak: o.tieBreak, Allocatable: serving.Allocatable()})
	if err != nil {
		return err
	}
	list, err := decider.ExplainAll(ctx, file)
	if err != nil {
		return fmt.Errorf("%s: %w", o.file, err)
	}
	if err := a.printExplanations(list); err != nil {
		return err
	}
	for _, e := range list {
		if e.Result == admit.ResultDenied {
			return command.Fail(command.ExitCheck, fmt.Errorf("the %s %s would be denied: %s", e.Kind, e.Name, e.Message))
		}
	}
	return nil
}

// printExplanations prints one explanation as it is, and several as a list.
func (a app) printExplanations(list []*admit.Explanation) error {
	if len(list) == 1 {
		return a.Print(list[0], func(w io.Writer) error { return explanation(w, list[0]) })
	}
	return a.Print(list, func(w io.Writer) error {
		for i, e := range list {
			if i > 0 {
				fmt.Fprintln(w)
			}
			if err := explanation(w, e); err != nil {
				return err
			}
		}
		return nil
	})
}

// candidates come from what was named or else from the lab's cluster, whose registry may be plain HTTP.
func (a app) candidates(ctx context.Context, o explainOptions) (*features.Index, compatibility.Target, error) {
	index := features.NewIndex("")
	if o.features != "" || o.kubeconfig != "" {
		if err := a.namedCandidates(ctx, o, index); err != nil {
			return nil, compatibility.Target{}, err
		}
		// The artifact may still be in the lab's registry.
		registry, err := a.LabRegistry(ctx)
		return index, registry, err
	}
	l, _, err := a.Existing(ctx)
	if err != nil {
		return nil, compatibility.Target{}, fmt.Errorf("no --features, no --kubeconfig and no lab: %w", err)
	}
	if err := l.PutCandidates(ctx, index); err != nil {
		return nil, compatibility.Target{}, err
	}
	registry, err := a.LabRegistry(ctx)
	return index, registry, err
}

// namedCandidates reads the features file and the cluster that were named.
func (a app) namedCandidates(ctx context.Context, o explainOptions, index *features.Index) error {
	if o.features != "" {
		data, err := a.ReadFile(o.features)
		if err != nil {
			return err
		}
		catalogue, err := features.LoadCatalogue(data, "")
		if err != nil {
			return fmt.Errorf("%s: %w", o.features, err)
		}
		index.SetCatalogue(catalogue)
	}
	if o.kubeconfig == "" {
		return nil
	}
	return assembly.PutNodes(ctx, o.kubeconfig, index)
}

func explanation(w io.Writer, e *admit.Explanation) error {
	fmt.Fprintf(w, "%s %s/%s: %s\n", e.Kind, e.Namespace, e.Name, e.Result)
	if e.Message != "" {
		fmt.Fprintf(w, "%s\n", e.Message)
	}
	for _, warning := range e.Warnings {
		fmt.Fprintf(w, "warning: %s\n", warning)
	}
	if e.Table != nil {
		fmt.Fprintln(w)
		if err := modelcmd.ScoreTable(w, e.Table); err != nil {
			return err
		}
	}
	if e.Machines != nil {
		fmt.Fprintln(w)
		if err := machineTable(w, e.Machines); err != nil {
			return err
		}
	}
	if e.Decision != nil {
		fmt.Fprintf(w, "artifact %s\nimage    %s\n", e.Decision.ArtifactDigest, e.Decision.Image)
	}
	if len(e.Patch) > 0 {
		fmt.Fprintln(w, "\npatch")
		for _, op := range e.Patch {
			line, err := yaml.Marshal(op)
			if err != nil {
				return err
			}
			fmt.Fprintf(w, "  %s\n", strings.ReplaceAll(strings.TrimSpace(string(line)), "\n", "; "))
		}
	}
	return nil
}

// machineTable shows what a feature specification was held against.
func machineTable(w io.Writer, list []admit.Machine) error {
	var rows [][]string
	for _, m := range list {
		where := "catalogue"
		if m.Live {
			where = "live"
		}
		rows = append(rows, []string{m.InstanceType, m.Architecture, where, m.Image, strings.Join(m.Why, "; ")})
	}
	return ui.Table(w, []string{"INSTANCE TYPE", "ARCH", "KNOWN", "IMAGE", "WHY NOT"}, rows)
}
