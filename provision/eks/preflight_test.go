package eks_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/eks/awstest"
)

func (b *bench) preflight() *provision.Report {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	r, err := b.provider().Preflight(ctx)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// check finds a check by the beginning of its name.
func check(t *testing.T, r *provision.Report, name string) provision.Check {
	t.Helper()
	i := slices.IndexFunc(r.Checks, func(c provision.Check) bool { return strings.HasPrefix(c.Name, name) })
	if i < 0 {
		t.Fatalf("no check %q in %+v", name, r.Checks)
	}
	return r.Checks[i]
}

func TestSupportOfVersions(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		until map[string]time.Time
		ask   string
		state provision.CheckState
		want  string
		try   string
	}{
		"standard":     {nil, "1.34", provision.CheckOK, "1.34, in standard support until", ""},
		"ends soon":    {map[string]time.Time{"1.34": now.AddDate(0, 0, 7)}, "1.34", provision.CheckWarning, "$0.60 an hour instead of $0.10", `kubernetesVersion: "1.35"`},
		"extended":     {map[string]time.Time{"1.33": now.AddDate(0, -1, 0)}, "1.33", provision.CheckWarning, "1.33 is in extended support", `kubernetesVersion: "1.34"`},
		"over":         {map[string]time.Time{"1.32": now.AddDate(-2, 0, 0)}, "1.32", provision.CheckFailed, "does not support 1.32 any more", `kubernetesVersion: "1.34"`},
		"none, chosen": {map[string]time.Time{"1.34": now.AddDate(0, 0, 7)}, "", provision.CheckOK, "1.35, in standard support until", ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, awstest.Options{StandardUntil: c.until})
			b.opts.KubernetesVersion = c.ask
			got := check(t, b.preflight(), "kubernetes version")
			if got.State != c.state || !strings.Contains(got.Text, c.want) || !strings.Contains(got.Try, c.try) {
				t.Errorf("%+v", got)
			}
		})
	}
}

// The price of the control plane follows the support of the version that AWS names.
func TestExtendedSupportIsPriced(t *testing.T) {
	b := newBench(t, awstest.Options{StandardUntil: map[string]time.Time{"1.34": time.Now().AddDate(0, -1, 0)}})
	e, err := b.provider().Estimate(context.Background(), true)
	if err != nil || e.Items[0].Each != 0.60 || !strings.Contains(e.Items[0].What, "extended support") {
		t.Errorf("%+v, %v", e, err)
	}
}

// A family without quota does not stand against the lab when its types are never chosen: empty groups need no quota.
func TestUnavailableTypesAreLeftOut(t *testing.T) {
	b := newBench(t, awstest.Options{Quotas: map[string]float64{"L-F7808C92": 0}})
	b.opts.Skip = []string{"t3.2xlarge"}
	r := b.preflight()
	c := check(t, r, "quota of vCPUs, family hpc")
	if !slices.Equal(r.Unavailable, []string{"hpc7g.16xlarge"}) || !strings.Contains(c.Try, "--skip-unavailable") || !strings.Contains(c.Try, "skip: [t3.2xlarge, hpc7g.16xlarge]") {
		t.Errorf("unavailable %v, check %+v", r.Unavailable, c)
	}
	b.opts.Skip = append(b.opts.Skip, r.Unavailable...)
	b.mustUp()
	b.mustDown()
}

// Trials run side by side within what the account may have beside the sticky nodes, family by family; a quota that nobody can tell bounds nothing.
func TestQuotas(t *testing.T) {
	b := newBench(t, awstest.Options{Quotas: map[string]float64{"L-1216C47A": 200, "L-F7808C92": 128}})
	b.opts.Skip = []string{"t3.2xlarge"}
	q, err := b.provider().Quotas(t.Context())
	const standard = "standard (a, c, d, h, i, m, r, t, z)"
	if err != nil || q.VCPUs[standard] != 200-8 || q.VCPUs["hpc"] != 128 || len(q.VCPUs) != 2 {
		t.Errorf("%+v, %v", q, err)
	}
	if q.Family["hpc7g.16xlarge"] != "hpc" || q.Family["c7a.12xlarge"] != standard || q.Family["t3.2xlarge"] != "" {
		t.Errorf("%+v", q.Family)
	}
	b = newBench(t, awstest.Options{Deny: []string{"servicequotas:GetServiceQuota", "servicequotas:GetAWSDefaultServiceQuota"}})
	if q, err := b.provider().Quotas(t.Context()); err != nil || len(q.VCPUs) != 0 || len(q.Family) == 0 {
		t.Errorf("denied: %+v, %v", q, err)
	}
}

