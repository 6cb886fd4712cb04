package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"k8s.io/client-go/rest"

	"github.com/compspec/ocifit-lab/provision/filelock"
	"github.com/compspec/ocifit-lab/provision/registry/login"
	"github.com/compspec/ocifit-lab/provision/sim/controlplane"
	"github.com/compspec/ocifit-lab/provision/sim/simclock"
)

const (
	// startWithin bounds the start of a supervisor: seconds on a machine that is free, and minutes on one that is not.
	startWithin = 3 * time.Minute
	// stopWithin bounds the whole end of a supervisor.
	stopWithin = 1800 * time.Millisecond
	// garbagePercent lets the heap grow to two and a half times what is in use, some 140 MiB; less would make collecting a large part of
	// all work. memoryGoal is where the collector begins to work harder all the same.
	garbagePercent = 150
	memoryGoal     = 700 << 20
)

// Env is what a part gets to work with.
type Env struct {
	// Dir is a folder of the part's own, not made yet.
	Dir string
	// Config reaches the API server as administrator, without client-side rate limits; each part has its copy. Nil for Registry.
	Config     *rest.Config
	Kubeconfig string
	// CertFile and KeyFile serve TLS on 127.0.0.1 and localhost; CAFile and CAPEM verify them.
	CertFile, KeyFile, CAFile string
	CAPEM                     []byte
	// Listen is the loopback host:port for a part that others reach: the one it had before, or one with port 0 for any.
	Listen string
	// Clock is the simulated time.
	Clock simclock.Clock
	// LogDir holds container logs as <namespace>_<pod>/<container>.log, complete when <container>.done stands beside them.
	LogDir string
	// Registry is host:port of the registry, if there is one, and RegistryLogin opens it.
	Registry      string
	RegistryLogin login.Login
	Settings      Settings
	// Log takes lines for the supervisor's log.
	Log io.Writer
}

// Part runs in the supervisor until its context ends; an earlier end, with or without an error, ends the supervisor. It calls
// ready once, with the host:port where it listens or "", when others may rely on it.
type Part func(ctx context.Context, env Env, ready func(address string)) error

// Config is what a supervisor consists of besides control plane, nodes and scaler. Absent parts are left out.
type Config struct {
	// File is the settings file that the provider wrote; its folder is the supervisor's state.
	File string
	// Prepare makes custom resources when the API server answers, before any controller looks.
	Prepare func(ctx context.Context, config *rest.Config) error
	// Registry starts first and does not need the API server.
	Registry Part
	// Webhook, MiniCluster and Playback start side by side when the API server answers.
	Webhook, MiniCluster, Playback Part
}

// Supervise runs the simulated cluster in this process until SIGTERM, SIGINT or the end of ctx, which it survives by two seconds
// at most. It reports itself in the status file. The error says which part failed.
func Supervise(ctx context.Context, c Config) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	dir := folder(filepath.Dir(c.File))
	settings, err := readSettings(c.File)
	if err != nil {
		return err
	}
	lock, err := filelock.Acquire(dir.lock(), "the simulated cluster in "+string(dir))
	if err != nil {
		return err
	}
	defer lock.Release()
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryGoal)
	}
	me, err := thisProcess()
	if err != nil {
		return err
	}
	// Kubeconfigs that were copied elsewhere stay good, and what was pushed keeps its name.
	previous, err := readReport(dir)
	if err != nil || previous == nil {
		previous = &report{}
	}
	if settings.APIServerPort == 0 && portFree(previous.APIServerPort) {
		settings.APIServerPort = previous.APIServerPort
	}
	s := &supervisor{
		Config: c, dir: dir, settings: settings, log: os.Stderr, previous: *previous,
		board: &board{file: dir.status(), report: report{Process: me, Phase: phaseStarting, Since: time.Now().UTC()}},
	}
	err = s.run(ctx)
	last := s.board.change(func(r *report) {
		r.Phase, r.Doing = phaseStopped, ""
		if err != nil {
			r.Phase, r.Error = phaseFailed, err.Error()
		}
	})
	return errors.Join(err, last)
}

type supervisor struct {
	Config
	dir      folder
	settings Settings
	login    login.Login
	previous report // of the supervisor before this one
	log      io.Writer
	board    *board
	clock    simclock.Clock
	plane    *controlplane.ControlPlane

	parts  sync.WaitGroup
	failed chan error
}

func (s *supervisor) run(ctx context.Context) (err error) {
	// The parts end before the control plane, on which they work.
	partsCtx, stopParts := context.WithCancel(context.WithoutCancel(ctx))
	s.failed = make(chan error, 16)
	defer func() { err = errors.Join(err, s.end(stopParts)) }()

	startCtx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	if err := s.start(startCtx, partsCtx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	if err := s.board.change(func(r *report) {
		r.Phase, r.Doing, r.ReadyMillis = phaseRunning, "", time.Since(r.Since).Milliseconds()
	}); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.failed:
		return err
	case err := <-s.plane.Failed():
		return err
	}
}

// end stops everything in the reverse order of the start. What does not end in time ends with the process.
func (s *supervisor) end(stopParts context.CancelFunc) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	stopParts()
	done := make(chan struct{})
	go func() { s.parts.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(stopWithin / 3):
		fmt.Fprintln(s.log, "some parts did not end in time")
	}
	if s.plane != nil {
		if err := s.plane.Stop(ctx); err != nil {
			fmt.Fprintln(s.log, "stop:", err)
		}
	}
	if s.clock != nil {
		return saveClock(s.dir.clock(), s.clock.Now())
	}
	return nil
}

func (s *supervisor) start(ctx, partsCtx context.Context) error {
	clock, err := simclock.New(s.settings.TimeScale, loadClock(s.dir.clock()))
	if err != nil {
		return err
	}
	s.clock = clock
	s.launch(partsCtx, "clock keeper", func(ctx context.Context) error { return keepClock(ctx, s.dir.clock(), clock) })
	if err := os.MkdirAll(s.dir.podLogs(), 0o700); err != nil {
		return err
	}
	if s.login, err = login.Load(s.dir.registryPassword()); err != nil {
		return err
	}
	registry := s.startPart(partsCtx, "registry", s.Registry, Env{})
	var started []*starting
	prepare := func(ctx context.Context, config *rest.Config) error {
		if s.Prepare != nil {
			if err := s.Prepare(ctx, config); err != nil {
				return err
			}
		}
		if err := s.catchUp(ctx, config); err != nil {
			return err
		}
		address, err := registry.await(ctx, s)
		if err != nil {
			return err
		}
		started, err = s.startParts(partsCtx, config, address)
		return err
	}
	s.doing("control plane")
	plane, err := controlplane.Start(ctx, controlplane.Options{
		Dir: s.dir.controlPlane(), Log: s.log, Prepare: prepare,
		Port: s.settings.APIServerPort,
	})
	if err != nil {
		return err
	}
	s.plane = plane
	if err := s.board.change(func(r *report) {
		r.Server, r.APIServerPort = plane.RESTConfig().Host, plane.Port()
		r.Ports = append(r.Ports, plane.Port())
	}); err != nil {
		return err
	}
	for _, p := range started {
		if _, err := p.await(ctx, s); err != nil {
			return err
		}
	}
	return nil
}
