package playback

import (
	"context"
	"path"
	"regexp"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/compspec/ocifit-lab/experiments/application"
	"github.com/compspec/ocifit-lab/experiments/application/hpcg"
)

// The study's own chart tells of a launch by its batch script, which is written by the commands of the MiniCluster; its environment names
// the application and the program alone.
const (
	envPublishedApp     = "app"
	envPublishedCommand = "apprun"
)

// script reads the file that a container was started with, where that comes from a ConfigMap; otherwise it is "".
func (e *engine) script(ctx context.Context, pod *corev1.Pod, c corev1.Container) (string, error) {
	for _, word := range c.Command {
		for _, mount := range c.VolumeMounts {
			file, inside := strings.CutPrefix(word, path.Clean(mount.MountPath)+"/")
			if !inside {
				continue
			}
			name, key := configFile(pod, mount.Name, file)
			if name == "" {
				continue
			}
			cm, err := e.configMaps.ConfigMaps(pod.Namespace).Get(name)
			if err != nil { // what came with the pod may not be in the cache yet
				cm, err = e.kube.CoreV1().ConfigMaps(pod.Namespace).Get(ctx, name, metav1.GetOptions{})
			}
			if err != nil {
				return "", err
			}
			return cm.Data[key], nil
		}
	}
	return "", nil
}

// configFile tells which key of which ConfigMap a volume shows as the file.
func configFile(pod *corev1.Pod, volume, file string) (name, key string) {
	for _, v := range pod.Spec.Volumes {
		if v.Name != volume || v.ConfigMap == nil {
			continue
		}
		for _, item := range v.ConfigMap.Items {
			if item.Path == file {
				return v.ConfigMap.Name, item.Key
			}
		}
		if len(v.ConfigMap.Items) == 0 {
			return v.ConfigMap.Name, file
		}
	}
	return "", ""
}

var (
	loopLine = regexp.MustCompile(`for \w+ in \{1\.\.(\d+)\}`)
	runLine  = regexp.MustCompile(`(?m)^\s*flux (?:run|submit)\s(.*)$`)
	nodeFlag = regexp.MustCompile(`(?:^|\s)-N\s*(\d+)`)
	taskFlag = regexp.MustCompile(`(?:^|\s)-n\s*`)
	// What HPCG reads: its grid, and the seconds that it aims at, on the lines after two of text.
	gridLine = regexp.MustCompile(`(?m)echo\s+"?(\d+ \d+ \d+)"?\s*>>\s*\S*hpcg\.dat\s*\n\s*echo\s+"?(\d+)"?\s*>>`)
)

// readScript reads from a batch script what our own chart says in the environment, under the same names. ok is false for a script that
// starts no run.
func readScript(script string, env map[string]string) (told map[string]string, ok bool) {
	run := runLine.FindStringSubmatch(script)
	if run == nil {
		return nil, false
	}
	told = map[string]string{
		application.EnvApplication: env[envPublishedApp], application.EnvCommand: env[envPublishedCommand],
		application.EnvIterations: "1", application.EnvTasks: tasksFlag(run[1]),
		application.EnvExclusive: strconv.FormatBool(strings.Contains(run[1], "--exclusive")),
		application.EnvSaveLogs:  strconv.FormatBool(strings.Contains(script, "flux job stats")),
	}
	if m := loopLine.FindStringSubmatch(script); m != nil {
		told[application.EnvIterations] = m[1]
	}
	if m := nodeFlag.FindStringSubmatch(run[1]); m != nil {
		told[application.EnvNodes] = m[1]
	}
	if m := gridLine.FindStringSubmatch(script); m != nil {
		told[hpcg.EnvSize], told[hpcg.EnvSeconds] = m[1], m[2]
	}
	return told, true
}

// tasksFlag is the argument of -n, which may be a shell's expression with spaces in it.
func tasksFlag(words string) string {
	at := taskFlag.FindStringIndex(words)
	if at == nil {
		return ""
	}
	rest, depth := words[at[1]:], 0
	for i, r := range rest {
		switch {
		case r == '(':
			depth++
		case r == ')':
			depth--
		case r == ' ' && depth == 0:
			return rest[:i]
		}
	}
	return rest
}
