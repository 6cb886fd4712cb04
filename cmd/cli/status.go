package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sort"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/compspec/ocifit-lab/cmd/ui"
	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/kube"
	"github.com/compspec/ocifit-lab/provision/labstate"
	"github.com/compspec/ocifit-lab/templates"
)

func (a *app) statusCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show the cluster, its nodes and addons, and how far the experiments are",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return a.status(cmd.Context()) },
	}
}

type labStatus struct {
	Name     string           `json:"name"`
	Up       bool             `json:"up"`
	Since    *time.Time       `json:"since,omitempty"`
	Cluster  provision.Status `json:"cluster"`
	Nodes    []nodeStatus     `json:"nodes"`
	Addons   []addonStatus    `json:"addons"`
	CostHour float64          `json:"costUSDPerHour"`
	Prices   string           `json:"prices"`
	Run      *runStatus       `json:"run,omitempty"`
	// InUse says which of the parts that have a stand-in are in use.
	InUse map[string]string `json:"inUse"`
	State string            `json:"stateFolder"`
}

type nodeStatus struct {
	Name         string  `json:"name"`
	InstanceType string  `json:"instanceType"`
	Group        string  `json:"group"`
	Ready        bool    `json:"ready"`
	PriceUSD     float64 `json:"priceUSDPerHour"`
}

type addonStatus struct {
	Name  string `json:"name"`
	Works bool   `json:"works"`
	Seen  string `json:"seen,omitempty"`
}

// statusTimeout bounds all questions to the cluster together: status has to answer when things are broken.
const statusTimeout = 15 * time.Second

func (a *app) status(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	setup, state, err := a.existing()
	if errors.Is(err, labstate.ErrNoLab) {
		spec, err := a.spec()
		if err != nil {
			return err
		}
		s := labStatus{Name: spec.Name, Cluster: provision.Status{Provider: spec.Provider, State: provision.Absent}}
		return a.print(s, func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "lab %s is not up; create it with `ocifit-lab up`\n", spec.Name)
			return err
		})
	}
	if err != nil {
		return err
	}
	s, err := a.look(ctx, setup, state)
	if err != nil {
		return err
	}
	return a.print(s, s.text)
}

func (a *app) look(ctx context.Context, setup *setup, state *labstate.State) (*labStatus, error) {
	s := &labStatus{Name: setup.spec.Name, Up: state.Ready, Since: &state.Created, State: setup.dir.Path()}
	var err error
	if s.Cluster, err = setup.provider.Status(ctx); err != nil {
		return nil, err
	}
	_, s.Prices = templates.Prices()
	s.Run = a.runStatus(setup)
	s.InUse = setup.inUse()
	if s.Cluster.State != provision.Running {
		return s, nil
	}
	cluster, err := setup.provider.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.nodes(ctx, cluster); err != nil {
		return nil, err
	}
	if err := s.addFixedCosts(ctx, setup); err != nil {
		return nil, err
	}
	for _, addon := range setup.addons {
		row := addonStatus{Name: addon.Name(), Works: true}
		if err := addon.Ready(ctx, cluster); err != nil {
			row.Works, row.Seen = false, err.Error()
		}
		s.Addons = append(s.Addons, row)
	}
	return s, nil
}

func (s *labStatus) nodes(ctx context.Context, cluster *kube.Cluster) error {
	list, err := cluster.Clientset.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	prices, _ := templates.Prices()
	for _, n := range list.Items {
		row := nodeStatus{
			Name: n.Name, InstanceType: n.Labels[corev1.LabelInstanceTypeStable],
			Group: n.Labels["eks.amazonaws.com/nodegroup"],
		}
		row.PriceUSD = prices[row.InstanceType]
		for _, c := range n.Status.Conditions {
			row.Ready = row.Ready || c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
		}
		s.CostHour += row.PriceUSD
		s.Nodes = append(s.Nodes, row)
	}
	sort.Slice(s.Nodes, func(i, j int) bool { return s.Nodes[i].Name < s.Nodes[j].Name })
	return nil
}

func (s *labStatus) text(w io.Writer) error {
	ready := "up"
	if !s.Up {
		ready = "not complete; run `ocifit-lab up` to go on"
	}
	fmt.Fprintf(w, "lab        %s on %s: %s\n", s.Name, s.Cluster.Provider, ready)
	fmt.Fprintf(w, "cluster    %s %s\n", s.Cluster.State, s.Cluster.Endpoint)
	if s.Cluster.Detail != "" {
		fmt.Fprintf(w, "           %s\n", s.Cluster.Detail)
	}
	if s.Cluster.Simulated != "" {
		fmt.Fprintf(w, "simulated  %s\n", s.Cluster.Simulated)
	}
	for _, k := range sortedKeys(s.Cluster.Facts) {
		fmt.Fprintf(w, "%-10s %s\n", k, s.Cluster.Facts[k])
	}
	if len(s.Nodes) > 0 {
		var rows [][]string
		for _, n := range s.Nodes {
			rows = append(rows, []string{n.Name, n.InstanceType, n.Group, strconv.FormatBool(n.Ready), ui.Dollars(n.PriceUSD)})
		}
		fmt.Fprintln(w)
		if err := ui.Table(w, []string{"NODE", "INSTANCE TYPE", "GROUP", "READY", "$/HOUR"}, rows); err != nil {
			return err
		}
		note := ""
		if s.Cluster.Simulated != "" {
			note = " (what these nodes would cost on AWS)"
		}
		fmt.Fprintf(w, "together %s per hour%s\n", ui.Dollars(s.CostHour), note)
	}
	if len(s.Addons) > 0 {
		var rows [][]string
		for _, x := range s.Addons {
			state := "works"
			if !x.Works {
				state = "does not work: " + x.Seen
			}
			rows = append(rows, []string{x.Name, state})
		}
		fmt.Fprintln(w)
		if err := ui.Table(w, []string{"ADDON", "STATE"}, rows); err != nil {
			return err
		}
	}
	fmt.Fprintln(w)
	for _, k := range sortedKeys(s.InUse) {
		fmt.Fprintf(w, "%-22s %s\n", k, s.InUse[k])
	}
	return s.Run.text(w)
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
