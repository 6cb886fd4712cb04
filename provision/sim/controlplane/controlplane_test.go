package controlplane

import (
	"context"
	"os"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
)

// TestStartStop is the only test that starts a control plane: a process can have one.
func TestStartStop(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	dir := t.TempDir()
	log, err := os.Create(dir + "/log")
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	begin := time.Now()
	cp, err := Start(ctx, Options{Dir: dir, Log: log})
	if err != nil {
		data, _ := os.ReadFile(log.Name())
		t.Fatalf("%v\n%s", err, data)
	}
	t.Logf("ready after %s", time.Since(begin))
	client := kubernetes.NewForConfigOrDie(cp.RESTConfig())
	version, err := client.Discovery().ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	if version.GitVersion != Version {
		t.Errorf("server says version %q, want %q", version.GitVersion, Version)
	}
	if info, err := os.Stat(cp.Kubeconfig()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("kubeconfig: %v, %v; want mode 0600", info, err)
	}
	begin = time.Now()
	if err := cp.Stop(ctx); err != nil {
		t.Error(err)
	}
	t.Logf("stopped after %s", time.Since(begin))
	if err := cp.Wait(); err != nil {
		t.Errorf("Wait after Stop: %v", err)
	}
}
