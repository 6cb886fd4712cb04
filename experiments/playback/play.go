package playback

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"

	"github.com/compspec/ocifit-lab/experiments/application"
	"github.com/compspec/ocifit-lab/experiments/replay"
	"github.com/compspec/ocifit-lab/provision/simulated"
	"github.com/compspec/ocifit-lab/templates"
)

// played is a trial made ready to be played.
type played struct {
	chunks []application.Chunk
	note   replay.Note
	failed bool
	// unknown says that it failed because nothing is known of the pod's application.
	unknown bool
}

// play takes one pod from its binding to its end.
func (e *engine) play(ctx context.Context, pod *corev1.Pod, created time.Time) error {
	main := mainContainer(pod)
	if placeholder(main.Image) {
		return e.cannotPull(ctx, pod, main.Image)
	}
	node, err := e.node(ctx, pod.Spec.NodeName)
	if err != nil {
		return fmt.Errorf("node %s: %w", pod.Spec.NodeName, err)
	}
	note := replay.Note{Seed: seedOf(pod, e.Seed), Clock: replay.Clock{Created: created, NodeReady: created}}
	now := e.Clock.Now()
	if asked, ready := nodeTimes(node); ready.After(created) {
		note.Clock.NodeReady = ready
		note.NodeStartSeconds = ready.Sub(asked).Seconds()
	}
	// The times are summed up, not read from the clock, which other pods' plays move too.
	if e.firstPull(node, main.Image) {
		note.ImagePullSeconds = e.ImagePull.Seconds()
	}
	starting := e.ContainerStart + time.Duration(note.ImagePullSeconds*float64(time.Second))
	if err := e.Clock.Sleep(ctx, starting); err != nil {
		return err
	}
	note.Clock.Started = now.Add(starting)
	script, err := e.script(ctx, pod, main)
	if err != nil {
		e.Log("playback of %s/%s: its script: %v", pod.Namespace, pod.Name, err)
	}
	p := e.prepare(pod, main, script, node, note)
	if p.unknown {
		if err := e.warn(ctx, pod, "NotReplayed", p.note.Rule); err != nil {
			e.Log("playback of %s/%s: %v", pod.Namespace, pod.Name, err)
		}
	}
	if err := e.perform(ctx, pod, main, &p); err != nil {
		if ctx.Err() != nil {
			return err
		}
		p.failed, p.note.Rule = true, "the replay itself failed: "+err.Error()
		return errors.Join(err, e.end(ctx, pod, p))
	}
	return e.end(ctx, pod, p)
}

// node is a node as the cache has it; one that came with the pod may not be there yet.
func (e *engine) node(ctx context.Context, name string) (*corev1.Node, error) {
	if node, err := e.nodes.Get(name); err == nil {
		return node, nil
	}
	return e.kube.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
}

// prepare makes the whole log of a pod, or the log of its failure.
func (e *engine) prepare(pod *corev1.Pod, main corev1.Container, script string, node *corev1.Node, note replay.Note) played {
	p := played{note: note}
	launch, app, err := e.launchOf(pod, main, script)
	launch.Type, launch.Machine, launch.Seed, launch.Start = e.typeOf(node), string(node.UID), note.Seed, note.Clock.Started
	if err == nil {
		launch.Ranks, err = tasksOf(launch.Tasks, launch.Nodes, launch.Type)
	}
	var rehearsal application.Rehearsal
	if err == nil {
		launch.Threads = threadsOf(launch.RanksPerNode(), launch.Exclusive, launch.Type)
		rehearsal, err = app.Rehearse(&launch)
	}
	if err == nil {
		p.chunks, err = application.Chunks(launch, rehearsal)
	}
	p.note.Source, p.note.Rule, p.note.MeanError = rehearsal.Source, rehearsal.Rule, rehearsal.MeanError
	if err != nil {
		p.failed, p.unknown = true, errors.Is(err, application.ErrUnknown)
		p.note.Source, p.note.Rule = replay.Estimated, "the launch fails as it would on a real node: "+err.Error()
		if p.unknown {
			p.note.Rule = err.Error()
		}
		rehearsal.Rule = p.note.Rule
		p.chunks = application.Refusal(launch, rehearsal, err)
	}
	if worker(pod) {
		for i := range p.chunks {
			p.chunks[i].Text = nil
		}
	}
	var took time.Duration
	for _, c := range p.chunks {
		took += c.After
	}
	p.note.RunSeconds = took.Seconds()
	p.note.Clock.Finished = note.Clock.Started.Add(took)
	return p
}

