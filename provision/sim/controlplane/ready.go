package controlplane

import (
	"context"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/compspec/ocifit-lab/provision/wait"
)

// pauses are short because the one who waits is alone with the server, and grow because on a busy machine each question costs the
// start some of its time.
var pauses = wait.Backoff{First: 20 * time.Millisecond, Longest: 100 * time.Millisecond}

func (c *ControlPlane) awaitReady(ctx context.Context) error {
	client, err := kubernetes.NewForConfig(c.config)
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	return c.poll(ctx, "wait for the API server", func() (bool, string) {
		body, err := client.RESTClient().Get().AbsPath("/readyz").Param("verbose", "true").DoRaw(ctx)
		if err == nil {
			return true, ""
		}
		if failing := failedChecks(string(body)); failing != "" {
			return false, failing
		}
		return false, err.Error()
	})
}

// awaitServiceAccount waits for what a first pod needs: the default service account, made by the controller manager.
func (c *ControlPlane) awaitServiceAccount(ctx context.Context) error {
	client, err := kubernetes.NewForConfig(c.config)
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	return c.poll(ctx, "wait for the controllers", func() (bool, string) {
		_, err := client.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return false, "no default service account yet"
		}
		if err != nil {
			return false, err.Error()
		}
		return true, ""
	})
}

// poll asks until it is so, a component fails or the context ends; the error tells what was last seen.
func (c *ControlPlane) poll(ctx context.Context, what string, ask func() (bool, string)) error {
	return wait.Until(ctx, what, pauses, func(context.Context) (bool, string, error) {
		select {
		case err := <-c.failed:
			return false, "", err
		default:
		}
		ok, seen := ask()
		return ok, seen, nil
	})
}

func failedChecks(body string) string {
	var failing []string
	for line := range strings.Lines(body) {
		if name, ok := strings.CutPrefix(line, "[-]"); ok {
			failing = append(failing, strings.TrimSpace(name))
		}
	}
	return strings.Join(failing, "; ")
}

// awaitHooks waits until the slow hooks have done their work.
func (c *ControlPlane) awaitHooks(ctx context.Context) error {
	done := make(chan error, 1)
	go func() { done <- c.hooks.Wait() }()
	select {
	case err := <-done:
		return err
	case err := <-c.failed:
		return err
	case <-ctx.Done():
		return fmt.Errorf("the API server has not made its roles and priorities yet: %w", ctx.Err())
	}
}
