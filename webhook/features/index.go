package features

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"

	"github.com/compspec/ocifit-lab/webhook/compat"
)

// Domain tells which of a node's labels a model cannot judge: one sentence for each label that is absent or
// has a value the model never saw. Nothing means that the model can score the node.
type Domain interface {
	OutOfDomain(labels map[string]string) []string
}

// Node is what the index needs to know of a live node.
type Node struct {
	Name string
	// Labels must not be changed afterwards: those of the first node of a kind are kept.
	Labels map[string]string
	// Cordoned nodes take no pods and are not counted as live.
	Cordoned bool
	// Taints of the node; those that come and go with its state do not count.
	Taints []corev1.Taint
	// Allocatable is what the node can give to pods; nil is unknown.
	Allocatable corev1.ResourceList
}

// NodeOf describes a node of the cluster.
func NodeOf(n *corev1.Node) Node {
	return Node{
		Name: n.Name, Labels: n.Labels, Cordoned: n.Spec.Unschedulable || n.DeletionTimestamp != nil,
		Taints: n.Spec.Taints, Allocatable: n.Status.Allocatable,
	}
}

// controlPlane are the labels of nodes that run no workload.
var controlPlane = [...]string{"node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"}

// Index merges the catalogue with the live nodes. Each node event costs O(labels of that node), whatever the
// size of the cluster. It is safe for concurrent use.
type Index struct {
	identity   string
	generation atomic.Uint64

	mu        sync.RWMutex
	catalogue *Catalogue
	cached    map[string]*Candidate
	types     map[string]*liveType
	nodes     map[string]nodeEntry
	declared  map[string]bool
}

// liveType groups the live nodes of an instance type by what their features are.
type liveType struct {
	name     string
	variants map[digest]*variant
}

type variant struct {
	key    digest
	labels map[string]string
	nodes  int
	// taints are the lasting ones; allocatable is the first node's.
	taints      []corev1.Taint
	allocatable corev1.ResourceList
}

// nodeEntry remembers under which type and variant a node is counted, and how its labels differ from the variant's.
type nodeEntry struct {
	typ       *liveType
	variant   *variant
	overrides []override
}

// override is a label of one node that its variant's first node has not, or has with another value.
type override struct {
	key, value string
	absent     bool
}

// NewIndex returns an index without catalogue and nodes. The identity label tells the type of a node; empty
// means the instance type label.
func NewIndex(identity string) *Index {
	if identity == "" {
		identity = compat.LabelInstanceType
	}
	return &Index{identity: identity, types: map[string]*liveType{}, nodes: map[string]nodeEntry{}, declared: map[string]bool{}}
}

// Identity is the label that a decision selects nodes by.
func (x *Index) Identity() string { return x.identity }

// Generation changes whenever Candidates or Machines may give another answer than before.
func (x *Index) Generation() uint64 { return x.generation.Load() }

// SetCatalogue replaces the cached rows.
func (x *Index) SetCatalogue(c *Catalogue) {
	cached := make(map[string]*Candidate, len(c.Rows()))
	for i := range c.Rows() {
		cached[c.rows[i].InstanceType] = &c.rows[i]
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.catalogue, x.cached = c, cached
	x.generation.Add(1)
}

// Hash is the catalogue's hash; empty without a catalogue.
func (x *Index) Hash() string {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.catalogue.Hash()
}

// Size tells how many types the catalogue has and how many live nodes are counted.
func (x *Index) Size() (cachedTypes, liveNodes int) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.cached), len(x.nodes)
}

