package awstest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

const callerARN = "arn:aws:iam::" + Account + ":user/lab"

// account is what exists.
type account struct {
	region    string
	stacks    []*stack             // newest first, deleted ones too
	resources map[string]*resource // by kind and id
	clusters  map[string]*cluster  // by name
	groups    map[string]*group    // by cluster/name
	asgs      map[string]*asg      // by name
	oidc      map[string]*provider // by ARN
	balancers map[string]*balancer // by name
	logs      map[string]time.Time // when they were made
	repos     map[string]*repository
}

// resource is a resource without a life of its own: a subnet, a role, a volume.
type resource struct {
	kind  string // CloudFormation type
	id    string
	stack *stack
	tags  map[string]string
	props map[string]any
	attrs map[string]string
	here  bool // was there before anybody came
	made  time.Time
}

func newAccount(region string) *account {
	a := &account{
		region: region, resources: map[string]*resource{}, clusters: map[string]*cluster{}, groups: map[string]*group{},
		asgs: map[string]*asg{}, oidc: map[string]*provider{}, balancers: map[string]*balancer{}, logs: map[string]time.Time{},
		repos: map[string]*repository{},
	}
	a.add(&resource{kind: "AWS::EC2::VPC", id: "vpc-default", here: true, props: map[string]any{"CidrBlock": "172.31.0.0/16"}})
	return a
}

func (a *account) add(t *resource) *resource {
	if t.tags == nil {
		t.tags = map[string]string{}
	}
	if t.attrs == nil {
		t.attrs = map[string]string{}
	}
	t.made = time.Now()
	a.resources[t.kind+"/"+t.id] = t
	return t
}

func (a *account) get(kind, id string) *resource { return a.resources[kind+"/"+id] }

func (a *account) drop(t *resource) { delete(a.resources, t.kind+"/"+t.id) }

// all returns the things of a kind in the order of their ids.
func (a *account) all(kind string) []*resource {
	var out []*resource
	for _, k := range sortedKeys(a.resources) {
		if t := a.resources[k]; t.kind == kind {
			out = append(out, t)
		}
	}
	return out
}

func (t *resource) text(key string) string {
	v, _ := t.props[key].(string)
	return v
}

func (t *resource) texts(key string) []string { return texts(t.props[key]) }

func texts(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []string:
		return v
	case []any:
		var out []string
		for _, i := range v {
			out = append(out, texts(i)...)
		}
		return out
	}
	return nil
}

func (a *account) arn(service, resource string) string {
	return fmt.Sprintf("arn:aws:%s:%s:%s:%s", service, a.region, Account, resource)
}

func (a *account) inventory() []string {
	var out []string
	for _, s := range a.stacks {
		if s.status != "DELETE_COMPLETE" {
			out = append(out, "stack "+s.name+" "+s.status)
		}
	}
	for _, k := range sortedKeys(a.resources) {
		if t := a.resources[k]; !t.here {
			out = append(out, strings.ToLower(t.kind[strings.LastIndex(t.kind, ":")+1:])+" "+t.id)
		}
	}
	add := func(what string, names []string) {
		for _, n := range names {
			out = append(out, what+" "+n)
		}
	}
	add("cluster", sortedKeys(a.clusters))
	add("node group", sortedKeys(a.groups))
	add("scaling group", sortedKeys(a.asgs))
	for _, name := range sortedKeys(a.asgs) {
		for _, i := range a.asgs[name].instances {
			out = append(out, "instance "+i.id)
		}
	}
	add("oidc provider", sortedKeys(a.oidc))
	add("load balancer", sortedKeys(a.balancers))
	add("log group", sortedKeys(a.logs))
	add("repository", sortedKeys(a.repos))
	return out
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// tagged tells whether tags hold everything that EC2's tag filters ask for, and takes those filters out of the map.
func tagged(tags map[string]string, filters map[string][]string) bool {
	for name, values := range filters {
		switch {
		case name == "tag-key":
			if !slices.ContainsFunc(values, func(k string) bool { _, ok := tags[k]; return ok }) {
				return false
			}
		case strings.HasPrefix(name, "tag:"):
			v, ok := tags[strings.TrimPrefix(name, "tag:")]
			if !ok || !slices.ContainsFunc(values, func(w string) bool { return wildcard(w, v) }) {
				return false
			}
		}
	}
	return true
}

func wildcard(pattern, s string) bool {
	if before, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(s, before)
	}
	return pattern == s
}
