package protocol

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
)

// Log takes one line of what the child does.
type Log func(level, text string)

// Serve is a child's life: it reads a request from in, has work do it, and writes log lines and the outcome to out. The end of in, as when
// the parent dies, cancels the work. It returns the process's exit code.
func Serve(ctx context.Context, in io.Reader, out io.Writer, work func(context.Context, Request, Log) error) int {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w := &writer{enc: json.NewEncoder(out)}
	r := bufio.NewReader(in)
	var req Request
	line, err := r.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &req)
	}
	if err == nil {
		err = req.Validate()
	}
	if err != nil {
		w.write(event{Done: true, Error: &Error{Code: Refused, Text: fmt.Sprintf("request: %v", err)}})
		return 1
	}
	go func() {
		_, _ = io.Copy(io.Discard, r)
		cancel()
	}()
	err = guarded(func() error {
		return work(ctx, req, func(level, text string) { w.write(event{Level: level, Text: text}) })
	})
	if err == nil {
		w.write(event{Done: true})
		return 0
	}
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Text: err.Error()}
	}
	if ctx.Err() != nil && e.Code == Failed {
		e.Code = Stopped
	}
	w.write(event{Done: true, Error: e})
	return 1
}

func guarded(work func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &Error{Code: Crashed, Text: fmt.Sprintf("eksctl panicked: %v", v), Causes: []string{string(debug.Stack())}}
		}
	}()
	return work()
}

// writer keeps lines whole.
type writer struct {
	mu  sync.Mutex
	enc *json.Encoder
}

func (w *writer) write(e event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = w.enc.Encode(e)
}
