package eks_test

import (
	"context"
	"fmt"
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

	"github.com/compspec/ocifit-lab/provision/eks/awstest"
	"github.com/compspec/ocifit-lab/provision/step"
)

// changes are the changes that up and down ask AWS for, each named by operation and subject and said once.
func (b *bench) changes() []awstest.Call {
	var out []awstest.Call
	for _, c := range b.aws.Calls() {
		same := func(o awstest.Call) bool { return o.Operation == c.Operation && o.Subject == c.Subject }
		if c.Mutates() && !slices.ContainsFunc(out, same) {
			out = append(out, c)
		}
	}
	return out
}

// killAt has the children killed when the call is made. The call itself is worked on: its answer meets nobody.
func (b *bench) killAt(want awstest.Call) *atomic.Bool {
	var killed atomic.Bool
	b.aws.OnCall(func(c awstest.Call) {
		if c.Operation == want.Operation && c.Subject == want.Subject && killed.CompareAndSwap(false, true) {
			b.killChildren()
		}
	})
	return &killed
}

// rehearse brings a lab up and down once and returns the changes asked for in each direction.
func rehearse(t *testing.T) (up, down []awstest.Call) {
	b := newBench(t, awstest.Options{})
	b.mustUp()
	up = b.changes()
	b.aws.Reset()
	b.mustDown()
	down = b.changes()
	// Ids are new each time; stacks, groups and addons keep their names.
	for i := range up {
		if strings.HasPrefix(up[i].Subject, "https://") {
			up[i].Subject = ""
		}
	}
	return up, down
}

// Killed at any change it asks for, up goes on when called again; and down removes what there is, from there or later.
func TestKilledUp(t *testing.T) {
	changes, _ := rehearse(t)
	if len(changes) < 8 {
		t.Fatalf("up asks for %d changes only: %v", len(changes), changes)
	}
	for i, c := range changes {
		for _, then := range []string{"up", "down"} {
			t.Run(fmt.Sprintf("%02d %s %s, %s", i, c.Operation, c.Subject, then), func(t *testing.T) {
				b := newBench(t, awstest.Options{})
				killed := b.killAt(c)
				if c.Subject == "" {
					killed = b.killAtOperation(c.Operation)
				}
				_, err := b.up()
				if !killed.Load() {
					t.Skip("this change was not asked for this time")
				}
				if err == nil {
					t.Log("up had all its answers already")
				}
				b.aws.Reset()
				if then == "up" {
					b.mustUp()
					b.wantWhole()
				}
				b.mustDown()
			})
		}
	}
}

func (b *bench) killAtOperation(op string) *atomic.Bool {
	var killed atomic.Bool
	b.aws.OnCall(func(c awstest.Call) {
		if c.Operation == op && killed.CompareAndSwap(false, true) {
			b.killChildren()
		}
	})
	return &killed
}

// Killed at any change it asks for, down goes on when called again.
func TestKilledDown(t *testing.T) {
	_, changes := rehearse(t)
	counts := map[string]int{}
	for i, c := range changes {
		counts[c.Operation]++
		nth := counts[c.Operation]
		t.Run(fmt.Sprintf("%02d %s %d", i, c.Operation, nth), func(t *testing.T) {
			b := newBench(t, awstest.Options{})
			b.mustUp()
			b.aws.Reset()
			var seen atomic.Int32
			b.aws.OnCall(func(call awstest.Call) {
				if call.Operation == c.Operation && int(seen.Add(1)) == nth {
					b.killChildren()
				}
			})
			_ = b.down()
			b.aws.Reset()
			b.mustDown()
		})
	}
}

// Stopped while CloudFormation is at work, up ends at once, and finds its stacks again.
func TestStoppedWhileStacksAreMade(t *testing.T) {
	slow := func(w awstest.Work) time.Duration {
		if w.Type == "AWS::EKS::Cluster" || w.Type == "AWS::EKS::Nodegroup" {
			return 700 * time.Millisecond
		}
		return 0
	}
	for _, operation := range []string{"cluster", "nodegroup-sticky"} {
		for _, then := range []string{"up", "down"} {
			t.Run(operation+", "+then, func(t *testing.T) {
				b := newBench(t, awstest.Options{Delay: slow})
				ctx, cancel := context.WithTimeout(context.Background(), limit)
				defer cancel()
				b.aws.OnCall(func(c awstest.Call) {
					if c.Operation == "CreateStack" && strings.HasSuffix(c.Subject, operation) {
						time.AfterFunc(50*time.Millisecond, cancel)
					}
				})
				err := step.Up(ctx, b.provider().Steps(), nil, nil)
				if err == nil || !strings.Contains(err.Error(), "interrupted") {
					t.Fatalf("a stopped up gave %v", err)
				}
				b.aws.Reset()
				if then == "up" {
					b.mustUp()
				}
				b.mustDown()
			})
		}
	}
}

// A killed program takes its children along, and its lab is found again.
func TestKilledProgram(t *testing.T) {
	b := newBench(t, awstest.Options{Delay: func(w awstest.Work) time.Duration {
		if w.Type == "AWS::EKS::Cluster" {
			return time.Second
		}
		return 0
	}})
	dir := t.TempDir()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "test-up", dir)
	started := make(chan struct{}, 8)
	b.aws.OnCall(func(c awstest.Call) {
		if c.Operation == "CreateStack" {
			started <- struct{}{}
		}
	})
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-started:
	case <-time.After(limit):
		t.Fatal("no stack was asked for")
	}
	children := childrenOf(t, cmd.Process.Pid)
	if len(children) == 0 {
		t.Error("the program has no children")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	for _, pid := range children {
		gone := false
		for end := time.Now().Add(limit / 2); !gone && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			gone = dead(pid)
		}
		if !gone {
			t.Errorf("child %d outlives its parent", pid)
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	b.aws.Reset()
	b.opts = options(dir)
	b.mustUp()
	b.mustDown()
}

func childrenOf(t *testing.T, pid int) []int {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil || len(files) == 0 {
		t.Skipf("children cannot be listed here: %v", err)
	}
	var out []int
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			continue // a thread that has ended
		}
		for _, f := range strings.Fields(string(data)) {
			if n, err := strconv.Atoi(f); err == nil {
				out = append(out, n)
			}
		}
	}
	return out
}

func dead(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(stat), ") Z ")
}
