// Package bench measures what a lab on provider sim costs its user, each row beside what the same machine does without us in the same run.
package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Row is one measured value. Reference is the same value of something simpler on the same machine in the same run, and Ratio is
// value by reference; both are 0 and the fields absent where there is nothing to compare with.
type Row struct {
	Name      string  `json:"name"`
	Value     float64 `json:"value"`
	Unit      string  `json:"unit"`
	Against   string  `json:"against,omitempty"`
	Reference float64 `json:"reference,omitempty"`
	Ratio     float64 `json:"ratio,omitempty"`
	// Skipped says why a row has no value.
	Skipped string `json:"skipped,omitempty"`
}

// Report is a run of the bench: figures count only beside the machine that gave them.
type Report struct {
	Machine  Machine           `json:"machine"`
	Date     time.Time         `json:"date"`
	Version  string            `json:"version"`
	Versions map[string]string `json:"versions"`
	Trials   int               `json:"trials"`
	Rows     []Row             `json:"rows"`
}

// Options say what is measured.
type Options struct {
	// Program is the binary, which is called as a user calls it.
	Program string
	// Repeats is the number of trials of each arm of the study; 30 in the study itself.
	Repeats int
	// Admissions is the number of pods that each webhook is asked about.
	Admissions int
	// Version and Versions name the program and the parts inside it.
	Version  string
	Versions map[string]string
	// Say takes one line before each measurement.
	Say func(format string, args ...any)
}

type bench struct {
	Options
	dir    string
	report *Report
}

// Run makes a lab in a temporary folder, measures it, and takes it down again, also when ctx ends. The error names the measurement that
// could not be made.
func Run(ctx context.Context, o Options) (_ *Report, err error) {
	machine, err := thisMachine()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "ocifit-lab-bench-")
	if err != nil {
		return nil, err
	}
	b := &bench{Options: o, dir: dir, report: &Report{
		Machine: machine, Date: time.Now().UTC().Truncate(time.Second), Version: o.Version, Versions: o.Versions, Trials: 6 * o.Repeats,
	}}
	defer func() {
		// The lab goes also when its measurement was interrupted; after a good end there is none.
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		if _, downErr := b.call(clean, "down", "-q"); downErr != nil && err == nil {
			err = downErr
		}
		err = errors.Join(err, os.RemoveAll(dir))
	}()
	for _, part := range []func(context.Context) error{b.control, b.life, b.admission, b.release, b.loop, b.study, b.end} {
		if err := part(ctx); err != nil {
			return nil, err
		}
	}
	return b.report, nil
}

// call runs the program in the bench's folder and gives its wall time in seconds.
func (b *bench) call(ctx context.Context, args ...string) (float64, error) {
	_, seconds, err := b.output(ctx, args...)
	return seconds, err
}

func (b *bench) output(ctx context.Context, args ...string) ([]byte, float64, error) {
	cmd := exec.CommandContext(ctx, b.Program, args...)
	var stdout, stderr bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = b.dir, &stdout, &stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 30 * time.Second
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return nil, 0, fmt.Errorf("ocifit-lab %v: %w\n%s", args, err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.Bytes(), time.Since(start).Seconds(), nil
}

func (b *bench) row(r Row) {
	if r.Reference > 0 {
		r.Ratio = r.Value / r.Reference
	}
	b.report.Rows = append(b.report.Rows, r)
}

// kubeconfig is that of the lab with lab.yaml's defaults.
func (b *bench) kubeconfig() string {
	return filepath.Join(b.dir, ".ocifit-lab", "ocifit", "kubeconfig")
}

// facts are what status tells of the cluster.
func (b *bench) facts(ctx context.Context) (map[string]string, error) {
	out, _, err := b.output(ctx, "status", "-o", "json")
	if err != nil {
		return nil, err
	}
	var status struct {
		Cluster struct{ Facts map[string]string }
	}
	if err := json.Unmarshal(out, &status); err != nil {
		return nil, fmt.Errorf("status of the lab: %w", err)
	}
	return status.Cluster.Facts, nil
}

// timed runs the program once and makes a row of the seconds it took.
func (b *bench) timed(ctx context.Context, row Row, args ...string) error {
	seconds, err := b.call(ctx, args...)
	if err != nil {
		return err
	}
	row.Value, row.Unit = seconds, "s"
	b.row(row)
	return nil
}
