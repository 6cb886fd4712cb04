package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/compspec/ocifit-lab/provision/eks"
	"github.com/compspec/ocifit-lab/provision/kube"
	"github.com/compspec/ocifit-lab/provision/step"
	"github.com/compspec/ocifit-lab/templates"
	oci "github.com/compspec/ocifit-lab/webhook/artifact"
	"github.com/compspec/ocifit-lab/webhook/image"
)

const (
	addonImage      = "lab-image"
	imageRepository = "ocifit-lab"
)

// eksImage is the image of this program in the account's registry. Its tag is the program's own hash: another program is another image.
type eksImage struct {
	provider *eks.Provider
	program  string
}

// Name implements addons.Addon.
func (*eksImage) Name() string { return addonImage }

// Needs implements addons.Addon.
func (*eksImage) Needs() []string { return nil }

// Plan implements addons.Addon.
func (i *eksImage) Plan() string {
	return "make an image of this program and push it to the account's registry as " + eksRepository(i.provider, imageRepository)
}

// Install implements addons.Addon.
func (i *eksImage) Install(ctx context.Context, _ *kube.Cluster, log step.Log) error {
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
	img, err := image.Build(ctx, dir, image.Options{
		Binaries: []string{i.program}, Name: "ocifit-lab", Cmd: []string{"webhook", "serve"},
		Labels: map[string]string{"org.opencontainers.image.title": "ocifit-lab", "org.opencontainers.image.version": version},
	})
	if err != nil {
		return step.Try(err, "build a static binary with CGO_ENABLED=0, or name an image with --webhook-image")
	}
	repo, err := i.provider.Repository(ctx, eksRepository(i.provider, imageRepository))
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
func (i *eksImage) Ready(ctx context.Context, _ *kube.Cluster) error {
	repo, err := i.provider.FindRepository(ctx, eksRepository(i.provider, imageRepository))
	if err != nil {
		return err
	}
	tag, err := hashOf(i.program)
	if err != nil {
		return err
	}
	if repo.Reference == "" {
		return errors.New("the account's registry has no image of this program")
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
func (*eksImage) Remove(context.Context, *kube.Cluster, step.Log) error { return nil }

// checkOwnImage refuses a program of which no image can be made for the sticky nodes, before anything costs money.
func (s *setup) checkOwnImage() error {
	for _, a := range s.addons {
		own, ok := a.(*eksImage)
		if !ok {
			continue
		}
		const try = "build ocifit-lab for the sticky nodes with CGO_ENABLED=0, or name an image of it with --webhook-image"
		platform, err := image.Inspect(own.program)
		if err != nil {
			return step.Try(fmt.Errorf("this program cannot run in the cluster: %w", err), try)
		}
		sticky, _ := s.spec.Sticky()
		for _, t := range templates.InstanceTypes() {
			if t.Name == sticky.InstanceType && t.Architecture != platform.Architecture {
				return step.Try(fmt.Errorf("this program is for %s, and the sticky nodes (%s) are %s", platform.Architecture, t.Name, t.Architecture), try)
			}
		}
	}
	return nil
}

// ref is how the cluster names the image.
func (i *eksImage) ref(ctx context.Context) (string, error) {
	repo, err := i.provider.FindRepository(ctx, eksRepository(i.provider, imageRepository))
	if err != nil {
		return "", err
	}
	if repo.Reference == "" {
		return "", errors.New("the account's registry has no image of this program")
	}
	tag, err := hashOf(i.program)
	return repo.Reference + ":" + tag, err
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

// loginTo answers for one registry and no other.
func loginTo(host string, repo eks.Repository) auth.CredentialFunc {
	return func(_ context.Context, asked string) (auth.Credential, error) {
		if asked != host {
			return auth.EmptyCredential, nil
		}
		return auth.Credential{Username: repo.User, Password: repo.Password}, nil
	}
}
