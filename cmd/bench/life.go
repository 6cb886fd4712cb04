package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/compspec/ocifit-lab/provision/kube"
)

// ControlPlaneCommand is the hidden command that starts etcd and kube-apiserver alone in a folder, prints a line when they are ready, and
// ends with its standard input.
const ControlPlaneCommand = "bare-control-plane"

// bareSeconds is how long etcd and kube-apiserver alone take to be ready.
func (b *bench) bareSeconds(ctx context.Context) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, b.Program, ControlPlaneCommand, filepath.Join(b.dir, "bare"))
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return 0, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	_, readErr := bufio.NewReader(stdout).ReadString('\n')
	seconds := time.Since(start).Seconds()
	err = errors.Join(readErr, stdin.Close(), cmd.Wait())
	if err != nil {
		return 0, fmt.Errorf("etcd and kube-apiserver alone: %w", err)
	}
	return seconds, nil
}

// control measures what needs no lab.
func (b *bench) control(ctx context.Context) error {
	b.Say("a command that does nothing")
	return b.timed(ctx, Row{Name: "ocifit-lab --help"}, "--help")
}

func (b *bench) life(ctx context.Context) error {
	b.Say("etcd and kube-apiserver alone")
	bare, err := b.bareSeconds(ctx)
	if err != nil {
		return err
	}
	b.Say("up")
	up := Row{Name: "up, everything the study needs", Against: "etcd and kube-apiserver alone", Reference: bare}
	if err := b.timed(ctx, up, "up"); err != nil {
		return err
	}
	return b.timed(ctx, Row{Name: "up again, nothing to do"}, "up")
}

// study runs the whole study and tells what a trial takes of the supervisor: figures that a busy machine changes little.
func (b *bench) study(ctx context.Context) error {
	facts, err := b.facts(ctx)
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(facts["pid"])
	if err != nil {
		return fmt.Errorf("status of the lab names no process of the simulated cluster: %w", err)
	}
	cluster, err := kube.Connect(b.kubeconfig())
	if err != nil {
		return err
	}
	before, err := requests(ctx, cluster)
	if err != nil {
		return err
	}
	trials := float64(b.report.Trials)
	cpuBefore, known := cpu(pid)
	b.Say("the study, %.0f trials", trials)
	all := Row{Name: fmt.Sprintf("experiment all, %.0f trials", trials)}
	if err := b.timed(ctx, all, "experiment", "all", "--repeats", strconv.Itoa(b.Repeats), "-q"); err != nil {
		return err
	}
	after, err := requests(ctx, cluster)
	if err != nil {
		return err
	}
	b.row(Row{Name: "API requests for each trial", Value: (after - before) / trials, Unit: "requests"})
	if cpuAfter, ok := cpu(pid); ok && known {
		b.row(Row{Name: "supervisor's CPU for each trial", Value: (cpuAfter - cpuBefore) / trials * 1000, Unit: "ms"})
	} else {
		b.row(Row{Name: "supervisor's CPU for each trial", Unit: "ms", Skipped: "this system does not tell the processor time of another process"})
	}
	return nil
}

func (b *bench) end(ctx context.Context) error {
	facts, err := b.facts(ctx)
	if err != nil {
		return err
	}
	peak := Row{Name: "supervisor's peak memory", Unit: "MiB"}
	if peak.Value, err = strconv.ParseFloat(facts["peakMemoryMiB"], 64); err != nil {
		peak.Skipped = "this system does not tell the peak of another process"
	}
	b.row(peak)
	if err := b.timed(ctx, Row{Name: "results report"}, "results", "report", "-q"); err != nil {
		return err
	}
	return b.timed(ctx, Row{Name: "down"}, "down", "-q")
}

// requests is the number of requests that the API server has answered.
func requests(ctx context.Context, cluster *kube.Cluster) (float64, error) {
	text, err := cluster.Clientset.Discovery().RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
	if err != nil {
		return 0, fmt.Errorf("metrics of the API server: %w", err)
	}
	sum := 0.0
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "apiserver_request_total{") {
			continue
		}
		fields := strings.Fields(line)
		n, err := strconv.ParseFloat(fields[len(fields)-1], 64)
		if err != nil {
			return 0, fmt.Errorf("metrics of the API server: %w", err)
		}
		sum += n
	}
	if sum == 0 {
		return 0, errors.New("metrics of the API server: apiserver_request_total is not there")
	}
	return sum, nil
}
