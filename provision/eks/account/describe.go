package account

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/pricing"
	pricingtypes "github.com/aws/aws-sdk-go-v2/service/pricing/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

// Zone is an availability zone.
type Zone struct{ Name, ID string }

// Zones lists the region's availability zones that are open to the account, local and wavelength zones left out.
func (c *Cloud) Zones(ctx context.Context) ([]Zone, error) {
	out, err := c.ec2.DescribeAvailabilityZones(ctx, &ec2.DescribeAvailabilityZonesInput{})
	if err != nil {
		return nil, Explain(fmt.Errorf("list zones of %s: %w", c.Region, err))
	}
	var zones []Zone
	for _, z := range out.AvailabilityZones {
		if z.State == ec2types.AvailabilityZoneStateAvailable && aws.ToString(z.ZoneType) == "availability-zone" {
			zones = append(zones, Zone{aws.ToString(z.ZoneName), aws.ToString(z.ZoneId)})
		}
	}
	return zones, nil
}

// Offerings maps every instance type of the region to the zones that have it, in the order of their names.
func (c *Cloud) Offerings(ctx context.Context) (map[string][]string, error) {
	offers := map[string][]string{}
	pages := ec2.NewDescribeInstanceTypeOfferingsPaginator(c.ec2, &ec2.DescribeInstanceTypeOfferingsInput{
		LocationType: ec2types.LocationTypeAvailabilityZone, MaxResults: aws.Int32(1000),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, Explain(fmt.Errorf("list the instance types of %s: %w", c.Region, err))
		}
		for _, o := range page.InstanceTypeOfferings {
			t := string(o.InstanceType)
			offers[t] = append(offers[t], aws.ToString(o.Location))
		}
	}
	for _, z := range offers {
		slices.Sort(z)
	}
	return offers, nil
}

// Shape is how much an instance type has.
type Shape struct {
	VCPU         int
	MemoryMiB    int64
	Architecture string // amd64 or arm64
}

// Shapes asks for the sizes of instance types, which must all exist.
func (c *Cloud) Shapes(ctx context.Context, types []string) (map[string]Shape, error) {
	shapes := map[string]Shape{}
	for part := range slices.Chunk(types, 100) {
		in := &ec2.DescribeInstanceTypesInput{}
		for _, t := range part {
			in.InstanceTypes = append(in.InstanceTypes, ec2types.InstanceType(t))
		}
		out, err := c.ec2.DescribeInstanceTypes(ctx, in)
		if err != nil {
			return nil, Explain(fmt.Errorf("ask for the sizes of instance types: %w", err))
		}
		for _, t := range out.InstanceTypes {
			s := Shape{Architecture: "amd64"}
			if t.VCpuInfo != nil {
				s.VCPU = int(aws.ToInt32(t.VCpuInfo.DefaultVCpus))
			}
			if t.MemoryInfo != nil {
				s.MemoryMiB = aws.ToInt64(t.MemoryInfo.SizeInMiB)
			}
			if t.ProcessorInfo != nil && slices.Contains(t.ProcessorInfo.SupportedArchitectures, ec2types.ArchitectureTypeArm64) {
				s.Architecture = "arm64"
			}
			shapes[string(t.InstanceType)] = s
		}
	}
	return shapes, nil
}

// VPCs counts the VPCs of the region.
func (c *Cloud) VPCs(ctx context.Context) (int, error) {
	out, err := c.ec2.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{})
	if err != nil {
		return 0, err
	}
	return len(out.Vpcs), nil
}

// Version is a Kubernetes minor that EKS makes clusters of.
type Version struct {
	Minor   string
	Default bool // taken when none is asked for
	// StandardUntil and ExtendedUntil are when the two kinds of support end; zero where AWS does not tell.
	StandardUntil, ExtendedUntil time.Time
	Extended, Unsupported        bool // what AWS says of it now
}

// Versions lists the Kubernetes minors that EKS makes clusters of.
func (c *Cloud) Versions(ctx context.Context) ([]Version, error) {
	var all []Version
	pages := eks.NewDescribeClusterVersionsPaginator(c.eks, &eks.DescribeClusterVersionsInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, Explain(fmt.Errorf("list the Kubernetes versions of EKS: %w", err))
		}
		for _, v := range page.ClusterVersions {
			all = append(all, Version{
				Minor: aws.ToString(v.ClusterVersion), Default: v.DefaultVersion,
				StandardUntil: aws.ToTime(v.EndOfStandardSupportDate), ExtendedUntil: aws.ToTime(v.EndOfExtendedSupportDate),
				Extended: v.VersionStatus == ekstypes.VersionStatusExtendedSupport, Unsupported: v.VersionStatus == ekstypes.VersionStatusUnsupported,
			})
		}
	}
	return all, nil
}

