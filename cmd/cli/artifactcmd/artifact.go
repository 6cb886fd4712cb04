// Package artifactcmd is the commands about compatibility artifacts.
package artifactcmd

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/compspec/ocifit-lab/addons/compatibility"
	"github.com/compspec/ocifit-lab/cmd/cli/command"
	"github.com/compspec/ocifit-lab/cmd/cli/modelcmd"
	"github.com/compspec/ocifit-lab/cmd/ui"
	"github.com/compspec/ocifit-lab/provision/atomicfile"
	"github.com/compspec/ocifit-lab/webhook/artifact"
	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/predict"
)

// app is what the commands of this package share.
type app struct{ *command.App }

// Artifact is the command artifact.
func Artifact(shared *command.App) *cobra.Command {
	a := app{shared}
	cmd := &cobra.Command{
		Use:   "artifact",
		Short: "Build, push, pull, read, compare and check compatibility artifacts",
		Long: `A reference is registry/repository:tag or registry/repository@sha256:..., or a folder with an OCI layout:
oci:FOLDER:TAG. Without a reference the lab's own artifact is meant. Credentials are those of docker's config.json and its
credential helpers; for Amazon's registries also those of AWS.`,
	}
	cmd.AddCommand(a.buildCmd(), a.pushCmd(), a.pullCmd(), a.inspectCmd(), a.diffCmd(), a.validateCmd())
	return cmd
}

func (a app) buildCmd() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "build [--file FILE]",
		Short: "Write the study's artifact as JSON",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			spec, err := a.Spec()
			if err != nil {
				return err
			}
			bundle, err := compatibility.Build(spec.Artifact.Images, spec.Artifact.Models)
			if err != nil {
				return err
			}
			if file == "" {
				_, err = a.Out.Write(bundle.Data)
				return err
			}
			return atomicfile.Output(file, bundle.Data, 0o644)
		},
	}
	cmd.Flags().StringVar(&file, "file", "", "file to write (default: stdout)")
	return cmd
}

func (a app) pushCmd() *cobra.Command {
	var file, mediaType string
	var models []string
	var plainHTTP bool
	cmd := &cobra.Command{
		Use:   "push [REFERENCE]",
		Short: "Push an artifact: the study's, or one from a file",
		Example: `  ocifit-lab artifact push
  ocifit-lab artifact push ghcr.io/you/compatibility:v1 --file artifact.json --model speed.json
  ocifit-lab artifact push oci:./layout:v1 --file compatibility-spec.yaml`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			target, err := a.target(cmd.Context(), args, plainHTTP)
			if err != nil {
				return err
			}
			bundle, err := a.bundle(file, mediaType, models)
			if err != nil {
				return err
			}
			digest, err := artifact.PushBundle(cmd.Context(), target.Ref, bundle, command.RegistryOptions(target))
			if err != nil {
				return err
			}
			result := map[string]string{"reference": target.Ref, "digest": digest, "mediaType": bundle.MediaType}
			return a.Print(result, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "pushed %s@%s\n", target.Ref, digest)
				return err
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&file, "file", "", "artifact to push (default: the study's)")
	f.StringVar(&mediaType, "media-type", "", "media type of the artifact (default: by its content)")
	f.StringArrayVar(&models, "model", nil, "model file to put in as a layer of its own, as written by models import; may be repeated")
	f.BoolVar(&plainHTTP, "plain-http", false, "speak to the registry without TLS")
	_ = cmd.RegisterFlagCompletionFunc("media-type", command.Words(compat.MediaTypeModels, compat.MediaTypeFeatures, compat.MediaTypeNFD))
	return cmd
}

// bundle reads what is to be pushed. A model of a name that the program has takes the place of that one.
func (a app) bundle(file, mediaType string, models []string) (artifact.Bundle, error) {
	layers := make([][]byte, len(models))
	for i, m := range models {
		var err error
		if layers[i], err = os.ReadFile(m); err != nil {
			return artifact.Bundle{}, err
		}
	}
	if file == "" {
		return a.studyBundle(mediaType, models, layers)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return artifact.Bundle{}, err
	}
	if mediaType == "" {
		mediaType = mediaTypeOf(data)
	}
	return artifact.Bundle{MediaType: mediaType, Data: data, Models: layers}, nil
}

// studyBundle is the lab's artifact with further models.
func (a app) studyBundle(mediaType string, files []string, layers [][]byte) (artifact.Bundle, error) {
	spec, err := a.Spec()
	if err != nil {
		return artifact.Bundle{}, err
	}
	own, instead := spec.Artifact.Models, [][]byte{}
	for i, file := range files {
		m, err := predict.DecodeModel(layers[i])
		if err != nil {
			return artifact.Bundle{}, fmt.Errorf("%s: %w", file, err)
		}
		if slices.Contains(modelcmd.Names(), m.Name) {
			instead = append(instead, layers[i])
		} else {
			own = append(own[:len(own):len(own)], file)
		}
	}
	b, err := compatibility.Build(spec.Artifact.Images, own)
	b.Models = append(b.Models, instead...)
	b.MediaType = cmp.Or(mediaType, b.MediaType)
	return b, err
}

// mediaTypeOf tells a feature specification from a model artifact by what its entries match; YAML is NFD's.
func mediaTypeOf(data []byte) string {
	if !json.Valid(data) {
		return compat.MediaTypeNFD
	}
	if _, err := compat.DecodeFeatures(data); err == nil {
		return compat.MediaTypeFeatures
	}
	return compat.MediaTypeModels
}

