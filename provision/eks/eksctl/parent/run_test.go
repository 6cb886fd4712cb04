package parent_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/compspec/ocifit-lab/provision/eks/eksctl/child/serve"
	"github.com/compspec/ocifit-lab/provision/eks/eksctl/parent"
	"github.com/compspec/ocifit-lab/provision/eks/eksctl/wire"
	"github.com/compspec/ocifit-lab/provision/step"
)

// The test binary is the child; the name in the request says how it behaves.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "test-child" {
		os.Exit(serve.Request(context.Background(), os.Stdin, os.Stdout, work))
	}
	os.Exit(m.Run())
}

func work(ctx context.Context, req wire.Request, log wire.Log) error {
	log("info", "working on "+req.Name)
	switch req.Name {
	case "well":
		return nil
	case "panic":
		var p *wire.Request
		return errors.New(p.Name)
	case "gone":
		fmt.Fprintln(os.Stderr, "fatal: no more of this")
		os.Exit(3)
	case "chatter":
		fmt.Println("a library prints")
		return nil
	case "patient":
		<-ctx.Done()
		return ctx.Err()
	case "deaf":
		for {
			time.Sleep(time.Hour)
		}
	}
	return &wire.Error{Code: wire.Consent, Text: "stack x is broken", Causes: []string{"cause"}, Try: "try this"}
}

func run(t *testing.T, ctx context.Context, name string) (string, error) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	r := parent.Runner{Command: []string{exe, "test-child"}, Home: filepath.Join(dir, "home"), Logs: filepath.Join(dir, "logs")}
	var mu sync.Mutex
	var said []string
	err = r.Run(ctx, wire.Request{Op: wire.Delete, Name: name, Region: "r", Owner: "o"}, func(_, text string) {
		mu.Lock()
		defer mu.Unlock()
		said = append(said, text)
	})
	logged, readErr := os.ReadFile(filepath.Join(dir, "logs", "eksctl-delete.log"))
	if readErr != nil || !strings.Contains(string(logged), "working on "+name) {
		t.Errorf("the log file: %q, %v", logged, readErr)
	}
	return strings.Join(said, "\n"), err
}

func TestRun(t *testing.T) {
	ctx := context.Background()
	for name, c := range map[string]struct {
		code wire.Code
		text []string
	}{
		"well":    {},
		"chatter": {},
		"refuse":  {wire.Consent, []string{"stack x is broken", "cause"}},
		"panic":   {wire.Crashed, []string{"panicked", "nil pointer"}},
		"gone":    {wire.Crashed, []string{"without an answer", "no more of this"}},
	} {
		t.Run(name, func(t *testing.T) {
			said, err := run(t, ctx, name)
			if len(c.text) == 0 {
				if err != nil {
					t.Fatal(err)
				}
				if name == "chatter" && !strings.Contains(said, "a library prints") {
					t.Errorf("said %q", said)
				}
				return
			}
			var e *wire.Error
			if !errors.As(err, &e) || e.Code != c.code {
				t.Fatalf("error %v", err)
			}
			for _, want := range c.text {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("no %q in %v", want, err)
				}
			}
			if name == "refuse" && step.HintOf(err) != "try this" {
				t.Errorf("hint %q", step.HintOf(err))
			}
		})
	}
}

// A child that listens ends in order, one that does not is killed.
func TestStop(t *testing.T) {
	for _, name := range []string{"patient", "deaf"} {
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		_, err := run(t, ctx, name)
		cancel()
		var e *wire.Error
		if !errors.As(err, &e) || e.Code != wire.Stopped || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestServeRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"nothing": "", "no line": `{"op":"check"}`, "no JSON": "hello\n", "no name": `{"op":"delete","region":"r"}` + "\n",
		"no file": `{"op":"check","name":"a","region":"r","owner":"a"}` + "\n", "no operation": "{}\n",
	} {
		var out bytes.Buffer
		code := serve.Request(context.Background(), strings.NewReader(in), &out, func(context.Context, wire.Request, wire.Log) error {
			t.Errorf("%s: work was begun", name)
			return nil
		})
		if code == 0 || !strings.Contains(out.String(), `"refused"`) {
			t.Errorf("%s: code %d, %s", name, code, out.String())
		}
	}
}

// The end of the input, as when the parent dies, ends the work.
func TestServeEndsWithItsParent(t *testing.T) {
	in, parent := io.Pipe()
	done := make(chan int, 1)
	go func() { done <- serve.Request(context.Background(), in, io.Discard, work) }()
	fmt.Fprintln(parent, `{"op":"delete","name":"patient","region":"r","owner":"o"}`)
	parent.Close()
	select {
	case code := <-done:
		if code == 0 {
			t.Error("stopped work counts as done")
		}
	case <-time.After(time.Minute):
		t.Fatal("the work goes on without a parent")
	}
}
