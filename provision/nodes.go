package provision

import "context"

// NodeReplacer is a provider that can end a machine on demand.
type NodeReplacer interface {
	// ReplaceNode takes the node away for good and returns when it is gone; its group makes another one when a pod needs it, or at
	// once if it has to keep its minimum. The caller sees to it that nothing runs there. A node that is gone already is fine, one that
	// carries the lab's own parts is refused.
	ReplaceNode(ctx context.Context, name string) error
}
