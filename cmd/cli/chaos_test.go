package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/compspec/ocifit-lab/cmd/supervisor"
	"github.com/compspec/ocifit-lab/provision/atomicfile"
	"github.com/compspec/ocifit-lab/provision/kube"
)

// How a story is killed.
var kills = []struct {
	name string
	do   func(p *os.Process, lab chaosLab)
}{
	{"SIGKILL", func(p *os.Process, _ chaosLab) { _ = p.Kill() }},
	{"supervisor", func(_ *os.Process, lab chaosLab) { lab.killSupervisor() }},
	{"SIGTERM", func(p *os.Process, _ chaosLab) { _ = p.Signal(syscall.SIGTERM) }},
	{"both", func(p *os.Process, lab chaosLab) { _ = p.Kill(); lab.killSupervisor() }},
	{"SIGTERM twice in 20 ms", func(p *os.Process, _ chaosLab) {
		_ = p.Signal(syscall.SIGTERM)
		time.Sleep(20 * time.Millisecond)
		_ = p.Signal(syscall.SIGTERM)
	}},
	{"Ctrl-C", func(p *os.Process, _ chaosLab) { _ = p.Signal(os.Interrupt) }},
	{"Ctrl-C twice", func(p *os.Process, _ chaosLab) {
		_ = p.Signal(os.Interrupt)
		time.Sleep(oneSignal + 50*time.Millisecond)
		_ = p.Signal(os.Interrupt)
	}},
	{"SIGHUP", func(p *os.Process, _ chaosLab) { _ = p.Signal(syscall.SIGHUP) }},
}

// chaosPhases are the commands of a lab's life; the middle one is the one that is killed most.
var chaosPhases = [][]string{
	{"up"}, {"experiment", "all", "--study", "smoke", "--repeats", "2"}, {"down"},
}

// TestChaos kills the program or its supervisor at random moments of a lab's life, goes on with the same commands, and looks whether
// anything was lost or left. CHAOS_KILLS says how often (3), CHAOS_SEED where the chance begins.
func TestChaos(t *testing.T) {
	if testing.Short() {
		t.Skip("runs whole labs")
	}
	seed := envNumber("CHAOS_SEED", uint64(time.Now().UnixNano()))
	count := int(envNumber("CHAOS_KILLS", 3))
	t.Logf("CHAOS_SEED=%d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	lines := chaosBaseline(t)
	for i := range count {
		kill := kills[i%len(kills)]
		phase := []int{1, 1, 0, 1, 2, 1, 0, 1}[i%8]
		at := 1 + chance.IntN(lines[phase])
		delay := time.Duration(chance.IntN(60)) * time.Millisecond
		name := fmt.Sprintf("%d %s at line %d of %s", i+1, kill.name, at, chaosPhases[phase][0])
		t.Run(name, func(t *testing.T) {
			lab := newChaosLab(t)
			for p := range phase {
				lab.must(chaosPhases[p]...)
			}
			lab.killed(phase, at, delay, kill.do)
			if phase < 2 {
				lab.must("up")
				lab.must(chaosPhases[1]...)
				lab.complete(4)
				lab.nothingRuns()
			}
			lab.must("down")
			lab.gone()
		})
	}
}

// chaosBaseline is how many lines of progress each phase shows when nobody disturbs it.
func chaosBaseline(t *testing.T) []int {
	lab := newChaosLab(t)
	var lines []int
	for _, phase := range chaosPhases {
		lines = append(lines, max(1, bytes.Count(lab.must(phase...), []byte("\n"))))
	}
	lab.gone()
	return lines
}

// chaosLab is a lab in a folder whose name holds what patterns of file names would take for their own.
type chaosLab struct {
	t   *testing.T
	dir string
}

func newChaosLab(t *testing.T) chaosLab {
	lab := chaosLab{t, filepath.Join(t.TempDir(), "lab [1]")}
	if err := os.Mkdir(lab.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			_ = lab.command("down").Run()
			lab.killSupervisor()
		}
	})
	return lab
}

