package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/compspec/ocifit-lab/provision/filelock"
	"github.com/compspec/ocifit-lab/provision/wait"
)

// process is one process for certain: a number alone could have been given to another one since.
type process struct {
	PID int `json:"pid"`
	// Started is when the process began, in the words of the operating system.
	Started string `json:"started"`
}

func thisProcess() (process, error) {
	started, err := startTime(os.Getpid())
	return process{PID: os.Getpid(), Started: started}, err
}

// alive tells whether the process still runs; a zombie does not.
func (p process) alive() bool {
	if p.PID <= 0 || p.Started == "" || syscall.Kill(p.PID, 0) != nil {
		return false
	}
	started, err := startTime(p.PID)
	return err == nil && started == p.Started
}

var errNoProcess = errors.New("no such process")

// startTime is empty for no process. On Linux it is ticks since boot from /proc, elsewhere what ps says.
func startTime(pid int) (string, error) {
	if runtime.GOOS == "linux" {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return "", errNoProcess
		}
		// The name in parentheses may contain anything, so count from its end: state is field 3, start time field 22.
		fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
		if len(fields) < 20 || (fields[0] == "Z" || fields[0] == "X") && threads(pid) < 2 {
			return "", errNoProcess
		}
		return fields[19], nil
	}
	out, err := exec.Command("ps", "-o", "stat=,lstart=", "-p", strconv.Itoa(pid)).Output()
	fields := strings.Fields(string(out))
	if err != nil || len(fields) < 2 || strings.HasPrefix(fields[0], "Z") {
		return "", errNoProcess
	}
	return strings.Join(fields[1:], " "), nil
}

// threads counts those of a process: as long as one is left, files and ports may still be open although the process counts as a zombie.
func threads(pid int) int {
	entries, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	return len(entries)
}

// stop ends the process and its group: politely, and after the grace period not. It returns when the process is gone.
func (p process) stop(grace time.Duration) error {
	if !p.alive() {
		return nil
	}
	if err := syscall.Kill(p.PID, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("end process %d: %w", p.PID, err)
	}
	if p.awaitEnd(grace) {
		return nil
	}
	target := p.PID
	if group, err := syscall.Getpgid(p.PID); err == nil && group == p.PID {
		target = -p.PID
	}
	if err := syscall.Kill(target, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("kill process %d: %w", p.PID, err)
	}
	if !p.awaitEnd(30 * time.Second) {
		return fmt.Errorf("process %d is still there after being killed", p.PID)
	}
	return nil
}

func (p process) awaitEnd(limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return wait.Until(ctx, "", wait.Every(10*time.Millisecond), func(context.Context) (bool, string, error) { return !p.alive(), "", nil }) == nil
}

// memory returns the resident memory of the process now and at its peak, in bytes; zero where the system does not tell.
func (p process) memory() (now, peak int64) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID))
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(data)) {
		name, value, _ := strings.Cut(line, ":")
		kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		switch name {
		case "VmRSS":
			now = kib << 10
		case "VmHWM":
			peak = kib << 10
		}
	}
	return now, peak
}

// lockHolder tells which process holds the lock.
func lockHolder(path string) (process, bool) {
	holder, held := filelock.HolderOf(path)
	if !held {
		return process{}, false
	}
	started, err := startTime(holder.PID)
	return process{PID: holder.PID, Started: started}, err == nil
}
