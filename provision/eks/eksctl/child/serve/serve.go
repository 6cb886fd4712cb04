// Package serve is the life of a child process: a request, the work on it, and an end with its parent's.
package serve

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/compspec/ocifit-lab/provision/eks/eksctl/wire"
)

// Request is a child's life: it reads a request from in, has work do it, and writes log lines and the outcome to out. The end of in, as when
// the parent dies, cancels the work; work that does not heed that, as eksctl's and the SDK's retries may not, is ended with the process. It
// returns the process's exit code.
func Request(ctx context.Context, in io.Reader, out io.Writer, work func(context.Context, wire.Request, wire.Log) error) int {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w := &writer{enc: json.NewEncoder(out)}
	r := bufio.NewReader(in)
	var req wire.Request
	line, err := r.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &req)
	}
	if err == nil {
		err = req.Validate()
	}
	if err != nil {
		w.write(wire.Event{Done: true, Error: &wire.Error{Code: wire.Refused, Text: fmt.Sprintf("request: %v", err)}})
		return 1
	}
	done := make(chan struct{})
	defer close(done)
	go func() {
		_, _ = io.Copy(io.Discard, r)
		cancel()
		leave(done)
	}()
	err = guarded(func() error {
		return work(ctx, req, func(level, text string) { w.write(wire.Event{Level: level, Text: text}) })
	})
	if err == nil {
		w.write(wire.Event{Done: true})
		return 0
	}
	var e *wire.Error
	if !errors.As(err, &e) {
		e = &wire.Error{Text: err.Error()}
	}
	if ctx.Err() != nil && e.Code == wire.Failed {
		e.Code = wire.Stopped
	}
	w.write(wire.Event{Done: true, Error: e})
	return 1
}

// grace is what work gets to end by itself after the parent is gone. Until then it may still change the account, so it is short.
const grace = 3 * time.Second

// exit is os.Exit, but for tests.
var exit = os.Exit

// leave ends the process unless its work is done in time.
func leave(done <-chan struct{}) {
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
		exit(1)
	}
}

func guarded(work func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &wire.Error{Code: wire.Crashed, Text: fmt.Sprintf("eksctl panicked: %v", v), Causes: []string{string(debug.Stack())}}
		}
	}()
	return work()
}

// writer keeps lines whole.
type writer struct {
	mu  sync.Mutex
	enc *json.Encoder
}

func (w *writer) write(e wire.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = w.enc.Encode(e)
}
