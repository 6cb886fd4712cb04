package patch

import (
	"encoding/json"
	"fmt"

	"github.com/compspec/ocifit-lab/webhook/rawjson"
)

// Decode reads an object of the given kind. Field names count with their case, and must not be repeated, for
// the patch's paths would then mean another field than the one read here.
func Decode(kind Kind, raw []byte) (*Object, error) {
	if !kind.Valid() {
		return nil, fmt.Errorf("a %s carries no selection; only Pod and MiniCluster do", kind)
	}
	o := &Object{Kind: kind}
	r := rawjson.New(raw)
	err := fields(r, map[string]func() error{
		"metadata": func() error { return optional(r, &o.Metadata, readMetadata) },
		"spec":     func() error { return optional(r, &o.Spec, readSpec) },
	})
	if err == nil {
		err = r.End()
	}
	if err != nil {
		return nil, fmt.Errorf("decode the %s: %w", kind, err)
	}
	return o, nil
}

// fields reads an object of which only some fields matter; each of those may come once. null has none of them.
func fields(r *rawjson.Reader, known map[string]func() error) error {
	if r.Null() {
		return nil
	}
	return r.Object(func(key []byte) error {
		read, ok := known[string(key)]
		if !ok {
			return r.Skip()
		}
		name := string(key)
		if read == nil {
			return fmt.Errorf("the field %s is there twice", name)
		}
		known[name] = nil
		if err := read(); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	})
}

// optional reads a part that may be null, which leaves it nil.
func optional[T any](r *rawjson.Reader, to **T, read func(*rawjson.Reader, *T) error) error {
	if r.Null() {
		return nil
	}
	*to = new(T)
	return read(r, *to)
}

// each reads a list of parts; null is none.
func each[T any](r *rawjson.Reader, to *[]T, read func(*rawjson.Reader, *T) error) error {
	if r.Null() {
		return nil
	}
	return r.Array(func() error {
		var one T
		if err := read(r, &one); err != nil {
			return err
		}
		*to = append(*to, one)
		return nil
	})
}

func text(r *rawjson.Reader, to *string) func() error {
	return func() (err error) { *to, err = r.OptionalString(); return err }
}

func texts(r *rawjson.Reader, to *map[string]string) func() error {
	return func() (err error) { *to, err = r.StringMap(); return err }
}

// raw keeps a part as it is written.
func raw(r *rawjson.Reader, to *json.RawMessage) func() error {
	return func() (err error) { *to, err = r.Raw(); return err }
}

func readMetadata(r *rawjson.Reader, m *Metadata) error {
	return fields(r, map[string]func() error{
		"name": text(r, &m.Name), "generateName": text(r, &m.GenerateName), "namespace": text(r, &m.Namespace),
		"deletionTimestamp": text(r, &m.DeletionTimestamp),
		"labels":            texts(r, &m.Labels), "annotations": texts(r, &m.Annotations),
		"ownerReferences": func() error { return each(r, &m.Owners, readOwner) },
	})
}

func readOwner(r *rawjson.Reader, o *Owner) error {
	return fields(r, map[string]func() error{
		"apiVersion": text(r, &o.APIVersion), "kind": text(r, &o.Kind), "name": text(r, &o.Name), "uid": text(r, &o.UID),
		"controller": func() (err error) {
			if !r.Null() {
				o.Controller, err = r.Bool()
			}
			return err
		},
	})
}

func readSpec(r *rawjson.Reader, s *Spec) error {
	return fields(r, map[string]func() error{
		"nodeSelector":   texts(r, &s.NodeSelector),
		"containers":     func() error { return each(r, &s.Containers, readContainer) },
		"initContainers": func() error { return each(r, &s.InitContainers, readContainer) },
		"affinity":       raw(r, &s.Affinity), "tolerations": raw(r, &s.Tolerations), "overhead": raw(r, &s.Overhead), "resources": raw(r, &s.Resources),
		"pod":  func() error { return optional(r, &s.Pod, readPodTemplate) },
		"flux": func() error { return optional(r, &s.Flux, readFlux) },
	})
}

func readContainer(r *rawjson.Reader, c *Container) error {
	return fields(r, map[string]func() error{
		"name": text(r, &c.Name), "image": text(r, &c.Image), "restartPolicy": text(r, &c.RestartPolicy), "resources": raw(r, &c.Resources),
	})
}

func readPodTemplate(r *rawjson.Reader, p *PodTemplate) error {
	return fields(r, map[string]func() error{
		"nodeSelector": texts(r, &p.NodeSelector), "annotations": texts(r, &p.Annotations),
		"nodeAffinity": raw(r, &p.NodeAffinity), "tolerations": raw(r, &p.Tolerations), "resources": raw(r, &p.Resources),
	})
}

func readFlux(r *rawjson.Reader, f *FluxSpec) error {
	return fields(r, map[string]func() error{"container": func() error { return optional(r, &f.Container, readContainer) }})
}
