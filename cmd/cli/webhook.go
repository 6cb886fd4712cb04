package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

	"github.com/compspec/ocifit-lab/addons/nodefeatures"
	"github.com/compspec/ocifit-lab/provision/lab"
	"github.com/compspec/ocifit-lab/templates"
	"github.com/compspec/ocifit-lab/webhook/admit"
	"github.com/compspec/ocifit-lab/webhook/artifact"
	"github.com/compspec/ocifit-lab/webhook/features"
	"github.com/compspec/ocifit-lab/webhook/predict"
	"github.com/compspec/ocifit-lab/webhook/serve"
)

func (a *app) webhookCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "webhook", Short: "Serve the admission webhook, or explain what it would decide"}
	cmd.AddCommand(a.webhookServeCmd(), a.webhookExplainCmd())
	return cmd
}

func (a *app) webhookServeCmd() *cobra.Command {
	var listen, certFile, keyFile, featuresDir, identity, kubeconfig, tieBreak string
	var skip, plainHTTP []string
	var seed uint64
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the admission webhook over HTTPS",
		Long: `serve answers admission reviews at /mutate. Its settings come from flags or, as in a pod, from the environment:
TLS_CERT_PATH, TLS_KEY_PATH, FEATURES_CACHE_DIR, NODE_IDENTITY_LABEL, SKIP_INSTANCE_TYPES. Certificate and features are
read again when their files change.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := clientset(kubeconfig)
			if err != nil {
				return err
			}
			prices, _ := templates.Prices()
			file := ""
			if featuresDir != "" {
				file = filepath.Join(featuresDir, nodefeatures.File)
			}
			return serve.Run(cmd.Context(), serve.Config{
				Listen: listen, CertFile: certFile, KeyFile: keyFile, FeaturesFile: file, IdentityLabel: identity,
				Clientset: client, Prices: prices, Skip: skip, TieBreak: tieBreak, Seed: seed, PlainHTTPRegistries: plainHTTP,
				Log: slog.New(slog.NewJSONHandler(a.Err, nil)),
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&listen, "listen", ":8443", "address to listen on")
	f.StringVar(&certFile, "tls-cert", os.Getenv("TLS_CERT_PATH"), "certificate, PEM")
	f.StringVar(&keyFile, "tls-key", os.Getenv("TLS_KEY_PATH"), "key, PEM")
	f.StringVar(&featuresDir, "features-dir", os.Getenv("FEATURES_CACHE_DIR"), "folder with "+nodefeatures.File)
	f.StringVar(&identity, "identity-label", os.Getenv("NODE_IDENTITY_LABEL"), "label that tells a node's type (default: the instance type label)")
	f.StringVar(&kubeconfig, "kubeconfig", "", "cluster whose nodes are candidates (default: the one this runs in, if any)")
	f.StringSliceVar(&skip, "skip", list(os.Getenv("SKIP_INSTANCE_TYPES")), "instance types that are never chosen")
	f.StringVar(&tieBreak, "tie-break", predict.TieBreakPrice, "equal scores: price or first")
	f.StringSliceVar(&plainHTTP, "plain-http", nil, "registries (host:port) that are spoken to without TLS")
	f.Uint64Var(&seed, "seed", 0, "base of the seeds of random choices")
	_ = cmd.RegisterFlagCompletionFunc("tie-break", words(predict.TieBreakPrice, predict.TieBreakFirst))
	return cmd
}

// list splits a comma-separated list from the environment.
func list(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}

// clientset is nil outside of a cluster when no kubeconfig was named.
func clientset(kubeconfig string) (kubernetes.Interface, error) {
	if kubeconfig == "" && os.Getenv("KUBERNETES_SERVICE_HOST") == "" {
		return nil, nil
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(config)
}

type explainOptions struct {
	file, features, tieBreak string
	skip, plainHTTP          []string
}

func (a *app) webhookExplainCmd() *cobra.Command {
	var o explainOptions
	cmd := &cobra.Command{
		Use:   "explain -f FILE",
		Short: "Show what the webhook would decide for a Pod or MiniCluster, and why",
		Long: `explain runs the webhook's own code on an object from a file and prints every candidate with its score, why others
were left out, and the patch. Candidates are those of the lab's cluster, or of --features. It exits with 4 when the
object would be denied.`,
		Example: "  ocifit-lab webhook explain -f pod.yaml\n  ocifit-lab webhook explain -f pod.yaml --features node-features.json -o json",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.explain(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringVarP(&o.file, "filename", "f", "", "Pod or MiniCluster, YAML or JSON; - reads stdin (required)")
	f.StringVar(&o.features, "features", "", "node features instead of a cluster")
	f.StringVar(&o.tieBreak, "tie-break", "", "equal scores: price or first (default: the lab's)")
	f.StringSliceVar(&o.skip, "skip", nil, "instance types that are never chosen (default: the lab's)")
	f.StringSliceVar(&o.plainHTTP, "plain-http", nil, "registries (host:port) that are spoken to without TLS")
	_ = cmd.MarkFlagRequired("filename")
	return cmd
}

func (a *app) explain(ctx context.Context, o explainOptions) error {
	object, err := a.readObject(o.file)
	if err != nil {
		return err
	}
	spec, err := a.spec()
	if err != nil {
		return err
	}
	index, plainHTTP, err := a.candidates(ctx, o)
	if err != nil {
		return err
	}
	models, err := predict.Published()
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
	specs := artifact.NewCache(artifact.CacheOptions{Options: artifact.Options{PlainHTTP: append(plainHTTP, o.plainHTTP...)}})
	decider, err := admit.New(admit.Config{Specs: specs, Features: index, Models: models, Prices: prices, Skip: o.skip, TieBreak: o.tieBreak})
	if err != nil {
		return err
	}
	e, err := decider.Explain(ctx, object)
	if err != nil {
		return err
	}
	if err := a.print(e, func(w io.Writer) error { return explanation(w, e) }); err != nil {
		return err
	}
	if e.Result == admit.ResultDenied {
		return exit{ExitCheck, errors.New("the object would be denied: " + e.Message)}
	}
	return nil
}

func (a *app) readObject(file string) ([]byte, error) {
	var data []byte
	var err error
	if file == "-" {
		data, err = io.ReadAll(a.In)
	} else {
		data, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, err
	}
	object, err := yaml.YAMLToJSON(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return object, nil
}

// candidates come from a file or else from the lab's cluster, whose registry may be plain HTTP.
func (a *app) candidates(ctx context.Context, o explainOptions) (*features.Index, []string, error) {
	index := features.NewIndex("")
	if o.features != "" {
		data, err := os.ReadFile(o.features)
		if err != nil {
			return nil, nil, err
		}
		catalogue, err := features.LoadCatalogue(data, "")
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", o.features, err)
		}
		index.SetCatalogue(catalogue)
		// The artifact may still be in the lab's registry.
		plain, err := a.labRegistry(ctx)
		return index, plain, err
	}
	setup, _, err := a.existing()
	if err != nil {
		return nil, nil, fmt.Errorf("no --features and no cluster: %w", err)
	}
	cluster, err := setup.provider.Connect(ctx)
	if err != nil {
		return nil, nil, err
	}
	cm, err := cluster.Clientset.CoreV1().ConfigMaps(systemNamespace).Get(ctx, nodefeatures.ConfigMap, metav1.GetOptions{})
	if err != nil {
		return nil, nil, err
	}
	catalogue, err := features.LoadCatalogue([]byte(cm.Data[nodefeatures.File]), "")
	if err != nil {
		return nil, nil, err
	}
	index.SetCatalogue(catalogue)
	nodes, err := cluster.Clientset.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, nil, err
	}
	for _, n := range nodes.Items {
		index.Put(features.Node{Name: n.Name, Labels: n.Labels, Cordoned: n.Spec.Unschedulable || n.DeletionTimestamp != nil})
	}
	plain, err := a.labRegistry(ctx)
	return index, plain, err
}

// labRegistry is the lab's plain-HTTP registry, if a lab with one is up.
func (a *app) labRegistry(ctx context.Context) ([]string, error) {
	setup, _, err := a.existing()
	if errors.Is(err, lab.ErrNoLab) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	target, err := setup.artifactTarget(ctx)
	return target.PlainHTTP, err
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
		if err := scoreTable(w, e.Table); err != nil {
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
