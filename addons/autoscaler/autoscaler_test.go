package autoscaler_test

import (
	"testing"
	"time"

	"github.com/compspec/ocifit-lab/addons/autoscaler"
)

// TestIdleNodesGo holds the times that the lab's bill counts on: with a pause after each node that is added, trials side by side would keep all.
func TestIdleNodesGo(t *testing.T) {
	args := autoscaler.Values(autoscaler.Options{ScaleDownAfter: 2 * time.Minute})["extraArgs"].(map[string]any)
	if args["scale-down-unneeded-time"] != "2m0s" || args["scale-down-delay-after-add"] != "0s" {
		t.Errorf("%v", args)
	}
}
