package playback

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/compspec/ocifit-lab/experiments/application"
	"github.com/compspec/ocifit-lab/provision/simulated"
	"github.com/compspec/ocifit-lab/templates"
	"github.com/compspec/ocifit-lab/webhook/compat"
)

// mainContainer is the container that runs the trial: the one that tells of it, else the first.
func mainContainer(pod *corev1.Pod) corev1.Container {
	for _, c := range pod.Spec.Containers {
		for _, e := range c.Env {
			if e.Name == application.EnvApplication || e.Name == envPublishedApp {
				return c
			}
		}
	}
	return pod.Spec.Containers[0]
}

// launchOf reads the launch from the container's environment, or from the script that it was started with. What is left open has
// the procedure's value. With an error it returns what could be read, so that a log can still tell of the failure.
func (e *engine) launchOf(pod *corev1.Pod, c corev1.Container, script string) (application.Launch, application.Rehearser, error) {
	env := map[string]string{}
	for _, e := range c.Env {
		env[e.Name] = e.Value
	}
	if told, ok := readScript(script, env); ok && env[application.EnvApplication] == "" {
		env = told
	}
	l := application.Launch{
		Application: env[application.EnvApplication], Env: env, Host: cmp.Or(pod.Spec.Hostname, pod.Name),
		Tasks: env[application.EnvTasks], Iterations: 3, Nodes: 1, Ranks: 1, Threads: 1, ImageTag: imageTag(c.Image),
	}
	l.Application = cmp.Or(pod.Annotations[simulated.ApplicationAnnotation], l.Application)
	app, err := e.rehearser(l.Application, cmp.Or(env[application.EnvFile], pod.Annotations[simulated.ApplicationFileAnnotation]))
	if err != nil {
		return l, nil, err
	}
	l.Command = cmp.Or(env[application.EnvCommand], app.DefaultCommand())
	var bad []string
	read := func(name string, parse func(text string) bool) {
		if text := env[name]; text != "" && !parse(text) {
			bad = append(bad, fmt.Sprintf("%s=%q", name, text))
		}
	}
	read(application.EnvIterations, count(&l.Iterations))
	read(application.EnvNodes, count(&l.Nodes))
	read(application.EnvExclusive, flag(&l.Exclusive))
	read(application.EnvSaveLogs, flag(&l.SaveLogs))
	if len(bad) > 0 {
		return l, app, fmt.Errorf("cannot be replayed: %s", strings.Join(bad, ", "))
	}
	return l, app, nil
}

func count(into *int) func(string) bool {
	return func(text string) bool {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return false
		}
		*into = n
		return true
	}
}

func flag(into *bool) func(string) bool {
	return func(text string) bool {
		v, err := strconv.ParseBool(text)
		*into = v && err == nil
		return err == nil
	}
}

func (e *engine) rehearser(name, file string) (application.Rehearser, error) {
	if file != "" && e.Described != nil {
		return e.Described(file)
	}
	i := slices.IndexFunc(e.Rehearsers, func(r application.Rehearser) bool { return r.Name() == name })
	if i >= 0 {
		return e.Rehearsers[i], nil
	}
	known := make([]string, len(e.Rehearsers))
	for i, r := range e.Rehearsers {
		known[i] = r.Name()
	}
	return nil, fmt.Errorf("%w: %s=%q, and sim plays %s alone", application.ErrUnknown, application.EnvApplication, name, strings.Join(known, ", "))
}

// tasksOf tells how many ranks a launch starts on nodes of the type. The text is what a shell would have expanded.
func tasksOf(text string, nodes int, t templates.InstanceType) (int, error) {
	text = strings.TrimSpace(text)
	n, err := strconv.Atoi(text)
	switch {
	case text == "":
		return nodes, nil // without -n, flux run starts one task on each node
	case err == nil && n > 0:
		return n, nil
	case strings.Contains(strings.ToLower(text), "core"):
		return nodes * t.Cores, nil
	case strings.Contains(text, "nproc"):
		return t.VCPU, nil
	}
	return 0, fmt.Errorf("invalid value for -n: %q (the replay knows numbers, $(nproc) and cores)", text)
}

// threadsOf is how many threads OpenMP starts in a rank: the hardware threads of the cores that the rank is bound to.
// An exclusive launch shares all cores of the node among its ranks, any other gives one core to each.
func threadsOf(ranksPerNode int, exclusive bool, t templates.InstanceType) int {
	perCore := max(1, t.VCPU/max(1, t.Cores))
	if !exclusive || ranksPerNode < 1 {
		return perCore
	}
	return max(1, t.Cores/ranksPerNode) * perCore
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
