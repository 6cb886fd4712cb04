package assembly

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/lab"
	"github.com/compspec/ocifit-lab/provision/labstate"
)

// seenProvider is a provider of which only the status matters.
type seenProvider struct {
	provision.Provider
	status provision.Status
	err    error
}

func (seenProvider) Traits() provision.Traits { return provision.Traits{} }

func (p seenProvider) Status(context.Context) (provision.Status, error) { return p.status, p.err }

func sickLab(t *testing.T, p seenProvider) (*Lab, *labstate.State) {
	t.Helper()
	dir, err := labstate.Open(t.TempDir(), "a")
	if err != nil {
		t.Fatal(err)
	}
	state := &labstate.State{Name: "a", Provider: "sim", Ready: true, Steps: map[string]time.Time{}}
	if err := dir.Write(state, lab.Default()); err != nil {
		t.Fatal(err)
	}
	return &Lab{Spec: lab.Default(), Dir: dir, Provider: p}, state
}

func TestDiagnose(t *testing.T) {
	broken := provision.Status{State: provision.Broken, Detail: "the supervisor (process 7) died"}
	for name, c := range map[string]struct {
		provider seenProvider
		spoil    func(*Lab, *labstate.State)
		want     string // in the first finding
		mend     string
	}{
		"broken":  {seenProvider{status: broken}, nil, "the supervisor (process 7) died", "ocifit-lab up"},
		"gone":    {seenProvider{status: provision.Status{State: provision.Absent}}, nil, "the cluster is gone", "ocifit-lab down"},
		"blind":   {seenProvider{err: errors.New("expired token")}, nil, "expired token", "ocifit-lab up"},
		"rebuilt": {seenProvider{status: broken}, func(_ *Lab, s *labstate.State) { s.Rebuilt = "state.json is damaged" }, "state.json is damaged", "ocifit-lab up"},
		"edited":  {seenProvider{status: broken}, func(l *Lab, _ *labstate.State) { l.Edited = []string{"region"} }, "region", "ocifit-lab up"},
	} {
		t.Run(name, func(t *testing.T) {
			l, state := sickLab(t, c.provider)
			if c.spoil != nil {
				c.spoil(l, state)
			}
			found := l.Diagnose(t.Context(), state)
			if len(found) == 0 || !strings.Contains(found[0].What, c.want) || !strings.Contains(found[0].Mend, c.mend) {
				t.Errorf("found %+v", found)
			}
		})
	}
	l, state := sickLab(t, seenProvider{status: broken})
	release, err := l.Dir.Lock()
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if found := l.Diagnose(t.Context(), state); !strings.Contains(found[0].What, "in use by process ") {
		t.Errorf("found %+v", found)
	}
}

func TestLogBundleHoldsNoSecret(t *testing.T) {
	l, state := sickLab(t, seenProvider{status: provision.Status{State: provision.Broken, Detail: "it died"}})
	planted := map[string]string{
		"sim/supervisor.log":       "level=info password: hunter22222\nAuthorization: Basic b2NpZml0OmxhYjpwYXNzd29yZA==\nkey AKIAABCDEFGHIJKLMNOP\nlast line\n",
		"sim/registry.password":    "topsecretpassword\n",
		"sim/controlplane/ca.key":  "-----BEGIN EC PRIVATE KEY-----\nabc\n-----END EC PRIVATE KEY-----\n",
		"kubeconfig":               "client-key-data: c2VjcmV0\n",
		"logs/earlier/kubelet.log": "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nhttp://user:passw0rd@registry/v2/\n",
	}
	for name, text := range planted {
		if err := os.MkdirAll(filepath.Dir(l.Dir.Path(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(l.Dir.Path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file, err := l.SaveLogBundle(t.Context(), state, map[string]string{"ocifit-lab": "v1"})
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	zip, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]string{}
	for in := tar.NewReader(zip); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		have[strings.TrimPrefix(h.Name, "ocifit-lab-logs/")] = string(text)
		for _, secret := range []string{"hunter", "b2NpZml0", "AKIAABCD", "topsecret", "MIIE", "passw0rd", "c2VjcmV0"} {
			if strings.Contains(string(text), secret) {
				t.Errorf("%s holds %s", h.Name, secret)
			}
		}
	}
	for name, want := range map[string]string{
		"versions.json": "v1", "state.json": `"provider": "sim"`, "lab.yaml": "apiVersion", "findings.json": "it died", "status.json": "broken", "sim/supervisor.log": "last line",
		path.Join("logs", "earlier", "kubelet.log"): "registry/v2",
	} {
		if !strings.Contains(have[name], want) {
			t.Errorf("%s is %q", name, have[name])
		}
	}
}

func TestLogBundlesAreFew(t *testing.T) {
	l, state := sickLab(t, seenProvider{status: provision.Status{State: provision.Absent}})
	for range 5 {
		if _, err := l.SaveLogBundle(t.Context(), state, nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Millisecond)
	}
	if entries, err := os.ReadDir(l.Dir.Path("logs")); err != nil || len(entries) > 3 {
		t.Errorf("%v, %v", entries, err)
	}
}
