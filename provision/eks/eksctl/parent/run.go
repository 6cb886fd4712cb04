// Package parent starts the child process that runs eksctl, because that library ignores cancellation, prints, panics and keeps state in
// globals; it passes a request in, its log on, and the outcome out.
package parent

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/compspec/ocifit-lab/provision/eks/eksctl/wire"
	"github.com/compspec/ocifit-lab/provision/step"
)

// grace is what a child gets to end by itself after it was told to.
const grace = 5 * time.Second

// Runner starts children.
type Runner struct {
	// Command starts a child: the program's own path and the words of its hidden subcommand.
	Command []string
	// Env is added to the environment of this process.
	Env []string
	// Home is a folder of the child's own for temporary files and for the kubeconfig that eksctl may write; the user's are left alone.
	Home string
	// Logs takes one file an operation with everything that was said; empty keeps none.
	Logs string
	// Started, when set, is told the process of every child.
	Started func(pid int)
}

// Run has a child do what is asked, and tells log what it says. When ctx ends the child is told to stop, and killed if it does not.
func (r *Runner) Run(ctx context.Context, req wire.Request, log wire.Log) error {
	if err := req.Validate(); err != nil {
		return err
	}
	tee, closeTee, err := r.tee(req, log)
	if err != nil {
		return err
	}
	defer closeTee()
	cmd, err := r.command(req)
	if err != nil {
		return err
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	stderr := &tail{}
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start a child for %s: %w", req.Op, err)
	}
	if r.Started != nil {
		r.Started(cmd.Process.Pid)
	}
	stop := context.AfterFunc(ctx, func() {
		stdin.Close()
		time.AfterFunc(grace, func() { _ = cmd.Process.Kill() })
	})
	defer stop()

	result := make(chan *wire.Event, 1)
	go func() { result <- listen(stdout, tee) }()
	line, err := json.Marshal(req)
	if err == nil {
		_, err = stdin.Write(append(line, '\n'))
	}
	last := <-result
	stdin.Close()
	exit := cmd.Wait()
	switch {
	case last != nil && last.Error == nil:
		return nil
	case last != nil:
		return explain(ctx, last.Error)
	case ctx.Err() != nil:
		return explain(ctx, &wire.Error{Code: wire.Stopped, Text: string(req.Op) + " was stopped"})
	}
	text := fmt.Sprintf("%s: the child ended without an answer (%v)", req.Op, errors.Join(err, exit))
	if s := stderr.String(); s != "" {
		text += ": " + s
	}
	return explain(ctx, &wire.Error{Code: wire.Crashed, Text: text, Try: "repeat the command, it goes on where it stopped"})
}

// explain turns a child's error into one with a hint, and lets a stopped child look like the end of the context.
func explain(ctx context.Context, e *wire.Error) error {
	var err error = e
	if e.Code == wire.Stopped && ctx.Err() != nil {
		err = errors.Join(ctx.Err(), e)
	}
	if e.Try != "" {
		err = step.Try(err, "%s", e.Try)
	}
	return err
}

func (r *Runner) command(req wire.Request) (*exec.Cmd, error) {
	if len(r.Command) == 0 {
		return nil, errors.New("no command for children is set")
	}
	cmd := exec.Command(r.Command[0], r.Command[1:]...)
	cmd.Env = append(os.Environ(), r.Env...)
	if r.Home != "" {
		tmp := filepath.Join(r.Home, "tmp")
		if err := os.MkdirAll(tmp, 0o700); err != nil {
			return nil, err
		}
		cmd.Env = append(cmd.Env, "TMPDIR="+tmp, "KUBECONFIG="+filepath.Join(r.Home, "kubeconfig-"+string(req.Op)))
	}
	// Ctrl-C of a terminal is for the parent, which ends the child in order. That a child ends when its parent is killed is left to the
	// pipe between them: unlike a signal of the kernel it works wherever the program runs.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = grace
	return cmd, nil
}

// tee gives a log that writes to the operation's file as well.
func (r *Runner) tee(req wire.Request, log wire.Log) (wire.Log, func(), error) {
	if r.Logs == "" {
		return log, func() {}, nil
	}
	if err := os.MkdirAll(r.Logs, 0o700); err != nil {
		return nil, nil, err
	}
	f, err := os.OpenFile(filepath.Join(r.Logs, "eksctl-"+string(req.Op)+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, nil, err
	}
	var mu sync.Mutex
	return func(level, text string) {
		mu.Lock()
		fmt.Fprintf(f, "%s %-7s %s\n", time.Now().UTC().Format(time.RFC3339), level, text)
		mu.Unlock()
		log(level, text)
	}, func() { f.Close() }, nil
}

// listen reads a child's lines to their end and returns the last one, nil if the child did not come to it.
func listen(stdout io.Reader, log wire.Log) *wire.Event {
	var last *wire.Event
	lines := bufio.NewReader(stdout)
	for {
		line, err := lines.ReadBytes('\n')
		var e wire.Event
		switch {
		case len(bytes.TrimSpace(line)) == 0:
		case json.Unmarshal(line, &e) != nil:
			log("debug", strings.TrimSpace(string(line)))
		case e.Done:
			last = &e
		default:
			log(e.Level, e.Text)
		}
		if err != nil {
			return last
		}
	}
}

// tail keeps the end of what a child writes to its standard error.
type tail struct {
	mu   sync.Mutex
	data []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = append(t.data, p...)
	if n := len(t.data) - 4096; n > 0 {
		t.data = append([]byte(nil), t.data[n:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.data))
}
