package cli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/compspec/ocifit-lab/cmd/assembly"
	"github.com/compspec/ocifit-lab/cmd/ui"
	"github.com/compspec/ocifit-lab/provision/chart"
	"github.com/compspec/ocifit-lab/webhook/compat"
)

func (a *app) bundleCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "bundle", Short: "Carry charts, manifests and images to a place without a network"}
	cmd.AddCommand(a.bundleCreateCmd(), a.bundleImagesCmd())
	return cmd
}

type bundleOptions struct {
	flags     componentFlags
	out       string
	plainHTTP []string
	noImages  bool
}

func (a *app) bundleCreateCmd() *cobra.Command {
	var o bundleOptions
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Write what a lab installs into one file, for `up --bundle FILE`",
		Long: `create writes the charts and manifests that the lab would install, and every image that they and the study need, into
one tar file with an OCI layout. Everything is stored by digest. Where the pins name no digest, the bundle fixes it.`,
		Example: "  ocifit-lab bundle create --file lab.tar\n  ocifit-lab up --local --bundle lab.tar",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.createBundle(cmd.Context(), o) },
	}
	cmd.Flags().StringVar(&o.out, "file", "lab.tar", "the bundle")
	cmd.Flags().BoolVar(&o.noImages, "no-images", false, "charts and manifests only")
	cmd.Flags().StringSliceVar(&o.plainHTTP, "plain-http", nil, "hosts (host:port) that are spoken to without TLS")
	o.flags.add(cmd)
	return cmd
}

func (a *app) bundleImagesCmd() *cobra.Command {
	var flags componentFlags
	cmd := &cobra.Command{
		Use:   "images",
		Short: "List every image that the lab needs, with its digest where it is known",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			spec, err := a.Spec()
			if err != nil {
				return err
			}
			if err := flags.apply(spec); err != nil {
				return err
			}
			l, err := a.Assemble(cmd.Context(), spec)
			if err != nil {
				return err
			}
			list, err := labImages(cmd.Context(), l)
			if err != nil {
				return err
			}
			return a.Print(list, func(w io.Writer) error { return imageTable(w, list) })
		},
	}
	flags.add(cmd)
	return cmd
}

// imageEntry is an image that a lab needs.
type imageEntry struct {
	For    string `json:"for"`
	Image  string `json:"image"`
	Digest string `json:"digest"`
}

// labImages lists images by what needs them. A bundle in the spec knows their digests.
func labImages(ctx context.Context, l *assembly.Lab) ([]imageEntry, error) {
	spec := l.Spec
	known := map[string]string{}
	if file := spec.Components.Bundle; file != "" {
		b, err := chart.OpenBundle(ctx, file)
		if err != nil {
			return nil, err
		}
		for _, e := range b.Entries() {
			if e.Image {
				known[e.Name] = e.Digest
			}
		}
	}
	list, err := l.Components()
	if err != nil {
		return nil, err
	}
	var out []imageEntry
	for _, pins := range list {
		for _, i := range pins.ImagesFor("") {
			out = append(out, imageEntry{pins.Name, i.Ref, orText(i.Digest, known[i.Ref])})
		}
	}
	for _, arch := range slices.Sorted(maps.Keys(spec.Artifact.Images)) {
		ref := spec.Artifact.Images[arch]
		out = append(out, imageEntry{"study, " + arch, ref, known[ref]}, imageEntry{"flux, " + arch, compat.FluxViewImage(arch), known[compat.FluxViewImage(arch)]})
	}
	return out, nil
}

func imageTable(w io.Writer, list []imageEntry) error {
	var rows [][]string
	for _, e := range list {
		rows = append(rows, []string{e.For, e.Image, orText(e.Digest, "not known here")})
	}
	return ui.Table(w, []string{"FOR", "IMAGE", "DIGEST"}, rows)
}

func (a *app) createBundle(ctx context.Context, o bundleOptions) error {
	spec, err := a.Spec()
	if err != nil {
		return err
	}
	if err := o.flags.apply(spec); err != nil {
		return err
	}
	l, err := a.Assemble(ctx, spec)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "ocifit-bundle-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	w, err := chart.NewWriter(dir)
	if err != nil {
		return err
	}
	from := assembly.Sources(spec)
	from.BundleFile, from.PlainHTTP = "", o.plainHTTP
	if err := a.bundleCharts(ctx, w, l, from); err != nil {
		return err
	}
	if !o.noImages {
		from.Mirrors = spec.Components.RegistryMirrors
		list, err := labImages(ctx, l)
		if err != nil {
			return err
		}
		done := map[string]bool{}
		for i := range list {
			if done[list[i].Image] {
				continue
			}
			done[list[i].Image] = true
			a.Say("image %s", list[i].Image)
			if list[i].Digest, err = w.AddImage(ctx, list[i].Image, list[i].Digest, from); err != nil {
				return err
			}
		}
	}
	if err := w.Save(o.out); err != nil {
		return err
	}
	b, err := chart.OpenBundle(ctx, o.out)
	if err != nil {
		return err
	}
	return a.Print(b.Entries(), func(out io.Writer) error { return entryTable(out, o.out, b.Entries()) })
}

func (a *app) bundleCharts(ctx context.Context, w *chart.Writer, l *assembly.Lab, from chart.Options) error {
	list, err := l.Components()
	if err != nil {
		return err
	}
	for _, pins := range list {
		ref := chart.Ref{Location: pins.Chart, Version: pins.Version, Digest: pins.Digest}
		a.Say("%s %s from %s", pins.Name, pins.Version, pins.Chart)
		content, err := chart.Fetch(ctx, ref, from)
		if err != nil {
			return fmt.Errorf("%s: %w", pins.Name, err)
		}
		if err := w.AddChart(ctx, ref, content); err != nil {
			return err
		}
	}
	return nil
}

func entryTable(w io.Writer, file string, entries []chart.Entry) error {
	var rows [][]string
	for _, e := range entries {
		what := "chart"
		if e.Image {
			what = "image"
		}
		rows = append(rows, []string{what, e.Name, e.Version, e.Digest})
	}
	if err := ui.Table(w, []string{"WHAT", "NAME", "VERSION", "DIGEST"}, rows); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\nwrote %s; next: ocifit-lab up --local --bundle %s\n", file, file)
	return err
}

func orText(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}
