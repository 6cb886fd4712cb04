package kind

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/step"
)

// fake puts an engine of the given name into PATH, and nothing else. The script sees the engine's arguments.
func fake(t *testing.T, name, script string) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	if name == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

func goodInfo(arch string) string {
	machine := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[arch]
	return fmt.Sprintf(`{"ServerVersion": "27.0", "Architecture": "%s", "MemTotal": 17179869184, "NCPU": 8, "CgroupVersion": "2", "DefaultRuntime": "here", "DockerRootDir": "/nowhere"}`, machine)
}

func provider(t *testing.T, types ...Identity) *Provider {
	t.Helper()
	dir := t.TempDir()
	return New(Options{Lab: "a", Cluster: "ocifit-lab-a", Dir: filepath.Join(dir, "lab"), Workers: types, Program: "/bin/sh"})
}

func TestPreflightSaysWhatIsWrong(t *testing.T) {
	native := Identity{InstanceType: "c7a.12xlarge", Architecture: runtime.GOARCH}
	for _, tc := range []struct {
		name, engine, script string
		worker               Identity
		want, hint           string
	}{
		{"nothing installed", "", "", native, "none of docker, podman and nerdctl is in PATH", "--provider sim"},
		{
			"not running", "docker", `echo 'Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?' >&2; exit 1`, native,
			"Is the docker daemon running", "does not run: start it",
		},
		{"client without engine", "docker", `echo '{"ServerErrors": ["Cannot connect to the Docker daemon"]}'`, native, "Cannot connect", "start it"},
		{"no rights", "docker", `echo 'permission denied while trying to connect to the docker API at unix:///var/run/docker.sock' >&2; exit 1`, native, "permission denied", "group"},
		{
			"little memory", "docker", `echo '{"ServerVersion": "27", "Architecture": "x86_64", "MemTotal": 536870912, "DefaultRuntime": "here"}'`,
			Identity{InstanceType: "m", Architecture: "amd64"},
			"has 0.5 GiB of memory, a cluster of 2 nodes needs 1.2 GiB", "kind.workers",
		},
		{
			"foreign type", "docker", "echo '" + goodInfo("amd64") + "'",
			Identity{InstanceType: "hpc7g.16xlarge", Architecture: "arm64"},
			"images for hpc7g.16xlarge (arm64) cannot run on this machine, whose architecture is amd64", "kind.workers",
		},
		{"nonsense", "docker", "echo nonsense", native, "docker info", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fake(t, tc.engine, tc.script)
			err := provider(t, tc.worker).preflight(t.Context(), func(string, ...any) {})
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(step.HintOf(err), tc.hint) {
				t.Errorf("error %v, hint %q; want %q and %q", err, step.HintOf(err), tc.want, tc.hint)
			}
		})
	}
	fake(t, "docker", "echo '"+goodInfo(runtime.GOARCH)+"'")
	if err := provider(t, native).preflight(t.Context(), func(string, ...any) {}); err != nil {
		t.Errorf("a good engine is refused: %v", err)
	}
}

