package bench

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/compspec/ocifit-lab/experiments/release"
	"github.com/compspec/ocifit-lab/provision/chart"
	"github.com/compspec/ocifit-lab/provision/kube"
	"github.com/compspec/ocifit-lab/templates"
	"github.com/compspec/ocifit-lab/webhook/compat"
)

// compared is the number of trials that are measured beside something else.
const compared = 10

// release measures trials beside Helm's installation and removal of a chart without objects.
func (b *bench) release(ctx context.Context) error {
	b.Say("%d trials, and as many releases of an empty chart", compared)
	folder := filepath.Join(b.dir, "empty")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "Chart.yaml"), []byte("apiVersion: v2\nname: empty\nversion: 0.1.0\n"), 0o600); err != nil {
		return err
	}
	empty, err := chart.FromFS(os.DirFS(folder))
	if err != nil {
		return err
	}
	cluster, err := kube.Connect(b.kubeconfig())
	if err != nil {
		return err
	}
	client := release.ForCluster(cluster, "", nil)
	start := time.Now()
	for i := range compared {
		name := "empty-" + strconv.Itoa(i)
		if _, err := client.Install(ctx, name, empty, nil); err != nil {
			return err
		}
		if err := client.Uninstall(ctx, name); err != nil {
			return err
		}
	}
	reference := time.Since(start).Seconds() / compared
	seconds, err := b.trials(ctx, "beside-helm")
	if err != nil {
		return err
	}
	b.row(Row{Name: "one trial", Value: seconds, Unit: "s", Against: "Helm's installation and removal of an empty chart", Reference: reference})
	return nil
}

// trials is the wall time of one of ten trials, the start of the program included.
func (b *bench) trials(ctx context.Context, run string) (float64, error) {
	seconds, err := b.call(ctx, "experiment", "run", "fom-model", "--repeats", strconv.Itoa(compared), "--run", run, "-q")
	return seconds / compared, err
}

//go:embed loop.sh
var loop string

// loop measures trials beside the study's own loop with kubectl and helm, without its pauses.
func (b *bench) loop(ctx context.Context) error {
	row := Row{Name: "one trial", Unit: "s", Against: "the procedure's loop with kubectl and helm, without its pauses"}
	var missing []string
	for _, program := range []string{"bash", "kubectl", "helm"} {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, program)
		}
	}
	if len(missing) > 0 {
		row.Skipped = strings.Join(missing, " and ") + " cannot be found in PATH"
		b.row(row)
		return nil
	}
	b.Say("%d trials, and as many by kubectl and helm", compared)
	files, err := templates.Chart("hpcg")
	if err != nil {
		return err
	}
	folder := filepath.Join(b.dir, "hpcg")
	if err := os.CopyFS(folder, files); err != nil {
		return err
	}
	if row.Value, err = b.trials(ctx, "beside-loop"); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "bash", "-c", loop, "loop", folder, strconv.Itoa(compared), compat.PublishedRegistry+"/"+compat.PublishedArtifact)
	var out bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = b.dir, &out, &out
	cmd.Env = append(os.Environ(), "KUBECONFIG="+b.kubeconfig())
	cmd.WaitDelay = 10 * time.Second
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("the procedure's loop: %w\n%s", err, bytes.TrimSpace(out.Bytes()))
	}
	row.Reference = time.Since(start).Seconds() / compared
	b.row(row)
	return nil
}
