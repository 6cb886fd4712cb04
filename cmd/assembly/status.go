package assembly

import (
	"context"
	"errors"
	"sort"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/compspec/ocifit-lab/experiments/store"
	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/cost"
	"github.com/compspec/ocifit-lab/provision/kube"
	"github.com/compspec/ocifit-lab/provision/labstate"
)

// Status is what is seen of a lab.
type Status struct {
	Name     string           `json:"name"`
	Up       bool             `json:"up"`
	Since    *time.Time       `json:"since,omitempty"`
	Cluster  provision.Status `json:"cluster"`
	Nodes    []NodeStatus     `json:"nodes"`
	Addons   []AddonStatus    `json:"addons"`
	CostHour float64          `json:"costUSDPerHour"`
	Prices   string           `json:"prices"`
	// Spent is the bill of the lab and its study's run so far; nil where no price applies.
	Spent *cost.Bill `json:"spent,omitempty"`
	// InUse says which of the parts that have a stand-in are in use.
	InUse map[string]string `json:"inUse"`
	State string            `json:"stateFolder"`
	// Edited are the settings that were changed in lab.yaml since the lab was brought up.
	Edited []string `json:"edited,omitempty"`
}

// NodeStatus is a node with its price.
type NodeStatus struct {
	Name         string  `json:"name"`
	InstanceType string  `json:"instanceType"`
	Group        string  `json:"group"`
	Ready        bool    `json:"ready"`
	PriceUSD     float64 `json:"priceUSDPerHour"`
}

// AddonStatus tells whether an addon works.
type AddonStatus struct {
	Name  string `json:"name"`
	Works bool   `json:"works"`
	Seen  string `json:"seen,omitempty"`
}

// Status asks provider, nodes and addons.
func (l *Lab) Status(ctx context.Context, state *labstate.State) (*Status, error) {
	s := &Status{Name: l.Spec.Name, Up: state.Ready, Since: &state.Created, State: l.Dir.Path(), InUse: l.InUse(), Edited: l.Edited}
	var err error
	if s.Cluster, err = l.Provider.Status(ctx); err != nil {
		return nil, err
	}
	_, s.Prices = Prices(l.Spec.Provider)
	if s.Cluster.State != provision.Running {
		return s, nil
	}
	cluster, err := l.Provider.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if s.Nodes, err = l.nodes(ctx, cluster); err != nil {
		return nil, err
	}
	if s.CostHour, err = l.costHour(ctx, s.Nodes); err != nil {
		return nil, err
	}
	for _, addon := range l.Addons {
		row := AddonStatus{Name: addon.Name(), Works: true}
		if err := addon.Ready(ctx, cluster); err != nil {
			row.Works, row.Seen = false, err.Error()
		}
		s.Addons = append(s.Addons, row)
	}
	return s, nil
}

// groupLabel is the node label that names the node group, as EKS sets it.
const groupLabel = "eks.amazonaws.com/nodegroup"

func (l *Lab) nodes(ctx context.Context, cluster *kube.Cluster) ([]NodeStatus, error) {
	list, err := cluster.Clientset.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	prices, _ := Prices(l.Spec.Provider)
	var rows []NodeStatus
	for _, n := range list.Items {
		row := NodeStatus{Name: n.Name, InstanceType: n.Labels[corev1.LabelInstanceTypeStable], Group: n.Labels[groupLabel]}
		row.PriceUSD = prices[row.InstanceType]
		for _, c := range n.Status.Conditions {
			row.Ready = row.Ready || c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
		}
		rows = append(rows, row)
	}
	sort.Slice(rows, func(i, j int) bool { return rows[i].Name < rows[j].Name })
	return rows, nil
}

// costHour is what the lab costs an hour now: the nodes, and what else the provider counts.
func (l *Lab) costHour(ctx context.Context, nodes []NodeStatus) (float64, error) {
	groups, sum := map[string]int{}, 0.0
	for _, n := range nodes {
		groups[n.Group]++
		sum += n.PriceUSD
	}
	e, ok := l.Provider.(provision.Estimator)
	if !ok {
		return sum, nil
	}
	rate, err := e.Estimate(ctx, false)
	if err != nil {
		return 0, err
	}
	return rate.With(groups), nil
}

// Spent is the meter of a run. On a provider that costs money it runs since the lab was made; simulated trials have a clock of their own.
func (l *Lab) Spent(ctx context.Context, state *labstate.State, runDir string) (*cost.Bill, error) {
	if prices, _ := Prices(l.Spec.Provider); prices == nil {
		return nil, nil
	}
	costs, err := l.Costs(ctx, false)
	if err != nil {
		return nil, err
	}
	m := cost.NewMeter(*costs)
	run, err := store.Open(runDir, store.Read)
	switch {
	case err == nil:
		if m, err = run.Meter(ctx, *costs); err != nil {
			return nil, errors.Join(err, run.Close())
		}
		if err := run.Close(); err != nil {
			return nil, err
		}
	case !errors.Is(err, store.ErrNoRun):
		return nil, err
	}
	if _, ok := l.Provider.(provision.Estimator); !ok {
		return m.Last(), nil
	}
	m.Start(state.Created)
	return m.Bill(time.Now()), nil
}