// Put adds a node or replaces what is known of it. Control-plane nodes, cordoned nodes and nodes without the
// identity label do not count.
func (x *Index) Put(n Node) {
	name := n.Labels[x.identity]
	out := n.Cordoned || name == ""
	for _, l := range controlPlane {
		if _, is := n.Labels[l]; is {
			out = true
		}
	}
	if out {
		x.Remove(n.Name)
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.put(name, n)
}

func (x *Index) put(typ string, n Node) {
	node, labels, taints := n.Name, n.Labels, lasting(n.Taints)
	key := x.featureKey(labels, taints)
	if p, ok := x.nodes[node]; ok && p.typ.name == typ && p.variant.key == key {
		x.nodes[node] = nodeEntry{p.typ, p.variant, differences(labels, p.variant.labels)}
		return
	}
	x.remove(node)
	lt := x.types[typ]
	if lt == nil {
		lt = &liveType{name: typ, variants: map[digest]*variant{}}
		x.types[typ] = lt
	}
	v := lt.variants[key]
	if v == nil {
		v = &variant{key: key, labels: labels, taints: taints, allocatable: n.Allocatable}
		lt.variants[key] = v
		x.generation.Add(1)
	}
	v.nodes++
	x.nodes[node] = nodeEntry{lt, v, differences(labels, v.labels)}
	x.recounted(lt)
}

// Remove forgets a node; an unknown name is fine.
func (x *Index) Remove(name string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.remove(name)
}

// Keep forgets all nodes but the named ones.
func (x *Index) Keep(names map[string]bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for name := range x.nodes {
		if !names[name] {
			x.remove(name)
		}
	}
}

func (x *Index) remove(name string) {
	p, ok := x.nodes[name]
	if !ok {
		return
	}
	delete(x.nodes, name)
	if p.variant.nodes--; p.variant.nodes == 0 {
		delete(p.typ.variants, p.variant.key)
		x.generation.Add(1)
	}
	if len(p.typ.variants) == 0 {
		delete(x.types, p.typ.name)
		return
	}
	x.recounted(p.typ)
}

// recounted notes that the most frequent variant of a type may be another one now.
func (x *Index) recounted(lt *liveType) {
	if len(lt.variants) > 1 {
		x.generation.Add(1)
	}
}

// Cached returns the catalogue's rows.
func (x *Index) Cached() []Candidate {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.catalogue.Rows()
}

// Candidates returns one row per instance type: the catalogue's types in its order, then types that only live
// nodes have, by name. A type's live labels win when the domain can judge them and excludes says nothing against them;
// otherwise the cached row does, as a whole, because a mixture of two rows is a machine that nobody measured. A nil
// domain knows everything, and a nil excludes excludes nothing; the labels that excludes reads are listed, so that
// nodes are told apart by them.
func (x *Index) Candidates(domain Domain, excludes func(Candidate) string, reads []string) []Candidate {
	if d, ok := domain.(interface{ Labels() []string }); ok {
		reads = append(d.Labels(), reads...)
	}
	return x.each(reads, func(t typeRows) []Candidate { return []Candidate{t.merge(domain, excludes)} })
}

// Machines is Candidates for who decides for every machine of a type: one row for each way in which the live nodes of
// a type differ in the labels that are read, or else the type's cached row. A live node that lacks one of the needed
// labels which its type has in the catalogue was not discovered yet, and gets it from the cached row.
func (x *Index) Machines(needs []string, excludes func(Candidate) string, reads []string) []Candidate {
	return x.each(append(slices.Clone(needs), reads...), func(t typeRows) []Candidate { return t.machines(needs, excludes) })
}

// each merges type by type: the catalogue's in its order, then those that only live nodes have, by name.
func (x *Index) each(reads []string, rows func(typeRows) []Candidate) []Candidate {
	x.declare(reads)
	x.mu.RLock()
	defer x.mu.RUnlock()
	// Nodes are not told apart by their names: who reads them looks at every node.
	var nodes map[*variant][]Candidate
	if slices.Contains(reads, corev1.LabelHostname) {
		nodes = x.nodesByVariant()
	}
	cached := x.catalogue.Rows()
	out := make([]Candidate, 0, len(cached)+len(x.types))
	for i := range cached {
		name := cached[i].InstanceType
		out = append(out, rows(typeRows{name, &cached[i], x.types[name], nodes})...)
	}
	for _, name := range slices.Sorted(maps.Keys(x.types)) {
		if _, known := x.cached[name]; !known {
			out = append(out, rows(typeRows{name, nil, x.types[name], nodes})...)
		}
	}
	return out
}
