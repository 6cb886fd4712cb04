package kind

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"github.com/compspec/ocifit-lab/provision/step"
)

// What a cluster takes, rounded up from measurements: 0.55 GB of memory and 1.0 GB of disk for the control plane, 0.12 GB and
// 0.5 GB for a worker, the rest for what runs on them.
const (
	memoryBase, memoryWorker = 1 << 30, 256 << 20
	diskBase, diskWorker     = 2 << 30, 768 << 20
)

// capSysResource is the number of the capability without which runc cannot start a privileged container.
const capSysResource = 24

// preflight finds the engine and says what about this machine would make the cluster fail later.
func (p *Provider) preflight(ctx context.Context, log step.Log) error {
	e, info, err := findEngine(ctx, p.opts.Engine)
	if err != nil {
		return err
	}
	log("%s %s, %s, %d CPUs, %s of memory, cgroup v%s, runtime %s", e, info.Version, info.Architecture, info.CPUs, size(info.MemoryBytes), info.CgroupVersion, info.Runtime)
	var problems []error
	for _, err := range []error{
		p.checkMemory(info), p.checkDisk(info.Root), checkPrivileges(info.Runtime), p.checkTypes(info.Architecture),
	} {
		if err != nil {
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}

func (p *Provider) checkMemory(info engineInfo) error {
	need := int64(memoryBase + len(p.opts.Workers)*memoryWorker)
	if info.MemoryBytes == 0 || info.MemoryBytes >= need {
		return nil
	}
	return step.Try(fmt.Errorf("the engine has %s of memory, a cluster of %d nodes needs %s", size(info.MemoryBytes), 1+len(p.opts.Workers), size(need)),
		"give the engine more memory, or name fewer types in kind.workers")
}

// checkDisk looks at the engine's folder where it is on this machine.
func (p *Provider) checkDisk(root string) error {
	var fs syscall.Statfs_t
	if root == "" || syscall.Statfs(root, &fs) != nil {
		return nil
	}
	free, need := int64(fs.Bavail)*int64(fs.Bsize), int64(diskBase+len(p.opts.Workers)*diskWorker)
	if free >= need || p.exists {
		return nil
	}
	return step.Try(fmt.Errorf("%s has %s of free disk, a cluster of %d nodes needs %s", root, size(free), 1+len(p.opts.Workers), size(need)),
		"free some space")
}

// checkPrivileges looks at what this machine lets containers have. Behind a virtual machine it cannot be seen from here.
func checkPrivileges(containerRuntime string) error {
	if runtime.GOOS != "linux" || containerRuntime != "runc" {
		return nil
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return nil
	}
	if has, known := boundingSetHas(string(status), capSysResource); known && !has {
		return step.Try(errors.New("this machine withholds the capability CAP_SYS_RESOURCE, without which runc starts no privileged container, and every kind node is one"),
			"run on a machine that grants it, or give the engine a default runtime that does not ask for it")
	}
	return nil
}

// boundingSetHas reads a capability's bit from the text of /proc/<pid>/status.
func boundingSetHas(status string, bit uint) (has, known bool) {
	for line := range strings.Lines(status) {
		if text, ok := strings.CutPrefix(line, "CapBnd:"); ok {
			mask, err := strconv.ParseUint(strings.TrimSpace(text), 16, 64)
			return mask>>bit&1 == 1, err == nil
		}
	}
	return false, false
}

// checkTypes refuses workers whose images cannot run here: the trial would only crash, again and again.
func (p *Provider) checkTypes(architecture string) error {
	var foreign []string
	for _, w := range p.opts.Workers {
		if w.Architecture != architecture {
			foreign = append(foreign, w.InstanceType+" ("+w.Architecture+")")
		}
	}
	if len(foreign) == 0 {
		return nil
	}
	return step.Try(fmt.Errorf("images for %s cannot run on this machine, whose architecture is %s", strings.Join(foreign, ", "), architecture),
		"name instance types of architecture %s in kind.workers, or leave it out", architecture)
}

func size(bytes int64) string { return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30)) }
