package artifact

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/compspec/ocifit-lab/webhook/compat"
)

// Artifact is a decoded artifact, ready for a decision. It is shared and must not be changed.
type Artifact struct {
	Reference, Digest, MediaType string
	// Models is set for compat.MediaTypeModels.
	Models *compat.Models
	// Stale says that the registry could not be asked and that this is the last good copy: since when it could
	// not, and why. Empty normally.
	Stale string
}

// Decode turns content into an artifact by its media type.
func Decode(c *Content) (*Artifact, error) {
	a := &Artifact{Reference: c.Reference, Digest: c.Digest, MediaType: c.MediaType}
	if c.MediaType == compat.MediaTypeModels {
		m, err := compat.DecodeModels(c.Data)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrContent, c.Reference, err)
		}
		a.Models = m
	}
	return a, nil
}

// CacheOptions tune a Cache.
type CacheOptions struct {
	Options
	// Fresh is how long a tag is believed to name the same artifact; 0 means 10 s. Digests are believed for ever.
	Fresh time.Duration
	// MaxStale is how long the last good copy serves while its registry is unavailable; 0 means 1 h, negative
	// means never.
	MaxStale time.Duration
	// Size is the number of references kept; 0 means 256.
	Size int
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

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
	asked    time.Time // when the registry last confirmed it
	used     time.Time
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
	if opts.Size <= 0 {
		opts.Size = 256
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Cache{opts: opts, byRef: map[string]*entry{}, byDigest: map[string]*Artifact{}}
}

// Get returns the artifact that ref names.
func (c *Cache) Get(ctx context.Context, ref string) (*Artifact, error) {
	r, err := ParseReference(ref)
	if err != nil {
		return nil, err
	}
	key := r.String()
	if a := c.fresh(key, pinned(r)); a != nil {
		return a, nil
	}
	// The fetch outlives a caller that gives up: others may wait for it, and the next one finds it done.
	ch := c.flight.DoChan(key, func() (any, error) { return c.refresh(context.WithoutCancel(ctx), key) })
	select {
	case <-ctx.Done():
		if a := c.stale(key, ctx.Err()); a != nil {
			return a, nil
		}
		return nil, unavailable(key, ctx.Err())
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

// fresh returns what needs no question.
func (c *Cache) fresh(key string, pinned bool) *Artifact {
	now := c.opts.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.byRef[key]
	if e == nil || !pinned && now.Sub(e.asked) >= c.opts.Fresh {
		return nil
	}
	e.used = now
	c.stats.Hits++
	return e.artifact
}

// stale returns the last good copy while it may still serve.
func (c *Cache) stale(key string, cause error) *Artifact {
	now := c.opts.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.byRef[key]
	if e == nil || c.opts.MaxStale < 0 || now.Sub(e.asked) > c.opts.MaxStale {
		c.stats.Failures++
		return nil
	}
	e.used = now
	c.stats.Stale++
	old := *e.artifact
	old.Stale = "last confirmed by the registry " + now.Sub(e.asked).Round(time.Second).String() + " ago: " + cause.Error()
	return &old
}

// refresh asks the registry, which often only confirms what is known.
func (c *Cache) refresh(ctx context.Context, key string) (*Artifact, error) {
	d, repo, full, err := resolve(ctx, key, c.opts.Options)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	a := c.byDigest[full+"@"+d.Digest.String()]
	c.mu.Unlock()
	if a == nil {
		ctx, cancel := c.opts.within(ctx)
		defer cancel()
		content, err := fetch(ctx, repo, full, d)
		if err != nil {
			return nil, err
		}
		if a, err = Decode(content); err != nil {
			return nil, err
		}
	}
	c.store(key, a)
	return a, nil
}

// store keeps an artifact and forgets what was not used for longest.
func (c *Cache) store(key string, a *Artifact) {
	now := c.opts.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stats.Misses++
	if old := c.byRef[key]; old != nil && old.artifact.Digest != a.Digest {
		delete(c.byDigest, key+"@"+old.artifact.Digest)
	}
	c.byRef[key] = &entry{artifact: a, asked: now, used: now}
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
