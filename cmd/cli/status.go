package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/compspec/ocifit-lab/cmd/assembly"
	"github.com/compspec/ocifit-lab/cmd/ui"
	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/cost"
	"github.com/compspec/ocifit-lab/provision/labstate"
)

func (a *app) statusCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show the cluster, its nodes and addons, and how far the experiments are",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return a.status(cmd.Context()) },
	}
}

// labStatus is what is seen of a lab, and how far its study is.
type labStatus struct {
	*assembly.Status
	Run *runStatus `json:"run,omitempty"`
}

// statusTimeout bounds all questions to the cluster together: status has to answer when things are broken.
const statusTimeout = 15 * time.Second

func (a *app) status(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	l, state, err := a.Existing(ctx)
	if errors.Is(err, labstate.ErrNoLab) {
		spec, err := a.Spec()
		if err != nil {
			return err
		}
		s := labStatus{Status: &assembly.Status{Name: spec.Name, Cluster: provision.Status{Provider: spec.Provider, State: provision.Absent}}}
		return a.Print(s, func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "lab %s is not up; create it with `ocifit-lab up`\n", spec.Name)
			return err
		})
	}
	if err != nil {
		return err
	}
	seen, err := l.Status(ctx, state)
	if err != nil {
		return err
	}
	s := labStatus{Status: seen, Run: a.runStatus(l)}
	if s.Run != nil {
		if s.Spent, err = l.Spent(ctx, state, s.Run.Dir); err != nil {
			return err
		}
	}
	return a.Print(s, s.text)
}

func (s labStatus) text(w io.Writer) error {
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
	for _, k := range slices.Sorted(maps.Keys(s.Cluster.Facts)) {
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
	for _, k := range slices.Sorted(maps.Keys(s.InUse)) {
		fmt.Fprintf(w, "%-22s %s\n", k, s.InUse[k])
	}
	if err := s.Run.text(w); err != nil || s.Spent == nil || s.Spent.USD == 0 {
		return err
	}
	return spentText(w, s.Spent)
}

// spentText says what was spent until now, and what is sure to follow.
func spentText(w io.Writer, b *cost.Bill) error {
	text := "bill       " + ui.Dollars(b.USD) + " so far"
	if b.Committed > b.USD {
		text += ", " + ui.Dollars(b.Committed) + " when the idle nodes are gone"
	}
	if len(b.Unpriced) > 0 {
		text += "; without the price of " + strings.Join(b.Unpriced, ", ") + ", which is not known"
	}
	_, err := fmt.Fprintln(w, text)
	return err
}
