package sim

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
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
	if !p.awaitEnd(5 * time.Second) {
		return fmt.Errorf("process %d is still there after being killed", p.PID)
	}
	return nil
}

func (p process) awaitEnd(limit time.Duration) bool {
	for deadline := time.Now().Add(limit); p.alive(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
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

// lockFile takes a lock for as long as this process holds the file open; who is named in the error of the one that comes second.
func lockFile(path, what string) (release func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close()
		holder, _ := os.ReadFile(path)
		return nil, fmt.Errorf("%w: process %s holds %s", errLocked, strings.TrimSpace(string(holder)), what)
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock: %w", err)
	}
	return func() { f.Close() }, nil
}

var errLocked = errors.New("already running")

// lockHolder tells which process holds the lock.
func lockHolder(path string) (process, bool) {
	f, err := os.Open(path)
	if err != nil {
		return process{}, false
	}
	defer f.Close()
	if syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) == nil {
		return process{}, false
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return process{}, false
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return process{}, false
	}
	started, err := startTime(pid)
	return process{PID: pid, Started: started}, err == nil
}
