// Package cost is the one model of what a lab costs: prices, times and counts go in, US dollars come out.
//
// A lab costs money in two ways. The control plane and the nodes that groups keep run from the cluster's creation to its end, whatever
// happens (Lab.Standing). Every other node is paid from its launch until the autoscaler takes it away: its start, its trials, and the idle
// tail after the last of them. A node's price is that of its instance, its disk and its public address, and on burstable types the CPU
// credits that it uses beyond its baseline.
//
//	lab := cost.Lab{Prices: prices, Groups: groups, ControlPlane: true, StandardUntil: until, ScaleDownAfter: 10 * time.Minute}
//
//	// plan: what a study that was played through is expected to cost, and its worst case, which is also the default limit.
//	f := lab.Forecast(cost.Study{May: types, Uses: uses, Took: took}, times, time.Now())
//
//	// status: dollars an hour with these nodes.
//	rate := lab.Hourly(time.Now(), map[string]int{"sticky": 1, "c7a-12xlarge": 1})
//
//	// experiment: a running sum. Fill it once from the records of a run, then tell it every attempt.
//	m := cost.NewMeter(lab)
//	m.Start(firstAttempt)                        // or when the lab was made
//	for _, r := range records { m.Use(use(r)) }
//	worst := m.Reserve(key, now, types, times)   // the bill if this attempt goes as badly as planned for
//	if worst > limit { m.Release(key); stop }
//	...                                          // the attempt
//	m.Release(key); m.Use(use(record))           // or only Release when no node was had
//	m.Gone(node, now)                            // only when a node is known to be gone, as a replaced one
//	bill := m.Bill(now)                          // bill.USD until now, bill.Committed with the idle tails that will still come
//
// All moments of one meter are of one clock: simulated trials have simulated moments, and the clock of `now` is theirs too. A zero `now`
// is the last moment that the meter was told of. A type without a price counts as 0 and is named in Unpriced: it is never silently free.
package cost
