package awstest

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

var cfnOperations = map[string]operation{
	"CreateStack":                 createStack,
	"DescribeStacks":              describeStacks,
	"ListStacks":                  listStacks,
	"DeleteStack":                 deleteStack,
	"DescribeStackEvents":         describeStackEvents,
	"DescribeStackResources":      describeStackResources,
	"GetTemplate":                 getTemplate,
	"UpdateTerminationProtection": protectStack,
}

// find returns the stack of an id, or the living one of a name.
func (s *Server) find(nameOrID string) *stack {
	for _, st := range s.acct.stacks {
		if st.id == nameOrID || (st.name == nameOrID && st.status != "DELETE_COMPLETE") {
			return st
		}
	}
	return nil
}

func (s *Server) mustFind(c Call) (*stack, error) {
	if st := s.find(c.get("StackName")); st != nil {
		return st, nil
	}
	return nil, apiError(400, "ValidationError", "Stack with id %s does not exist", c.get("StackName"))
}

func createStack(s *Server, c Call) (answer, error) {
	name := c.get("StackName")
	if s.find(name) != nil {
		return answer{}, apiError(400, "AlreadyExistsException", "Stack [%s] already exists", name)
	}
	t, err := parseTemplate(c.get("TemplateBody"))
	if err != nil {
		return answer{}, err
	}
	if caps := c.list("Capabilities.member"); t.hasIAM() && len(caps) == 0 {
		return answer{}, apiError(400, "InsufficientCapabilitiesException", "Requires capabilities : [CAPABILITY_IAM]")
	}
	order, err := t.order()
	if err != nil {
		return answer{}, err
	}
	tags := c.tags("Tags.member")
	if len(tags) > 50 {
		return answer{}, apiError(400, "ValidationError", "1 validation error detected: at most 50 tags")
	}
	s.serial++
	st := &stack{
		name: name, id: s.acct.arn("cloudformation", fmt.Sprintf("stack/%s/%08x", name, s.serial)), created: time.Now(),
		tags: tags, template: t, body: c.get("TemplateBody"), protected: c.get("EnableTerminationProtection") == "true",
		keep: c.get("DisableRollback") == "true", outputs: map[string]string{}, exports: map[string]string{}, imports: map[string]bool{},
	}
	st.turn("CREATE_IN_PROGRESS", "User Initiated")
	s.acct.stacks = append([]*stack{st}, s.acct.stacks...)
	a := xmlAnswer(el("StackId", st.id))
	st.work = s.start(func() { s.build(st, order) })
	a.settled = st.work
	return a, nil
}

// start does work beside the calls; the channel is closed at its end.
func (s *Server) start(f func()) <-chan struct{} {
	done := make(chan struct{})
	s.work.Add(1)
	go func() {
		defer s.work.Done()
		defer close(done)
		f()
	}()
	return done
}

func (t *template) hasIAM() bool {
	for _, r := range t.Resources {
		if strings.HasPrefix(r.Type, "AWS::IAM::") {
			return true
		}
	}
	return false
}

func stackNodes(st *stack) []node {
	return []node{
		el("StackId", st.id), el("StackName", st.name), el("StackStatus", st.status), el("StackStatusReason", st.reason),
		el("CreationTime", st.created), el("EnableTerminationProtection", st.protected), el("DisableRollback", st.keep),
		tagNodes("Tags", "member", st.tags),
		el("Capabilities", el("member", "CAPABILITY_IAM")),
		el("Outputs", each("member", sortedKeys(st.outputs), func(k string) []node {
			return []node{el("OutputKey", k), el("OutputValue", st.outputs[k])}
		})),
	}
}

func describeStacks(s *Server, c Call) (answer, error) {
	stacks := slices.DeleteFunc(slices.Clone(s.acct.stacks), func(st *stack) bool { return st.status == "DELETE_COMPLETE" })
	if c.get("StackName") != "" {
		st, err := s.mustFind(c)
		if err != nil {
			return answer{}, err
		}
		stacks = []*stack{st}
	}
	return xmlAnswer(el("Stacks", each("member", stacks, stackNodes))), nil
}

func listStacks(s *Server, c Call) (answer, error) {
	want := c.list("StackStatusFilter.member")
	var hits []*stack
	for _, st := range s.acct.stacks {
		if len(want) == 0 || slices.Contains(want, st.status) {
			hits = append(hits, st)
		}
	}
	return xmlAnswer(el("StackSummaries", each("member", hits, func(st *stack) []node {
		return []node{el("StackId", st.id), el("StackName", st.name), el("StackStatus", st.status), el("CreationTime", st.created)}
	}))), nil
}

func deleteStack(s *Server, c Call) (answer, error) {
	st := s.find(c.get("StackName"))
	if st == nil || st.status == "DELETE_COMPLETE" || st.status == "DELETE_IN_PROGRESS" {
		return xmlAnswer(el("Gone")), nil
	}
	if st.protected {
		return answer{}, apiError(400, "ValidationError", "Stack [%s] cannot be deleted while TerminationProtection is enabled", st.name)
	}
	for _, other := range s.acct.stacks {
		for _, name := range sortedKeys(other.imports) {
			if _, ours := st.exports[name]; ours && other != st {
				return answer{}, apiError(400, "ValidationError", "Export %s cannot be deleted as it is in use by %s", name, other.name)
			}
		}
	}
	if st.status == "ROLLBACK_IN_PROGRESS" {
		return answer{}, apiError(400, "ValidationError", "Stack:%s is in %s state and can not be deleted.", st.id, st.status)
	}
	st.turn("DELETE_IN_PROGRESS", "User Initiated")
	a, before := xmlAnswer(el("Ok")), st.work
	st.work = s.start(func() {
		<-before
		s.unbuild(st, "DELETE")
	})
	a.settled = st.work
	return a, nil
}

func protectStack(s *Server, c Call) (answer, error) {
	st, err := s.mustFind(c)
	if err != nil {
		return answer{}, err
	}
	st.protected = c.get("EnableTerminationProtection") == "true"
	return xmlAnswer(el("StackId", st.id)), nil
}

func describeStackEvents(s *Server, c Call) (answer, error) {
	st, err := s.mustFind(c)
	if err != nil {
		return answer{}, err
	}
	return xmlAnswer(el("StackEvents", each("member", st.events, func(e stackEvent) []node {
		return []node{
			el("EventId", e.id), el("StackId", st.id), el("StackName", st.name), el("LogicalResourceId", e.logical),
			el("PhysicalResourceId", e.physical), el("ResourceType", e.kind), el("ResourceStatus", e.status),
			el("ResourceStatusReason", e.reason), el("Timestamp", e.at),
		}
	}))), nil
}

func describeStackResources(s *Server, c Call) (answer, error) {
	st, err := s.mustFind(c)
	if err != nil {
		return answer{}, err
	}
	return xmlAnswer(el("StackResources", each("member", st.resources, func(r *stackResource) []node {
		return []node{
			el("StackId", st.id), el("StackName", st.name), el("LogicalResourceId", r.logical), el("PhysicalResourceId", r.physical),
			el("ResourceType", r.kind), el("ResourceStatus", r.status), el("Timestamp", st.created),
		}
	}))), nil
}

func getTemplate(s *Server, c Call) (answer, error) {
	st, err := s.mustFind(c)
	if err != nil {
		return answer{}, err
	}
	return xmlAnswer(el("TemplateBody", st.body)), nil
}