// perform writes the logs while the time passes that they took.
func (e *engine) perform(ctx context.Context, pod *corev1.Pod, main corev1.Container, p *played) error {
	dir := e.folder(pod)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, c := range append(append([]corev1.Container(nil), pod.Spec.InitContainers...), pod.Spec.Containers...) {
		if c.Name == main.Name {
			continue
		}
		if err := e.silent(dir, c.Name); err != nil {
			return err
		}
	}
	file, err := os.OpenFile(filepath.Join(dir, main.Name+".log"), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	byHand := e.Instant && pod.Labels[labelTrial] == "" && !worker(pod)
	if !e.Instant || byHand {
		if err := e.annotate(ctx, pod, map[string]string{simulated.PhaseAnnotation: simulated.PhaseRunning}); err != nil {
			return err
		}
	}
	if byHand {
		if err := e.linger(ctx, filepath.Join(dir, main.Name+".read")); err != nil {
			return err
		}
	}
	for _, c := range p.chunks {
		if err := e.Clock.Sleep(ctx, c.After); err != nil {
			return err
		}
		if _, err := file.Write(c.Text); err != nil {
			return err
		}
	}
	if err := file.Close(); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, main.Name+".done"), nil, 0o600)
}

// linger keeps a pod that a person has started running until its log is read, or for some real seconds: commands that wait for it to be
// ready would never see it otherwise.
func (e *engine) linger(ctx context.Context, read string) error {
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, e.Linger, true, func(context.Context) (bool, error) {
		_, err := os.Stat(read)
		return err == nil, nil
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil && !wait.Interrupted(err) {
		return err
	}
	return nil
}

// silent leaves the log of a container that has nothing to say.
func (e *engine) silent(dir, name string) error {
	line := []byte("# REPLAY: ocifit-lab sim, this container did not run\n")
	if err := os.WriteFile(filepath.Join(dir, name+".log"), line, 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name+".done"), nil, 0o600)
}

// end leaves the note and says how the pod ended, in one step.
func (e *engine) end(ctx context.Context, pod *corev1.Pod, p played) error {
	note, err := replay.Encode(p.note)
	if err != nil {
		return err
	}
	annotations := map[string]string{replay.Annotation: note, simulated.PhaseAnnotation: simulated.PhaseSucceeded}
	// flux-operator's script ends with 0 whatever came of the command, unless the pod is one that is not started again.
	if p.failed && pod.Spec.RestartPolicy != corev1.RestartPolicyOnFailure {
		annotations[simulated.PhaseAnnotation], annotations[simulated.ExitCodeAnnotation] = simulated.PhaseFailed, strconv.Itoa(1)
	}
	return e.annotate(ctx, pod, annotations)
}

func (e *engine) annotate(ctx context.Context, pod *corev1.Pod, annotations map[string]string) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": pod.UID, "annotations": annotations}})
	if err != nil {
		return err
	}
	lasting := func(err error) bool {
		return !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) && ctx.Err() == nil
	}
	err = retry.OnError(retry.DefaultBackoff, lasting, func() error {
		_, err := e.kube.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.MergePatchType, patch, metav1.PatchOptions{})
		return err
	})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil // the pod is gone, which is not this one's failure
	}
	return err
}

// cannotPull says what a kubelet says of an image that no registry has; the pod stays as it is.
func (e *engine) cannotPull(ctx context.Context, pod *corev1.Pod, image string) error {
	return e.warn(ctx, pod, "Failed", fmt.Sprintf("Failed to pull image %q: it is a placeholder, so no image was selected for this pod", image))
}

// warn puts a warning among the pod's events.
func (e *engine) warn(ctx context.Context, pod *corev1.Pod, reason, message string) error {
	now := metav1.NewTime(time.Now())
	_, err := e.kube.CoreV1().Events(pod.Namespace).Create(ctx, &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Name: fmt.Sprintf("%s.%x", pod.Name, now.UnixNano()), Namespace: pod.Namespace},
		InvolvedObject: corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID},
		Type:           corev1.EventTypeWarning, Reason: reason, Message: message,
		FirstTimestamp: now, LastTimestamp: now, Count: 1, Source: corev1.EventSource{Component: "ocifit-lab-playback", Host: pod.Spec.NodeName},
	}, metav1.CreateOptions{})
	return err
}

func (e *engine) firstPull(node *corev1.Node, image string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	key := string(node.UID) + " " + image
	first := !e.pulled[key]
	e.pulled[key] = true
	return first
}

func (e *engine) typeOf(node *corev1.Node) templates.InstanceType {
	name := node.Labels[corev1.LabelInstanceTypeStable]
	if t, ok := e.Types[name]; ok {
		return t
	}
	t := templates.InstanceType{
		Name: name, Architecture: node.Labels[corev1.LabelArchStable], Labels: node.Labels, VCPU: int(node.Status.Capacity.Cpu().Value()),
	}
	t.Cores = t.VCPU
	if node.Labels["feature.node.kubernetes.io/cpu-hardware_multithreading"] == "true" {
		t.Cores = t.VCPU / 2
	}
	return t
}

// nodeTimes are the moments, on the simulated clock, at which the node was asked for and became ready; zero if not known.
func nodeTimes(node *corev1.Node) (asked, ready time.Time) {
	ready, err := time.Parse(time.RFC3339, node.Annotations[simulated.CreatedAnnotation])
	if err != nil {
		return time.Time{}, time.Time{}
	}
	if asked, err = time.Parse(time.RFC3339, node.Annotations[simulated.RequestedAnnotation]); err != nil {
		return time.Time{}, time.Time{}
	}
	return asked, ready
}
