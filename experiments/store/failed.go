package store

// Failed tells whether a trial that is not done has an attempt that failed or does not count.
func (r *Run) Failed(arm string, n int, warmup bool) bool {
	state, err := r.State(arm, n, warmup)
	if err == nil && state.Done {
		return false
	}
	return state.Exists || r.failedTrials(arm)[key(n, warmup)]
}
