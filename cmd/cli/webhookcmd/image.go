package webhookcmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/compspec/ocifit-lab/cmd/assembly"
	"github.com/compspec/ocifit-lab/cmd/ui"
	"github.com/compspec/ocifit-lab/provision/step"
	"github.com/compspec/ocifit-lab/webhook/artifact"
	"github.com/compspec/ocifit-lab/webhook/artifact/ecr"
	"github.com/compspec/ocifit-lab/webhook/image"
)

type imageOptions struct {
	push, output, name, certificates string
	binaries                         []string
	plainHTTP                        bool
}

func (a app) imageCmd() *cobra.Command {
	var o imageOptions
	cmd := &cobra.Command{
		Use:   "image --push REFERENCE | --output image.tar",
		Short: "Build the webhook's container image from this binary, without a container engine",
		Long: `image puts the small program ocifit-webhook that stands beside this one, or this one, or binaries given for several architectures, into an image that has nothing else but the trusted
authorities of this machine and runs as nobody. Binaries must be static (CGO_ENABLED=0). The archive is what docker load, ctr
image import and kind load image-archive take. Equal binaries give equal digests.`,
		Example: `  ocifit-lab webhook image --push ghcr.io/you/ocifit-lab:v1
  ocifit-lab webhook image --output image.tar --name ocifit-lab:dev
  ocifit-lab webhook image --binary bin/amd64/ocifit-lab --binary bin/arm64/ocifit-lab --push ghcr.io/you/ocifit-lab:v1`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.image(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.push, "push", "", "reference to push to")
	f.StringVar(&o.output, "output", "", "archive to write")
	f.StringVar(&o.name, "name", "", "name of the image inside the archive (default: that of --push, or ocifit-lab:latest)")
	f.StringArrayVar(&o.binaries, "binary", nil, "static Linux binary; one per architecture (default: ocifit-webhook beside this program, or this program)")
	f.StringVar(&o.certificates, "certificates", "", "PEM file with the trusted authorities (default: this machine's)")
	f.BoolVar(&o.plainHTTP, "plain-http", false, "speak to the registry without TLS")
	cmd.MarkFlagsOneRequired("push", "output")
	return cmd
}

func (a app) image(ctx context.Context, o imageOptions) error {
	if len(o.binaries) == 0 {
		self, err := os.Executable()
		if err != nil {
			return step.Try(err, "name the binary with --binary")
		}
		o.binaries = []string{assembly.WebhookProgram(self)}
	}
	dir, err := os.MkdirTemp("", "ocifit-lab-image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	options := assembly.ImageOptions(a.Version, o.binaries...)
	options.Certificates = o.certificates
	img, err := image.Build(ctx, dir, options)
	if err != nil {
		return err
	}
	if err := a.imageOut(ctx, img, o); err != nil {
		return err
	}
	result := map[string]any{"digest": img.Digest, "platforms": img.Platforms, "size": img.Size, "pushed": o.push, "archive": o.output}
	return a.Print(result, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s\n%s, %s compressed\n", img.Digest, strings.Join(img.Platforms, ", "), ui.Bytes(img.Size))
		return err
	})
}

func (a app) imageOut(ctx context.Context, img *image.Image, o imageOptions) error {
	if o.output != "" {
		name := o.name
		if name == "" {
			name = o.push
		}
		if name == "" {
			name = "ocifit-lab:latest"
		}
		if err := img.Archive(ctx, o.output, name); err != nil {
			return err
		}
	}
	if o.push == "" {
		return nil
	}
	reg := image.Registry{Credential: new(ecr.Source).Credential(artifact.DockerCredentials())}
	if host, _, _ := strings.Cut(o.push, "/"); o.plainHTTP || artifact.PlainLoopback(ctx, host) {
		reg.PlainHTTP = []string{host}
	}
	pushed, err := img.Push(ctx, o.push, reg)
	if err == nil && pushed != img.Digest {
		err = errors.New("the registry has another digest than was pushed")
	}
	return err
}
