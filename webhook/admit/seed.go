package admit

import (
	"crypto/sha256"
	"encoding/binary"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/patch"
)

// seeder derives the seed of an object's random draw, so that the same object under the same base seed draws
// the same again.
type seeder struct {
	base uint64
	// counters number the objects that are created under one generateName, where the name is not known yet.
	// The array bounds the memory; names that share a counter share its numbers.
	counters [1024]atomic.Uint64
}

// forObject returns the seed that the object asks for in its annotation, or one derived from the base seed and
// the object's name. Derived seeds have 53 bits, so that any JSON reader keeps them. A dry run does not count.
func (s *seeder) forObject(o *patch.Object, namespace string, dryRun bool) (uint64, error) {
	if text, ok := o.Annotation(compat.AnnotationSeed); ok {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return 0, deny(ReasonBadAnnotation, http.StatusUnprocessableEntity,
				"the annotation %s is %q: write a decimal number from 0 to 18446744073709551615", compat.AnnotationSeed, text)
		}
		return seed, nil
	}
	key := []string{string(o.Kind), namespace}
	switch m := o.Metadata; {
	case m != nil && m.Name != "":
		key = append(key, "name", m.Name)
	case m != nil:
		key = append(key, "generateName", m.GenerateName)
		key = append(key, strconv.FormatUint(s.number(key, dryRun), 10))
	}
	return s.derive(key), nil
}

// number counts the objects of a key from 1; a dry run only looks.
func (s *seeder) number(key []string, dryRun bool) uint64 {
	h := sha256.Sum256([]byte(strings.Join(key, "\x00")))
	counter := &s.counters[binary.LittleEndian.Uint64(h[:8])%uint64(len(s.counters))]
	if dryRun {
		return counter.Load() + 1
	}
	return counter.Add(1)
}

func (s *seeder) derive(key []string) uint64 {
	data := binary.LittleEndian.AppendUint64(nil, s.base)
	data = append(data, strings.Join(key, "\x00")...)
	h := sha256.Sum256(data)
	return binary.LittleEndian.Uint64(h[:8]) >> 11
}