// The role of a session of single sign-on has a path that only IAM knows; without it nothing could be simulated.
func TestPermissionsOfARoleWithAPath(t *testing.T) {
	const role = "AWSReservedSSO_Admin_0123456789abcdef"
	b := newBench(t, awstest.Options{
		Caller: "arn:aws:sts::" + awstest.Account + ":assumed-role/" + role + "/me@example.org",
		Roles:  map[string]string{role: "arn:aws:iam::" + awstest.Account + ":role/aws-reserved/sso.amazonaws.com/" + role},
		Deny:   []string{"eks:CreateCluster"},
	})
	if c := check(t, b.preflight(), "permissions"); c.State != provision.CheckFailed || !strings.Contains(c.Text, "may not: eks:CreateCluster") || !strings.Contains(c.Try, "eks policy") {
		t.Errorf("%+v", c)
	}
}

// A service that is down is named after a few tries and holds up nobody else's answer.
func TestBrokenServiceDoesNotHoldUpThePreflight(t *testing.T) {
	b := newBench(t, awstest.Options{})
	b.aws.Inject(awstest.Fault{Service: "ec2", Operation: "DescribeInstanceTypeOfferings", Status: 503, Code: "ServiceUnavailable", Message: "down"})
	r := b.preflight()
	if err := r.Err(); err == nil || !strings.Contains(err.Error(), "ServiceUnavailable") {
		t.Errorf("%v", err)
	}
	n := 0
	for _, c := range b.aws.Calls() {
		if c.Operation == "DescribeInstanceTypeOfferings" {
			n++
		}
	}
	if n > 3 {
		t.Errorf("it was asked %d times", n)
	}
	if c := check(t, r, "permissions"); c.State != provision.CheckOK {
		t.Errorf("%+v", c)
	}
	b.nothingMade()
}

func TestMachineImages(t *testing.T) {
	b := newBench(t, awstest.Options{})
	if c := check(t, b.preflight(), "machine images"); c.State != provision.CheckOK || !strings.Contains(c.Text, "ami-") {
		t.Errorf("%+v", c)
	}
	b.aws.Inject(awstest.Fault{Service: "ssm", Operation: "GetParameter", Status: 400, Code: "ParameterNotFound", Message: "no"})
	if c := check(t, b.preflight(), "machine images"); c.State != provision.CheckFailed || !strings.Contains(c.Text, "amazon-linux-2023") {
		t.Errorf("%+v", c)
	}
}

// What the caller adds is looked at with the rest.
func TestAddedChecks(t *testing.T) {
	b := newBench(t, awstest.Options{})
	b.opts.Checks = []provision.NamedCheck{
		{Name: "charts", Look: func(context.Context) (string, error) { return "", errors.New("registry.example cannot be reached") }},
		{Name: "images", Look: func(context.Context) (string, error) { return "", errors.New("the registry asks for a login") }, Elsewhere: true},
		{Name: "artifact", Look: func(context.Context) (string, error) { return "it can be pushed", nil }},
	}
	r := b.preflight()
	if c := check(t, r, "charts"); c.State != provision.CheckFailed || !strings.Contains(c.Text, "cannot be reached") {
		t.Errorf("%+v", c)
	}
	if c := check(t, r, "images"); c.State != provision.CheckUnknown || c.Text != "the registry asks for a login" {
		t.Errorf("%+v", c)
	}
	if c := check(t, r, "artifact"); c.State != provision.CheckOK || c.Text != "it can be pushed" {
		t.Errorf("%+v", c)
	}
}
