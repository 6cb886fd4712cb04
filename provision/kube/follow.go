package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"

	"github.com/compspec/ocifit-lab/provision/wait"
)

// watchTime is how long the server keeps one watch open, in seconds; a new one goes on where it ended.
const watchTime = 300

// anyObject is what can be followed.
type anyObject interface {
	runtime.Object
	metav1.Object
}

// feed lists and watches one kind of object.
type feed struct {
	list  func(context.Context, metav1.ListOptions) (runtime.Object, error)
	watch func(context.Context, metav1.ListOptions) (watch.Interface, error)
	// lost gives the error that ends the following when no server has taken a request since some time.
	lost func(since time.Time, err error) error
}

func (c *Cluster) dynamicFeed(r dynamic.ResourceInterface) feed {
	return feed{
		lost: c.lost,
		list: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return r.List(ctx, o) },
		watch: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return r.Watch(ctx, o)
		},
	}
}

func byName(name string) metav1.ListOptions {
	return metav1.ListOptions{FieldSelector: "metadata.name=" + name}
}

// errRelist says that a watch cannot go on from where it was.
var errRelist = errors.New("the watch is too old")

// permanent is an error that no other attempt can change.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// follow calls see with all matching objects, in the order of their names, at first and after each change, until see
// says that it has seen enough or fails, or ctx ends. Broken watches are resumed; errors that will not pass end it.
func follow[T anyObject](ctx context.Context, f feed, opts metav1.ListOptions, see func(all []T) (bool, error)) error {
	var trouble error
	reached := time.Now()
	judge := func(all map[string]T) (bool, error) {
		done, err := see(sorted(all))
		if err != nil {
			err = permanent{err}
		}
		return done, err
	}
	pauses := wait.Backoff{First: 100 * time.Millisecond, Longest: 3 * time.Second}.Pauser()
	for {
		all, version, err := list[T](ctx, f, opts)
		if err == nil {
			trouble = nil
			pauses.Reset()
			var done bool
			if done, err = judge(all); !done && err == nil {
				err = watchOn(ctx, f, opts, version, all, judge)
			}
			reached = time.Now()
			if err == nil {
				return nil
			}
		}
		var final permanent
		switch {
		case errors.As(err, &final):
			return final.error
		case ctx.Err() != nil:
			return errors.Join(ctx.Err(), trouble)
		case errors.Is(err, errRelist):
		case transient(err):
			trouble = err
			if lost := f.lost(reached, err); lost != nil {
				return lost
			}
		default:
			return err
		}
		if pauses.Wait(ctx) != nil {
			return errors.Join(ctx.Err(), trouble)
		}
	}
}

func list[T anyObject](ctx context.Context, f feed, opts metav1.ListOptions) (map[string]T, string, error) {
	got, err := f.list(ctx, opts)
	if err != nil {
		return nil, "", err
	}
	about, err := meta.ListAccessor(got)
	if err != nil {
		return nil, "", err
	}
	all := map[string]T{}
	err = meta.EachListItem(got, func(o runtime.Object) error {
		item, ok := o.(T)
		if !ok {
			return fmt.Errorf("the list holds a %T", o)
		}
		all[key(item)] = item
		return nil
	})
	return all, about.GetResourceVersion(), err
}

// watchOn follows changes from version on, over as many watches as it takes. It returns nil when judge is content.
func watchOn[T anyObject](ctx context.Context, f feed, opts metav1.ListOptions, version string, all map[string]T, judge func(map[string]T) (bool, error)) error {
	seconds := int64(watchTime)
	opts.AllowWatchBookmarks, opts.TimeoutSeconds = true, &seconds
	pauses := wait.Backoff{First: 10 * time.Millisecond, Longest: time.Second}.Pauser()
	for {
		opts.ResourceVersion = version
		w, err := f.watch(ctx, opts)
		if err != nil {
			if apierrors.IsGone(err) || apierrors.IsResourceExpired(err) {
				return errRelist
			}
			return err
		}
		next, done, err := drain(ctx, w, version, all, judge)
		w.Stop()
		if done || err != nil {
			return err
		}
		if next != version {
			pauses.Reset()
		}
		version = next
		if pauses.Wait(ctx) != nil {
			return ctx.Err()
		}
	}
}

// drain takes in events until the watch ends, and gives the version up to which they came.
func drain[T anyObject](ctx context.Context, w watch.Interface, version string, all map[string]T, judge func(map[string]T) (bool, error)) (string, bool, error) {
	for {
		var ev watch.Event
		var open bool
		select {
		case <-ctx.Done():
			return version, false, ctx.Err()
		case ev, open = <-w.ResultChan():
		}
		if !open {
			return version, false, nil
		}
		if ev.Type == watch.Error {
			err := apierrors.FromObject(ev.Object)
			if apierrors.IsGone(err) || apierrors.IsResourceExpired(err) || transient(err) {
				err = errRelist
			}
			return version, false, err
		}
		item, ok := ev.Object.(T)
		if !ok {
			return version, false, errRelist
		}
		version = item.GetResourceVersion()
		switch ev.Type {
		case watch.Added, watch.Modified:
			all[key(item)] = item
		case watch.Deleted:
			delete(all, key(item))
		default: // a bookmark only moves the version
			continue
		}
		if done, err := judge(all); done || err != nil {
			return version, done, err
		}
	}
}

func key(o metav1.Object) string { return o.GetNamespace() + "/" + o.GetName() }

func sorted[T anyObject](all map[string]T) []T {
	items := make([]T, 0, len(all))
	for _, o := range all {
		items = append(items, o)
	}
	slices.SortFunc(items, func(a, b T) int { return strings.Compare(key(a), key(b)) })
	return items
}

// withTrouble adds to what was seen the connection's trouble that came after it.
func withTrouble(seen string, err error) string {
	for _, e := range unjoin(err) {
		if !errors.Is(e, context.Canceled) && !errors.Is(e, context.DeadlineExceeded) {
			seen += "; then " + e.Error()
		}
	}
	return seen
}

func unjoin(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

// conditions shows the conditions of an object: "Established=False (Installing: ...)".
func conditions(o *unstructured.Unstructured) string {
	list, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	var texts []string
	for _, c := range list {
		m, ok := c.(map[string]any)
		if !ok {
			continue
		}
		text := fmt.Sprintf("%v=%v", m["type"], m["status"])
		if reason, _ := m["reason"].(string); reason != "" && m["status"] != "True" {
			message, _ := m["message"].(string)
			text += " (" + strings.TrimSuffix(reason+": "+message, ": ") + ")"
		}
		texts = append(texts, text)
	}
	if len(texts) == 0 {
		return "no conditions yet"
	}
	return strings.Join(texts, ", ")
}

func conditionIs(o *unstructured.Unstructured, kind, status string) bool {
	list, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	return slices.ContainsFunc(list, func(c any) bool {
		m, ok := c.(map[string]any)
		return ok && m["type"] == kind && m["status"] == status
	})
}
