package eks

// Actions are all actions that the lab's policies allow.
func Actions() map[string]bool {
	all := map[string]bool{}
	for _, n := range needs {
		for _, a := range n.actions {
			all[a] = true
		}
	}
	return all
}