func (l chaosLab) command(args ...string) *exec.Cmd {
	cmd := exec.Command("ocifit-lab", append(args, "--progress", "json", "-v")...)
	cmd.Dir = l.dir
	cmd.Env = append(os.Environ(), "HOME="+l.dir)
	// Its own group, so that a signal to it is not one to the test.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// must runs a command to a good end and returns what it said.
func (l chaosLab) must(args ...string) []byte {
	l.t.Helper()
	var said bytes.Buffer
	cmd := l.command(args...)
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		l.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, said.Bytes())
	}
	return said.Bytes()
}

// killed runs a phase and kills when it has said so many lines, or ended before.
func (l chaosLab) killed(phase, line int, delay time.Duration, kill func(*os.Process, chaosLab)) {
	l.t.Helper()
	cmd := l.command(chaosPhases[phase]...)
	out, err := cmd.StderrPipe()
	if err != nil {
		l.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	var ended atomic.Bool
	in := bufio.NewScanner(out)
	in.Buffer(nil, 1<<20)
	for n := 1; in.Scan(); n++ {
		if n == line {
			go func() {
				time.Sleep(delay)
				if !ended.Load() {
					kill(cmd.Process, l)
				}
			}()
		}
	}
	_ = cmd.Wait()
	ended.Store(true)
}

func (l chaosLab) killSupervisor() {
	for _, pid := range l.processes() {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// processes are those that have the lab's folder in their command line.
func (l chaosLab) processes() []int {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	var pids []int
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err == nil && bytes.Contains(data, []byte(supervisor.Command)) && bytes.Contains(data, []byte(l.dir)) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			pids = append(pids, pid)
		}
	}
	return pids
}

// complete demands the study's trials, each once, and nothing half-done.
func (l chaosLab) complete(want int) {
	l.t.Helper()
	done := map[string]bool{}
	err := filepath.WalkDir(filepath.Join(l.dir, "results"), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if atomicfile.IsTemp(path) || strings.HasPrefix(d.Name(), ".") {
			l.t.Errorf("half-done: %s", path)
		}
		if strings.HasSuffix(path, ".json") {
			data, err := os.ReadFile(path)
			if err != nil || !json.Valid(data) {
				l.t.Errorf("%s is damaged: %v", path, err)
			}
			if d.Name() == "trial.json" && !strings.Contains(filepath.Base(filepath.Dir(path)), ".failed-") {
				done[filepath.Dir(path)] = bytes.Contains(data, []byte(`"verdict": "complete"`))
			}
		}
		return nil
	})
	if err != nil {
		l.t.Fatal(err)
	}
	for dir, complete := range done {
		if !complete {
			l.t.Errorf("%s is not complete", dir)
		}
	}
	if len(done) != want {
		l.t.Errorf("%d trials are there, want %d", len(done), want)
	}
}

// nothingRuns demands that no trial left anything in the cluster.
func (l chaosLab) nothingRuns() {
	l.t.Helper()
	cluster, err := kube.Connect(filepath.Join(l.dir, ".ocifit-lab", "ocifit", "kubeconfig"))
	if err != nil {
		l.t.Fatal(err)
	}
	for _, r := range []struct{ group, version, resource, selector string }{
		{"flux-framework.org", "v1alpha2", "miniclusters", ""}, {"batch", "v1", "jobs", ""}, {"", "v1", "pods", ""}, {"", "v1", "secrets", "owner=helm"},
	} {
		list, err := cluster.Dynamic.Resource(schema.GroupVersionResource{Group: r.group, Version: r.version, Resource: r.resource}).
			Namespace("experiments").List(l.t.Context(), metav1.ListOptions{LabelSelector: r.selector})
		if err != nil {
			l.t.Fatal(err)
		}
		for _, o := range list.Items {
			l.t.Errorf("left in the cluster: %s %s", r.resource, o.GetName())
		}
	}
}

// gone demands that nothing but the results is left of the lab, and files of the test's own.
func (l chaosLab) gone(own ...string) {
	l.t.Helper()
	for _, pid := range l.processes() {
		l.t.Errorf("process %d is left", pid)
	}
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "results" && !slices.Contains(own, e.Name()) {
			l.t.Errorf("left: %s", e.Name())
		}
	}
}

func envNumber(name string, otherwise uint64) uint64 {
	if n, err := strconv.ParseUint(os.Getenv(name), 10, 64); err == nil {
		return n
	}
	return otherwise
}
