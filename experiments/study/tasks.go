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

// ChartTasks returns the chart value experiment.tasks for the arm's launch policy; the batch script in the container expands it.
func (a Arm) ChartTasks() string {
	if a.Tasks == TasksCores {
		return CoresExpression
	}
	return a.Tasks
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
