package minicluster

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func read(t *testing.T, name string) *unstructured.Unstructured {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	u := &unstructured.Unstructured{}
	if err := yaml.UnmarshalStrict(data, &u.Object); err != nil {
		t.Fatal(err)
	}
	return u
}

func decoded(t *testing.T, u *unstructured.Unstructured) *cluster {
	t.Helper()
	c, ignored, err := decode(u)
	if err != nil {
		t.Fatal(err)
	}
	if len(ignored) > 0 {
		t.Errorf("fields that nothing reads: %v", ignored)
	}
	return c
}

var keyLine = regexp.MustCompile(`((?:public|secret)-key = )".{40}"`)

func TestObjects(t *testing.T) {
	for _, name := range []string{"trial", "pair"} {
		t.Run(name, func(t *testing.T) {
			c := decoded(t, read(t, name+".yaml"))
			cm, err := c.configMap()
			if err != nil {
				t.Fatal(err)
			}
			cert := cm.Data[keyCurve]
			if cm.Data[keyCurve] = keyLine.ReplaceAllString(cert, "$1..."); strings.Count(cm.Data[keyCurve], "...") != 2 {
				t.Errorf("two keys of 40 digits expected:\n%s", cert)
			}
			job, err := c.job(map[string]string{"example/workload": "hpcg"})
			if err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			for _, obj := range []any{c.service(), cm, job} {
				text, err := yaml.Marshal(obj)
				if err != nil {
					t.Fatal(err)
				}
				b.WriteString("---\n")
				b.Write(text)
			}
			golden(t, filepath.Join("testdata", name+".golden.yaml"), b.Bytes())
		})
	}
}

func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got)\n%s", file, diff)
	}
}

func TestScriptsAreShell(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash")
	}
	for _, name := range []string{"trial", "pair"} {
		files, err := scripts(decoded(t, read(t, name+".yaml")))
		if err != nil {
			t.Fatal(err)
		}
		for file, text := range files {
			if file == keyBroker {
				continue
			}
			cmd := exec.CommandContext(t.Context(), bash, "-n")
			cmd.Stdin = strings.NewReader(text)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s of %s: %v\n%s", file, name, err, out)
			}
		}
	}
}

// runStart executes the start script with the given programs before all others on its PATH.
func runStart(t *testing.T, u *unstructured.Unstructured, programs map[string]string) (output string, code int) {
	t.Helper()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash")
	}
	dir := t.TempDir()
	if err := unstructured.SetNestedField(u.Object, filepath.Join(dir, "it's mounted"), "spec", "flux", "container", "mountPath"); err != nil {
		t.Fatal(err)
	}
	c := decoded(t, u)
	cm, err := c.configMap()
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string, mode os.FileMode) {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, item := range c.scriptItems() {
		write("scripts/"+item.Path, cm.Data[item.Key], 0o644)
	}
	for name, text := range programs {
		write("bin/"+name, text, 0o755)
	}
	cmd := exec.CommandContext(t.Context(), bash, filepath.Join(dir, "scripts", "wait-0.sh"))
	cmd.Env = []string{"PATH=" + filepath.Join(dir, "bin") + ":/usr/bin:/bin", "HOME=" + dir}
	cmd.Dir = dir
	out, _ := cmd.CombinedOutput()
	return strings.ReplaceAll(string(out), dir, "DIR"), cmd.ProcessState.ExitCode()
}

func oneContainer(command string, more map[string]any) *unstructured.Unstructured {
	ct := map[string]any{"image": "example.org/app:1", "command": command, "launcher": true}
	for k, v := range more {
		ct[k] = v
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": GVK.GroupVersion().String(), "kind": GVK.Kind,
		"metadata": map[string]any{"name": "one", "namespace": "study", "uid": "u1"},
		"spec": map[string]any{
			"pod":        map[string]any{"restartPolicy": "Never"},
			"logging":    map[string]any{"quiet": true},
			"flux":       map[string]any{"container": map[string]any{"disable": true}},
			"containers": []any{ct},
		},
	}}
}

func TestStartWithoutFlux(t *testing.T) {
	u := oneContainer("echo ran; exit 3", map[string]any{"commands": map[string]any{"pre": "echo pre", "brokerPre": "echo lead", "post": "echo post"}})
	out, code := runStart(t, u, map[string]string{"hostname": "#!/bin/sh\necho one-0\n"})
	if want := "pre\nlead\nran\npost\n"; out != want || code != 3 {
		t.Errorf("code %d, output:\n%s", code, out)
	}
}

