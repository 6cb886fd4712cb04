package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	addon "github.com/compspec/ocifit-lab/addons/artifact"
	"github.com/compspec/ocifit-lab/cmd/ui"
	"github.com/compspec/ocifit-lab/provision/lab"
	"github.com/compspec/ocifit-lab/webhook/artifact"
	"github.com/compspec/ocifit-lab/webhook/compat"
)

func (a *app) artifactCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "artifact", Short: "Build, push and read compatibility artifacts"}
	cmd.AddCommand(a.artifactBuildCmd(), a.artifactPushCmd(), a.artifactInspectCmd())
	return cmd
}

func (a *app) artifactBuildCmd() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "build [--file FILE]",
		Short: "Write the study's artifact as JSON",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			spec, err := a.spec()
			if err != nil {
				return err
			}
			data, err := addon.Build(spec.Artifact.Images)
			if err != nil {
				return err
			}
			if file == "" {
				_, err = a.Out.Write(data)
				return err
			}
			return lab.WriteFile(file, data, 0o644)
		},
	}
	cmd.Flags().StringVar(&file, "file", "", "file to write (default: stdout)")
	return cmd
}

func (a *app) artifactPushCmd() *cobra.Command {
	var file, mediaType string
	var plainHTTP bool
	cmd := &cobra.Command{
		Use:   "push [REFERENCE]",
		Short: "Push an artifact: the study's, or one from a file",
		Example: `  ocifit-lab artifact push
  ocifit-lab artifact push ghcr.io/you/compatibility:v1 --file artifact.json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			target, err := a.target(cmd.Context(), args, plainHTTP)
			if err != nil {
				return err
			}
			data, err := a.artifactData(file)
			if err != nil {
				return err
			}
			digest, err := artifact.Push(cmd.Context(), target.Ref, data, mediaType, artifact.Options{PlainHTTP: target.PlainHTTP})
			if err != nil {
				return err
			}
			result := map[string]string{"reference": target.Ref, "digest": digest, "mediaType": mediaType}
			return a.print(result, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "pushed %s@%s\n", target.Ref, digest)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&file, "file", "", "artifact to push (default: the study's)")
	cmd.Flags().StringVar(&mediaType, "media-type", compat.MediaTypeModels, "media type of the artifact")
	cmd.Flags().BoolVar(&plainHTTP, "plain-http", false, "speak to the registry without TLS")
	return cmd
}

func (a *app) artifactData(file string) ([]byte, error) {
	if file != "" {
		return os.ReadFile(file)
	}
	spec, err := a.spec()
	if err != nil {
		return nil, err
	}
	return addon.Build(spec.Artifact.Images)
}

// target is the given reference, or the lab's own artifact.
func (a *app) target(ctx context.Context, args []string, plainHTTP bool) (addon.Target, error) {
	if len(args) == 0 {
		setup, _, err := a.existing()
		if err != nil {
			return addon.Target{}, err
		}
		return setup.artifactTarget(ctx)
	}
	target := addon.Target{Ref: args[0]}
	if plainHTTP {
		host, _, _ := strings.Cut(args[0], "/")
		target.PlainHTTP = []string{host}
	}
	return target, nil
}

func (a *app) artifactInspectCmd() *cobra.Command {
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
			summary, err := artifact.Inspect(cmd.Context(), target.Ref, artifact.Options{PlainHTTP: target.PlainHTTP})
			if err != nil {
				return err
			}
			return a.print(summary, func(w io.Writer) error { return inspectTable(w, summary) })
		},
	}
	cmd.Flags().BoolVar(&plainHTTP, "plain-http", false, "speak to the registry without TLS")
	return cmd
}

func inspectTable(w io.Writer, s *artifact.Summary) error {
	fmt.Fprintf(w, "reference   %s\ndigest      %s\nmedia type  %s\nsize        %s\n\n", s.Reference, s.Digest, s.MediaType, ui.Bytes(int64(s.Size)))
	var rows [][]string
	for _, m := range s.Models {
		rows = append(rows, []string{m.Tag, m.Model, string(m.Direction), m.Platforms["amd64"], m.Platforms["arm64"]})
	}
	return ui.Table(w, []string{"TAG", "MODEL", "DIRECTION", "AMD64", "ARM64"}, rows)
}
