package assembly

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/compspec/ocifit-lab/addons"
	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/kube"
	"github.com/compspec/ocifit-lab/provision/step"
	"github.com/compspec/ocifit-lab/templates"
	oci "github.com/compspec/ocifit-lab/webhook/artifact"
	"github.com/compspec/ocifit-lab/webhook/image"
)

const programImageAddon = "lab-image"

// programImage is the image of this program as the cluster names it.
func (l *Lab) programImage(ctx context.Context) (string, error) {
	own, err := l.ownImage()
	switch {
	case err != nil:
		return "", err
	case own != nil:
		return own.ref(ctx)
	case l.Spec.EKS.WebhookImage != "":
		return l.Spec.EKS.WebhookImage, nil
	}
	p, ok := l.Provider.(provision.ProgramImager)
	if !ok {
		return "", fmt.Errorf("provider %s has no image of this program", l.Spec.Provider)
	}
	return p.ProgramImage()
}

// ownImage is the image that the lab makes of this program for a cluster that pulls from a registry outside of it; nil where the provider makes
// it, or lab.yaml names one.
func (l *Lab) ownImage() (*pushedImage, error) {
	r, ok := l.Provider.(provision.ImageRegistry)
	if !ok || l.Spec.EKS.WebhookImage != "" {
		return nil, nil
	}
	program, err := inCluster(l.Spec)
	return &pushedImage{registry: r, program: program, version: l.program}, err
}

// pushedImage is the addon that pushes an image of this program. Its tag is the program's own hash: another program is another image.
type pushedImage struct {
	registry provision.ImageRegistry
	program  string // its file
	version  string
}

// Name implements addons.Addon.
func (*pushedImage) Name() string { return programImageAddon }

// Needs implements addons.Addon.
func (*pushedImage) Needs() []string { return nil }

// Requires implements addons.Addon.
func (*pushedImage) Requires() addons.Requirements { return addons.Requirements{} }

// Plan implements addons.Addon.
func (i *pushedImage) Plan() string {
	return "make an image of this program and push it to the account's registry as " + i.repository()
}

func (i *pushedImage) repository() string {
	return i.registry.RepositoryName(provision.ImageRepository)
}

// Install implements addons.Addon.
func (i *pushedImage) Install(ctx context.Context, _ *kube.Cluster, log step.Log) error {
	tag, err := hashOf(i.program)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "ocifit-lab-image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	log("making the image")
	img, err := image.Build(ctx, dir, ImageOptions(i.version, i.program))
	if err != nil {
		return step.Try(err, "build a static binary with CGO_ENABLED=0, or name an image with --webhook-image")
	}
	repo, err := i.registry.Repository(ctx, i.repository())
	if err != nil {
		return err
	}
	host := registryOf(repo.Reference)
	to := image.Registry{Credential: loginTo(host, repo)}
	if repo.PlainHTTP {
		to.PlainHTTP = []string{host}
	}
	log("pushing %s:%s", repo.Reference, tag)
	_, err = img.Push(ctx, repo.Reference+":"+tag, to)
	return err
}

// Ready implements addons.Addon.
func (i *pushedImage) Ready(ctx context.Context, _ *kube.Cluster) error {
	repo, tag, err := i.find(ctx)
	if err != nil {
		return err
	}
	host := registryOf(repo.Reference)
	options := oci.Options{Credential: loginTo(host, repo)}
	if repo.PlainHTTP {
		options.PlainHTTP = []string{host}
	}
	_, err = oci.Digest(ctx, repo.Reference+":"+tag, options)
	return err
}

// Remove implements addons.Addon. The image goes with its repository, and that with the lab.
func (*pushedImage) Remove(context.Context, *kube.Cluster, step.Log) error { return nil }

func (i *pushedImage) find(ctx context.Context) (repo provision.Repository, tag string, err error) {
	if repo, err = i.registry.FindRepository(ctx, i.repository()); err != nil {
		return repo, "", err
	}
	if repo.Reference == "" {
		return repo, "", errors.New("the account's registry has no image of this program")
	}
	tag, err = hashOf(i.program)
	return repo, tag, err
}

// ref is how the cluster names the image.
func (i *pushedImage) ref(ctx context.Context) (string, error) {
	repo, tag, err := i.find(ctx)
	return repo.Reference + ":" + tag, err
}

// ImageOptions say what an image of this program is like.
func ImageOptions(version string, binaries ...string) image.Options {
	return image.Options{
		Binaries: binaries, Name: "ocifit-lab", Cmd: []string{"webhook", "serve"},
		Labels: map[string]string{"org.opencontainers.image.title": "ocifit-lab", "org.opencontainers.image.version": version},
	}
}

// CheckProgramImage refuses a program of which no image can be made for the sticky nodes, before anything costs money.
func (l *Lab) CheckProgramImage() error {
	for _, a := range l.Addons {
		own, ok := a.(*pushedImage)
		if !ok {
			continue
		}
		const try = "build ocifit-lab for the sticky nodes with CGO_ENABLED=0, or name an image of it with --webhook-image"
		platform, err := image.Inspect(own.program)
		if err != nil {
			return step.Try(fmt.Errorf("this program cannot run in the cluster: %w", err), try)
		}
		sticky, _ := l.Spec.Sticky()
		for _, t := range templates.InstanceTypes() {
			if t.Name == sticky.InstanceType && t.Architecture != platform.Architecture {
				return step.Try(fmt.Errorf("this program is for %s, and the sticky nodes (%s) are %s", platform.Architecture, t.Name, t.Architecture), try)
			}
		}
	}
	return nil
}

func hashOf(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read %s: %w", file, err)
	}
	return hex.EncodeToString(h.Sum(nil))[:24], nil
}