// target is the given reference, or the lab's own artifact.
func (a app) target(ctx context.Context, args []string, plainHTTP bool) (compatibility.Target, error) {
	if len(args) == 0 {
		l, _, err := a.Existing(ctx)
		if err != nil {
			return compatibility.Target{}, err
		}
		return l.ArtifactTarget(ctx)
	}
	target := compatibility.Target{Ref: args[0]}
	host, _, _ := strings.Cut(args[0], "/")
	if plainHTTP || artifact.PlainLoopback(ctx, host) {
		target.PlainHTTP = []string{host}
	}
	// The lab's registry by its address; a lab that does not run has none.
	if own, err := a.LabRegistry(ctx); err == nil && slices.Contains(own.PlainHTTP, host) {
		target.PlainHTTP, target.Credential = own.PlainHTTP, own.Credential
	}
	return target, nil
}

func (a app) pullCmd() *cobra.Command {
	var dir string
	var plainHTTP bool
	cmd := &cobra.Command{
		Use:   "pull [REFERENCE] [--dir FOLDER]",
		Short: "Fetch an artifact: its specification to stdout, or all its layers into a folder",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			target, err := a.target(cmd.Context(), args, plainHTTP)
			if err != nil {
				return err
			}
			c, err := artifact.Pull(cmd.Context(), target.Ref, command.RegistryOptions(target))
			if err != nil {
				return err
			}
			if dir == "" {
				_, err = a.Out.Write(c.Data)
				return err
			}
			files, err := unpack(c, dir)
			if err != nil {
				return err
			}
			result := map[string]any{"reference": c.Reference, "digest": c.Digest, "mediaType": c.MediaType, "files": files}
			return a.Print(result, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "%s@%s\n%s\n", c.Reference, c.Digest, strings.Join(files, "\n"))
				return err
			})
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "folder to write to")
	cmd.Flags().BoolVar(&plainHTTP, "plain-http", false, "speak to the registry without TLS")
	return cmd
}

// unpack writes an artifact's layers. Their names come from the content that was checked, not from the registry.
func unpack(c *artifact.Content, dir string) ([]string, error) {
	decoded, err := artifact.Decode(c)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	name := map[string]string{
		compat.MediaTypeModels: "compatibility-artifact.json", compat.MediaTypeFeatures: "compatibility-spec.json", compat.MediaTypeNFD: "compatibility-spec.yaml",
	}[c.MediaType]
	files := []string{filepath.Join(dir, name)}
	if err := atomicfile.Write(files[0], c.Data, 0o644); err != nil {
		return nil, err
	}
	for i, data := range c.Models {
		file := filepath.Join(dir, fmt.Sprintf("model-%d.json", i+1))
		if len(decoded.Scorers) == 1 {
			file = filepath.Join(dir, "model.json")
		}
		if err := atomicfile.Output(file, data, 0o644); err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	return files, nil
}

func (a app) inspectCmd() *cobra.Command {
	var plainHTTP bool
	cmd := &cobra.Command{
		Use:   "inspect [REFERENCE]",
		Short: "Show what an artifact holds (default: the lab's)",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			target, err := a.target(cmd.Context(), args, plainHTTP)
			if err != nil {
				return err
			}
			summary, err := artifact.Inspect(cmd.Context(), target.Ref, command.RegistryOptions(target))
			if err != nil {
				return err
			}
			return a.Print(summary, func(w io.Writer) error { return inspectTable(w, summary) })
		},
	}
	cmd.Flags().BoolVar(&plainHTTP, "plain-http", false, "speak to the registry without TLS")
	return cmd
}

func inspectTable(w io.Writer, s *artifact.Summary) error {
	fmt.Fprintf(w, "reference   %s\ndigest      %s\nmedia type  %s\nsize        %s\n", s.Reference, s.Digest, s.MediaType, ui.Bytes(int64(s.Size)))
	if s.Subject != "" {
		fmt.Fprintf(w, "attached to %s\n", s.Subject)
	}
	fmt.Fprintln(w)
	var rows [][]string
	for _, m := range s.Models {
		rows = append(rows, []string{m.Tag, m.Model, string(m.Direction), m.Platforms["amd64"], m.Platforms["arm64"]})
	}
	if len(rows) > 0 {
		if err := ui.Table(w, []string{"TAG", "MODEL", "DIRECTION", "AMD64", "ARM64"}, rows); err != nil {
			return err
		}
	}
	if len(s.Formulas) > 0 {
		rows = nil
		for _, f := range s.Formulas {
			rows = append(rows, []string{f.Model, string(f.Direction), fmt.Sprint(f.Labels), fmt.Sprint(f.Terms)})
		}
		fmt.Fprintln(w)
		if err := ui.Table(w, []string{"MODEL LAYER", "DIRECTION", "LABELS", "TERMS"}, rows); err != nil {
			return err
		}
	}
	if len(s.Features) == 0 {
		return nil
	}
	rows = nil
	for _, f := range s.Features {
		rows = append(rows, []string{f.Image, fmt.Sprint(f.Weight), fmt.Sprint(f.Rules), f.Description})
	}
	return ui.Table(w, []string{"IMAGE", "WEIGHT", "RULES", "DESCRIPTION"}, rows)
}
