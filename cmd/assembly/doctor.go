package assembly

import (
	"context"
	"fmt"
	"strings"
	"syscall"

	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/labstate"
)

// Finding is something that is wrong with a lab, and what mends it.
type Finding struct {
	What string `json:"what"`
	Mend string `json:"mend"`
}

const mendUp = "ocifit-lab up"

// leastDisk is how much space a lab's state wants to go on.
const leastDisk = 512 << 20

// Diagnose looks at a lab that was brought up and names what is wrong with it, the cause before what follows from it.
func (l *Lab) Diagnose(ctx context.Context, state *labstate.State) []Finding {
	var found []Finding
	add := func(mend, format string, args ...any) {
		found = append(found, Finding{What: fmt.Sprintf(format, args...), Mend: mend})
	}
	if free, known := freeDisk(l.Dir.Path()); known && free < leastDisk {
		add("free some space there", "%s has %d MiB of free disk", l.Dir.Path(), free>>20)
	}
	if state.Rebuilt != "" {
		add(mendUp, "%s: the lab is known by what else is in its folder", state.Rebuilt)
	}
	if len(l.Edited) > 0 {
		add("ocifit-lab up, or down and up", "lab.yaml was changed since the lab was brought up: %s", strings.Join(l.Edited, ", "))
	}
	if holder, held := l.Dir.Holder(); held {
		add("wait until it ends, or stop it", "the lab is in use by %s", holder)
	}
	status, err := l.Status(ctx, state)
	if err != nil {
		add(mendUp, "the cluster cannot be looked at: %v", err)
		return found
	}
	switch status.Cluster.State {
	case provision.Absent:
		add(mendUp+", or ocifit-lab down to forget it", "the cluster is gone, though the lab was brought up")
	case provision.Broken:
		add(mendUp, "the cluster is broken: %s", status.Cluster.Detail)
	case provision.Starting:
		add("wait, or "+mendUp, "the cluster is starting: %s", status.Cluster.Detail)
	}
	for _, n := range status.Nodes {
		if !n.Ready {
			add("see its events: kubectl describe node "+n.Name, "node %s is not ready", n.Name)
		}
	}
	for _, a := range status.Addons {
		if !a.Works {
			add(mendUp, "%s does not work: %s", a.Name, a.Seen)
		}
	}
	if !state.Ready && len(found) == 0 {
		add(mendUp, "not all steps of up are done")
	}
	return found
}

func freeDisk(dir string) (free int64, known bool) {
	var s syscall.Statfs_t
	if syscall.Statfs(dir, &s) != nil {
		return 0, false
	}
	return int64(s.Bavail) * int64(s.Bsize), true
}
