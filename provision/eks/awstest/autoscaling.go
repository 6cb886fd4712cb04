package awstest

import (
	"slices"
	"strconv"
)

var asgOperations = map[string]operation{
	"DescribeAutoScalingGroups":           describeASGs,
	"DescribeTags":                        describeASGTags,
	"CreateOrUpdateTags":                  tagASGs,
	"DeleteAutoScalingGroup":              deleteASG,
	"SetDesiredCapacity":                  setDesired,
	"TerminateInstanceInAutoScalingGroup": terminateInGroup,
	"DescribeAutoScalingInstances":        func(*Server, Call) (answer, error) { return xmlAnswer(el("AutoScalingInstances")), nil },
	"DescribeScalingActivities":           describeActivities,
	"DescribeLaunchConfigurations":        func(*Server, Call) (answer, error) { return xmlAnswer(el("LaunchConfigurations")), nil },
}

func (s *Server) mustASG(name string) (*asg, error) {
	if a := s.acct.asgs[name]; a != nil {
		return a, nil
	}
	return nil, apiError(400, "ValidationError", "AutoScalingGroup name not found - %s", name)
}

func asgTagNodes(a *asg) node {
	return el("Tags", each("member", sortedKeys(a.tags), func(k string) []node {
		return []node{el("ResourceId", a.name), el("ResourceType", "auto-scaling-group"), el("Key", k), el("Value", a.tags[k]), el("PropagateAtLaunch", false)}
	}))
}

func describeASGs(s *Server, c Call) (answer, error) {
	names, filters := c.list("AutoScalingGroupNames.member"), c.filters()
	var items []node
	for _, name := range sortedKeys(s.acct.asgs) {
		a := s.acct.asgs[name]
		if (len(names) > 0 && !slices.Contains(names, name)) || !tagged(a.tags, filters) {
			continue
		}
		items = append(items, el("member", el("AutoScalingGroupName", name), el("MinSize", a.min), el("MaxSize", a.max),
			el("DesiredCapacity", a.desired), el("CreatedTime", a.made), el("DefaultCooldown", 300), el("HealthCheckType", "EC2"),
			el("AvailabilityZones", each("member", s.zonesOf(a), textNode)), asgTagNodes(a), el("Instances", each("member", a.instances, func(i *instance) []node {
				return []node{
					el("InstanceId", i.id), el("LifecycleState", "InService"), el("HealthStatus", "Healthy"),
					el("AvailabilityZone", i.zone), el("InstanceType", i.kind), el("ProtectedFromScaleIn", false),
				}
			}))))
	}
	return xmlAnswer(el("AutoScalingGroups", items)), nil
}

// describeActivities lists the newest first, as AWS does.
func describeActivities(s *Server, c Call) (answer, error) {
	a, err := s.mustASG(c.get("AutoScalingGroupName"))
	if err != nil {
		return answer{}, err
	}
	list := slices.Clone(a.activities)
	slices.Reverse(list)
	return xmlAnswer(el("Activities", each("member", list, func(x activity) []node {
		return []node{
			el("ActivityId", x.id), el("AutoScalingGroupName", a.name), el("Description", "Launching a new EC2 instance"), el("Cause", "a user request changed the desired capacity"),
			el("StartTime", x.at), el("EndTime", x.at), el("StatusCode", x.status), el("StatusMessage", x.message), el("Progress", 100),
		}
	}))), nil
}

func describeASGTags(s *Server, c Call) (answer, error) {
	var items []node
	for _, name := range sortedKeys(s.acct.asgs) {
		if want := c.filters()["auto-scaling-group"]; len(want) == 0 || slices.Contains(want, name) {
			items = append(items, asgTagNodes(s.acct.asgs[name]).kids...)
		}
	}
	return xmlAnswer(el("Tags", items)), nil
}

func tagASGs(s *Server, c Call) (answer, error) {
	n := 0
	for ; c.get("Tags.member."+strconv.Itoa(n+1)+".Key") != ""; n++ {
		at := "Tags.member." + strconv.Itoa(n+1)
		a, err := s.mustASG(c.get(at + ".ResourceId"))
		if err != nil {
			return answer{}, err
		}
		a.tags[c.get(at+".Key")] = c.get(at + ".Value")
		if len(a.tags) > 50 {
			return answer{}, apiError(400, "LimitExceeded", "Tag limit of 50 exceeded for %s", a.name)
		}
	}
	if n > 25 {
		return answer{}, apiError(400, "ValidationError", "at most 25 tags in one call")
	}
	return answer{}, nil
}

func deleteASG(s *Server, c Call) (answer, error) {
	a, err := s.mustASG(c.get("AutoScalingGroupName"))
	if err != nil {
		return answer{}, err
	}
	if len(a.instances) > 0 && c.get("ForceDelete") != "true" {
		return answer{}, apiError(400, "ResourceInUse", "You cannot delete an AutoScalingGroup while there are instances still in the group.")
	}
	delete(s.acct.asgs, a.name)
	return answer{}, nil
}

// setDesired scales a group; like AWS it answers before the machines are there.
func setDesired(s *Server, c Call) (answer, error) {
	a, err := s.mustASG(c.get("AutoScalingGroupName"))
	if err != nil {
		return answer{}, err
	}
	n, err := strconv.Atoi(c.get("DesiredCapacity"))
	if err != nil || n < a.min || n > a.max {
		return answer{}, apiError(400, "ValidationError", "New SetDesiredCapacity value %s is not between %d and %d for the AutoScalingGroup.", c.get("DesiredCapacity"), a.min, a.max)
	}
	a.desired = n
	return answer{settled: s.start(func() { s.rescale(a) })}, nil
}

func (s *Server) rescale(a *asg) {
	if s.opts.Delay != nil && s.sleep(s.opts.Delay(Work{Type: "AWS::EC2::Instance", Stack: a.group.cluster})) != nil {
		return
	}
	if err := s.scale(a.name); err != nil {
		s.opts.Log("scaling %s: %v", a.name, err)
	}
}

func terminateInGroup(s *Server, c Call) (answer, error) {
	id := c.get("InstanceId")
	for _, a := range s.acct.asgs {
		at := slices.IndexFunc(a.instances, func(i *instance) bool { return i.id == id })
		if at < 0 {
			continue
		}
		a.instances = slices.Delete(a.instances, at, at+1)
		if c.get("ShouldDecrementDesiredCapacity") == "true" {
			a.desired--
		}
		return answer{xml: []node{el("Activity", el("ActivityId", "a-1"), el("AutoScalingGroupName", a.name), el("StatusCode", "InProgress"),
			el("Cause", "requested"))}, settled: s.start(func() { s.rescale(a) })}, nil
	}
	return answer{}, apiError(400, "ValidationError", "Instance Id not found - No managed instance found for instance ID: %s", id)
}
