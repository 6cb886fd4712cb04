package awstest

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// operation answers one call; the lock is held while it works.
type operation func(*Server, Call) (answer, error)

var services = map[string]map[string]operation{
	"sts":                  stsOperations,
	"ec2":                  ec2Operations,
	"eks":                  eksOperations,
	"cloudformation":       cfnOperations,
	"iam":                  iamOperations,
	"ssm":                  ssmOperations,
	"autoscaling":          asgOperations,
	"pricing":              pricingOperations,
	"servicequotas":        quotaOperations,
	"ecr":                  ecrOperations,
	"logs":                 logOperations,
	"elasticloadbalancing": elbOperations,
	"cloudtrail":           trailOperations,
}

// ServeHTTP answers one AWS call, or one of the registry behind ECR.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/v2/") {
		s.serveRegistry(w, r)
		return
	}
	c, region, err := parseCall(r)
	s.mu.Lock()
	c.N = len(s.calls) + 1
	s.calls = append(s.calls, c)
	watch, fault := slices.Clone(s.watch), s.fault(c)
	s.mu.Unlock()
	s.opts.Log("%s %s %s", c.Service, c.Operation, c.Subject)
	for _, f := range watch {
		f(c)
	}
	if err == nil {
		err = s.admit(c, region)
	}
	if fault != nil {
		if s.sleep(fault.Delay) != nil || (fault.Cut && !fault.AfterWork) {
			panic(http.ErrAbortHandler)
		}
		if fault.Code != "" {
			err = apiError(fault.Status, fault.Code, fault.Message)
		}
	}
	if err != nil {
		s.replyError(w, c, err)
		return
	}
	a, err := s.do(c)
	if fault != nil && fault.Cut {
		panic(http.ErrAbortHandler)
	}
	if err != nil {
		s.replyError(w, c, err)
		return
	}
	s.reply(w, c, a)
}

// admit checks who calls, where, and whether that is allowed.
func (s *Server) admit(c Call, region string) error {
	global := c.Service == "iam" || c.Service == "pricing"
	switch {
	case c.key != AccessKey:
		return apiError(403, "InvalidClientTokenId", "The security token included in the request is invalid.")
	case region != s.opts.Region && !global:
		return apiError(403, "SignatureDoesNotMatch", "Credential should be scoped to a valid region, not %q.", region)
	case slices.Contains(s.opts.Deny, c.Service+":"+c.Operation):
		code := "AccessDenied"
		if c.Service == "eks" {
			code = "AccessDeniedException"
		} else if c.Service == "ec2" {
			code = "UnauthorizedOperation"
		}
		return apiError(403, code, "User: %s is not authorized to perform: %s:%s", callerARN, c.Service, c.Operation)
	}
	return nil
}

func (s *Server) do(c Call) (answer, error) {
	op := services[c.Service][c.Operation]
	if op == nil {
		return answer{}, apiError(400, "InvalidAction", "The action %s of %s is not valid for this endpoint.", c.Operation, c.Service)
	}
	s.mu.Lock()
	a, err := op(s, c)
	s.mu.Unlock()
	if err == nil && a.settled != nil && s.opts.Delay == nil {
		// Stacks without delays are through before the answer, so that nobody polls for them.
		select {
		case <-a.settled:
		case <-time.After(time.Minute):
		}
	}
	return a, err
}

// Inventory lists what exists in the account and would not without its user, one resource a line. It is empty in a new account.
func (s *Server) Inventory() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.acct.inventory()
}
