package templates

import (
	"encoding/json"
	"testing"
)

func TestCatalogue(t *testing.T) {
	c := parsed()
	types := InstanceTypes()
	if len(types) != 22 {
		t.Fatalf("%d instance types, the study recorded 22", len(types))
	}
	seen := map[string]bool{}
	for i, it := range types {
		row := c.Types[i]
		if seen[it.Name] {
			t.Errorf("%s is listed twice", it.Name)
		}
		seen[it.Name] = true
		if _, ok := c.Processors[row.Processor]; !ok {
			t.Errorf("%s: no processor %q", it.Name, row.Processor)
		}
		if _, ok := c.Systems[row.System]; !ok {
			t.Errorf("%s: no system %q", it.Name, row.System)
		}
		for _, d := range row.Devices {
			if _, ok := c.Devices[d]; !ok {
				t.Errorf("%s: no device %q", it.Name, d)
			}
		}
		if it.PriceUSD <= 0 || it.MemoryMiB <= 0 {
			t.Errorf("%s: price %v, memory %v", it.Name, it.PriceUSD, it.MemoryMiB)
		}
		want := it.Cores
		if c.Processors[row.Processor].Multithreading {
			want *= 2
		}
		if it.VCPU != want {
			t.Errorf("%s: %d vCPU, %d cores, multithreading %v", it.Name, it.VCPU, it.Cores, c.Processors[row.Processor].Multithreading)
		}
	}
}

func TestNodeFeaturesIsAListOfLabelMaps(t *testing.T) {
	var rows []map[string]string
	if err := json.Unmarshal(NodeFeatures(nil), &rows); err != nil {
		t.Fatal(err)
	}
	if got := rows[0]["node.kubernetes.io/instance-type"]; got != "hpc7g.16xlarge" {
		t.Errorf("first row is %q: the order decides ties", got)
	}
}
