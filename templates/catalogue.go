package templates

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"sync"

	"sigs.k8s.io/yaml"
)

const featurePrefix = "feature.node.kubernetes.io/"

// The numbers of an instance type, as labels of its row among the node features: models multiply by them. Nodes do not carry them.
const (
	factPrefix = "instance.ocifit-lab/"
	// FactCores are physical cores, FactVCPUs hardware threads.
	FactCores = factPrefix + "cores"
	FactVCPUs = factPrefix + "vcpus"
	// FactMemory in GiB.
	FactMemory = factPrefix + "memory-gib"
	// FactClock in GHz, with all cores at work where the vendor tells it.
	FactClock = factPrefix + "clock-ghz"
	// FactBandwidth is the type's share, by cores, of the peak memory bandwidth of a socket, in GB/s.
	FactBandwidth = factPrefix + "memory-bandwidth-gbs"
	// FactPrice in USD per hour, on demand.
	FactPrice = factPrefix + "price-usd"
)

// Facts lists the labels of an instance type's numbers.
func Facts() []string { return append(HardwareFacts(), FactPrice) }

// HardwareFacts are Facts without the price.
func HardwareFacts() []string {
	return []string{FactCores, FactVCPUs, FactMemory, FactClock, FactBandwidth}
}

// InstanceType is what the catalogue knows of one EC2 instance type.
type InstanceType struct {
	Name         string
	Architecture string // amd64 or arm64
	VCPU         int    // hardware threads
	Cores        int    // physical cores
	MemoryMiB    int64
	PriceUSD     float64 // on-demand, per hour; PriceNote says where and when
	Zone         string  // where the study ran it
	// Labels are those of every node of the type: features, instance type, architecture and operating system,
	// without what belongs to one machine, such as its host name.
	Labels map[string]string
	// Facts are the type's numbers, by Facts' labels.
	Facts map[string]string
}

type catalogue struct {
	Prices struct {
		Currency, Unit, Region, AsOf, Source string
	} `json:"prices"`
	Processors map[string]struct {
		Description    string
		Model          map[string]string
		Multithreading bool
		// ClockGHz; SocketCores and SocketGBps describe a whole socket.
		ClockGHz    float64
		SocketCores int
		SocketGBps  float64  `json:"socketGBps"`
		CPUID       []string `json:"cpuid"`
		Labels      map[string]string
	} `json:"processors"`
	Systems map[string]map[string]string `json:"systems"`
	Devices map[string]map[string]string `json:"devices"`
	Types   []struct {
		Name         string
		Architecture string
		VCPU         int `json:"vcpu"`
		Cores        int
		MemoryGiB    int64
		PriceUSD     float64
		Processor    string
		System       string
		Devices      []string
		Zone         string
	} `json:"types"`
}

var parsed = sync.OnceValue(func() catalogue {
	data, err := files.ReadFile("catalogue.yaml")
	if err != nil {
		panic(err) // embedded
	}
	var c catalogue
	if err := yaml.UnmarshalStrict(data, &c); err != nil {
		panic(fmt.Sprintf("catalogue.yaml: %v", err)) // a test reads it
	}
	return c
})

// InstanceTypes lists the catalogue in the order in which the study recorded its nodes.
func InstanceTypes() []InstanceType {
	c := parsed()
	out := make([]InstanceType, 0, len(c.Types))
	for _, t := range c.Types {
		labels := map[string]string{
			"node.kubernetes.io/instance-type": t.Name,
			"kubernetes.io/arch":               t.Architecture,
			"kubernetes.io/os":                 "linux",
			"topology.kubernetes.io/region":    c.Prices.Region,
			"topology.kubernetes.io/zone":      t.Zone,
		}
		p := c.Processors[t.Processor]
		for k, v := range p.Model {
			labels[featurePrefix+"cpu-model."+k] = v
		}
		labels[featurePrefix+"cpu-hardware_multithreading"] = fmt.Sprint(p.Multithreading)
		for _, id := range p.CPUID {
			labels[featurePrefix+"cpu-cpuid."+id] = "true"
		}
		addFeatures(labels, p.Labels)
		addFeatures(labels, c.Systems[t.System])
		for _, d := range t.Devices {
			addFeatures(labels, c.Devices[d])
		}
		out = append(out, InstanceType{
			Name: t.Name, Architecture: t.Architecture, VCPU: t.VCPU, Cores: t.Cores, MemoryMiB: t.MemoryGiB << 10,
			PriceUSD: t.PriceUSD, Zone: t.Zone, Labels: labels,
			Facts: map[string]string{
				FactCores: strconv.Itoa(t.Cores), FactVCPUs: strconv.Itoa(t.VCPU), FactMemory: strconv.FormatInt(t.MemoryGiB, 10),
				FactClock: figure(p.ClockGHz), FactBandwidth: figure(p.SocketGBps * float64(t.Cores) / float64(p.SocketCores)), FactPrice: figure(t.PriceUSD),
			},
		})
	}
	return out
}

// figure has six digits, as far as a figure of a catalogue goes.
func figure(x float64) string { return strconv.FormatFloat(x, 'g', 6, 64) }

func addFeatures(labels, features map[string]string) {
	for k, v := range features {
		labels[featurePrefix+k] = v
	}
}

// Prices returns the on-demand price per hour in USD by instance type, and a sentence that dates them.
func Prices() (prices map[string]float64, note string) {
	c := parsed()
	prices = make(map[string]float64, len(c.Types))
	for _, t := range c.Types {
		prices[t.Name] = t.PriceUSD
	}
	return prices, fmt.Sprintf("%s per %s in %s as of %s: %s", c.Prices.Currency, c.Prices.Unit, c.Prices.Region, c.Prices.AsOf, c.Prices.Source)
}

// NodeFeatures renders the cached node features of the types that keep accepts, all with a nil keep: a JSON list with one
// label map per instance type, its facts among them, the format that the webhook reads from the node-features ConfigMap.
func NodeFeatures(keep func(instanceType string) bool) []byte {
	rows := []map[string]string{}
	for _, t := range InstanceTypes() {
		if keep == nil || keep(t.Name) {
			row := maps.Clone(t.Labels)
			maps.Copy(row, t.Facts)
			rows = append(rows, row)
		}
	}
	data, err := json.MarshalIndent(rows, "", " ")
	if err != nil {
		panic(err) // maps of strings always encode
	}
	return append(data, '\n')
}
