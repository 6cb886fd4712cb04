package kind

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/kind/pkg/cluster/nodes"
	"sigs.k8s.io/kind/pkg/cluster/nodeutils"

	"github.com/compspec/ocifit-lab/provision/atomicfile"
	"github.com/compspec/ocifit-lab/provision/step"
	"github.com/compspec/ocifit-lab/webhook/image"
)

// ProgramImage is the reference of the image that holds this program.
func (p *Provider) ProgramImage() (string, error) {
	if p.opts.LabImage != "" {
		return p.opts.LabImage, nil
	}
	return programImage(p.opts.Program)
}

func (p *Provider) labImageDone(ctx context.Context) (bool, error) {
	e, err := p.engine(ctx)
	if err != nil {
		return false, err
	}
	ref, err := p.ProgramImage()
	return err == nil && e.has(ctx, ref), nil
}

// has tells whether the engine has an image.
func (e engine) has(ctx context.Context, ref string) bool {
	_, err := e.ask(ctx, "image", "inspect", "--format", "{{.Id}}", ref)
	return err == nil
}

func (p *Provider) makeLabImage(ctx context.Context, log step.Log) error {
	e, err := p.engine(ctx)
	if err != nil {
		return err
	}
	ref, err := p.ProgramImage()
	if err != nil {
		return err
	}
	if p.opts.LabImage != "" {
		return p.pull(ctx, e, ref, log)
	}
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(p.dir, "image-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	log("packing %s", ref)
	built, err := image.Build(ctx, filepath.Join(dir, "layout"), image.Options{Binaries: []string{p.opts.Program}, Name: programName})
	if err != nil {
		return err
	}
	archive := filepath.Join(dir, "image.tar")
	if err := built.Archive(ctx, archive, ref); err != nil {
		return err
	}
	file, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = e.run(ctx, file, "load")
	return err
}

// removeLabImage removes the image unless another lab's containers still use it.
func (p *Provider) removeLabImage(ctx context.Context, log step.Log) error {
	if p.opts.LabImage != "" {
		return nil // it was not made here
	}
	e, err := p.engine(ctx)
	if err != nil {
		return p.nothingWithout(err)
	}
	refs, err := e.list(ctx, "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", programRepository)
	if err != nil {
		return err
	}
	for _, ref := range refs {
		if _, err := e.ask(ctx, "image", "rm", ref); err != nil && !absent(err) {
			log("%s stays: %v", ref, err)
		}
	}
	return nil
}

// pull makes sure that the engine has an image.
func (p *Provider) pull(ctx context.Context, e engine, ref string, log step.Log) error {
	if e.has(ctx, ref) {
		return nil
	}
	log("pulling %s", ref)
	var errs []error
	for _, source := range p.sources(ref) {
		if _, err := e.run(ctx, nil, "pull", source); err != nil {
			errs = append(errs, err)
			continue
		}
		if source == ref || strings.Contains(ref, "@") {
			return nil
		}
		_, err := e.ask(ctx, "tag", source, ref)
		return err
	}
	return errors.Join(errs...)
}

// sources are the names under which an image may be had: at the mirrors of its registry, and then its own.
func (p *Provider) sources(ref string) []string {
	var list []string
	if registry, rest, ok := strings.Cut(ref, "/"); ok && !strings.Contains(ref, "@") {
		for _, m := range p.opts.Mirrors[registry] {
			if _, bare, ok := strings.Cut(m, "://"); ok {
				m = bare
			}
			list = append(list, m+"/"+rest)
		}
	}
	return append(list, ref)
}

// loaded tells whether every node has every image that it can have.
func (p *Provider) loaded(ctx context.Context) (bool, error) {
	e, err := p.engine(ctx)
	if err != nil {
		return false, err
	}
	refs, err := p.required()
	if err != nil {
		return false, nil
	}
	missing, err := p.missingImages(ctx, e, refs)
	return err == nil && len(missing) == 0 && p.archivesLoaded(), nil
}

// required are the images that every node must have.
func (p *Provider) required() ([]string, error) {
	ref, err := p.ProgramImage()
	if err != nil {
		return nil, err
	}
	refs := []string{ref}
	for _, i := range p.opts.Images {
		if !i.Optional {
			refs = append(refs, i.Ref)
		}
	}
	return refs, nil
}

// missingImages lists, of some images, those that a node does not have, by node.
func (p *Provider) missingImages(ctx context.Context, e engine, refs []string) (map[string][]string, error) {
	missing := map[string][]string{}
	for _, node := range p.nodeNames() {
		out, err := e.ask(ctx, "exec", node, "ctr", "--namespace=k8s.io", "images", "ls", "-q")
		if err != nil {
			return nil, err
		}
		have := strings.Fields(out)
		for _, ref := range refs {
			if !slices.Contains(have, fullName(ref)) {
				missing[node] = append(missing[node], ref)
			}
		}
	}
	return missing, nil
}

// fullName is an image's name as containerd writes it.
func fullName(ref string) string {
	first, _, found := strings.Cut(ref, "/")
	switch {
	case !found:
		ref = "docker.io/library/" + ref
	case !strings.ContainsAny(first, ".:") && first != "localhost":
		ref = "docker.io/" + ref
	}
	if name := ref[strings.LastIndex(ref, "/"):]; !strings.ContainsAny(name, ":@") {
		ref += ":latest"
	}
	return ref
}

// load copies the images from the engine into the nodes, so that no trial waits for a pull.
func (p *Provider) load(ctx context.Context, log step.Log) error {
	e, err := p.engine(ctx)
	if err != nil {
		return err
	}
	list, err := p.nodes(e)
	if err != nil {
		return err
	}
	for _, archive := range p.opts.Archives {
		log("loading %s", archive.Name)
		if err := loadArchive(ctx, list, archive); err != nil {
			return err
		}
	}
	if err := p.noteArchives(); err != nil {
		return err
	}
	refs, err := p.available(ctx, e, list, log)
	if err != nil {
		return err
	}
	missing, err := p.missingImages(ctx, e, refs)
	if err != nil {
		return err
	}
	for _, ref := range refs {
		var to []nodes.Node
		for _, n := range list {
			if slices.Contains(missing[n.String()], ref) {
				to = append(to, n)
			}
		}
		if len(to) == 0 {
			continue
		}
		log("loading %s into %d nodes", ref, len(to))
		if err := e.save(ctx, ref, to); err != nil {
			return fmt.Errorf("load %s: %w", ref, err)
		}
	}
	return nil
}

// available pulls the images that are needed and returns those that the engine has. What an archive brought into the nodes
// already need not be had by the engine.
func (p *Provider) available(ctx context.Context, e engine, list []nodes.Node, log step.Log) ([]string, error) {
	ref, err := p.ProgramImage()
	if err != nil {
		return nil, err
	}
	refs := []string{ref}
	for _, i := range p.opts.Images {
		if missing, err := p.missingImages(ctx, e, []string{i.Ref}); err == nil && len(missing) == 0 {
			continue
		}
		err := p.pull(ctx, e, i.Ref, log)
		switch {
		case err == nil:
			refs = append(refs, i.Ref)
		case i.Optional && ctx.Err() == nil:
			log("%s cannot be loaded and is left out: %v", i.Ref, err)
		default:
			return nil, fmt.Errorf("image %s: %w", i.Ref, err)
		}
	}
	return refs, nil
}

// save streams an image out of the engine into all nodes at once.
func (e engine) save(ctx context.Context, ref string, to []nodes.Node) error {
	cmd := exec.CommandContext(ctx, string(e), "save", ref)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	err = spread(out, to)
	if err != nil {
		_ = cmd.Process.Kill()
	}
	return errors.Join(err, cmd.Wait())
}

// spread feeds one archive to the image stores of several nodes.
func spread(archive io.Reader, to []nodes.Node) error {
	var group errgroup.Group
	var pipes []io.Writer
	var closers []*io.PipeWriter
	for _, n := range to {
		r, w := io.Pipe()
		pipes, closers = append(pipes, w), append(closers, w)
		group.Go(func() error {
			err := nodeutils.LoadImageArchive(n, r)
			_ = r.CloseWithError(errors.Join(err, io.ErrClosedPipe))
			if err != nil {
				return fmt.Errorf("%s: %w", n.String(), err)
			}
			return nil
		})
	}
	_, err := io.Copy(io.MultiWriter(pipes...), archive)
	for _, w := range closers {
		_ = w.CloseWithError(err)
	}
	return errors.Join(group.Wait(), ignoreClosed(err))
}

// ignoreClosed: a node that refused an archive says why by itself.
func ignoreClosed(err error) error {
	if errors.Is(err, io.ErrClosedPipe) {
		return nil
	}
	return err
}

func loadArchive(ctx context.Context, list []nodes.Node, archive Archive) error {
	if archive.Empty != nil {
		if empty, err := archive.Empty(); empty || err != nil {
			return err
		}
	}
	r, w := io.Pipe()
	stop := context.AfterFunc(ctx, func() { _ = w.CloseWithError(ctx.Err()) })
	defer stop()
	go func() { _ = w.CloseWithError(archive.Write(w)) }()
	if err := spread(r, list); err != nil {
		return fmt.Errorf("load %s: %w", archive.Name, err)
	}
	return nil
}

func (p *Provider) archiveNote() string { return filepath.Join(p.dir, "archives") }

func (p *Provider) archivesLoaded() bool {
	data, err := os.ReadFile(p.archiveNote())
	return len(p.opts.Archives) == 0 || err == nil && string(data) == p.archiveNames()
}

func (p *Provider) archiveNames() string {
	var names []string
	for _, a := range p.opts.Archives {
		names = append(names, a.Name)
	}
	return strings.Join(names, "\n")
}

func (p *Provider) noteArchives() error {
	return atomicfile.Write(p.archiveNote(), []byte(p.archiveNames()), 0o600)
}
