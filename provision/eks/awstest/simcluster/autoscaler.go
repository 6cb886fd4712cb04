package simcluster

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	asgtypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/compspec/ocifit-lab/provision/eks/awstest"
)

const tagPrefix = "k8s.io/cluster-autoscaler/"

// Autoscaler stands in for the cluster-autoscaler, whose container cannot run on simulated nodes: it knows of groups without nodes only what
// their scaling groups' tags say, as the real one does, and starts machines through the Auto Scaling service. A group whose nodes have had no
// pods for unneeded goes back to its minimum; pause is the time between two looks.
func Autoscaler(endpoint, region, cluster string, unneeded, pause time.Duration) Part {
	client := autoscaling.New(autoscaling.Options{
		Region: region, BaseEndpoint: &endpoint,
		Credentials: credentials.NewStaticCredentialsProvider(awstest.AccessKey, awstest.SecretKey, ""),
	})
	return func(ctx context.Context, env Env) error {
		pods, err := kubernetes.NewForConfig(env.Config)
		if err != nil {
			return err
		}
		a := &autoscaler{asg: client, kube: pods, cluster: cluster, unneeded: unneeded, idle: map[string]time.Time{}}
		for {
			if err := a.look(ctx); err != nil && ctx.Err() == nil {
				return err
			}
			select {
			case <-time.After(pause):
			case <-ctx.Done():
				return nil
			}
		}
	}
}

type autoscaler struct {
	asg      *autoscaling.Client
	kube     kubernetes.Interface
	cluster  string
	unneeded time.Duration
	idle     map[string]time.Time
}

// scalable is a scaling group with the node that its tags promise.
type scalable struct {
	name, group       string
	min, max, desired int32
	labels            map[string]string
	cpu, memory       resource.Quantity
}

func (a *autoscaler) look(ctx context.Context) error {
	groups, err := a.groups(ctx)
	if err != nil {
		return err
	}
	pods, err := a.kube.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	nodes, err := a.kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	groupOf := map[string]string{}
	booted := map[string]int32{}
	for _, n := range nodes.Items {
		groupOf[n.Name] = n.Labels[groupLabel]
		booted[n.Labels[groupLabel]]++
	}
	used := map[string]bool{}
	for i := range pods.Items {
		p := &pods.Items[i]
		if p.Spec.NodeName != "" {
			used[groupOf[p.Spec.NodeName]] = true
		} else if unschedulable(p) {
			for _, g := range groups {
				if g.fits(p) {
					used[g.group] = true
					if g.desired < g.max && booted[g.group] >= g.desired {
						if err := a.set(ctx, g, g.desired+1); err != nil {
							return err
						}
					}
					break
				}
			}
		}
	}
	return a.shrink(ctx, groups, used)
}

func (a *autoscaler) shrink(ctx context.Context, groups []*scalable, used map[string]bool) error {
	for _, g := range groups {
		if used[g.group] || g.desired <= g.min {
			delete(a.idle, g.group)
			continue
		}
		since, known := a.idle[g.group]
		if !known {
			a.idle[g.group] = time.Now()
		} else if time.Since(since) >= a.unneeded {
			if err := a.set(ctx, g, g.min); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *autoscaler) set(ctx context.Context, g *scalable, n int32) error {
	_, err := a.asg.SetDesiredCapacity(ctx, &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: &g.name, DesiredCapacity: &n})
	g.desired = n
	return err
}

func (a *autoscaler) groups(ctx context.Context) ([]*scalable, error) {
	out, err := a.asg.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{Filters: []asgtypes.Filter{
		{Name: aws.String("tag:" + tagPrefix + "enabled"), Values: []string{"true"}}, {Name: aws.String("tag:" + tagPrefix + a.cluster), Values: []string{"owned"}},
	}})
	if err != nil {
		return nil, fmt.Errorf("scaling groups: %w", err)
	}
	var groups []*scalable
	for _, asg := range out.AutoScalingGroups {
		g := &scalable{
			name: aws.ToString(asg.AutoScalingGroupName), min: aws.ToInt32(asg.MinSize), max: aws.ToInt32(asg.MaxSize),
			desired: aws.ToInt32(asg.DesiredCapacity), labels: map[string]string{},
		}
		for _, t := range asg.Tags {
			key, value := aws.ToString(t.Key), aws.ToString(t.Value)
			if label, ok := strings.CutPrefix(key, tagPrefix+"node-template/label/"); ok {
				g.labels[label] = value
			}
			switch key {
			case tagPrefix + "node-template/resources/cpu":
				g.cpu, err = resource.ParseQuantity(value)
			case tagPrefix + "node-template/resources/memory":
				g.memory, err = resource.ParseQuantity(value)
			}
			if err != nil {
				return nil, fmt.Errorf("tag %s of %s: %w", key, g.name, err)
			}
		}
		g.group = g.labels[groupLabel]
		groups = append(groups, g)
	}
	return groups, nil
}

func unschedulable(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable {
			return true
		}
	}
	return false
}

// fits tells whether a node of the group would take the pod: by node selector and requests, all that the study's pods use.
func (g *scalable) fits(p *corev1.Pod) bool {
	for k, v := range p.Spec.NodeSelector {
		if g.labels[k] != v {
			return false
		}
	}
	cpu, memory := resource.Quantity{}, resource.Quantity{}
	for _, c := range p.Spec.Containers {
		cpu.Add(*c.Resources.Requests.Cpu())
		memory.Add(*c.Resources.Requests.Memory())
	}
	return cpu.Cmp(g.cpu) <= 0 && memory.Cmp(g.memory) <= 0
}
