package sim

import (
	"fmt"
	"strings"

	"github.com/compspec/ocifit-lab/provision/step"
)

// testReplace ends machines: an idle one at once, none that is needed, and the next pod gets another.
func (l *lab) testReplace() {
	l.createJob("first", "c7a.12xlarge", "40")
	l.pod("first", "bound", bound)
	before := l.nodes("c7a")
	if len(before) != 1 {
		l.Fatalf("nodes %v", before)
	}
	l.deleteJob("first")
	l.must(l.provider.ReplaceNode(l.Context(), before[0].Name))
	l.must(l.provider.ReplaceNode(l.Context(), before[0].Name)) // gone already
	l.createJob("second", "c7a.12xlarge", "40")
	l.pod("second", "bound", bound)
	if after := l.nodes("c7a"); len(after) != 1 || after[0].Name == before[0].Name {
		l.Errorf("nodes %v, before %v", after, before)
	}
	l.eventuallyEvent("ScaleDown", "another machine was asked for")
	l.deleteJob("second")

	sticky := l.nodes("sticky")[0].Name
	err := l.provider.ReplaceNode(l.Context(), sticky)
	if err == nil || !strings.Contains(err.Error(), "own parts") || !strings.Contains(step.HintOf(err), "skip list") {
		l.Errorf("sticky: %v", err)
	}
	if left := l.nodes("sticky"); len(left) != 1 || left[0].Name != sticky || left[0].Spec.Unschedulable {
		l.Errorf("the sticky node: %v", fmt.Sprint(left))
	}
}
