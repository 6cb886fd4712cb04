package command

import (
	"context"
	"errors"

	"github.com/compspec/ocifit-lab/addons/compatibility"
	"github.com/compspec/ocifit-lab/provision/labstate"
	"github.com/compspec/ocifit-lab/webhook/artifact"
	"github.com/compspec/ocifit-lab/webhook/artifact/ecr"
)

// RegistryOptions are how the command line reaches registries and layout folders.
func RegistryOptions(target compatibility.Target) artifact.Options {
	credential := target.Credential
	if credential == nil {
		credential = new(ecr.Source).Credential(artifact.DockerCredentials())
	}
	return artifact.Options{PlainHTTP: target.PlainHTTP, Credential: credential, Layouts: true}
}

// LabRegistry is how the lab's own artifact is reached; without a lab it names nothing.
func (a *App) LabRegistry(ctx context.Context) (compatibility.Target, error) {
	l, _, err := a.Existing(ctx)
	if errors.Is(err, labstate.ErrNoLab) {
		return compatibility.Target{}, nil
	}
	if err != nil {
		return compatibility.Target{}, err
	}
	return l.ArtifactTarget(ctx)
}
