package awstest

import (
	"strings"
	"time"
)

// Fault makes calls fail. Empty Service, Operation and Subject match every call.
type Fault struct {
	Service, Operation, Subject string
	Skip                        int // so many matching calls pass first
	Times                       int // so many are hit; 0 means all that follow

	Delay     time.Duration // before the answer
	Status    int           // of the error answered
	Code      string        // of the error answered; empty lets the call work
	Message   string
	Cut       bool // the connection ends without an answer
	AfterWork bool // with Cut: the call's work is done all the same
}

// Throttle has n calls of an operation refused for being too many.
func Throttle(service, op string, n int) Fault {
	f := Fault{Service: service, Operation: op, Times: n, Status: 400, Code: "Throttling", Message: "Rate exceeded"}
	switch service {
	case "eks":
		f.Status, f.Code = 429, "TooManyRequestsException"
	case "ec2":
		f.Status, f.Code, f.Message = 503, "RequestLimitExceeded", "Request limit exceeded."
	}
	return f
}

// ExpireToken has every call after the first n refused for an expired session.
func ExpireToken(n int) Fault {
	return Fault{Skip: n, Status: 403, Code: "ExpiredToken", Message: "The security token included in the request is expired"}
}

// Inject adds a fault.
func (s *Server) Inject(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
}

// fault finds the fault that hits a call. The lock is held.
func (s *Server) fault(c Call) *Fault {
	for i, f := range s.faults {
		if !matches(f.Service, c.Service) || !matches(f.Operation, c.Operation) || !strings.Contains(c.Subject, f.Subject) {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		if f.Times == 1 {
			s.faults = append(s.faults[:i:i], s.faults[i+1:]...)
		} else if f.Times > 1 {
			f.Times--
		}
		hit := *f
		return &hit
	}
	return nil
}

func matches(want, got string) bool { return want == "" || want == got }

// ResourceFault makes a resource of a stack fail while the stack is created or deleted.
type ResourceFault struct {
	Stack  string // part of the stack's name
	Type   string // CloudFormation type
	Delete bool
	Times  int // 0 means always
	Reason string
}

// NoCapacity has the node groups of the stacks named fail as EC2 does when it has no such machines left.
func NoCapacity(stack string, times int) ResourceFault {
	return ResourceFault{
		Stack: stack, Type: "AWS::EKS::Nodegroup", Times: times,
		Reason: "Resource handler returned message: \"[Issue(Code=AsgInstanceLaunchFailures, Message=Could not launch On-Demand Instances. " +
			"InsufficientInstanceCapacity - We currently do not have sufficient capacity in the Availability Zone you requested. " +
			"Launching EC2 instance failed., ResourceIds=[eks-asg])] (HandlerErrorCode: NotStabilized)\"",
	}
}

// Exhaust has EC2 out of machines of a type, or have some again: scaling groups then fail to start them.
func (s *Server) Exhaust(instanceType string, out bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.exhausted == nil {
		s.exhausted = map[string]bool{}
	}
	s.exhausted[instanceType] = out
}

// Break adds a resource fault.
func (s *Server) Break(f ResourceFault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = append(s.broken, &f)
}

// brokenBy finds the fault that hits a resource. The lock is held.
func (s *Server) brokenBy(w Work) error {
	for i, f := range s.broken {
		if f.Delete != w.Delete || f.Type != w.Type || !strings.Contains(w.Stack, f.Stack) {
			continue
		}
		if f.Times == 1 {
			s.broken = append(s.broken[:i:i], s.broken[i+1:]...)
		} else if f.Times > 1 {
			f.Times--
		}
		return apiError(400, "GeneralServiceException", f.Reason)
	}
	return nil
}
