package kind

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"

	"sigs.k8s.io/kind/pkg/cluster"

	"github.com/compspec/ocifit-lab/provision/step"
)

// Engines are the container engines that can carry a cluster, in the order in which they are tried.
var engines = []string{"docker", "podman", "nerdctl"}

// askTime bounds one question to the engine.
const askTime = 20 * time.Second

// engine is a container engine's command.
type engine string

// engineInfo is what an engine tells of itself, whatever its name.
type engineInfo struct {
	Version       string
	Architecture  string // as Go calls it
	MemoryBytes   int64
	CPUs          int
	CgroupVersion string // "1" or "2"
	Runtime       string
	Root          string // folder of its data
}

// findEngine returns the engine of that name, or the first one that answers when name is empty.
func findEngine(ctx context.Context, name string) (engine, engineInfo, error) {
	names := engines
	if name != "" {
		names = []string{name}
	}
	var errs []error
	for _, n := range names {
		if _, err := exec.LookPath(n); err != nil {
			continue
		}
		info, err := engine(n).info(ctx)
		if err == nil {
			return engine(n), info, nil
		}
		errs = append(errs, err)
	}
	switch {
	case len(errs) > 0:
		return "", engineInfo{}, errors.Join(errs...)
	case name != "":
		return "", engineInfo{}, step.Try(fmt.Errorf("%s is not installed: there is no such command in PATH", name),
			"install it, or leave kind.engine out of lab.yaml to use whichever is there")
	}
	return "", engineInfo{}, step.Try(errors.New("there is no container engine: none of docker, podman and nerdctl is in PATH"),
		"install Docker or Podman, or rehearse without containers: `ocifit-lab up --provider sim`")
}

// run runs the engine's command and returns what it printed. The error holds the end of what it complained.
func (e engine) run(ctx context.Context, stdin io.Reader, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, string(e), args...)
	cmd.WaitDelay = time.Second
	var out, complaint bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, &complaint
	err := cmd.Run()
	if err == nil {
		return strings.TrimSpace(out.String()), nil
	}
	if ctx.Err() != nil {
		err = fmt.Errorf("%w (%w)", context.Cause(ctx), err)
	}
	said := strings.TrimSpace(complaint.String())
	if lines := strings.Split(said, "\n"); len(lines) > 5 {
		said = strings.Join(lines[len(lines)-5:], "\n")
	}
	return "", explain(e, fmt.Errorf("%s %s: %w: %s", e, args[0], err, said), said)
}

// explain adds what can be done about the engine's usual complaints.
func explain(e engine, err error, said string) error {
	low := strings.ToLower(said)
	switch {
	case strings.Contains(low, "permission denied") && strings.Contains(low, "sock"):
		return step.Try(err, "this user may not talk to %s: add it to the group that owns the socket and log in again, or run rootless %s", e, e)
	case strings.Contains(low, "cannot connect to the") || strings.Contains(low, "is the docker daemon running") || strings.Contains(low, "connection refused"):
		return step.Try(err, "%s is installed but does not run: start it", e)
	case strings.Contains(low, "no space left on device"):
		return step.Try(err, "the disk is full: free some space, for example with `%s system prune`", e)
	case strings.Contains(low, "manifest unknown") || strings.Contains(low, "pull access denied") || strings.Contains(low, "not found") && strings.Contains(low, "manifest") ||
		strings.Contains(low, "no such host") || strings.Contains(low, "tls handshake timeout"):
		return step.Try(err, "the image cannot be pulled: check its name and the network, load it into %s first, or name another one (--node-image, artifact.images in lab.yaml)", e)
	}
	return err
}

// ask runs a short command.
func (e engine) ask(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, askTime, fmt.Errorf("no answer from %s after %s", e, askTime))
	defer cancel()
	return e.run(ctx, nil, args...)
}

func (e engine) info(ctx context.Context) (engineInfo, error) {
	format := "{{json .}}"
	if e == "podman" {
		format = "json"
	}
	out, err := e.ask(ctx, "info", "--format", format)
	if err != nil {
		return engineInfo{}, err
	}
	return parseInfo(e, []byte(out))
}

func parseInfo(e engine, data []byte) (engineInfo, error) {
	var docker struct {
		ServerVersion, Architecture, CgroupVersion, DefaultRuntime, DockerRootDir string
		MemTotal                                                                  int64
		NCPU                                                                      int
		ServerErrors                                                              []string
	}
	var podman struct {
		Host struct {
			Arch          string `json:"arch"`
			CgroupVersion string `json:"cgroupVersion"`
			MemTotal      int64  `json:"memTotal"`
			CPUs          int    `json:"cpus"`
			OCIRuntime    struct {
				Name string `json:"name"`
			} `json:"ociRuntime"`
		} `json:"host"`
		Store struct {
			GraphRoot string `json:"graphRoot"`
		} `json:"store"`
		Version struct {
			Version string `json:"Version"`
		} `json:"version"`
	}
	if e == "podman" {
		if err := json.Unmarshal(data, &podman); err != nil {
			return engineInfo{}, fmt.Errorf("%s info: %w", e, err)
		}
		h := podman.Host
		return engineInfo{
			Version: podman.Version.Version, Architecture: goArch(h.Arch), MemoryBytes: h.MemTotal, CPUs: h.CPUs,
			CgroupVersion: strings.TrimPrefix(h.CgroupVersion, "v"), Runtime: h.OCIRuntime.Name, Root: podman.Store.GraphRoot,
		}, nil
	}
	if err := json.Unmarshal(data, &docker); err != nil {
		return engineInfo{}, fmt.Errorf("%s info: %w", e, err)
	}
	// The client answers also when the engine does not, and tells that here.
	if len(docker.ServerErrors) > 0 {
		said := strings.Join(docker.ServerErrors, "; ")
		return engineInfo{}, explain(e, fmt.Errorf("%s info: %s", e, said), said)
	}
	return engineInfo{
		Version: docker.ServerVersion, Architecture: goArch(docker.Architecture), MemoryBytes: docker.MemTotal, CPUs: docker.NCPU,
		CgroupVersion: docker.CgroupVersion, Runtime: docker.DefaultRuntime, Root: docker.DockerRootDir,
	}, nil
}

func goArch(machine string) string {
	switch machine {
	case "x86_64":
		return "amd64"
	case "aarch64":
		return "arm64"
	}
	return machine
}

// kindProvider is how kind speaks to the engine.
func (e engine) kindProvider() cluster.ProviderOption {
	switch e {
	case "podman":
		return cluster.ProviderWithPodman()
	case "nerdctl":
		return cluster.ProviderWithNerdctl(string(e))
	}
	return cluster.ProviderWithDocker()
}

// networkVariable is where kind looks for the name of the network that its nodes join.
func (e engine) networkVariable() string {
	if e == "podman" {
		return "KIND_EXPERIMENTAL_PODMAN_NETWORK"
	}
	return "KIND_EXPERIMENTAL_DOCKER_NETWORK"
}

// list returns the names or ids that a listing command prints, one a line.
func (e engine) list(ctx context.Context, args ...string) ([]string, error) {
	out, err := e.ask(ctx, args...)
	if err != nil || out == "" {
		return nil, err
	}
	return strings.Fields(out), nil
}

// absent tells the engine's complaint about something that is not there.
func absent(err error) bool {
	if err == nil {
		return false
	}
	low := strings.ToLower(err.Error())
	return strings.Contains(low, "no such") || strings.Contains(low, "not found") || strings.Contains(low, "does not exist")
}
