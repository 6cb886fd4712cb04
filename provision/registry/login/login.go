// Package login keeps the credentials of a lab's own registry, for the one who serves it and those who ask it.
package login

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"strings"

	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/compspec/ocifit-lab/provision/atomicfile"
)

// User is the one user of a lab's registry.
const User = "ocifit-lab"

// Login opens a registry. The zero value stands for a registry that asks nobody.
type Login struct {
	Password string
	// File holds the password, readable by the lab's owner alone.
	File string
}

// Load reads the password from a file, or draws one and writes it there.
func Load(file string) (Login, error) {
	data, err := os.ReadFile(file)
	if err == nil {
		password := strings.TrimSpace(string(data))
		if password == "" {
			return Login{}, fmt.Errorf("password of the lab's registry: %s is empty; remove it and run `ocifit-lab up`", file)
		}
		return Login{Password: password, File: file}, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return Login{}, fmt.Errorf("password of the lab's registry: %w", err)
	}
	l := Login{Password: rand.Text(), File: file}
	return l, atomicfile.Write(file, []byte(l.Password+"\n"), 0o600)
}

// Credential answers registry clients that ask for the credentials of host; others leaves to next, which may be nil.
func (l Login) Credential(host string, next auth.CredentialFunc) auth.CredentialFunc {
	return func(ctx context.Context, asked string) (auth.Credential, error) {
		switch {
		case l.Password != "" && asked == host:
			return auth.Credential{Username: User, Password: l.Password}, nil
		case next != nil:
			return next(ctx, asked)
		}
		return auth.EmptyCredential, nil
	}
}

// Commands are what a user types to let oras and helm in, empty for a registry that asks nobody.
func (l Login) Commands(host string) (oras, helm string) {
	if l.Password == "" {
		return "", ""
	}
	from := " --password-stdin < '" + strings.ReplaceAll(l.File, "'", `'\''`) + "'"
	return "oras login " + host + " --plain-http --username " + User + from, "helm registry login " + host + " --plain-http --username " + User + from
}

// Guard asks for the login before next answers. With readable set, reading needs none.
func (l Login) Guard(next http.Handler, readable bool) http.Handler {
	if l.Password == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reads := r.Method == http.MethodGet || r.Method == http.MethodHead
		user, password, _ := r.BasicAuth()
		if reads && readable || user == User && subtle.ConstantTimeCompare([]byte(password), []byte(l.Password)) == 1 {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="ocifit-lab"`)
		w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"errors":[{"code":"UNAUTHORIZED","message":"log in with the lab's credentials: see ocifit-lab status"}]}` + "\n"))
	})
}
