package assembly

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/go-multierror"
	"golang.org/x/sync/errgroup"
	"oras.land/oras-go/v2/errdef"

	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/step"
	oci "github.com/compspec/ocifit-lab/webhook/artifact"
	"github.com/compspec/ocifit-lab/webhook/compat"
)

// checks are what the preflight asks beside the provider's own questions: whether what up brings from elsewhere can be had, before
// anything costs money.
func (l *Lab) checks() []provision.NamedCheck {
	list := []provision.NamedCheck{
		{Name: "charts and manifests", Look: l.reachCharts},
		{Name: "images", Look: l.reachImages, Elsewhere: true}, // the nodes pull, perhaps with rights that this machine has not
	}
	if l.Spec.Artifact.Repository != "" {
		list = append(list, provision.NamedCheck{Name: "artifact repository", Look: l.reachArtifact})
	}
	return list
}

func (l *Lab) reachCharts(ctx context.Context) (string, error) {
	list, err := l.components()
	if err != nil {
		return "", err
	}
	names := make([]string, len(list))
	looks := make([]func() error, len(list))
	for i, c := range list {
		names[i], looks[i] = c.Title(), func() error { return c.Reach(ctx) }
	}
	if err := together(looks); err != nil {
		return "", err
	}
	return "can be fetched: " + strings.Join(names, ", "), nil
}

// reachImages asks for the manifests of all images that the cluster will pull.
func (l *Lab) reachImages(ctx context.Context) (string, error) {
	list, err := l.Components()
	if err != nil {
		return "", err
	}
	var images []string
	for _, c := range list {
		for _, i := range c.ImagesFor("") {
			images = append(images, i.Ref)
		}
	}
	for arch, image := range l.Spec.Artifact.Images {
		images = append(images, image, compat.FluxViewImage(arch))
	}
	slices.Sort(images)
	images = slices.Compact(images)
	options := oci.Options{Credential: oci.DockerCredentials(), Mirrors: l.Spec.Components.RegistryMirrors}
	looks := make([]func() error, len(images))
	for i, image := range images {
		looks[i] = func() error {
			if _, err := oci.Digest(ctx, image, options); err != nil {
				return fmt.Errorf("%s: %s", image, oci.Reason(err))
			}
			return nil
		}
	}
	if err := together(looks); err != nil {
		return "", err
	}
	return fmt.Sprintf("all %d can be pulled from here", len(images)), nil
}

// reachArtifact asks the registry of lab.yaml's artifact for it; that there is none yet is well.
func (l *Lab) reachArtifact(ctx context.Context) (string, error) {
	target, err := l.ArtifactTarget(ctx)
	if err != nil {
		return "", err
	}
	switch _, err := oci.Digest(ctx, target.Ref, target.Options()); {
	case err == nil:
		return target.Ref + " is there and will be written again if it differs", nil
	case errors.Is(err, errdef.ErrNotFound):
		return "the registry answers; " + target.Ref + " will be made", nil
	default:
		return "", step.Try(fmt.Errorf("%s: %s", target.Ref, oci.Reason(err)), "log in (`docker login`, `oras login`), or correct artifact.repository in lab.yaml")
	}
}

// together asks everything at once and gathers what went wrong.
func together(looks []func() error) error {
	found := make([]error, len(looks))
	var group errgroup.Group
	group.SetLimit(8)
	for i, look := range looks {
		group.Go(func() error {
			found[i] = look()
			return nil
		})
	}
	_ = group.Wait() // the errors are in found
	var errs *multierror.Error
	for _, err := range found {
		if err != nil {
			errs = multierror.Append(errs, err)
		}
	}
	return step.Listed(errs)
}
