package sim

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/atomicfile"
	"github.com/compspec/ocifit-lab/provision/filelock"
	"github.com/compspec/ocifit-lab/provision/step"
)

func up(t *testing.T, p *Provider) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return p.up(ctx, func(string, ...any) {})
}

func TestNothingRuns(t *testing.T) {
	p := newProvider(t.TempDir())
	status, err := p.Status(t.Context())
	if err != nil || status.State != provision.Absent {
		t.Errorf("status %+v, %v", status, err)
	}
	if _, err := p.Connect(t.Context()); step.HintOf(err) == "" {
		t.Errorf("Connect: %v, want a hint what to do", err)
	}
	if _, err := p.Environment(t.Context()); step.HintOf(err) == "" {
		t.Errorf("Environment: %v, want a hint what to do", err)
	}
	if done, err := p.done(t.Context()); done || err != nil {
		t.Errorf("done: %v, %v", done, err)
	}
	if left, err := p.Leftovers(t.Context()); err != nil || len(left) > 0 {
		t.Errorf("leftovers %v, %v", left, err)
	}
	if err := p.down(t.Context(), func(string, ...any) {}); err != nil {
		t.Errorf("down of nothing: %v", err)
	}
	if err := step.Validate(p.Steps()); err != nil {
		t.Error(err)
	}
}

func TestSupervisorThatDies(t *testing.T) {
	p := newProvider(t.TempDir())
	p.opts.Executable, p.opts.Command = "/bin/sh", []string{"-c", "echo out of luck >&2; exit 3"}
	err := up(t, p)
	if err == nil || !strings.Contains(err.Error(), "out of luck") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("error %v, want the exit status and the end of the log", err)
	}
	if hint := step.HintOf(err); !strings.Contains(hint, "supervisor.log") {
		t.Errorf("hint %q", hint)
	}
}

func TestUpTwiceAtOnce(t *testing.T) {
	p := newProvider(t.TempDir())
	if err := os.MkdirAll(string(p.dir), 0o700); err != nil {
		t.Fatal(err)
	}
	lock, err := filelock.Acquire(p.dir.upLock(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Release()
	if err := up(t, p); !errors.Is(err, filelock.ErrHeld) || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Errorf("error %v, want one that names process %d", err, os.Getpid())
	}
}

// An up that is killed as soon as it has started a supervisor leaves one that has told nothing of itself: it may even lock the folder before
// the one that the next up starts.
func TestUpAfterAKilledUp(t *testing.T) {
	if testing.Short() {
		t.Skip("starts supervisors")
	}
	for _, pause := range []time.Duration{0, 60 * time.Millisecond, 400 * time.Millisecond} {
		t.Run(pause.String(), func(t *testing.T) {
			p := newProvider(t.TempDir())
			if err := os.MkdirAll(string(p.dir), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := atomicfile.WriteJSON(p.dir.settings(), p.opts.Settings, 0o600); err != nil {
				t.Fatal(err)
			}
			first, err := p.spawn()
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(pause)
			if err := up(t, p); err != nil {
				t.Error(err)
			}
			if err := p.down(t.Context(), func(string, ...any) {}); err != nil {
				t.Error(err)
			}
			<-first.ended
		})
	}
}

func TestPortTaken(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a supervisor")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p := newProvider(t.TempDir())
	p.opts.Settings.APIServerPort = l.Addr().(*net.TCPAddr).Port
	err = up(t, p)
	if err == nil || !strings.Contains(err.Error(), "taken") || step.HintOf(err) == "" {
		t.Errorf("error %v, hint %q", err, step.HintOf(err))
	}
	if err := p.down(t.Context(), func(string, ...any) {}); err != nil {
		t.Error(err)
	}
}

func TestBadSettings(t *testing.T) {
	p := newProvider(t.TempDir())
	p.opts.Settings.TimeScale = -1
	p.opts.Settings.Groups = append(p.opts.Settings.Groups, p.opts.Settings.Groups[0])
	err := up(t, p)
	for _, want := range []string{"time scale", "twice"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
}

func TestProcessIdentity(t *testing.T) {
	me, err := thisProcess()
	if err != nil || !me.alive() {
		t.Fatalf("this process: %+v, %v, alive %v", me, err, me.alive())
	}
	if (process{PID: me.PID, Started: me.Started + "1"}).alive() {
		t.Error("a process with this number but another start counts as alive")
	}
	if (process{}).alive() {
		t.Error("no process is alive")
	}
	cmd := exec.Command("/bin/sh", "-c", "trap '' TERM; while :; do sleep 0.1; done")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = cmd.Wait() }()
	started, err := startTime(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	child := process{PID: cmd.Process.Pid, Started: started}
	time.Sleep(50 * time.Millisecond)
	if err := child.stop(100 * time.Millisecond); err != nil || child.alive() {
		t.Errorf("a process that ignores SIGTERM: %v, alive %v", err, child.alive())
	}
}

func TestLockHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	if _, held := lockHolder(path); held {
		t.Error("a lock that does not exist is held")
	}
	lock, err := filelock.Acquire(path, "it")
	if err != nil {
		t.Fatal(err)
	}
	if holder, held := lockHolder(path); !held || holder.PID != os.Getpid() {
		t.Errorf("holder %+v, %v", holder, held)
	}
	if _, err := filelock.Acquire(path, "it"); !errors.Is(err, filelock.ErrHeld) {
		t.Errorf("second lock: %v", err)
	}
	if err := lock.Release(); err != nil {
		t.Error(err)
	}
	if _, held := lockHolder(path); held {
		t.Error("held after release")
	}
}

func TestClockOutlivesSupervisor(t *testing.T) {
	file := filepath.Join(t.TempDir(), "clock.json")
	ahead := time.Now().Add(3 * time.Hour).UTC().Truncate(time.Second)
	if err := saveClock(file, ahead); err != nil {
		t.Fatal(err)
	}
	if got := loadClock(file); !got.Equal(ahead) {
		t.Errorf("clock goes on at %s, want %s", got, ahead)
	}
	if err := saveClock(file, ahead.Add(-24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got := loadClock(file); got.Before(time.Now().Add(-time.Minute)) {
		t.Errorf("a clock that lags goes on at %s, want now", got)
	}
}

func TestPartsListenWhereTheyDid(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	before := free.Addr().String()
	free.Close()
	for part, want := range map[string]string{"registry": before, "webhook": "127.0.0.1:0", "nodes": "127.0.0.1:0"} {
		if got := (report{Registry: before, Webhook: taken.Addr().String()}).listen(part); got != want {
			t.Errorf("%s listens on %s, want %s", part, got, want)
		}
	}
	if got := (report{}).listen("registry"); got != "127.0.0.1:0" {
		t.Errorf("the first registry listens on %s", got)
	}
}
