package artifact

import (
	"context"
	"fmt"
	"os"

	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
)

// DockerCredentials finds credentials where docker keeps them: the config.json in DOCKER_CONFIG or ~/.docker, and the
// credential helpers that it names. The file is read for every question, so that a new secret counts at once; a
// user without a home has no credentials.
func DockerCredentials() auth.CredentialFunc {
	return func(ctx context.Context, host string) (auth.Credential, error) {
		if _, err := os.UserHomeDir(); err != nil && os.Getenv("DOCKER_CONFIG") == "" {
			return auth.EmptyCredential, nil
		}
		store, err := credentials.NewStoreFromDocker(credentials.StoreOptions{})
		if err != nil {
			return auth.EmptyCredential, fmt.Errorf("docker's config.json: %w", err)
		}
		cred, err := credentials.Credential(store)(ctx, host)
		if err != nil {
			return auth.EmptyCredential, fmt.Errorf("credentials for %s: %w", host, err)
		}
		return cred, nil
	}
}