// Parameter reads a public parameter of Systems Manager, empty if there is none of the name.
func (c *Cloud) Parameter(ctx context.Context, name string) (string, error) {
	out, err := c.ssm.GetParameter(ctx, &ssm.GetParameterInput{Name: &name})
	if IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", Explain(fmt.Errorf("read parameter %s: %w", name, err))
	}
	return aws.ToString(out.Parameter.Value), nil
}

// RoleARN is the name of a role with its path, which the identity of a session does not tell.
func (c *Cloud) RoleARN(ctx context.Context, role string) (string, error) {
	out, err := c.iam.GetRole(ctx, &iam.GetRoleInput{RoleName: &role})
	if err != nil {
		return "", err
	}
	return aws.ToString(out.Role.Arn), nil
}

// Denial is an action that IAM would refuse.
type Denial struct {
	Action string
	// Sure is unset when the policies depend on facts of the request that only the real one has.
	Sure bool
}

// Denied simulates actions for a principal, on one of the resources that they will be about, and returns those that IAM would refuse. An error
// means that IAM would not tell.
func (c *Cloud) Denied(ctx context.Context, principal, resource string, actions []string) ([]Denial, error) {
	var denied []Denial
	pages := iam.NewSimulatePrincipalPolicyPaginator(c.iam, &iam.SimulatePrincipalPolicyInput{
		PolicySourceArn: &principal, ActionNames: actions, ResourceArns: []string{resource},
		ContextEntries: []iamtypes.ContextEntry{{
			ContextKeyName: aws.String("aws:RequestedRegion"), ContextKeyType: iamtypes.ContextKeyTypeEnumString,
			ContextKeyValues: []string{c.Region},
		}},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("ask IAM what is allowed: %w", err)
		}
		for _, r := range page.EvaluationResults {
			if r.EvalDecision != iamtypes.PolicyEvaluationDecisionTypeAllowed {
				sure := r.EvalDecision == iamtypes.PolicyEvaluationDecisionTypeExplicitDeny || len(r.MissingContextValues) == 0
				denied = append(denied, Denial{aws.ToString(r.EvalActionName), sure})
			}
		}
	}
	return denied, nil
}

// Prices asks the Pricing service for the on-demand Linux price of instance types, in USD an hour. Types without a price are left out.
func (c *Cloud) Prices(ctx context.Context, types []string) (map[string]float64, error) {
	client := pricing.NewFromConfig(c.config, func(o *pricing.Options) {
		// The service exists in few regions; each answers for all.
		if aws.ToString(c.config.BaseEndpoint) == "" {
			o.Region = "us-east-1"
		}
	})
	prices := map[string]float64{}
	for _, t := range types {
		out, err := client.GetProducts(ctx, &pricing.GetProductsInput{
			ServiceCode: aws.String("AmazonEC2"), FormatVersion: aws.String("aws_v1"), MaxResults: aws.Int32(10),
			Filters: []pricingtypes.Filter{
				equal("instanceType", t), equal("regionCode", c.Region), equal("operatingSystem", "Linux"), equal("tenancy", "Shared"),
				equal("preInstalledSw", "NA"), equal("capacitystatus", "Used"), equal("marketoption", "OnDemand"),
			},
		})
		if err != nil {
			return nil, fmt.Errorf("ask for prices: %w", err)
		}
		for _, item := range out.PriceList {
			if p, ok := hourly([]byte(item)); ok {
				prices[t] = p
				break
			}
		}
	}
	return prices, nil
}

func equal(field, value string) pricingtypes.Filter {
	return pricingtypes.Filter{Field: &field, Value: &value, Type: pricingtypes.FilterTypeTermMatch}
}

// hourly takes the on-demand price from one item of a price list.
func hourly(item []byte) (float64, bool) {
	var p struct {
		Terms struct {
			OnDemand map[string]struct {
				PriceDimensions map[string]struct {
					Unit         string            `json:"unit"`
					PricePerUnit map[string]string `json:"pricePerUnit"`
				} `json:"priceDimensions"`
			}
		} `json:"terms"`
	}
	if json.Unmarshal(item, &p) != nil {
		return 0, false
	}
	for _, term := range p.Terms.OnDemand {
		for _, d := range term.PriceDimensions {
			if usd, err := strconv.ParseFloat(d.PricePerUnit["USD"], 64); err == nil && usd > 0 && d.Unit == "Hrs" {
				return usd, true
			}
		}
	}
	return 0, false
}
