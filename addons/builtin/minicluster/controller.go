package minicluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
)

// sweepAfter is how long the garbage collector has for what a MiniCluster leaves. It takes milliseconds, but it learns of a resource
// that was defined while it runs only after half a minute.
const sweepAfter = 2 * time.Second

// syncTimeout is how long a start may take when Options do not say it.
const syncTimeout = time.Minute

// Options adjusts a controller.
type Options struct {
	// PodAnnotations are put on every pod of every MiniCluster, where the MiniCluster itself does not set them.
	PodAnnotations map[string]string
	// Workers is how many MiniClusters are worked on at once; 4 when it is 0.
	Workers int
	// SyncTimeout bounds the start, until all caches are filled; a minute when it is 0.
	SyncTimeout time.Duration
	// Log takes one line per failure. Nil throws them away.
	Log func(format string, args ...any)
	// Ready, when given, is called once the controller has seen all MiniClusters that exist.
	Ready func()
}

type controller struct {
	clients
	options     Options
	clusters    cache.GenericLister
	jobs        cache.Indexer
	configMaps  cache.Indexer
	services    cache.Indexer
	queue       workqueue.TypedRateLimitingInterface[string]
	handlersRun []cache.InformerSynced
	// made has, by key, the UID of each MiniCluster that got a job: its status in the cache may be older than the job's removal.
	made sync.Map
	// gone has, by key, when a MiniCluster went.
	gone sync.Map
	// written has, by key, the status that was written last and the version of the MiniCluster that it was made from.
	written sync.Map
}

type clients struct {
	kube    kubernetes.Interface
	dynamic dynamic.Interface
}

// Run makes and keeps the objects of all MiniClusters until ctx ends, and then returns nil. The resource must be served
// already; see Install.
func Run(ctx context.Context, cfg *rest.Config, opts Options) error {
	cfg = rest.CopyConfig(cfg)
	cfg.QPS, cfg.Burst = -1, 0 // the server has its own flow control
	rest.AddUserAgent(cfg, "ocifit-lab-minicluster")
	kube, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return fmt.Errorf("minicluster controller: %w", err)
	}
	dyn, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return fmt.Errorf("minicluster controller: %w", err)
	}
	extensions, err := clientset.NewForConfig(cfg)
	if err != nil {
		return fmt.Errorf("minicluster controller: %w", err)
	}
	starting, cancel := context.WithTimeout(ctx, cmp.Or(opts.SyncTimeout, syncTimeout))
	defer cancel()
	if err := waitWatchable(starting, extensions); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("minicluster controller: %w", err)
	}
	return run(ctx, clients{kube: kube, dynamic: dyn}, opts)
}

func newController(cl clients, opts Options) *controller {
	if opts.Log == nil {
		opts.Log = func(string, ...any) {}
	}
	if opts.Workers == 0 {
		opts.Workers = 4
	}
	opts.SyncTimeout = cmp.Or(opts.SyncTimeout, syncTimeout)
	return &controller{clients: cl, options: opts, queue: workqueue.NewTypedRateLimitingQueue(
		workqueue.NewTypedItemExponentialFailureRateLimiter[string](5*time.Millisecond, 10*time.Second),
	)}
}

func run(ctx context.Context, cl clients, opts Options) error {
	ctx, cancel := context.WithCancel(ctx)
	c := newController(cl, opts)
	stopInformers, err := c.startInformers(ctx)
	var wg sync.WaitGroup
	defer func() {
		cancel()
		c.queue.ShutDown()
		wg.Wait()
		stopInformers()
	}()
	if err != nil {
		return err
	}
	if err := c.waitForCaches(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	for range c.options.Workers {
		wg.Go(func() { c.work(ctx) })
	}
	if opts.Ready != nil {
		opts.Ready()
	}
	<-ctx.Done()
	return nil
}

func (c *controller) work(ctx context.Context) {
	for {
		key, shutdown := c.queue.Get()
		if shutdown {
			return
		}
		c.handle(ctx, key)
	}
}

func (c *controller) handle(ctx context.Context, key string) {
	defer c.queue.Done(key)
	err := c.reconcile(ctx, key)
	switch {
	case err == nil:
		c.queue.Forget(key)
	case ctx.Err() != nil:
	default:
		if !errors.Is(err, errSoon) {
			c.options.Log("minicluster %s: %v", key, err)
		}
		c.queue.AddRateLimited(key)
	}
}
