package artifactcmd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/compspec/ocifit-lab/cmd/assembly"
	"github.com/compspec/ocifit-lab/cmd/cli/command"
	"github.com/compspec/ocifit-lab/cmd/ui"
	"github.com/compspec/ocifit-lab/provision/kube"
	"github.com/compspec/ocifit-lab/provision/step"
	"github.com/compspec/ocifit-lab/provision/words"
	"github.com/compspec/ocifit-lab/webhook/artifact"
	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/predict"
)

type validateOptions struct {
	file, features, node, kubeconfig string
	any, plainHTTP                   bool
}

func (a app) validateCmd() *cobra.Command {
	var o validateOptions
	cmd := &cobra.Command{
		Use:   "validate [REFERENCE | --file FILE] --features FILE | --node NAME",
		Short: "Hold nodes against an artifact, rule by rule; exits with 4 on a mismatch",
		Long: `validate prints a line per rule and node. A node fits a feature specification when all rules of at least one entry
hold for it; it fits a model artifact when each of its models knows the values of the node's labels and there is an image
for its architecture. Every node has to fit, or with --any at least one.`,
		Example: `  ocifit-lab artifact validate ghcr.io/you/compatibility:v1 --features node-features.json
  ocifit-lab artifact validate --file compatibility-spec.yaml --node worker-1 --kubeconfig ~/.kube/config`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.validate(cmd.Context(), args, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.file, "file", "", "artifact in a file instead of a registry")
	f.StringVar(&o.features, "features", "", "label map of one node, or a list of them (JSON)")
	f.StringVar(&o.node, "node", "", "a node of the cluster")
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "cluster of --node (default: the lab's)")
	f.BoolVar(&o.any, "any", false, "one fitting node is enough")
	f.BoolVar(&o.plainHTTP, "plain-http", false, "speak to the registry without TLS")
	cmd.MarkFlagsOneRequired("features", "node")
	cmd.MarkFlagsMutuallyExclusive("features", "node")
	return cmd
}

// namedLabels is a node or an instance type with its labels.
type namedLabels struct {
	name   string
	labels map[string]string
}

// verdict is what validate says of one node.
type verdict struct {
	Node string `json:"node"`
	Fits bool   `json:"fits"`
	// Image is the one that a feature specification has for the node.
	Image  string             `json:"image,omitempty"`
	Rules  []compat.CheckLine `json:"rules,omitempty"`
	Models []modelVerdict     `json:"models,omitempty"`
}

type modelVerdict struct {
	Tag     string   `json:"tag"`
	Fits    bool     `json:"fits"`
	Image   string   `json:"image,omitempty"`
	Reasons []string `json:"reasons,omitempty"`
}

func (a app) validate(ctx context.Context, args []string, o validateOptions) error {
	content, err := a.validated(ctx, args, o)
	if err != nil {
		return err
	}
	decoded, err := artifact.Decode(content)
	if err != nil {
		return err
	}
	nodes, err := a.nodesToValidate(ctx, o)
	if err != nil {
		return err
	}
	var verdicts []verdict
	for _, n := range nodes {
		v, err := judge(decoded, n)
		if err != nil {
			return err
		}
		verdicts = append(verdicts, v)
	}
	fit := 0
	for _, v := range verdicts {
		if v.Fits {
			fit++
		}
	}
	ok := fit == len(verdicts) || o.any && fit > 0
	result := map[string]any{"reference": content.Reference, "mediaType": content.MediaType, "fits": ok, "nodes": verdicts}
	if err := a.Print(result, func(w io.Writer) error { return verdictTable(w, verdicts) }); err != nil {
		return err
	}
	if !ok {
		return command.Fail(command.ExitCheck, fmt.Errorf("%d of %s fit the artifact", fit, words.Count(len(verdicts), "node")))
	}
	return nil
}

func (a app) validated(ctx context.Context, args []string, o validateOptions) (*artifact.Content, error) {
	if o.file != "" {
		if len(args) > 0 {
			return nil, errors.New("give either a reference or --file")
		}
		data, err := os.ReadFile(o.file)
		if err != nil {
			return nil, err
		}
		// In a file nothing is attached to an image, so entries without a tag are called after the file.
		return &artifact.Content{Reference: o.file, MediaType: mediaTypeOf(data), Data: data, Subject: o.file}, nil
	}
	target, err := a.target(ctx, args, o.plainHTTP)
	if err != nil {
		return nil, err
	}
	return artifact.Pull(ctx, target.Ref, command.RegistryOptions(target))
}

// nodesToValidate reads the label maps from the file or from the cluster.
func (a app) nodesToValidate(ctx context.Context, o validateOptions) ([]namedLabels, error) {
	if o.features != "" {
		data, err := os.ReadFile(o.features)
		if err != nil {
			return nil, err
		}
		return readLabels(data, o.features)
	}
	cluster, err := a.anyCluster(ctx, o.kubeconfig)
	if err != nil {
		return nil, err
	}
	labels, err := assembly.NodeLabels(ctx, cluster, o.node)
	if err != nil {
		return nil, err
	}
	return []namedLabels{{o.node, labels}}, nil
}

