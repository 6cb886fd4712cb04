package playback

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/compspec/ocifit-lab/webhook/compat"
)

// What a trial's container says of its launch in its environment; the chart puts it there.
const (
	envApp        = "OCIFIT_APP"
	envCommand    = "OCIFIT_COMMAND"
	envNodes      = "OCIFIT_NODES"
	envTasks      = "OCIFIT_TASKS"
	envIterations = "OCIFIT_ITERATIONS"
	envExclusive  = "OCIFIT_EXCLUSIVE"
	envSaveLogs   = "OCIFIT_SAVE_LOGS"
	envSize       = "OCIFIT_SIZE"    // HPCG alone
	envSeconds    = "OCIFIT_SECONDS" // HPCG alone
	envThreads    = "OCIFIT_THREADS" // STREAM alone
)

// mainContainer is the container that runs the trial: the one that tells of it, else the first.
func mainContainer(pod *corev1.Pod) corev1.Container {
	for _, c := range pod.Spec.Containers {
		for _, e := range c.Env {
			if e.Name == envApp {
				return c
			}
		}
	}
	return pod.Spec.Containers[0]
}

// specOf reads the launch from the container. What is left open has the procedure's value. With an error it returns what
// could be read, so that a log can still tell of the failure.
func specOf(pod *corev1.Pod, c corev1.Container) (Spec, error) {
	env := map[string]string{}
	for _, e := range c.Env {
		env[e.Name] = e.Value
	}
	s := Spec{
		Name: env[envApp], Host: pod.Spec.Hostname, Tasks: env[envTasks], ThreadsGiven: env[envThreads],
		Iterations: 3, Nodes: 1, Seconds: publishedSeconds, Local: publishedLocal,
	}
	if s.Host == "" {
		s.Host = pod.Name
	}
	app, err := applicationOf(&s)
	if err != nil {
		return s, err
	}
	s.Command = cmp.Or(env[envCommand], app.command)
	var bad []string
	read := func(name string, parse func(text string) bool) {
		if text, ok := env[name]; ok && text != "" && !parse(text) {
			bad = append(bad, fmt.Sprintf("%s=%q", name, text))
		}
	}
	count := func(into *int) func(string) bool {
		return func(text string) bool {
			n, err := strconv.Atoi(text)
			if err != nil || n < 1 {
				return false
			}
			*into = n
			return true
		}
	}
	flag := func(into *bool) func(string) bool {
		return func(text string) bool {
			v, err := strconv.ParseBool(text)
			*into = v && err == nil
			return err == nil
		}
	}
	read(envIterations, count(&s.Iterations))
	read(envNodes, count(&s.Nodes))
	read(envSeconds, count(&s.Seconds))
	read(envExclusive, flag(&s.Exclusive))
	read(envSaveLogs, flag(&s.SaveLogs))
	read(envSize, func(text string) bool { return parseSize(text, &s.Local) })
	if len(bad) > 0 {
		return s, fmt.Errorf("cannot be replayed: %s", strings.Join(bad, ", "))
	}
	return s, nil
}

// parseSize reads "nx ny nz". HPCG wants multiples of 8, for its three coarser grids.
func parseSize(text string, into *[3]int) bool {
	fields := strings.Fields(text)
	if len(fields) != 3 {
		return false
	}
	for d, f := range fields {
		n, err := strconv.Atoi(f)
		if err != nil || n < 8 || n > 1024 || n%8 != 0 {
			return false
		}
		into[d] = n
	}
	return true
}

// imageTag is the tag of an image reference, without a digest; "latest" when it has none.
func imageTag(image string) string {
	image, _, _ = strings.Cut(image, "@")
	name := image[strings.LastIndexByte(image, '/')+1:]
	if _, tag, ok := strings.Cut(name, ":"); ok {
		return tag
	}
	return "latest"
}

// placeholder tells an image that stands for one that was to be chosen; no registry has it.
func placeholder(image string) bool {
	name := image[strings.LastIndexByte(image, '/')+1:]
	name, _, _ = strings.Cut(name, ":")
	return name == "placeholder"
}

// seedOf gives every trial figures of its own that come out the same when the trial is replayed: it mixes the seed, that
// of the pod's annotation or else the lab's, with the name of the pod's job, for the rest of a pod's name is random.
func seedOf(pod *corev1.Pod, labSeed uint64) uint64 {
	name := pod.Labels[batchv1.JobNameLabel]
	if name == "" {
		name = pod.Name
	}
	base, err := strconv.ParseUint(pod.Annotations[compat.AnnotationSeed], 10, 64)
	if err != nil {
		base, name = labSeed, pod.Namespace+"/"+name
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %s", base, name)
	return h.Sum64()
}

// worker tells a pod of a larger MiniCluster that only lends its cores; the first pod has the log.
func worker(pod *corev1.Pod) bool {
	index := pod.Annotations[batchv1.JobCompletionIndexAnnotation]
	return index != "" && index != "0"
}
