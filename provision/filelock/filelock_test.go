package filelock

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// The test's own program is the other process: with these arguments it takes the lock and holds it until its input ends.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "hold" {
		lock, err := Acquire(os.Args[2], "the lab")
		if err != nil {
			os.Exit(1)
		}
		defer runtime.KeepAlive(lock)
		os.Stdout.WriteString("held\n")
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
		return
	}
	os.Exit(m.Run())
}

func TestAnotherProcessHoldsIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	other := exec.Command(os.Args[0], "hold", path)
	stdin, err := other.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stdin.Close(); _ = other.Wait() })
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "held\n" {
		t.Fatalf("the other process said %q: %v", line, err)
	}
	_, err = Acquire(path, "the lab")
	var held *HeldError
	if !errors.As(err, &held) || !errors.Is(err, ErrHeld) {
		t.Fatalf("got %v, want a HeldError", err)
	}
	host, _ := os.Hostname()
	h := held.Holder
	if h.PID != other.Process.Pid || h.Host != host || h.Since.IsZero() || !strings.HasSuffix(h.Command, "hold "+path) {
		t.Errorf("holder %+v", h)
	}
	if of, ok := HolderOf(path); !ok || of.PID != other.Process.Pid {
		t.Errorf("HolderOf gives %+v, %t", of, ok)
	}
	// Killed, it cannot give anything back, and the lock is free all the same.
	if err := other.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = other.Wait()
	if _, ok := HolderOf(path); ok {
		t.Error("a dead process still holds the lock")
	}
	lock, err := Acquire(path, "the lab")
	if err != nil {
		t.Fatal(err)
	}
	if err := lock.Release(); err != nil {
		t.Error(err)
	}
}

func TestHeldByThisProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	lock, err := Acquire(path, "the lab")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Acquire(path, "the lab"); !errors.Is(err, ErrHeld) || !strings.Contains(err.Error(), "the lab is in use by process ") {
		t.Errorf("got %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode: %v, %v", info.Mode(), err)
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	if _, ok := HolderOf(path); ok {
		t.Error("it is still held")
	}
}

// A holder may remove the folder with the lock in it, as `down` does: its lock is then worth nothing to those who come later.
func TestRemovedWhileHeld(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	old, err := Acquire(path, "the lab")
	if err != nil {
		t.Fatal(err)
	}
	defer runtime.KeepAlive(old)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	lock, err := Acquire(path, "the lab")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Acquire(path, "the lab"); !errors.Is(err, ErrHeld) {
		t.Errorf("two have the new lock: %v", err)
	}
	if err := lock.Release(); err != nil {
		t.Error(err)
	}
}
