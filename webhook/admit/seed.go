package admit

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/patch"
)

// seeder gives out the seeds of random draws.
type seeder struct {
	// base makes the draws repeatable: the same object under the same base draws the same again. With 0 every
	// admission draws afresh; two admissions of one trial agree by the annotation.
	base uint64
	// counters number the objects that are created under one generateName, where the name is not known yet.
	// The array bounds the memory; names that share a counter share its numbers.
	counters [1024]atomic.Uint64
}

// forObject returns the seed that the object asks for in its annotation, or one derived from the base seed and
// the object's name, or a fresh one. Seeds that are not asked for have 53 bits, so that any JSON reader keeps them. A
// dry run does not count.
func (s *seeder) forObject(o *patch.Object, namespace string, dryRun bool) (uint64, error) {
	if text, ok := o.Annotation(compat.AnnotationSeed); ok {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return 0, deny(ReasonBadAnnotation, http.StatusUnprocessableEntity,
				"the annotation %s is %q: write a decimal number from 0 to 18446744073709551615", compat.AnnotationSeed, text)
		}
		return seed, nil
	}
	if s.base == 0 {
		return freshSeed(), nil
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

// freshSeed comes from the system's source of randomness, so that replicas and restarts draw differently.
func freshSeed() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails
	return binary.LittleEndian.Uint64(b[:]) >> 11
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
