package minicluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/hashicorp/go-multierror"
	"golang.org/x/sync/errgroup"
)

// errSoon marks what passes by itself, such as an object of a MiniCluster that was deleted a moment ago.
var errSoon = errors.New("not yet")

// reconcile makes what is missing for one MiniCluster, or removes what is left of it.
func (c *controller) reconcile(ctx context.Context, key string) error {
	obj, err := c.clusters.Get(key)
	if apierrors.IsNotFound(err) {
		return c.leave(ctx, key)
	}
	if err != nil {
		return err
	}
	c.gone.Delete(key)
	u := obj.(*unstructured.Unstructured)
	if u.GetDeletionTimestamp() != nil {
		return nil
	}
	cl, ignored, err := decode(u.DeepCopy())
	if err != nil {
		return c.reject(ctx, u, err)
	}
	made, _ := c.made.Load(key)
	// The cache is asked once: a job that goes away between two questions would be made again.
	cached, ok := lookup[*batchv1.Job](c.jobs, cl.Namespace, cl.Name)
	if !ok && (len(cl.Status.Conditions) > 0 || made == cl.UID) {
		// There was a job: somebody removed it, and a finished one is not run again.
		if over, err := c.finishedBefore(ctx, cl); over || err != nil {
			return err
		}
	}
	job, err := c.ensure(ctx, cl, cached)
	var refused *refusal
	if errors.As(err, &refused) {
		return c.reject(ctx, u, refused.err)
	}
	if err != nil {
		return err
	}
	c.made.Store(key, cl.UID)
	if err := c.report(ctx, cl, job, ignored); err != nil {
		return err
	}
	if cl.Spec.Cleanup && finished(job) != nil {
		return c.removeCluster(ctx, cl)
	}
	return nil
}

// finishedBefore asks the API server, since the cache may be behind the status that this controller wrote itself.
func (c *controller) finishedBefore(ctx context.Context, cl *cluster) (bool, error) {
	live, err := c.dynamic.Resource(GVR).Namespace(cl.Namespace).Get(ctx, cl.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("%w: %w", errSoon, err)
	}
	now, _, err := decode(live)
	return err == nil && meta.IsStatusConditionTrue(now.Status.Conditions, ConditionFinished), err
}

// refusal is an answer that asking again will not change.
type refusal struct{ err error }

func (r *refusal) Error() string { return r.err.Error() }

// ensure returns the cluster's job after making the service, the config map and, where cached is nil, the job.
func (c *controller) ensure(ctx context.Context, cl *cluster, cached *batchv1.Job) (*batchv1.Job, error) {
	if cached != nil && metav1.IsControlledBy(cached, cl) && finished(cached) != nil {
		return cached, nil // nothing of it is needed any more: what goes now goes with its MiniCluster
	}
	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.ensureService(gctx, cl) })
	group.Go(func() error { return c.ensureConfigMap(gctx, cl) })
	if err := group.Wait(); err != nil {
		return nil, err
	}
	want, err := cl.job(c.options.PodAnnotations)
	if err != nil {
		return nil, &refusal{err}
	}
	jobs := c.kube.BatchV1().Jobs(cl.Namespace)
	if cached != nil {
		if !metav1.IsControlledBy(cached, cl) {
			return nil, notOurs("job", cached, cl)
		}
		if *cached.Spec.Parallelism == cl.Spec.Size {
			return cached, nil
		}
		patch := fmt.Sprintf(`{"spec":{"completions":%d,"parallelism":%d}}`, cl.Spec.Size, cl.Spec.Size)
		return jobs.Patch(ctx, cl.Name, types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: fieldManager})
	}
	made, err := jobs.Create(ctx, want, metav1.CreateOptions{FieldManager: fieldManager})
	if apierrors.IsAlreadyExists(err) {
		live, getErr := jobs.Get(ctx, cl.Name, metav1.GetOptions{})
		return live, settle("job", live, cl, getErr)
	}
	return made, terminal("make the job", err)
}

func (c *controller) ensureConfigMap(ctx context.Context, cl *cluster) error {
	name := cl.configMapName()
	if cached, ok := lookup[*corev1.ConfigMap](c.configMaps, cl.Namespace, name); ok {
		if !metav1.IsControlledBy(cached, cl) {
			return notOurs("config map", cached, cl)
		}
		return nil
	}
	want, err := cl.configMap()
	if err != nil {
		return &refusal{err}
	}
	maps := c.kube.CoreV1().ConfigMaps(cl.Namespace)
	_, err = maps.Create(ctx, want, metav1.CreateOptions{FieldManager: fieldManager})
	if apierrors.IsAlreadyExists(err) {
		live, getErr := maps.Get(ctx, name, metav1.GetOptions{})
		return settle("config map", live, cl, getErr)
	}
	return terminal("make the config map", err)
}