// readLabels reads one label map or a list of them.
func readLabels(data []byte, file string) ([]namedLabels, error) {
	var list []map[string]string
	if data = bytes.TrimSpace(data); bytes.HasPrefix(data, []byte("{")) {
		data = slices.Concat([]byte("["), data, []byte("]"))
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("%s: expected a JSON object of labels, or a list of such: %w", file, err)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s has no nodes", file)
	}
	var out []namedLabels
	for i, labels := range list {
		name := labels["kubernetes.io/hostname"]
		for _, other := range []string{labels[compat.LabelInstanceType], fmt.Sprintf("row %d", i+1)} {
			if name == "" {
				name = other
			}
		}
		out = append(out, namedLabels{name, labels})
	}
	return out, nil
}

// anyCluster is the cluster of a kubeconfig, or the lab's.
func (a app) anyCluster(ctx context.Context, kubeconfig string) (*kube.Cluster, error) {
	if kubeconfig != "" {
		return kube.Connect(kubeconfig)
	}
	l, _, err := a.Existing(ctx)
	if err != nil {
		return nil, step.Try(err, "name a cluster with --kubeconfig")
	}
	return l.Provider.Connect(ctx)
}

// judge holds a node against the artifact.
func judge(a *artifact.Artifact, n namedLabels) (verdict, error) {
	v := verdict{Node: n.name}
	if a.Features != nil {
		if best, ok := a.Features.Best(n.labels); ok {
			v.Fits, v.Image = true, best.Tag
		}
		for i := range a.Features.Entries {
			v.Rules = append(v.Rules, a.Features.Entries[i].Check(n.labels)...)
		}
		return v, nil
	}
	published, err := predict.BuiltIn()
	if err != nil {
		return v, err
	}
	models := map[string]*predict.Model{}
	for _, m := range published {
		models[m.Name] = m
	}
	for name, m := range a.Scorers {
		models[name] = m
	}
	v.Fits = true
	for _, tag := range a.Models.Tags() {
		m, _ := a.Models.Find(tag)
		mv := modelVerdict{Tag: tag, Image: m.Platforms[n.labels[compat.LabelArch]]}
		if mv.Image == "" {
			mv.Reasons = append(mv.Reasons, fmt.Sprintf("no image for architecture %q", n.labels[compat.LabelArch]))
		}
		switch scorer := models[m.Name]; {
		case m.Direction == compat.DrawRandom:
		case scorer == nil:
			mv.Reasons = append(mv.Reasons, "no formula for model "+m.Name)
		default:
			mv.Reasons = append(mv.Reasons, scorer.OutOfDomain(n.labels)...)
		}
		mv.Fits = len(mv.Reasons) == 0
		v.Fits = v.Fits && mv.Fits
		v.Models = append(v.Models, mv)
	}
	return v, nil
}

func verdictTable(w io.Writer, verdicts []verdict) error {
	for i, v := range verdicts {
		if i > 0 {
			fmt.Fprintln(w)
		}
		switch {
		case v.Fits && v.Image != "":
			fmt.Fprintf(w, "%s: fits, image %s\n", v.Node, v.Image)
		case v.Fits:
			fmt.Fprintf(w, "%s: fits\n", v.Node)
		default:
			fmt.Fprintf(w, "%s: does not fit\n", v.Node)
		}
		var rows [][]string
		header := []string{"", "IMAGE", "RULE", "LABEL", "WANTS", "HAS"}
		for _, r := range v.Rules {
			rule, has := r.Rule, r.Have
			if r.Group > 0 {
				rule = strings.TrimSpace(fmt.Sprintf("%s any %d", rule, r.Group))
			}
			if !r.Present {
				has = "(no such label)"
			}
			rows = append(rows, []string{tick(r.OK), r.Tag, rule, r.Label, strings.TrimSpace(string(r.Op) + " " + strings.Join(r.Values, ", ")), has})
		}
		if v.Models != nil {
			header = []string{"", "TAG", "IMAGE", "WHY NOT"}
			for _, m := range v.Models {
				rows = append(rows, []string{tick(m.Fits), m.Tag, m.Image, few(m.Reasons)})
			}
		}
		if err := ui.Table(w, header, rows); err != nil {
			return err
		}
	}
	return nil
}

// few keeps a table's line readable; the JSON form has all reasons.
func few(reasons []string) string {
	if len(reasons) > 2 {
		reasons = append(reasons[:2:2], fmt.Sprintf("%d more", len(reasons)-2))
	}
	return strings.Join(reasons, "; ")
}

func tick(ok bool) string {
	if ok {
		return "ok"
	}
	return "NO"
}
