package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/go-multierror"

	"github.com/compspec/ocifit-lab/provision/atomicfile"
	"github.com/compspec/ocifit-lab/provision/filelock"
	"github.com/compspec/ocifit-lab/provision/step"
	"github.com/compspec/ocifit-lab/provision/wait"
)

// stopGrace is how long a supervisor may take to end before it is killed.
const stopGrace = stopWithin + time.Second

// startTries is how often a supervisor is started where another one was faster.
const startTries = 3

// done tells whether a supervisor with these settings runs and answers.
func (p *Provider) done(ctx context.Context) (bool, error) {
	r, err := readReport(p.dir)
	if err != nil || r == nil || r.Phase != phaseRunning || !r.Process.alive() || !p.sameSettings() {
		return false, nil
	}
	cluster, err := p.Connect(ctx)
	if err != nil {
		return false, nil
	}
	// A busy machine answers late; a cluster that is taken for dead is started anew, which its users would notice.
	ask, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	return cluster.Ready(ask) == nil, nil
}

// up starts a supervisor and waits until it is ready. State of an earlier one is taken up again.
func (p *Provider) up(ctx context.Context, log step.Log) error {
	if err := p.opts.Settings.Validate(); err != nil {
		return err
	}
	if err := os.MkdirAll(string(p.dir), 0o700); err != nil {
		return fmt.Errorf("state folder: %w", err)
	}
	lock, err := filelock.Acquire(p.dir.upLock(), "the start of this cluster")
	if err != nil {
		return err
	}
	defer lock.Release()
	if err := atomicfile.WriteJSON(p.dir.settings(), p.opts.Settings, 0o600); err != nil {
		return err
	}
	for try := 1; ; try++ {
		if err := p.endOthers(log); err != nil {
			return err
		}
		child, err := p.spawn()
		if err != nil {
			return err
		}
		if err = p.await(ctx, child, log); err == nil {
			break
		}
		// One that an up before this one had begun, and that had told nothing of itself yet, may have come first.
		if _, taken := lockHolder(p.dir.lock()); !taken || !child.gone || try == startTries || ctx.Err() != nil {
			return err
		}
	}
	return p.copyKubeconfig()
}

// endOthers ends a supervisor that runs already, also one that has not reported itself.
func (p *Provider) endOthers(log step.Log) error {
	if r, err := readReport(p.dir); err == nil && r != nil && r.Process.alive() {
		log("ending the supervisor (process %d) that runs with other settings or does not answer", r.Process.PID)
		if err := r.Process.stop(stopGrace); err != nil {
			return err
		}
	}
	return p.endUnreported(log)
}

// endUnreported ends a supervisor of which the lock alone tells.
func (p *Provider) endUnreported(log step.Log) error {
	holder, ok := lockHolder(p.dir.lock())
	if !ok {
		return nil
	}
	log("ending the supervisor (process %d) that has not reported itself", holder.PID)
	return holder.stop(stopGrace)
}

// child is a supervisor that this process started.
type child struct {
	pid   int
	ended chan error // closed after the end
	gone  bool       // its end was seen
	from  int64      // where its part of the log begins
}

// spawn starts a supervisor that outlives this process: its own session, nothing on stdin, its words in a file.
func (p *Provider) spawn() (*child, error) {
	logFile, err := os.OpenFile(p.dir.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("log of the supervisor: %w", err)
	}
	defer logFile.Close()
	from, err := logFile.Seek(0, 2)
	if err != nil {
		return nil, fmt.Errorf("log of the supervisor: %w", err)
	}
	cmd := exec.Command(p.opts.Executable, append(append([]string(nil), p.opts.Command...), p.dir.settings())...)
	cmd.Dir = string(p.dir)
	cmd.Stdout, cmd.Stderr = logFile, logFile
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the supervisor: %w", err)
	}
	c := &child{pid: cmd.Process.Pid, ended: make(chan error, 1), from: from}
	// Waiting also takes a dead child out of the process table while this process lives on.
	go func() { c.ended <- cmd.Wait(); close(c.ended) }()
	return c, nil
}

// await follows the status file until the supervisor is ready or gone.
func (p *Provider) await(ctx context.Context, c *child, log step.Log) error {
	doing := ""
	return wait.Until(ctx, fmt.Sprintf("wait for the supervisor (process %d)", c.pid), wait.Every(20*time.Millisecond), func(context.Context) (bool, string, error) {
		r, err := readReport(p.dir)
		if err != nil {
			return false, "", err
		}
		mine := r != nil && r.Process.PID == c.pid
		if mine && r.Phase == phaseRunning {
			return true, "", nil
		}
		if mine && r.Doing != doing {
			doing = r.Doing
			log("%s", doing)
		}
		select {
		case err := <-c.ended:
			c.gone = true
			return false, "", p.died(c, err)
		default:
			return false, doing, nil
		}
	})
}

// died explains the early end of a supervisor.
func (p *Provider) died(c *child, cause error) error {
	if cause == nil {
		cause = errors.New("it was told to end")
	}
	err := fmt.Errorf("the supervisor ended while it started (%w)", cause)
	if r, readErr := readReport(p.dir); readErr == nil && r != nil && r.Process.PID == c.pid && r.Error != "" {
		err = fmt.Errorf("the supervisor could not start: %s", r.Error)
		if strings.Contains(r.Error, "is taken by another program") {
			return step.Try(err, "free the port, or set sim.apiServerPort to 0 for any free one")
		}
		return step.Try(err, "see %s", p.dir.log())
	}
	if end := logEnd(p.dir.log(), c.from); end != "" {
		err = fmt.Errorf("%w; the end of its log:\n%s", err, end)
	}
	return step.Try(err, "see %s", p.dir.log())
}

// logEnd returns the last lines written after offset from.
func logEnd(file string, from int64) string {
	data, err := os.ReadFile(file)
	if err != nil || int64(len(data)) < from {
		return ""
	}
	lines := bytes.Split(bytes.TrimSpace(data[from:]), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-12):], []byte("\n")))
}

// down ends the supervisor and removes its state; what is already gone is fine.
func (p *Provider) down(_ context.Context, log step.Log) error {
	r, err := readReport(p.dir)
	if err != nil {
		// A damaged status must not keep the cluster alive: the lock still tells the process.
		log("%v", err)
	}
	var errs *multierror.Error
	if r != nil {
		p.mu.Lock()
		p.known = append(p.known, *r)
		p.mu.Unlock()
		if r.Process.alive() {
			log("ending the supervisor (process %d)", r.Process.PID)
		}
		errs = multierror.Append(errs, r.Process.stop(stopGrace))
	}
	errs = multierror.Append(errs, p.endUnreported(log))
	if err := errs.ErrorOrNil(); err != nil {
		return err
	}
	for _, path := range []string{p.opts.Kubeconfig, string(p.dir)} {
		if err := os.RemoveAll(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = multierror.Append(errs, err)
		}
	}
	return errs.ErrorOrNil()
}