func TestStartUnderFlux(t *testing.T) {
	// A stand-in for flux that says how it was called and, as the broker does, runs what comes after its options.
	stub := "#!/bin/bash\nif [ \"$1\" = R ]; then echo \"{}\"; exit; fi\nfor a in \"$@\"; do echo \"<$a>\"; done\nwhile [ $# -gt 0 ] && [ \"$1\" != bash ]; do shift; done\n\"$@\"\n"
	host := "#!/bin/sh\necho one-0\n"
	out, code := runStart(t, oneContainer("echo ran; exit 4", nil), map[string]string{"flux": stub, "hostname": host})
	if code != 4 {
		t.Errorf("code %d", code)
	}
	for _, want := range []string{"<broker>\n<--config-path=DIR/it's mounted/config>", "<-Sbroker.quorum=1>\n<bash>", "\nran\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func TestDecodeRejects(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(u map[string]any)
		want   string
	}{
		"no runner":   {func(s map[string]any) { s["containers"] = []any{ct("a", nil), ct("b", nil)} }, "0 containers have runFlux"},
		"two runners": {func(s map[string]any) { s["containers"] = []any{ct("a", true), ct("b", true)} }, "taken"},
		"name taken":  {func(s map[string]any) { s["containers"] = []any{ct("a", true), ct("one", nil)} }, `the name "one" is taken`},
		"no image":    {func(s map[string]any) { s["containers"] = []any{map[string]any{"command": "x"}} }, "needs an image"},
		"no command":  {func(s map[string]any) { s["containers"] = []any{map[string]any{"image": "x"}} }, "needs a command"},
		"no name":     {func(s map[string]any) { s["containers"] = []any{ct("a", true), ct("", nil)} }, "containers[1] needs a name"},
		"shrinks":     {func(s map[string]any) { s["size"], s["maxSize"] = int64(3), int64(2) }, "spec.maxSize is 2"},
		"wrong type":  {func(s map[string]any) { s["size"] = "three" }, "not a MiniCluster"},
	} {
		t.Run(name, func(t *testing.T) {
			u := oneContainer("x", nil)
			tc.change(u.Object["spec"].(map[string]any))
			if _, _, err := decode(u); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func ct(name string, runFlux any) map[string]any {
	out := map[string]any{"name": name, "image": "example.org/app:1", "command": "x"}
	if runFlux != nil {
		out["runFlux"] = runFlux
	}
	return out
}

func TestDecodeNamesWhatItIgnores(t *testing.T) {
	u := oneContainer("x", map[string]any{"batch": true})
	u.Object["spec"].(map[string]any)["archive"] = map[string]any{"path": "/a"}
	u.Object["extra"] = "not of the spec"
	_, ignored, err := decode(u)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"spec.archive", "spec.containers[0].batch"}, ignored); diff != "" {
		t.Error(diff)
	}
}

func TestBadQuantity(t *testing.T) {
	u := oneContainer("x", map[string]any{"resources": map[string]any{"limits": map[string]any{"cpu": "many"}}})
	if _, err := decoded(t, u).job(nil); err == nil || !strings.Contains(err.Error(), `spec.containers[0].resources.limits: cpu: "many"`) {
		t.Error(err)
	}
}

func TestZ85(t *testing.T) {
	// The example of ZeroMQ RFC 32.
	if got := z85([]byte{0x86, 0x4F, 0xD2, 0x6F, 0xB5, 0x59, 0xF7, 0x5B}); got != "HelloWorld" {
		t.Error(got)
	}
}

func TestCRDReadsStrictly(t *testing.T) {
	var crd apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(CRD(), &crd); err != nil {
		t.Fatal(err)
	}
	v := crd.Spec.Versions[0]
	if crd.Name != crdName || crd.Spec.Group != GVR.Group || v.Name != GVR.Version || crd.Spec.Names.Plural != GVR.Resource || crd.Spec.Names.Kind != GVK.Kind {
		t.Errorf("the definition names another resource: %s", crd.Name)
	}
	if v.Subresources.Status == nil || v.Subresources.Scale == nil {
		t.Error("subresources status and scale expected")
	}
}

// TestVolumes: what flux-operator makes of the volumes of a container, and what no pod could have.
func TestVolumes(t *testing.T) {
	type m = map[string]any
	for name, tc := range map[string]struct {
		volume m
		want   string // mount path, read-only, and source
		err    string
	}{
		"memory":         {volume: m{"emptyDir": true, "emptyDirMedium": "memory", "emptyDirSizeLimit": "1Gi"}, want: "/dev/shm false emptyDir Memory 1Gi"},
		"disk":           {volume: m{"emptyDir": true, "path": "/elsewhere", "readOnly": true}, want: "/dev/shm false emptyDir  none"},
		"driver":         {volume: m{"csiDriver": "csi.example", "csiDriverAttributes": m{"a": "b"}, "path": "/x"}, want: "/x false csi csi.example map[a:b]"},
		"claim":          {volume: m{"claimName": "data", "path": "/x", "readOnly": true}, want: "/x true claim data"},
		"bad size":       {volume: m{"emptyDir": true, "emptyDirSizeLimit": "much"}, err: `volumes.v.emptyDirSizeLimit: "much"`},
		"no source":      {volume: m{"path": "/x"}, err: "names no source"},
		"no path":        {volume: m{"hostPath": "/x"}, err: "has no path"},
		"an unused size": {volume: m{"hostPath": "/x", "path": "/y"}, want: "/y false host /x Directory"},
	} {
		t.Run(name, func(t *testing.T) {
			c, _, err := decode(oneContainer("x", m{"volumes": m{"v": tc.volume}}))
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("error %v, want %q", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			spec, err := c.podSpec()
			if err != nil {
				t.Fatal(err)
			}
			mount, source := spec.Containers[0].VolumeMounts[4], spec.Volumes[4].VolumeSource
			got := fmt.Sprintf("%s %v ", mount.MountPath, mount.ReadOnly)
			switch {
			case source.EmptyDir != nil:
				size := "none"
				if source.EmptyDir.SizeLimit != nil {
					size = source.EmptyDir.SizeLimit.String()
				}
				got += fmt.Sprintf("emptyDir %s %s", source.EmptyDir.Medium, size)
			case source.CSI != nil:
				got += fmt.Sprint("csi ", source.CSI.Driver, " ", source.CSI.VolumeAttributes)
			case source.PersistentVolumeClaim != nil:
				got += "claim " + source.PersistentVolumeClaim.ClaimName
			case source.HostPath != nil:
				got += fmt.Sprint("host ", source.HostPath.Path, " ", *source.HostPath.Type)
			}
			if got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}

// TestRestarts: flux-operator's policy is the default; pods that ask for no restart are not made again, and then the command's code counts.
func TestRestarts(t *testing.T) {
	for name, tc := range map[string]struct {
		spec    map[string]any
		retries int32
		code    int
	}{
		"as flux-operator": {map[string]any{"pod": map[string]any{}}, 100, 0},
		"never":            {map[string]any{}, 0, 3},
		"bounded":          {map[string]any{"backoffLimit": int64(2)}, 2, 3},
	} {
		t.Run(name, func(t *testing.T) {
			u := oneContainer("exit 3", nil)
			maps.Copy(u.Object["spec"].(map[string]any), tc.spec)
			job, err := decoded(t, u.DeepCopy()).job(nil)
			if err != nil {
				t.Fatal(err)
			}
			if *job.Spec.BackoffLimit != tc.retries {
				t.Errorf("%d retries, want %d", *job.Spec.BackoffLimit, tc.retries)
			}
			if _, code := runStart(t, u, map[string]string{"hostname": "#!/bin/sh\necho one-0\n"}); code != tc.code {
				t.Errorf("code %d, want %d", code, tc.code)
			}
		})
	}
}

func TestSecurityContextIsKubernetesOwn(t *testing.T) {
	u := oneContainer("x", map[string]any{"securityContext": map[string]any{
		"runAsUser": int64(1000), "capabilities": map[string]any{"add": []any{"SYS_NICE"}}, "addCapabilities": []any{"IPC_LOCK"},
	}})
	spec, err := decoded(t, u).podSpec()
	if err != nil {
		t.Fatal(err)
	}
	got := spec.Containers[0].SecurityContext
	if *got.RunAsUser != 1000 || fmt.Sprint(got.Capabilities.Add) != "[SYS_NICE IPC_LOCK]" {
		t.Errorf("%+v", got)
	}
}