func TestPodmanIsFoundToo(t *testing.T) {
	fake(t, "podman", `echo '{"host": {"arch": "amd64", "cgroupVersion": "v2", "memTotal": 8589934592, "cpus": 4, "ociRuntime": {"name": "crun"}}, "store": {"graphRoot": "/x"}, "version": {"Version": "5.1"}}'`)
	e, info, err := findEngine(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(engineInfo{"5.1", "amd64", 8 << 30, 4, "2", "crun", "/x"}, info); e != "podman" || diff != "" {
		t.Errorf("%s: %s", e, diff)
	}
	if _, _, err := findEngine(t.Context(), "docker"); err == nil || !strings.Contains(err.Error(), "docker is not installed") {
		t.Errorf("error %v", err)
	}
}

// TestWithoutEngine: a plan touches nothing, status and down of a lab that never was work without an engine.
func TestWithoutEngine(t *testing.T) {
	fake(t, "", "")
	p := provider(t, Identity{InstanceType: "c7a.12xlarge", Architecture: runtime.GOARCH})
	steps := p.Steps()
	if err := step.Validate(steps); err != nil {
		t.Error(err)
	}
	s, err := p.Status(t.Context())
	if err != nil || s.State != provision.Absent || !strings.Contains(s.Detail, "no container engine") {
		t.Errorf("status %+v, %v", s, err)
	}
	for _, s := range steps {
		if s.Undo == nil {
			continue
		}
		if err := s.Undo(t.Context(), func(string, ...any) {}); err != nil {
			t.Errorf("undo %s: %v", s.Name, err)
		}
	}
	left, err := p.Leftovers(t.Context())
	if err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
	if _, err := os.Stat(p.opts.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Error("something was written")
	}
}

// TestDownKeepsItsHandsOff: containers of another lab of the same name stay.
func TestDownKeepsItsHandsOff(t *testing.T) {
	fake(t, "docker", `case "$1 $2" in
"info --format") echo '`+goodInfo("amd64")+`';;
"network inspect") echo /another/lab;;
"ps -a"|"ps --filter") echo ocifit-lab-a-worker;;
"rm -f"|"network rm") echo "not yours" >&2; exit 1;;
esac`)
	p := provider(t)
	for _, undo := range []func(context.Context, step.Log) error{p.removeCluster, p.removeRegistry, p.removeNetwork} {
		if err := undo(t.Context(), func(string, ...any) {}); err != nil {
			t.Error(err)
		}
	}
	if err := p.createNetwork(t.Context(), func(string, ...any) {}); err == nil || !strings.Contains(err.Error(), "another lab") {
		t.Errorf("error %v, want it to name the other lab", err)
	}
}

func TestEngineThatDoesNotAnswer(t *testing.T) {
	fake(t, "docker", "exec /bin/sleep 60")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	begin := time.Now()
	if _, _, err := findEngine(ctx, "docker"); err == nil || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	if time.Since(begin) > 10*time.Second {
		t.Error("the deadline was not kept")
	}
}

func TestPullThatFails(t *testing.T) {
	fake(t, "docker", `case $1 in
image) exit 1;;
pull) echo "$2" >>"$(dirname "$0")/pulled" 2>/dev/null; echo "Error response from daemon: manifest for $2 not found: manifest unknown" >&2; exit 1;;
esac`)
	p := provider(t)
	p.opts.Mirrors = map[string][]string{"ghcr.io": {"https://mirror.example/gh"}}
	err := p.pull(t.Context(), "docker", "ghcr.io/a/b:1", func(string, ...any) {})
	if err == nil || !strings.Contains(err.Error(), "mirror.example/gh/a/b:1") || !strings.Contains(err.Error(), "ghcr.io/a/b:1 not found") || !strings.Contains(step.HintOf(err), "--node-image") {
		t.Errorf("error %v, hint %q", err, step.HintOf(err))
	}
}

func TestCapabilities(t *testing.T) {
	for text, want := range map[string][2]bool{
		"Name:\tx\nCapBnd:\t000001ffffffffff\n": {true, true},
		"CapBnd:\t000001fffeffffff\n":           {false, true},
		"Name:\tx\n":                            {false, false},
		"CapBnd:\tzz\n":                         {false, false},
	} {
		if has, known := boundingSetHas(text, capSysResource); has != want[0] || known != want[1] {
			t.Errorf("%q: %v %v", text, has, known)
		}
	}
}

func TestWantedLabels(t *testing.T) {
	id := Identity{Group: "ng", InstanceType: "c7a.12xlarge", Labels: map[string]string{
		"node.kubernetes.io/instance-type": "c7a.12xlarge", "kubernetes.io/arch": "arm64", "kubernetes.io/hostname": "x",
		featurePrefix + "cpu-model.id": "1", featurePrefix + "cpu-model.family": "25",
	}}
	have := map[string]string{"kubernetes.io/arch": "amd64", featurePrefix + "cpu-model.id": "found by NFD"}
	want := map[string]string{
		labelGroup: "ng", labelPretended: "true", "node.kubernetes.io/instance-type": "c7a.12xlarge", featurePrefix + "cpu-model.family": "25",
	}
	got := wanted(id, have)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for k, v := range got {
		have[k] = v
	}
	if again := wanted(id, have); len(again) > 0 {
		t.Errorf("a second time %v", again)
	}
}

func TestNamesOfImages(t *testing.T) {
	for ref, want := range map[string]string{
		"app": "docker.io/library/app:latest", "app:1": "docker.io/library/app:1", "me/app:1": "docker.io/me/app:1",
		"ghcr.io/me/app:1": "ghcr.io/me/app:1", "localhost/app": "localhost/app:latest", "h:5000/app@sha256:ab": "h:5000/app@sha256:ab",
	} {
		if got := fullName(ref); got != want {
			t.Errorf("%s: %s, want %s", ref, got, want)
		}
	}
}

func TestConfig(t *testing.T) {
	p := provider(t, Identity{InstanceType: "a"}, Identity{InstanceType: "b"})
	c := p.clusterConfig("1")
	if len(c.Nodes) != 3 || !slices.Contains(c.KubeadmConfigPatches, oldCgroups) {
		t.Errorf("config %+v", c)
	}
	if len(p.clusterConfig("2").KubeadmConfigPatches) != 0 {
		t.Error("cgroup v2 needs no patch")
	}
	other := provider(t, Identity{InstanceType: "a"})
	if p.fingerprint() == other.fingerprint() {
		t.Error("two clusters, one fingerprint")
	}
	if want := []string{"ocifit-lab-a-control-plane", "ocifit-lab-a-worker", "ocifit-lab-a-worker2"}; !slices.Equal(p.nodeNames(), want) {
		t.Errorf("nodes %v", p.nodeNames())
	}
	p.opts.Mirrors = map[string][]string{"docker.io": {"mirror.example/hub", "http://plain:5000"}}
	files := p.hostsFiles("127.0.0.1:9")
	if !strings.Contains(files["docker.io"], `[host."https://mirror.example/v2/hub"]`) || !strings.Contains(files["docker.io"], `[host."http://plain:5000"]`) ||
		!strings.Contains(files["127.0.0.1:9"], `http://ocifit-lab-a-registry:5000`) {
		t.Errorf("hosts files %v", files)
	}
	if _, err := programImage("/bin/sh"); err == nil || !strings.Contains(err.Error(), "CGO_ENABLED=0") {
		t.Errorf("error %v, want it to say how to build", err)
	}
}

func TestRegistryKeepsItsPortAndPassword(t *testing.T) {
	p := New(Options{Cluster: "ocifit-lab-a", Dir: t.TempDir()})
	if port := p.keptPort(); port != "" {
		t.Errorf("a new registry wants port %s", port)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	if err := os.WriteFile(p.portFile(), []byte(port+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := p.keptPort(); got != "" {
		t.Errorf("it wants port %s, which is taken", got)
	}
	l.Close()
	if got := p.keptPort(); got != port {
		t.Errorf("it wants port %q, not %s", got, port)
	}
	file, err := p.registrySecrets()
	if err != nil {
		t.Fatal(err)
	}
	key, err := p.registryLogin()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if info, statErr := os.Stat(file); err != nil || statErr != nil || info.Mode().Perm() != 0o600 || string(data) != RegistryPassword+"="+key.Password+"\n" {
		t.Errorf("%q, %v, %v", data, err, statErr)
	}
}
