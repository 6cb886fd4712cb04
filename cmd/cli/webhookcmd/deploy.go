package webhookcmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/compspec/ocifit-lab/addons"
	"github.com/compspec/ocifit-lab/cmd/cli/command"
	"github.com/compspec/ocifit-lab/provision/atomicfile"
	"github.com/compspec/ocifit-lab/provision/kube"
	"github.com/compspec/ocifit-lab/provision/step"
	"github.com/compspec/ocifit-lab/webhook/deploy"
)

type deployOptions struct {
	namespace, values, chart, kubeconfig string
	apply                                bool
	set                                  map[string]func(*deploy.Values) // by flag, for flags that were given
}

func (a app) deployCmd() *cobra.Command {
	var o deployOptions
	var given deploy.Values
	cmd := &cobra.Command{
		Use:   "deploy",
		Short: "Render the webhook's manifests or Helm chart for a cluster, or apply them",
		Long: `deploy prints manifests that kubectl apply takes: Deployment, RBAC, Service, certificate, MutatingWebhookConfiguration,
PodDisruptionBudget and NetworkPolicy. With --chart it writes a Helm chart of the same, with --apply it applies them to the
cluster of --kubeconfig. --values takes the settings of the chart's values.yaml; flags win. The namespace has to exist, with
the ConfigMap of the node features in it, and cert-manager in the cluster unless the certificate is your own.
--flavor upstream deploys the published controller and its model server, as the study's procedure does.`,
		Example: `  ocifit-lab webhook deploy --namespace ocifit-system --image registry/ocifit-lab:v1 | kubectl apply -f -
  ocifit-lab webhook deploy --chart ./ocifit-lab-webhook --skip t3.2xlarge
  ocifit-lab webhook deploy --flavor upstream --apply --kubeconfig ~/.kube/config`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v, err := o.settings(cmd, a.Version)
			if err != nil {
				return err
			}
			return a.deploy(cmd.Context(), o, v)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.namespace, "namespace", "n", addons.Namespace, "the webhook's namespace")
	f.StringVar(&o.values, "values", "", "settings, a YAML file like the chart's values.yaml")
	f.StringVar(&o.chart, "chart", "", "folder to write the Helm chart to")
	f.BoolVar(&o.apply, "apply", false, "apply the manifests to the cluster of --kubeconfig")
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "cluster for --apply")
	f.StringVar(&given.Flavor, "flavor", deploy.FlavorOurs, "ocifit-lab or upstream")
	f.StringVar(&given.Image, "image", "", "the webhook's image (default: that of this program's version)")
	f.StringVar(&given.FailurePolicy, "failure-policy", "Fail", "Fail or Ignore: what happens to labelled objects while the webhook does not answer")
	f.IntVar(&given.Replicas, "replicas", 2, "number of pods")
	f.StringSliceVar(&given.Skip, "skip", nil, "instance types that are never chosen")
	f.StringSliceVar(&given.AllowRegistries, "allow-registry", nil, "registries that objects may name artifacts in; * is every public one (default: the study's)")
	f.StringVar(&given.TieBreak, "tie-break", "price", "equal scores: price or first")
	f.StringVar(&given.ModelServerURL, "model-server", "", "model server that is asked instead of the built-in models")
	o.set = map[string]func(*deploy.Values){
		"flavor": func(v *deploy.Values) { v.Flavor = given.Flavor }, "image": func(v *deploy.Values) { v.Image = given.Image },
		"failure-policy": func(v *deploy.Values) { v.FailurePolicy = given.FailurePolicy }, "replicas": func(v *deploy.Values) { v.Replicas = given.Replicas },
		"allow-registry": func(v *deploy.Values) { v.AllowRegistries = given.AllowRegistries },
		"skip":           func(v *deploy.Values) { v.Skip = given.Skip }, "tie-break": func(v *deploy.Values) { v.TieBreak = given.TieBreak },
		"model-server": func(v *deploy.Values) { v.ModelServerURL = given.ModelServerURL },
	}
	cmd.MarkFlagsMutuallyExclusive("chart", "apply")
	_ = cmd.RegisterFlagCompletionFunc("flavor", command.Words(deploy.FlavorOurs, deploy.FlavorUpstream))
	_ = cmd.RegisterFlagCompletionFunc("failure-policy", command.Words("Fail", "Ignore"))
	return cmd
}

// settings are the defaults, changed by the values file, changed by the flags that were given.
func (o deployOptions) settings(cmd *cobra.Command, version string) (deploy.Values, error) {
	v, err := deploy.Defaults()
	if err != nil {
		return v, err
	}
	v.Image = ownTag(v.Image, version)
	if o.values != "" {
		data, err := os.ReadFile(o.values)
		if err != nil {
			return v, err
		}
		if v, err = v.With(data); err != nil {
			return v, fmt.Errorf("%s: %w", o.values, err)
		}
	}
	for flag, set := range o.set {
		if cmd.Flags().Changed(flag) {
			set(&v)
		}
	}
	return v, nil
}

// ownTag puts this program's version in place of a tag that moves: what is deployed is what was tried.
func ownTag(image, version string) string {
	return strings.TrimSuffix(image, ":latest") + ":" + version
}

func (a app) deploy(ctx context.Context, o deployOptions, v deploy.Values) error {
	if o.chart != "" {
		return a.writeChart(o.chart, v)
	}
	manifests, err := deploy.Render(v, o.namespace)
	if err != nil {
		return err
	}
	if !o.apply {
		_, err = a.Out.Write(manifests)
		return err
	}
	if o.kubeconfig == "" {
		return step.Try(errors.New("no cluster to apply to"), "name it with --kubeconfig")
	}
	cluster, err := kube.Connect(o.kubeconfig)
	if err != nil {
		return err
	}
	if err := cluster.Apply(ctx, manifests, "ocifit-lab"); err != nil {
		return err
	}
	a.Say("applied to namespace %s", o.namespace)
	return nil
}

func (a app) writeChart(dir string, v deploy.Values) error {
	files, err := deploy.Chart(v)
	if err != nil {
		return err
	}
	var names []string
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := atomicfile.Write(file, files[name], 0o644); err != nil {
			return err
		}
	}
	a.Say("chart written to %s: helm install ocifit-lab-webhook %s --namespace %s", dir, dir, addons.Namespace)
	return nil
}
