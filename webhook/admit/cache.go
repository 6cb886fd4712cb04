package admit

import (
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/predict"
)

// cache keeps what was decided as long as nothing that it rests on changes: artifacts are immutable and told apart
// by address, the machines have a generation, and everything else is configuration.
type cache struct {
	mu         sync.Mutex
	generation uint64
	entries    map[cacheKey]*cacheEntry
}

type cacheKey struct {
	model    *compat.Model
	features *compat.Features
	// objective is what the choice makes best, in its one way to be written.
	objective string
	// scheduling is everything in the object that decides where its pods may run.
	scheduling string
}

type cacheEntry struct {
	once      sync.Once
	selection *selection
	pool      *predict.Pool
	err       error
}

// Bounds of the cache: requirements are the users' own, and a table of a thousand types has 300 KiB.
const (
	maxEntries    = 128
	maxScheduling = 4096
)

// entry returns the entry of a key, which may be shared or empty.
func (m *cache) entry(generation uint64, key cacheKey) *cacheEntry {
	m.mu.Lock()
	defer m.mu.Unlock()
	// Nodes come and go by name without a new generation.
	if generation < m.generation || len(key.scheduling) > maxScheduling || strings.Contains(key.scheduling, corev1.LabelHostname) {
		return &cacheEntry{}
	}
	if generation > m.generation || m.entries == nil || len(m.entries) >= maxEntries {
		m.generation, m.entries = generation, map[cacheKey]*cacheEntry{}
	}
	c := m.entries[key]
	if c == nil {
		c = &cacheEntry{}
		m.entries[key] = c
	}
	return c
}

// cached returns the selection of a key; the first who asks makes it and others wait.
func (d *Decider) cached(key cacheKey, choose func() *selection) *selection {
	// The generation is read first: what changes meanwhile makes the entry outdated, never wrong for its readers.
	c := d.cache.entry(d.cfg.Features.Generation(), key)
	c.once.Do(func() { c.selection = choose() })
	if c.selection == nil { // the one who made it panicked
		return choose()
	}
	return c.selection
}

func (d *Decider) cachedPool(key cacheKey, fill func() (*predict.Pool, error)) (*predict.Pool, error) {
	c := d.cache.entry(d.cfg.Features.Generation(), key)
	c.once.Do(func() { c.pool, c.err = fill() })
	if c.pool == nil && c.err == nil {
		return fill()
	}
	return c.pool, c.err
}
