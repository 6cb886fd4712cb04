package awstest

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// stack is a CloudFormation stack, in whatever state.
type stack struct {
	name, id, status, reason string
	created                  time.Time
	tags                     map[string]string
	template                 *template
	body                     string
	protected                bool
	keep                     bool             // no rollback after a failure
	resources                []*stackResource // in the order of their creation
	outputs                  map[string]string
	exports                  map[string]string
	imports                  map[string]bool
	events                   []stackEvent    // newest first
	work                     <-chan struct{} // closed when the work begun last is through
}

type stackResource struct {
	logical, kind, physical, status string
	attrs                           map[string]string
	props                           map[string]any
}

type stackEvent struct {
	id, logical, physical, kind, status, reason string
	at                                          time.Time
}

func (st *stack) resource(logical string) *stackResource {
	for _, r := range st.resources {
		if r.logical == logical {
			return r
		}
	}
	return nil
}

func (st *stack) note(logical, physical, kind, status, reason string) {
	e := stackEvent{fmt.Sprintf("%s-%d", logical, len(st.events)), logical, physical, kind, status, reason, time.Now()}
	st.events = append([]stackEvent{e}, st.events...)
}

func (st *stack) turn(status, reason string) {
	st.status, st.reason = status, reason
	st.note(st.name, st.id, "AWS::CloudFormation::Stack", status, reason)
}

// locked does f under the lock.
func (s *Server) locked(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// build creates a stack's resources one after another, and takes them away again when one fails.
func (s *Server) build(st *stack, order []string) {
	var failed error
	overtaken := func() (yes bool) { // by its own deletion
		s.locked(func() { yes = st.status != "CREATE_IN_PROGRESS" })
		return yes
	}
	for _, logical := range order {
		if failed = s.create(st, logical); failed != nil || overtaken() {
			break
		}
	}
	if s.ctx.Err() != nil || overtaken() {
		return
	}
	if failed == nil {
		s.locked(func() { failed = s.finish(st) })
	}
	if failed == nil {
		return
	}
	if st.keep {
		s.locked(func() { st.turn("CREATE_FAILED", failed.Error()) })
		return
	}
	s.locked(func() {
		st.turn("ROLLBACK_IN_PROGRESS", "The following resource(s) failed to create. Rollback requested by user.")
	})
	s.unbuild(st, "ROLLBACK")
}

// create makes one resource.
func (s *Server) create(st *stack, logical string) error {
	tr := st.template.Resources[logical]
	w := Work{Type: tr.Type, Stack: st.name}
	var props map[string]any
	var err error
	s.locked(func() {
		var v any
		v, err = s.evaluate(st, map[string]any(tr.Properties))
		props, _ = v.(map[string]any)
		st.note(logical, "", tr.Type, "CREATE_IN_PROGRESS", "")
	})
	r := &stackResource{logical: logical, kind: tr.Type, props: props, attrs: map[string]string{}, status: "CREATE_IN_PROGRESS"}
	made := false
	if err == nil {
		k := resourceTypes[tr.Type]
		s.locked(func() {
			if err = k.begin(s, st, r); err == nil {
				made = true
				st.resources = append(st.resources, r)
			}
		})
		if err == nil && s.opts.Delay != nil {
			err = s.sleep(s.opts.Delay(w))
		}
		if err == nil {
			s.locked(func() { err = s.brokenBy(w) })
		}
		if err == nil && k.complete != nil {
			err = k.complete(s, st, r)
		}
		if err != nil && made && k.failed != nil {
			s.locked(func() { k.failed(s, r, err) })
		}
	}
	s.locked(func() {
		r.status = "CREATE_COMPLETE"
		reason := ""
		if err != nil {
			r.status, reason = "CREATE_FAILED", reasonOf(err)
			if !made {
				r.physical = ""
			}
		}
		st.note(logical, r.physical, tr.Type, r.status, reason)
	})
	return err
}

func reasonOf(err error) string {
	if f, ok := err.(*fail); ok {
		return f.message
	}
	return err.Error()
}

// finish works out the outputs of a stack whose resources are all there. The lock is held.
func (s *Server) finish(st *stack) error {
	for _, name := range sortedKeys(st.template.Outputs) {
		o := st.template.Outputs[name]
		v, err := s.evaluate(st, o.Value)
		if err != nil {
			return err
		}
		st.outputs[name] = fmt.Sprint(v)
		if o.Export.Name != nil {
			e, err := s.evaluate(st, o.Export.Name)
			if err != nil {
				return err
			}
			st.exports[fmt.Sprint(e)] = st.outputs[name]
		}
	}
	st.turn("CREATE_COMPLETE", "")
	return nil
}

// unbuild deletes a stack's resources, newest first, and goes on after those that cannot be deleted. how is ROLLBACK or DELETE.
func (s *Server) unbuild(st *stack, how string) {
	var stuck []string
	why := ""
	for _, r := range slices.Backward(slices.Clone(st.resources)) {
		w := Work{Delete: true, Type: r.kind, Stack: st.name}
		var err error
		s.locked(func() { st.note(r.logical, r.physical, r.kind, "DELETE_IN_PROGRESS", "") })
		if s.opts.Delay != nil && resourceTypes[r.kind].remove != nil {
			err = s.sleep(s.opts.Delay(w))
		}
		if err == nil {
			s.locked(func() { err = s.brokenBy(w) })
		}
		if err == nil {
			err = s.remove(st, r)
		}
		if s.ctx.Err() != nil {
			return
		}
		s.locked(func() {
			if err != nil {
				stuck, why = append(stuck, r.logical), reasonOf(err)
				r.status = "DELETE_FAILED"
				st.note(r.logical, r.physical, r.kind, "DELETE_FAILED", reasonOf(err))
				return
			}
			st.resources = slices.DeleteFunc(st.resources, func(o *stackResource) bool { return o == r })
			st.note(r.logical, r.physical, r.kind, "DELETE_COMPLETE", "")
		})
	}
	s.locked(func() {
		if len(stuck) > 0 {
			st.turn(how+"_FAILED", fmt.Sprintf("The following resource(s) failed to delete: [%s]. %s", strings.Join(stuck, ", "), why))
			return
		}
		st.exports, st.outputs, st.imports = map[string]string{}, map[string]string{}, map[string]bool{}
		st.turn(how+"_COMPLETE", "")
	})
}

func (s *Server) remove(st *stack, r *stackResource) error {
	k := resourceTypes[r.kind]
	var err error
	if k.remove != nil {
		s.locked(func() { err = k.remove(s, st, r) })
	}
	if err == nil && k.gone != nil {
		err = k.gone(s, st, r)
	}
	return err
}
