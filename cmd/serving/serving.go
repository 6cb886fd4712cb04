// Package serving is the command that serves the webhook, for the program and for the small one that does nothing else.
package serving

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/compspec/ocifit-lab/templates"
	"github.com/compspec/ocifit-lab/webhook/artifact"
	"github.com/compspec/ocifit-lab/webhook/artifact/ecr"
	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/predict"
	"github.com/compspec/ocifit-lab/webhook/serve"
)

type options struct {
	config                  serve.Config
	featuresDir, kubeconfig string
	mirrors                 []string
}

// Command is `serve`. Logs go to out.
func Command(out io.Writer) *cobra.Command {
	cmd, o := command()
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), *o, out) }
	return cmd
}

func command() (*cobra.Command, *options) {
	o := new(options)
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the admission webhook over HTTPS",
		Long: `serve answers admission reviews at /mutate. Its settings come from flags or, as in a pod, from the environment:
TLS_CERT_PATH, TLS_KEY_PATH, FEATURES_CACHE_DIR, NODE_IDENTITY_LABEL, SKIP_INSTANCE_TYPES, MODEL_SERVER_URL, ALLOW_REGISTRIES. Certificate and
features are read again when their files change. Registries are asked with the credentials of docker's config.json
(DOCKER_CONFIG) and its credential helpers, Amazon's also with those of AWS.`,
		Args: cobra.NoArgs,
	}
	f := cmd.Flags()
	c := &o.config
	f.StringVar(&c.Listen, "listen", ":8443", "address to listen on")
	f.StringVar(&c.CertFile, "tls-cert", os.Getenv("TLS_CERT_PATH"), "certificate, PEM")
	f.StringVar(&c.KeyFile, "tls-key", os.Getenv("TLS_KEY_PATH"), "key, PEM")
	f.StringVar(&o.featuresDir, "features-dir", os.Getenv("FEATURES_CACHE_DIR"), "folder whose *.json are the cached node features")
	f.StringVar(&c.IdentityLabel, "identity-label", os.Getenv("NODE_IDENTITY_LABEL"), "label that tells a node's type (default: the instance type label)")
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "cluster whose nodes are candidates (default: the one this runs in, if any)")
	f.BoolVar(&c.Events, "events", true, "write an event for each selection and denial")
	f.StringSliceVar(&c.Skip, "skip", list(os.Getenv("SKIP_INSTANCE_TYPES")), "instance types that are never chosen")
	f.StringVar(&c.TieBreak, "tie-break", predict.TieBreakPrice, "equal scores: price or first")
	f.Uint64Var(&c.Seed, "seed", 0, "base of the seeds of random draws, which makes them repeatable (default: each admission draws afresh)")
	f.StringVar(&c.ModelServerURL, "model-server", os.Getenv("MODEL_SERVER_URL"), "model server that is asked instead of the built-in models (POST /predict)")
	f.StringVar(&c.PredictListen, "predict-api", "", "address at which POST /predict is answered with the built-in models, over plain HTTP")
	f.StringSliceVar(&c.PlainHTTPRegistries, "plain-http", nil, "registries (host:port) that are spoken to without TLS")
	f.StringSliceVar(&c.AllowRegistries, "allow-registry", allowed(os.Getenv("ALLOW_REGISTRIES")), "registries (host, host:port or *.domain) that objects may name artifacts in, beside those of --plain-http and --mirror; * is every one with a public address")
	f.StringArrayVar(&o.mirrors, "mirror", nil, "registry=mirror: what is asked before a registry; may be repeated")
	f.DurationVar(&c.ArtifactFresh, "artifact-fresh", 10*time.Second, "how long a tag is believed")
	f.DurationVar(&c.ArtifactMaxStale, "artifact-max-stale", time.Hour, "how long the last good copy of an artifact serves while its registry is down; negative: not at all")
	f.DurationVar(&c.DecisionTimeout, "timeout", 4*time.Second, "limit of one decision; the API server's own counts when it is shorter")
	_ = cmd.RegisterFlagCompletionFunc("tie-break", cobra.FixedCompletions([]string{predict.TieBreakPrice, predict.TieBreakFirst}, cobra.ShellCompDirectiveNoFileComp))
	return cmd, o
}

// run serves until ctx ends.
func run(ctx context.Context, o options, out io.Writer) error {
	cluster, err := connect(o.kubeconfig)
	if err != nil {
		return err
	}
	c, err := o.settings()
	if err != nil {
		return err
	}
	c.Cluster = cluster
	c.Log = slog.New(slog.NewJSONHandler(out, nil))
	return serve.Run(ctx, c)
}

// settings are what the flags come to.
func (o options) settings() (serve.Config, error) {
	c := o.config
	if err := AddMirrors(&c.Mirrors, "--mirror", o.mirrors); err != nil {
		return c, err
	}
	// Whoever gave a mirror of a registry lets it be named.
	c.AllowRegistries = slices.Sorted(maps.Keys(c.Mirrors))
	c.AllowRegistries = append(c.AllowRegistries, o.config.AllowRegistries...)
	if slices.Contains(c.AllowRegistries, "*") {
		c.AllowRegistries = nil
	}
	c.FeaturesFile = o.featuresDir
	c.Prices, _ = templates.Prices()
	c.Allocatable = Allocatable()
	tokens := new(ecr.Source)
	c.Credential, c.Forget = tokens.Credential(artifact.DockerCredentials()), tokens.Forget
	return c, nil
}

// list splits a comma-separated list from the environment.
func list(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}

// allowed are the registries of the environment, or that of the study's artifact: whoever may create pods names a registry, which decides
// their images and what this process connects to.
func allowed(text string) []string {
	if given := list(text); len(given) > 0 {
		return given
	}
	return []string{compat.PublishedRegistry}
}

// connect returns the cluster of a kubeconfig; nil outside of a cluster when none is named.
func connect(kubeconfig string) (serve.Cluster, error) {
	if kubeconfig == "" && os.Getenv("KUBERNETES_SERVICE_HOST") == "" {
		return nil, nil
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	return serve.Connect(config)
}

// AddMirrors reads pairs HOST=MIRROR of a flag.
func AddMirrors(to *map[string][]string, flag string, pairs []string) error {
	for _, text := range pairs {
		host, mirror, ok := strings.Cut(text, "=")
		if !ok || host == "" || mirror == "" {
			return fmt.Errorf("%s %q: write HOST=MIRROR, such as docker.io=mirror.example/docker", flag, text)
		}
		if *to == nil {
			*to = map[string][]string{}
		}
		(*to)[host] = append((*to)[host], mirror)
	}
	return nil
}

// Allocatable is what nodes of the catalogue's types can give at most, by type: their processors and memory.
func Allocatable() map[string]corev1.ResourceList {
	out := map[string]corev1.ResourceList{}
	for _, t := range templates.InstanceTypes() {
		out[t.Name] = corev1.ResourceList{
			corev1.ResourceCPU:    *resource.NewQuantity(int64(t.VCPU), resource.DecimalSI),
			corev1.ResourceMemory: *resource.NewQuantity(t.MemoryMiB<<20, resource.BinarySI),
		}
	}
	return out
}
