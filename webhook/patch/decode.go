package patch

import (
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
	err := fields(r, objectFields, func(field string) error {
		if field == "metadata" {
			return optional(r, &o.Metadata, readMetadata)
		}
		return optional(r, &o.Spec, readSpec)
	})
	if err == nil {
		err = r.End()
	}
	if err != nil {
		return nil, fmt.Errorf("decode the %s: %w", kind, err)
	}
	return o, nil
}

// The fields that are read, by part. There are at most 32 in each.
var (
	objectFields      = []string{"metadata", "spec"}
	metadataFields    = []string{"name", "generateName", "namespace", "labels", "annotations", "ownerReferences", "deletionTimestamp"}
	ownerFields       = []string{"apiVersion", "kind", "name", "uid", "controller"}
	specFields        = []string{"nodeSelector", "containers", "initContainers", "affinity", "tolerations", "overhead", "resources", "pod", "flux"}
	containerFields   = []string{"name", "image", "restartPolicy", "resources"}
	podTemplateFields = []string{"nodeSelector", "annotations", "nodeAffinity", "tolerations", "resources"}
	fluxFields        = []string{"container"}
)

// fields reads an object of which only some fields matter; each of those may come once. null has none of them.
func fields(r *rawjson.Reader, known []string, read func(field string) error) error {
	if r.Null() {
		return nil
	}
	var seen uint32
	return r.Object(func(key []byte) error {
		for i, field := range known {
			if string(key) != field {
				continue
			}
			if seen&(1<<i) != 0 {
				return fmt.Errorf("the field %s is there twice", field)
			}
			seen |= 1 << i
			if err := read(field); err != nil {
				return fmt.Errorf("%s: %w", field, err)
			}
			return nil
		}
		return r.Skip()
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

func readMetadata(r *rawjson.Reader, m *Metadata) error {
	return fields(r, metadataFields, func(field string) (err error) {
		switch field {
		case "name":
			m.Name, err = r.OptionalString()
		case "generateName":
			m.GenerateName, err = r.OptionalString()
		case "namespace":
			m.Namespace, err = r.OptionalString()
		case "labels":
			m.Labels, err = r.StringMap()
		case "annotations":
			m.Annotations, err = r.StringMap()
		case "ownerReferences":
			err = each(r, &m.Owners, readOwner)
		case "deletionTimestamp":
			m.DeletionTimestamp, err = r.OptionalString()
		}
		return err
	})
}

func readOwner(r *rawjson.Reader, o *Owner) error {
	return fields(r, ownerFields, func(field string) (err error) {
		switch field {
		case "apiVersion":
			o.APIVersion, err = r.OptionalString()
		case "kind":
			o.Kind, err = r.OptionalString()
		case "name":
			o.Name, err = r.OptionalString()
		case "uid":
			o.UID, err = r.OptionalString()
		case "controller":
			if !r.Null() {
				o.Controller, err = r.Bool()
			}
		}
		return err
	})
}

func readSpec(r *rawjson.Reader, s *Spec) error {
	return fields(r, specFields, func(field string) (err error) {
		switch field {
		case "nodeSelector":
			s.NodeSelector, err = r.StringMap()
		case "containers":
			err = each(r, &s.Containers, readContainer)
		case "initContainers":
			err = each(r, &s.InitContainers, readContainer)
		case "affinity":
			s.Affinity, err = r.Raw()
		case "tolerations":
			s.Tolerations, err = r.Raw()
		case "overhead":
			s.Overhead, err = r.Raw()
		case "resources":
			s.Resources, err = r.Raw()
		case "pod":
			err = optional(r, &s.Pod, readPodTemplate)
		case "flux":
			err = optional(r, &s.Flux, readFlux)
		}
		return err
	})
}

func readContainer(r *rawjson.Reader, c *Container) error {
	return fields(r, containerFields, func(field string) (err error) {
		switch field {
		case "name":
			c.Name, err = r.OptionalString()
		case "image":
			c.Image, err = r.OptionalString()
		case "restartPolicy":
			c.RestartPolicy, err = r.OptionalString()
		case "resources":
			c.Resources, err = r.Raw()
		}
		return err
	})
}

func readPodTemplate(r *rawjson.Reader, p *PodTemplate) error {
	return fields(r, podTemplateFields, func(field string) (err error) {
		switch field {
		case "nodeSelector":
			p.NodeSelector, err = r.StringMap()
		case "annotations":
			p.Annotations, err = r.StringMap()
		case "nodeAffinity":
			p.NodeAffinity, err = r.Raw()
		case "tolerations":
			p.Tolerations, err = r.Raw()
		case "resources":
			p.Resources, err = r.Raw()
		}
		return err
	})
}

func readFlux(r *rawjson.Reader, f *FluxSpec) error {
	return fields(r, fluxFields, func(string) error { return optional(r, &f.Container, readContainer) })
}