// ensureService makes the headless service, or joins the one that another MiniCluster of the namespace has made.
func (c *controller) ensureService(ctx context.Context, cl *cluster) error {
	want := cl.service()
	services := c.kube.CoreV1().Services(cl.Namespace)
	have, ok := lookup[*corev1.Service](c.services, cl.Namespace, want.Name)
	if !ok {
		_, err := services.Create(ctx, want, metav1.CreateOptions{FieldManager: fieldManager})
		if !apierrors.IsAlreadyExists(err) {
			return terminal("make the headless service", err)
		}
		if have, err = services.Get(ctx, want.Name, metav1.GetOptions{}); err != nil {
			return fmt.Errorf("%w: headless service: %v", errSoon, err)
		}
	}
	for _, ref := range have.OwnerReferences {
		if ref.UID == cl.UID {
			return nil
		}
	}
	if _, ours := have.Labels[LabelCluster]; !ours {
		return &refusal{fmt.Errorf("there is another service %q in namespace %s; choose another spec.network.headlessName", want.Name, cl.Namespace)}
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"ownerReferences": want.OwnerReferences}})
	if err != nil {
		return err
	}
	_, err = services.Patch(ctx, want.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{FieldManager: fieldManager})
	if err != nil {
		return fmt.Errorf("join the headless service: %w", err)
	}
	return nil
}

// leave gives the garbage collector its time before it sweeps.
func (c *controller) leave(ctx context.Context, key string) error {
	c.made.Delete(key)
	c.written.Delete(key)
	since, _ := c.gone.LoadOrStore(key, time.Now())
	if left := sweepAfter - time.Since(since.(time.Time)); left > 0 {
		c.queue.AddAfter(key, left)
		return nil
	}
	if err := c.sweep(ctx, key); err != nil {
		return err
	}
	c.gone.Delete(key)
	return nil
}

// sweep removes what is still there of what was made for a MiniCluster that is gone.
func (c *controller) sweep(ctx context.Context, key string) error {
	namespace, name, err := cache.SplitMetaNamespaceKey(key)
	if err != nil {
		return nil
	}
	var all *multierror.Error
	note := func(err error) {
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			all = multierror.Append(all, err)
		}
	}
	if job, ok := lookup[*batchv1.Job](c.jobs, namespace, name); ok && ownedBy(job, name) {
		note(c.kube.BatchV1().Jobs(namespace).Delete(ctx, name, only(job)))
	}
	scripts := (&cluster{ObjectMeta: metav1.ObjectMeta{Name: name}}).configMapName()
	if cm, ok := lookup[*corev1.ConfigMap](c.configMaps, namespace, scripts); ok && ownedBy(cm, name) {
		note(c.kube.CoreV1().ConfigMaps(namespace).Delete(ctx, scripts, only(cm)))
	}
	for _, obj := range c.services.List() {
		svc, ok := obj.(*corev1.Service)
		if ok && svc.Namespace == namespace && ownedBy(svc, name) && c.orphaned(svc) {
			note(c.kube.CoreV1().Services(namespace).Delete(ctx, svc.Name, only(svc)))
		}
	}
	return all.ErrorOrNil()
}

// orphaned tells whether none of the MiniClusters that own the service is left.
func (c *controller) orphaned(svc *corev1.Service) bool {
	for _, ref := range svc.OwnerReferences {
		obj, err := c.clusters.Get(svc.Namespace + "/" + ref.Name)
		if err == nil && obj.(*unstructured.Unstructured).GetUID() == ref.UID {
			return false
		}
	}
	return svc.DeletionTimestamp == nil
}

func (c *controller) removeCluster(ctx context.Context, cl *cluster) error {
	err := c.dynamic.Resource(GVR).Namespace(cl.Namespace).Delete(ctx, cl.Name, only(cl))
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}

// only deletes exactly this object and not a later one of its name, with its dependents after it.
func only(obj metav1.Object) metav1.DeleteOptions {
	uid, version, background := obj.GetUID(), obj.GetResourceVersion(), metav1.DeletePropagationBackground
	pre := &metav1.Preconditions{UID: &uid}
	if _, shared := obj.(*corev1.Service); shared {
		pre.ResourceVersion = &version // someone may have joined it meanwhile
	}
	return metav1.DeleteOptions{Preconditions: pre, PropagationPolicy: &background}
}

func ownedBy(obj metav1.Object, name string) bool {
	for _, ref := range obj.GetOwnerReferences() {
		if ref.Kind == GVK.Kind && ref.Name == name {
			return true
		}
	}
	return false
}

// settle judges an object that was there before the cache knew it.
func settle(kind string, live metav1.Object, cl *cluster, err error) error {
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("%w: the %s went away", errSoon, kind)
	}
	if err != nil {
		return err
	}
	if !metav1.IsControlledBy(live, cl) {
		return notOurs(kind, live, cl)
	}
	return nil
}

// notOurs tells an object of an earlier MiniCluster of this name, which will go, from one that belongs to someone else.
func notOurs(kind string, obj metav1.Object, cl *cluster) error {
	if ownedBy(obj, cl.Name) {
		return fmt.Errorf("%w: the %s %s of an earlier MiniCluster is still there", errSoon, kind, obj.GetName())
	}
	return &refusal{fmt.Errorf("there is another %s %q in namespace %s; rename the MiniCluster or remove it", kind, obj.GetName(), cl.Namespace)}
}

// terminal makes a refusal of an answer of the API server that will stay the same.
func terminal(what string, err error) error {
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%s: %w", what, err)
	if apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) {
		return &refusal{err}
	}
	return err
}

func lookup[T metav1.Object](indexer cache.Indexer, namespace, name string) (T, bool) {
	obj, ok, err := indexer.GetByKey(namespace + "/" + name)
	if !ok || err != nil {
		var none T
		return none, false
	}
	found, ok := obj.(T)
	return found, ok
}
