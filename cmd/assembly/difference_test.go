package assembly

import (
	"slices"
	"testing"

	"github.com/compspec/ocifit-lab/provision/lab"
	"github.com/compspec/ocifit-lab/provision/labstate"
)

func TestDifferences(t *testing.T) {
	for name, c := range map[string]struct {
		change          func(*lab.Spec)
		cluster, edited []string
	}{
		"nothing":              {func(*lab.Spec) {}, nil, nil},
		"what runs":            {func(s *lab.Spec) { s.Experiment.Study, s.Experiment.Trials = "smoke", 3 }, nil, nil},
		"skip":                 {func(s *lab.Spec) { s.Webhook.Skip = nil }, []string{"webhook.skip"}, []string{"webhook.skip"}},
		"two":                  {func(s *lab.Spec) { s.Sim.TimeScale, s.Webhook.TieBreak = 1, "first" }, []string{"sim.timeScale", "webhook.tieBreak"}, []string{"sim.timeScale", "webhook.tieBreak"}},
		"a group":              {func(s *lab.Spec) { s.NodeGroups[3].Max = 7 }, []string{"nodeGroups"}, []string{"nodeGroups"}},
		"what was left out":    {func(s *lab.Spec) { s.Components.Versions = "procedure" }, []string{"components.versions"}, []string{"components.versions"}},
		"what up takes over":   {func(s *lab.Spec) { s.EKS.Profile = "other" }, nil, []string{"eks.profile"}},
		"an image of the node": {func(s *lab.Spec) { s.Kind.NodeImage = "kindest/node:v1" }, []string{"kind.nodeImage"}, []string{"kind.nodeImage"}},
	} {
		t.Run(name, func(t *testing.T) {
			old, spec := lab.Default(), lab.Default()
			c.change(spec)
			if got, err := ClusterDifferences(old, spec); err != nil || !slices.Equal(got, c.cluster) {
				t.Errorf("of the cluster: %v, %v; want %v", got, err, c.cluster)
			}
			dir, err := labstate.Open(t.TempDir(), "lab")
			if err != nil {
				t.Fatal(err)
			}
			if err := dir.Write(&labstate.State{}, old); err != nil {
				t.Fatal(err)
			}
			if got, err := edited(dir, spec); err != nil || got != nil {
				t.Errorf("without a memory: %v, %v", got, err)
			}
			if err := (&Lab{Dir: dir}).SaveGiven(old); err != nil {
				t.Fatal(err)
			}
			if got, err := edited(dir, spec); err != nil || !slices.Equal(got, c.edited) {
				t.Errorf("edited: %v, %v; want %v", got, err, c.edited)
			}
		})
	}
}
