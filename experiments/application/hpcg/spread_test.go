package hpcg

import (
	"testing"

	"github.com/compspec/ocifit-lab/templates"
)

// TestTypeSpread: in the published measurements the types differ by a factor of two and more from one deviation to the next, so that a
// draw at random is far noisier than machines of one type.
func TestTypeSpread(t *testing.T) {
	images := map[string]string{"amd64": "znver3-Ofast", "arm64": "neoverse-v2-O2-arm"}
	sd, ok := TypeSpread(templates.InstanceTypes(), images)
	if !ok || sd < 0.4 || sd > 1.2 {
		t.Errorf("types differ by %.3f, %v", sd, ok)
	}
	if _, ok := TypeSpread(templates.InstanceTypes()[:1], images); ok {
		t.Error("one type has no spread")
	}
}
