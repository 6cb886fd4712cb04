package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/compspec/ocifit-lab/cmd/assembly"
	"github.com/compspec/ocifit-lab/cmd/ui"
	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/lab"
	"github.com/compspec/ocifit-lab/provision/step"
)

// agree shows what up would make and what that costs, and asks, when the provider costs money and something is still to be made. It changes
// nothing in the account.
func (a *app) agree(ctx context.Context, l *assembly.Lab, f eksUpFlags) error {
	p, ok := l.Provider.(provision.Estimator)
	if !ok {
		return nil
	}
	if len(l.Missing) > 0 {
		return step.Try(fmt.Errorf("this version cannot install into a cluster on %s what the study needs: %s", l.Spec.Provider, strings.Join(l.Missing, ", ")),
			"choose another kubernetesVersion in lab.yaml, or name a chart under components.charts")
	}
	if err := l.CheckProgramImage(); err != nil {
		return err
	}
	a.Recreate = f.recreate
	if made, err := p.Made(ctx); err == nil && made {
		return nil
	}
	if err := a.showPlan(ctx, l); err != nil {
		return err
	}
	if err := a.preflight(ctx, l); err != nil {
		return err
	}
	cost, err := p.Estimate(ctx, true)
	if err != nil {
		return err
	}
	a.Say("\nthis costs %s per hour while nothing runs, and %s with every node group at its largest\nprices: %s",
		ui.Dollars(cost.Idle), ui.Dollars(cost.Worst), strings.Join(cost.Sources, "; "))
	if len(cost.Unpriced) > 0 {
		a.Say("not in these sums, as no price is known: %s", strings.Join(cost.Unpriced, ", "))
	}
	if !f.yes {
		question := fmt.Sprintf("Make cluster %s in %s?", l.Provider.Traits().Cluster, l.Spec.Region)
		if err := a.consent(ctx, question, "give --yes to spend without being asked"); err != nil {
			return err
		}
	}
	return a.agreeToRecreate(ctx, l)
}

// withoutUnavailable puts the lab together anew without the instance types of which the account's quota allows no node, and says which.
func (a *app) withoutUnavailable(ctx context.Context, spec *lab.Spec, l *assembly.Lab) (*assembly.Lab, error) {
	p, ok := l.Provider.(provision.Preflighter)
	if !ok {
		return l, nil
	}
	report, err := p.Preflight(ctx)
	if err != nil || len(report.Unavailable) == 0 {
		return l, err
	}
	spec.Webhook.Skip = append(slices.Clone(spec.Webhook.Skip), report.Unavailable...)
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	a.Say("left out, as the quota allows no node of them: %s; to keep it so, write in lab.yaml\nwebhook:\n  skip: [%s]",
		strings.Join(report.Unavailable, ", "), strings.Join(spec.Webhook.Skip, ", "))
	return a.Assemble(ctx, spec)
}

// agreeToRecreate asks before stacks that failed earlier are deleted; later the live view is in the way. Without anybody to ask, the step
// that meets such a stack refuses and names it.
func (a *app) agreeToRecreate(ctx context.Context, l *assembly.Lab) error {
	if a.Recreate || !a.terminal() {
		return nil
	}
	status, err := l.Provider.Status(ctx)
	if err != nil || status.State != provision.Broken {
		return err
	}
	err = a.consent(ctx, "These failed in an earlier up: "+status.Detail+"\nDelete them and make them again?", "")
	a.Recreate = err == nil
	return err
}

func (a *app) showPlan(ctx context.Context, l *assembly.Lab) error {
	if a.Quiet {
		return nil
	}
	p, err := a.plan(ctx, l)
	if err != nil {
		return err
	}
	return planText(a.Err, p)
}

// preflight prints what was looked at; the error holds what stands against up.
func (a *app) preflight(ctx context.Context, l *assembly.Lab) error {
	p, ok := l.Provider.(provision.Preflighter)
	if !ok {
		return nil
	}
	report, err := p.Preflight(ctx)
	if err != nil {
		return err
	}
	if !a.Quiet {
		fmt.Fprintln(a.Err)
		if err := checksTable(a.Err, report); err != nil {
			return err
		}
	}
	return report.Err()
}

func checksTable(w io.Writer, report *provision.Report) error {
	var rows [][]string
	for _, c := range report.Checks {
		rows = append(rows, []string{string(c.State), c.Name, strings.ReplaceAll(c.Text, "\n", " "), strings.Join(strings.Fields(c.Try), " ")})
	}
	return ui.Table(w, []string{"STATE", "CHECK", "SEEN", "WHAT TO DO"}, rows)
}

// terminal tells whether there is somebody to ask.
func (a *app) terminal() bool {
	if a.interactive != nil {
		return a.interactive()
	}
	f, ok := a.In.(*os.File)
	return ok && ui.IsTerminal(f)
}

var errRefused = errors.New("nothing was made: the answer was no")

// consent asks a question on the terminal. instead says what to do where there is none.
func (a *app) consent(ctx context.Context, question, instead string) error {
	if !a.terminal() {
		return step.Try(errors.New("this costs money, and there is no terminal to ask on; nothing was made"), "%s", instead)
	}
	fmt.Fprintf(a.Err, "\n%s [y/N] ", question)
	answer := make(chan string, 1)
	go func() {
		// Byte by byte, as a later question reads from the same stream.
		line, _ := bufio.NewReaderSize(oneByte{a.In}, 16).ReadString('\n')
		answer <- line
	}()
	select {
	case line := <-answer:
		if word := strings.ToLower(strings.TrimSpace(line)); word == "y" || word == "yes" {
			return nil
		}
		return errRefused
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// oneByte keeps a buffered reader from taking more than the line it is asked for.
type oneByte struct{ io.Reader }

func (r oneByte) Read(p []byte) (int, error) {
	if len(p) > 1 {
		p = p[:1]
	}
	return r.Reader.Read(p)
}
