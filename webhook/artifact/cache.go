package artifact

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// CacheOptions tune a Cache.
type CacheOptions struct {
	Options
	// Fresh is how long a tag is believed to name the same artifact; 0 means 10 s. Digests are believed for ever.
	Fresh time.Duration
	// MaxStale is how long the last good copy serves while its registry is unavailable; 0 means 1 h, negative
	// means never.
	MaxStale time.Duration
	// Patience bounds the wait for a registry when there is a good copy; 0 means 500 ms. The question goes on in
	// the background.
	Patience time.Duration
	// Size is the number of references kept; 0 means 256.
	Size int
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// pause is how long a registry that failed is left alone while a good copy can serve.
const pause = 5 * time.Second

// Cache answers references from memory, so that an admission seldom needs the registry. It is safe for
// concurrent use; concurrent questions for one reference ask the registry once.
type Cache struct {
	opts   CacheOptions
	flight singleflight.Group

	mu       sync.Mutex
	byRef    map[string]*entry
	byDigest map[string]*Artifact
	stats    Stats
}

type entry struct {
	artifact *Artifact
	pinned   bool
	asked    time.Time // when the registry last confirmed it
	used     time.Time
	doubted  bool      // the next question goes to the registry
	failed   time.Time // when the registry last failed to
	cause    error
}

// Stats counts the answers of a Cache.
type Stats struct{ Hits, Misses, Stale, Failures uint64 }

// NewCache returns an empty cache.
func NewCache(opts CacheOptions) *Cache {
	if opts.Fresh == 0 {
		opts.Fresh = 10 * time.Second
	}
	if opts.MaxStale == 0 {
		opts.MaxStale = time.Hour
	}
	if opts.Patience == 0 {
		opts.Patience = 500 * time.Millisecond
	}
	if opts.Size <= 0 {
		opts.Size = 256
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	opts.health = &health{}
	return &Cache{opts: opts, byRef: map[string]*entry{}, byDigest: map[string]*Artifact{}}
}

// key writes a reference out in full, and tells whether it names a digest.
func (c *Cache) key(ref string) (key string, isPinned bool, err error) {
	if _, folder := parseLayout(ref); folder && c.opts.Layouts {
		return ref, false, nil
	}
	r, err := parseReference(ref)
	if err != nil {
		return "", false, err
	}
	return r.String(), pinned(r), nil
}

// Confirm is Get for somebody who found that something is missing in the artifact: the registry is asked whether the tag names another one
// by now, once in a second at most.
func (c *Cache) Confirm(ctx context.Context, ref string) (*Artifact, error) {
	key, _, err := c.key(ref)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	if e := c.byRef[key]; e != nil {
		e.doubted = c.opts.Now().Sub(e.asked) >= time.Second
	}
	c.mu.Unlock()
	return c.Get(ctx, key)
}

// Get returns the artifact that ref names.
func (c *Cache) Get(ctx context.Context, ref string) (*Artifact, error) {
	if a := c.fresh(ref); a != nil { // written out in full already
		return a, nil
	}
	key, isPinned, err := c.key(ref)
	if err != nil {
		return nil, err
	}
	if a := c.fresh(key); a != nil {
		return a, nil
	}
	// The fetch outlives a caller that gives up: others may wait for it, and the next one finds it done.
	ch := c.flight.DoChan(key, func() (any, error) { return c.refresh(context.WithoutCancel(ctx), key, isPinned) })
	wait := ctx
	if c.has(key) {
		var cancel context.CancelFunc
		wait, cancel = context.WithTimeout(ctx, c.opts.Patience)
		defer cancel()
	}
	select {
	case <-wait.Done():
		if a := c.stale(key, wait.Err()); a != nil {
			return a, nil
		}
		return nil, unavailable(key, wait.Err())
	case res := <-ch:
		if res.Err == nil {
			return res.Val.(*Artifact), nil
		}
		if errors.Is(res.Err, ErrUnavailable) {
			if a := c.stale(key, res.Err); a != nil {
				return a, nil
			}
		}
		return nil, res.Err
	}
}

// Stats returns the counts so far.
func (c *Cache) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stats
}

// fresh returns what needs no question: a confirmed copy, or the last good one of a registry that just failed.
func (c *Cache) fresh(key string) *Artifact {
	now := c.opts.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.byRef[key]
	switch {
	case e == nil:
		return nil
	case e.pinned || now.Sub(e.asked) < c.opts.Fresh && !e.doubted:
		e.used = now
		c.stats.Hits++
		return e.artifact
	case e.cause != nil && now.Sub(e.failed) < pause && c.mayServe(e, now):
		return c.serveStale(e, now, e.cause)
	}
	return nil
}

func (c *Cache) has(key string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.byRef[key]
	return e != nil && c.mayServe(e, c.opts.Now())
}

func (c *Cache) mayServe(e *entry, now time.Time) bool {
	return c.opts.MaxStale >= 0 && now.Sub(e.asked) <= c.opts.MaxStale
}

// stale returns the last good copy while it may still serve.
func (c *Cache) stale(key string, cause error) *Artifact {
	now := c.opts.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.byRef[key]
	if e == nil || !c.mayServe(e, now) {
		c.stats.Failures++
		return nil
	}
	e.failed, e.cause = now, cause
	return c.serveStale(e, now, cause)
}

func (c *Cache) serveStale(e *entry, now time.Time, cause error) *Artifact {
	e.used = now
	c.stats.Stale++
	old := *e.artifact
	old.Stale = "last confirmed by the registry " + now.Sub(e.asked).Round(time.Second).String() + " ago: " + cause.Error()
	return &old
}

// refresh asks the registry, which often only confirms what is known.
func (c *Cache) refresh(ctx context.Context, key string, isPinned bool) (*Artifact, error) {
	ctx, cancel := c.opts.within(ctx)
	defer cancel()
	p, err := c.opts.open(ctx, key)
	if err != nil {
		return nil, err
	}
	d, err := p.resolve(ctx)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	a := c.byDigest[p.full()+"@"+d.Digest.String()]
	c.mu.Unlock()
	if a == nil {
		content, err := p.fetch(ctx, d)
		if err != nil {
			return nil, err
		}
		if a, err = Decode(content); err != nil {
			return nil, err
		}
	}
	c.store(key, isPinned, a)
	return a, nil
}

// store keeps an artifact and forgets what was not used for longest.
func (c *Cache) store(key string, isPinned bool, a *Artifact) {
	now := c.opts.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stats.Misses++
	if old := c.byRef[key]; old != nil && old.artifact.Digest != a.Digest {
		delete(c.byDigest, key+"@"+old.artifact.Digest)
	}
	c.byRef[key] = &entry{artifact: a, pinned: isPinned, asked: now, used: now}
	c.byDigest[key+"@"+a.Digest] = a
	for len(c.byRef) > c.opts.Size {
		oldest := ""
		for k, e := range c.byRef {
			if k != key && (oldest == "" || e.used.Before(c.byRef[oldest].used)) {
				oldest = k
			}
		}
		delete(c.byDigest, oldest+"@"+c.byRef[oldest].artifact.Digest)
		delete(c.byRef, oldest)
	}
}
