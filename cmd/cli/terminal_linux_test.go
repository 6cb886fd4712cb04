package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestNothingAsksTheTerminal runs the program in terminals that never answer. What linked libraries wrote or waited for would hold up
// every command.
func TestNothingAsksTheTerminal(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"xterm", "xterm-256color", "vt100", "linux", "screen", "dumb", ""} {
		t.Run("TERM="+kind, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, program)
			cmd.Args = []string{"ocifit-lab", "version", "-o", "json"} // the name by which the test binary is the program
			cmd.Env = []string{"TERM=" + kind, "HOME=" + t.TempDir()}
			start := time.Now()
			said := inTerminal(t, cmd)
			t.Logf("%.2f s", time.Since(start).Seconds())
			if !json.Valid(said) || bytes.ContainsRune(said, '\x1b') {
				t.Errorf("the terminal got %q, want the version as JSON and nothing else", said)
			}
		})
	}
}

// inTerminal runs a command in a terminal of its own that shows everything and answers nothing, and returns what it was sent.
func inTerminal(t *testing.T, cmd *exec.Cmd) []byte {
	t.Helper()
	screen, terminal := openTerminal(t)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, terminal, terminal
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	terminal.Close()
	said, _ := io.ReadAll(screen) // it ends with an error when the last writer is gone
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, said)
	}
	return said
}

func openTerminal(t *testing.T) (screen, terminal *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminal here: %v", err)
	}
	t.Cleanup(func() { screen.Close() })
	raw, err := screen.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	number, failed := 0, error(nil)
	err = raw.Control(func(fd uintptr) {
		if failed = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); failed == nil {
			number, failed = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	})
	if err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return screen, terminal
}
