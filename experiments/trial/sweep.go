package trial

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/hashicorp/go-multierror"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
)

// releaseNames are those that releaseName makes.
var releaseNames = regexp.MustCompile(`^[a-z0-9-]+-[0-9a-f]{8}-w?[0-9]+$`)

// sweep removes what trials of a killed program left in the namespace, whatever their run was. The caller holds the lab's lock: no other
// program runs trials there.
func (r *Runner) sweep(ctx context.Context) error {
	names, err := r.orphans(ctx)
	if err != nil {
		return fmt.Errorf("look for what earlier trials left: %w", err)
	}
	var errs *multierror.Error
	for _, name := range sets.List(names) {
		if err := within(ctx, time.Duration(r.Study.Deadlines.Removed), func(ctx context.Context) error { return r.uninstall(ctx, name, false, r.podsGone(name)) }); err != nil {
			errs = multierror.Append(errs, fmt.Errorf("remove what an earlier trial left: %w", err))
		}
	}
	return errs.ErrorOrNil()
}

func (r *Runner) orphans(ctx context.Context) (sets.Set[string], error) {
	names := sets.New[string]()
	list, err := r.Cluster.Dynamic.Resource(miniClusters).Namespace(r.Namespace).List(ctx, metav1.ListOptions{LabelSelector: LabelRun})
	if err != nil && !apierrors.IsNotFound(err) && !meta.IsNoMatchError(err) {
		return nil, r.Cluster.Explain(err)
	}
	if list != nil {
		for _, m := range list.Items {
			names.Insert(m.GetName())
		}
	}
	releases, err := r.Helm.List(ctx)
	for _, info := range releases {
		if releaseNames.MatchString(info.Name) {
			names.Insert(info.Name)
		}
	}
	return names, err
}

// uninstall removes a trial's release and waits until the job and its pods are gone: only then is the node free. Unless the release is
// known to be whole, its MiniCluster is removed also when Helm knows nothing of it any more.
func (r *Runner) uninstall(ctx context.Context, name string, whole bool, podsGone func(context.Context) error) error {
	if err := r.Helm.Uninstall(ctx, name); err != nil {
		return fmt.Errorf("release %s is not gone: %w", name, err)
	}
	if !whole {
		if err := r.removeMiniCluster(ctx, name); err != nil {
			return err
		}
	}
	// The pods go after the job, so that it is usually gone by then; what it made at the last moment goes too.
	if err := podsGone(ctx); err != nil {
		return err
	}
	if err := r.Cluster.WaitNamedGone(ctx, jobs, r.Namespace, name); err != nil {
		return err
	}
	return podsGone(ctx)
}

func (r *Runner) removeMiniCluster(ctx context.Context, name string) error {
	background := metav1.DeletePropagationBackground
	err := r.Cluster.Dynamic.Resource(miniClusters).Namespace(r.Namespace).Delete(ctx, name, metav1.DeleteOptions{PropagationPolicy: &background})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("MiniCluster %s is not gone: %w", name, r.Cluster.Explain(err))
	}
	return r.Cluster.WaitNamedGone(ctx, miniClusters, r.Namespace, name)
}

func (r *Runner) podsGone(job string) func(context.Context) error {
	return func(ctx context.Context) error { return r.Cluster.WaitGone(ctx, pods, r.Namespace, jobSelector(job)) }
}
