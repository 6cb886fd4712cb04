package study

import (
	"fmt"
	"strconv"
)

// Launch policies: what an arm's tasks may say.
const (
	// TasksDefault leaves the rank count to flux, which then starts one rank.
	TasksDefault = ""
	// TasksThreads starts one rank per hardware thread, as nproc counts them.
	TasksThreads = "$(nproc)"
	// TasksCores starts one rank per physical core.
	TasksCores = "cores"
)

// CoresExpression is what the batch script expands for TasksCores. Flux itself is asked, for it is what places the ranks and
// it counts physical cores, where nproc counts hardware threads; it is in every image that the chart can start.
const CoresExpression = `$(flux resource list -s all -no {ncores})`

// LscpuExpression is the same for charts from elsewhere: those of flux-apps-helm's template expand it before Flux runs, and count cores so
// themselves (experiment.all_tasks).
const LscpuExpression = `$(( $(lscpu | grep '^Core(s) per socket:' | awk '{print $4}') * $(lscpu | grep '^Socket(s):' | awk '{print $2}') ))`

// ChartTasks returns the chart value experiment.tasks for an arm's launch policy; a script in the container expands it.
func (s *Study) ChartTasks(a *Arm) string {
	switch {
	case a.Tasks != TasksCores:
		return a.Tasks
	case s.Chart != "":
		return LscpuExpression
	}
	return CoresExpression
}

// PolicyText describes a launch policy in words.
func PolicyText(tasks string) string {
	switch tasks {
	case TasksDefault:
		return "no task count (one rank)"
	case TasksThreads:
		return "one rank per hardware thread"
	case TasksCores:
		return "one rank per physical core"
	case "1":
		return "1 rank"
	}
	return tasks + " ranks"
}

func checkTasks(tasks string) error {
	switch tasks {
	case TasksDefault, TasksThreads, TasksCores:
		return nil
	}
	if n, err := strconv.Atoi(tasks); err == nil && n > 0 && strconv.Itoa(n) == tasks {
		return nil
	}
	return fmt.Errorf(`%q is no launch policy: write "" (one rank), "$(nproc)" (hardware threads), "cores" (physical cores) or a count such as "4"`, tasks)
}
