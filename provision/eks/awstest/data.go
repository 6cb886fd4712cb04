package awstest

import "strings"

type zone struct{ name, id string }

// zones are those of a region; the last of us-east-1 cannot carry an EKS control plane in AWS either.
func zones(region string) []zone {
	if region != "us-east-1" {
		short := strings.NewReplacer("west", "w", "east", "e", "-", "").Replace(region)
		return []zone{{region + "a", short + "-az1"}, {region + "b", short + "-az2"}, {region + "c", short + "-az3"}}
	}
	return []zone{{"us-east-1a", "use1-az6"}, {"us-east-1b", "use1-az1"}, {"us-east-1c", "use1-az2"}, {"us-east-1d", "use1-az4"}, {"us-east-1e", "use1-az3"}}
}

// machine is an instance type: public facts, and a price that is made up.
type machine struct {
	name, arch string
	vcpu       int
	memory     int // MiB
	zones      string
}

// machines are the types that the endpoint's region offers; zones are the last letters of the zones that do.
var machines = []machine{
	{"c6a.16xlarge", "amd64", 64, 131072, "abcd"},
	{"c6i.16xlarge", "amd64", 64, 131072, "abcde"},
	{"c6id.12xlarge", "amd64", 48, 98304, "abcd"},
	{"c6in.12xlarge", "amd64", 48, 98304, "abcd"},
	{"c7a.12xlarge", "amd64", 48, 98304, "abcd"},
	{"c7g.16xlarge", "arm64", 64, 131072, "abcd"},
	{"d3.4xlarge", "amd64", 16, 131072, "abd"},
	{"g4dn.xlarge", "amd64", 4, 16384, "abcde"},
	{"hpc6a.48xlarge", "amd64", 96, 393216, "b"},
	{"hpc7g.16xlarge", "arm64", 64, 131072, "a"},
	{"i4i.8xlarge", "amd64", 32, 262144, "abcd"},
	{"inf2.xlarge", "amd64", 4, 16384, "ac"},
	{"m5.large", "amd64", 2, 8192, "abcde"},
	{"m6a.12xlarge", "amd64", 48, 196608, "abcd"},
	{"m6g.12xlarge", "arm64", 48, 196608, "abcd"},
	{"m6i.12xlarge", "amd64", 48, 196608, "abcd"},
	{"m6id.12xlarge", "amd64", 48, 196608, "abcd"},
	{"m7g.16xlarge", "arm64", 64, 262144, "abcd"},
	{"r6a.12xlarge", "amd64", 48, 393216, "abcd"},
	{"r6i.8xlarge", "amd64", 32, 262144, "abcd"},
	{"r7g.12xlarge", "arm64", 48, 393216, "abcd"},
	{"r7iz.8xlarge", "amd64", 32, 262144, "ab"},
	{"t3.2xlarge", "amd64", 8, 32768, "abcde"},
	{"t3a.2xlarge", "amd64", 8, 32768, "abcd"},
	{"t4g.2xlarge", "arm64", 8, 32768, "abcd"},
}

func instanceType(name string) *machine {
	for i := range machines {
		if machines[i].name == name {
			return &machines[i]
		}
	}
	return nil
}

func (m machine) in(z zone) bool { return strings.Contains(m.zones, z.name[len(z.name)-1:]) }

// Price is what the endpoint's Pricing service asks for an hour of a type: five cents per vCPU.
func Price(instance string) float64 {
	if m := instanceType(instance); m != nil {
		return 0.05 * float64(m.vcpu)
	}
	return 0
}
