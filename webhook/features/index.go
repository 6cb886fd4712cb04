package features

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/compspec/ocifit-lab/webhook/compat"
)

// Domain tells which of a node's labels a model cannot judge: one sentence for each label that is absent or
// has a value the model never saw. Nothing means that the model can score the node.
type Domain interface {
	OutOfDomain(labels map[string]string) []string
}

// Node is what the index needs to know of a live node.
type Node struct {
	Name   string
	Labels map[string]string
	// Cordoned nodes take no pods and are not counted as live.
	Cordoned bool
}

// controlPlane are the labels of nodes that run no workload.
var controlPlane = [...]string{"node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"}

// Index merges the catalogue with the live nodes. Each node event costs O(labels of that node), whatever the
// size of the cluster. It is safe for concurrent use.
type Index struct {
	identity string

	mu        sync.RWMutex
	catalogue *Catalogue
	cached    map[string]*Candidate
	types     map[string]*liveType
	nodes     map[string]placed
}

// liveType groups the live nodes of an instance type by what their features are.
type liveType struct{ variants map[string]*variant }

type variant struct {
	key    string
	labels map[string]string
	nodes  int
}

// placed remembers under which type and variant a node is counted.
type placed struct{ typ, key string }

// NewIndex returns an index without catalogue and nodes. The identity label tells the type of a node; empty
// means the instance type label.
func NewIndex(identity string) *Index {
	if identity == "" {
		identity = compat.LabelInstanceType
	}
	return &Index{identity: identity, types: map[string]*liveType{}, nodes: map[string]placed{}}
}

// Identity is the label that a decision selects nodes by.
func (x *Index) Identity() string { return x.identity }

// SetCatalogue replaces the cached rows.
func (x *Index) SetCatalogue(c *Catalogue) {
	cached := make(map[string]*Candidate, len(c.Rows()))
	for i := range c.Rows() {
		cached[c.rows[i].InstanceType] = &c.rows[i]
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.catalogue, x.cached = c, cached
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
	typ := n.Labels[x.identity]
	out := n.Cordoned || typ == ""
	for _, l := range controlPlane {
		if _, is := n.Labels[l]; is {
			out = true
		}
	}
	if out {
		x.Remove(n.Name)
		return
	}
	key := featureKey(n.Labels)
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.nodes[n.Name] == (placed{typ, key}) {
		return
	}
	x.remove(n.Name)
	lt := x.types[typ]
	if lt == nil {
		lt = &liveType{variants: map[string]*variant{}}
		x.types[typ] = lt
	}
	v := lt.variants[key]
	if v == nil {
		v = &variant{key: key, labels: n.Labels}
		lt.variants[key] = v
	}
	v.nodes++
	x.nodes[n.Name] = placed{typ, key}
}

// Remove forgets a node; an unknown name is fine.
func (x *Index) Remove(name string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.remove(name)
}

func (x *Index) remove(name string) {
	p, ok := x.nodes[name]
	if !ok {
		return
	}
	delete(x.nodes, name)
	lt := x.types[p.typ]
	v := lt.variants[p.key]
	if v.nodes--; v.nodes == 0 {
		delete(lt.variants, p.key)
	}
	if len(lt.variants) == 0 {
		delete(x.types, p.typ)
	}
}

// Candidates returns one row per instance type: the catalogue's types in its order, then types that only live
// nodes have, by name. A type's live labels win when the domain knows all their values; otherwise the cached
// row does, as a whole, because a mixture of two rows is a machine that nobody measured. A nil domain knows
// everything.
func (x *Index) Candidates(domain Domain) []Candidate {
	x.mu.RLock()
	defer x.mu.RUnlock()
	rows := x.catalogue.Rows()
	out := make([]Candidate, 0, len(rows)+len(x.types))
	for i := range rows {
		out = append(out, merge(rows[i].InstanceType, &rows[i], x.types[rows[i].InstanceType], domain))
	}
	cachedTypes := len(out)
	for name, lt := range x.types {
		if _, known := x.cached[name]; !known {
			out = append(out, merge(name, nil, lt, domain))
		}
	}
	slices.SortFunc(out[cachedTypes:], func(a, b Candidate) int { return cmp.Compare(a.InstanceType, b.InstanceType) })
	return out
}

// merge chooses between a type's cached row and its live variants.
func merge(name string, cached *Candidate, live *liveType, domain Domain) Candidate {
	if live == nil {
		return *cached
	}
	variants := slices.Collect(maps.Values(live.variants))
	slices.SortFunc(variants, func(a, b *variant) int {
		return cmp.Or(cmp.Compare(b.nodes, a.nodes), cmp.Compare(a.key, b.key))
	})
	var why []string
	for _, v := range variants {
		bad := unusable(v, cached, domain)
		if len(bad) == 0 {
			return liveRow(name, v)
		}
		if why == nil {
			why = bad
		}
	}
	if cached == nil {
		return liveRow(name, variants[0])
	}
	row := *cached
	row.Note = fmt.Sprintf("cached labels used: on the live node %s", strings.Join(why, "; "))
	return row
}

func liveRow(name string, v *variant) Candidate {
	return Candidate{InstanceType: name, Architecture: v.labels[compat.LabelArch], Labels: v.labels, Live: true}
}

// unusable says why a live variant cannot stand for its type.
func unusable(v *variant, cached *Candidate, domain Domain) []string {
	var bad []string
	if domain != nil {
		bad = domain.OutOfDomain(v.labels)
	}
	if v.labels[compat.LabelArch] == "" && cached != nil && cached.Architecture != "" {
		bad = append(bad, compat.LabelArch+" is absent")
	}
	return bad
}

// featureKey is the part of a node's labels that distinguishes machines of a type: its discovered features and
// its architecture, never its name, zone or age.
func featureKey(labels map[string]string) string {
	keys := make([]string, 0, len(labels))
	for k := range labels {
		if strings.HasPrefix(k, compat.FeaturePrefix) || k == compat.LabelArch {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	var b strings.Builder
	for _, k := range keys {
		b.WriteString(k)
		b.WriteByte('=')
		b.WriteString(labels[k])
		b.WriteByte('\n')
	}
	return b.String()
}
