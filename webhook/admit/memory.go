package admit

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/patch"
	"github.com/compspec/ocifit-lab/webhook/predict"
)

// memory keeps what was decided as long as nothing that it rests on changes: artifacts are immutable and told apart
// by address, the machines have a generation, and everything else is configuration.
type memory struct {
	mu         sync.Mutex
	generation uint64
	cells      map[memoryKey]*cell
}

type memoryKey struct {
	model    *compat.Model
	features *compat.Features
	// selector is the part of the object's node selector that the decision looks at.
	selector string
}

type cell struct {
	once      sync.Once
	selection *selection
	pool      *predict.Pool
	err       error
}

// Bounds of the memory: node selectors are the users' own, and a table of a thousand types has 300 KiB.
const (
	maxCells    = 128
	maxSelector = 1024
)

// cell returns the cell of a key, which may be shared or empty.
func (m *memory) cell(generation uint64, key memoryKey) *cell {
	m.mu.Lock()
	defer m.mu.Unlock()
	if generation < m.generation || len(key.selector) > maxSelector {
		return &cell{}
	}
	if generation > m.generation || m.cells == nil || len(m.cells) >= maxCells {
		m.generation, m.cells = generation, map[memoryKey]*cell{}
	}
	c := m.cells[key]
	if c == nil {
		c = &cell{}
		m.cells[key] = c
	}
	return c
}

// remember returns the selection of a key; the first who asks makes it and others wait.
func (d *Decider) remember(key memoryKey, choose func() *selection) *selection {
	// The generation is read first: what changes meanwhile makes the cell outdated, never wrong for its readers.
	c := d.memory.cell(d.cfg.Features.Generation(), key)
	c.once.Do(func() { c.selection = choose() })
	if c.selection == nil { // the one who made it panicked
		return choose()
	}
	return c.selection
}

func (d *Decider) rememberPool(key memoryKey, fill func() (*predict.Pool, error)) (*predict.Pool, error) {
	c := d.memory.cell(d.cfg.Features.Generation(), key)
	c.once.Do(func() { c.pool, c.err = fill() })
	if c.pool == nil && c.err == nil {
		return fill()
	}
	return c.pool, c.err
}

// selectorKey writes down the part of the selector that decides about types.
func (d *Decider) selectorKey(o *patch.Object) string {
	selector := o.NodeSelector()
	if len(selector) == 0 {
		return ""
	}
	return writeSelector(selector, d.describes)
}

func fullSelectorKey(selector map[string]string) string {
	return writeSelector(selector, func(string) bool { return true })
}

func writeSelector(selector map[string]string, counts func(string) bool) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(selector)) {
		if counts(k) {
			b.WriteString(k + "\x00" + selector[k] + "\x00")
		}
	}
	return b.String()
}
