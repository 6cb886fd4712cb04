package bench

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// Machine is where figures come from. What the system does not tell is left out.
type Machine struct {
	CPU       string  `json:"cpu,omitempty"`
	Cores     int     `json:"cores"`
	MemoryGiB float64 `json:"memoryGiB,omitempty"`
	Platform  string  `json:"platform"`
	Kernel    string  `json:"kernel,omitempty"`
	// Load is the mean number of running processes in the minute before: figures of a busy machine are worth little.
	Load *float64 `json:"loadBefore,omitempty"`
}

func thisMachine() (Machine, error) {
	m := Machine{Cores: runtime.NumCPU(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	var err error
	if m.CPU, err = field("/proc/cpuinfo", "model name"); err != nil {
		return m, err
	}
	memory, err := field("/proc/meminfo", "MemTotal")
	if err != nil {
		return m, err
	}
	if kib, err := strconv.ParseFloat(strings.TrimSuffix(memory, " kB"), 64); err == nil {
		m.MemoryGiB = kib / (1 << 20)
	}
	kernel, err := content("/proc/sys/kernel/osrelease")
	if err != nil {
		return m, err
	}
	m.Kernel = strings.TrimSpace(kernel)
	load, err := content("/proc/loadavg")
	if err != nil {
		return m, err
	}
	if first, _, ok := strings.Cut(load, " "); ok {
		if v, err := strconv.ParseFloat(first, 64); err == nil {
			m.Load = &v
		}
	}
	return m, nil
}

// content is a file's text, and "" where the system has no such file.
func content(file string) (string, error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(data), err
}

// field is the first value of "key : value" in a file of /proc.
func field(file, key string) (string, error) {
	text, err := content(file)
	if err != nil {
		return "", err
	}
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		if k, v, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v), nil
		}
	}
	return "", lines.Err()
}

// cpu is the processor time of a process so far, in seconds; ok is false where the system does not tell.
func cpu(pid int) (seconds float64, ok bool) {
	text, err := content("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, false
	}
	// The name in parentheses may hold spaces; the fields after it are counted from the third, see proc(5).
	_, rest, found := strings.Cut(text, ") ")
	fields := strings.Fields(rest)
	if !found || len(fields) < 13 {
		return 0, false
	}
	const perSecond = 100 // USER_HZ, the same on every Linux platform
	user, err1 := strconv.ParseFloat(fields[11], 64)
	system, err2 := strconv.ParseFloat(fields[12], 64)
	return (user + system) / perSecond, err1 == nil && err2 == nil
}
