package awstest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// template is a CloudFormation template in JSON.
type template struct {
	Mappings  map[string]map[string]map[string]any
	Resources map[string]*templateResource
	Outputs   map[string]templateOutput
}

type templateResource struct {
	Type       string
	Properties map[string]any
	DependsOn  any
}

type templateOutput struct {
	Value  any
	Export struct{ Name any }
}

func parseTemplate(body string) (*template, error) {
	var t template
	if err := json.Unmarshal([]byte(body), &t); err != nil {
		return nil, apiError(400, "ValidationError", "Template format error: %s", err.Error())
	}
	var unknown []string
	for _, name := range sortedKeys(t.Resources) {
		if r := t.Resources[name]; resourceTypes[r.Type] == nil && !slices.Contains(unknown, r.Type) {
			unknown = append(unknown, r.Type)
		}
	}
	if len(unknown) > 0 {
		return nil, apiError(400, "ValidationError", "Template format error: Unrecognized resource types: %v", unknown)
	}
	return &t, nil
}

// order gives the resources so that each comes after those it refers to.
func (t *template) order() ([]string, error) {
	var out []string
	state := map[string]int{} // 1: being visited, 2: done
	var visit func(string) error
	visit = func(name string) error {
		if state[name] == 2 {
			return nil
		}
		if state[name] == 1 {
			return apiError(400, "ValidationError", "Circular dependency between resources: [%s]", name)
		}
		state[name] = 1
		refs := map[string]bool{}
		collectRefs(t.Resources[name].Properties, refs)
		for _, d := range texts(t.Resources[name].DependsOn) {
			refs[d] = true
		}
		for _, d := range slices.Sorted(maps.Keys(refs)) {
			if t.Resources[d] != nil {
				if err := visit(d); err != nil {
					return err
				}
			}
		}
		state[name] = 2
		out = append(out, name)
		return nil
	}
	for _, name := range sortedKeys(t.Resources) {
		if err := visit(name); err != nil {
			return nil, err
		}
	}
	return out, nil
}

var subst = regexp.MustCompile(`\$\{([^!}]+)\}`)

func collectRefs(v any, refs map[string]bool) {
	switch v := v.(type) {
	case []any:
		for _, i := range v {
			collectRefs(i, refs)
		}
	case map[string]any:
		for k, arg := range v {
			switch k {
			case "Ref":
				refs[fmt.Sprint(arg)] = true
			case "Fn::GetAtt":
				refs[attribute(arg)[0]] = true
			case "Fn::Sub":
				for _, m := range subst.FindAllStringSubmatch(fmt.Sprint(arg), -1) {
					refs[strings.SplitN(m[1], ".", 2)[0]] = true
				}
			}
			collectRefs(arg, refs)
		}
	}
}

// attribute splits the argument of GetAtt, which comes as a list or as one dotted text.
func attribute(arg any) [2]string {
	parts := texts(arg)
	if len(parts) == 1 {
		parts = strings.SplitN(parts[0], ".", 2)
	}
	if len(parts) < 2 {
		return [2]string{fmt.Sprint(arg), ""}
	}
	return [2]string{parts[0], strings.Join(parts[1:], ".")}
}

// evaluate replaces the functions in v by what they stand for. The lock is held.
func (s *Server) evaluate(st *stack, v any) (any, error) {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			var err error
			if out[i], err = s.evaluate(st, item); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		if len(v) == 1 {
			for name, arg := range v {
				if name == "Ref" || strings.HasPrefix(name, "Fn::") {
					return s.function(st, name, arg)
				}
			}
		}
		out := make(map[string]any, len(v))
		for k, item := range v {
			e, err := s.evaluate(st, item)
			if err != nil {
				return nil, err
			}
			out[k] = e
		}
		return out, nil
	}
	return v, nil
}

func (s *Server) function(st *stack, name string, raw any) (any, error) {
	if name == "Fn::Sub" {
		return s.substitute(st, raw)
	}
	arg, err := s.evaluate(st, raw)
	if err != nil {
		return nil, err
	}
	list, _ := arg.([]any)
	switch name {
	case "Ref":
		return s.reference(st, fmt.Sprint(arg))
	case "Fn::GetAtt":
		a := attribute(arg)
		r := st.resource(a[0])
		if r == nil || r.attrs[a[1]] == "" {
			return nil, apiError(400, "ValidationError", "Template error: instance of Fn::GetAtt references undefined resource %s.%s", a[0], a[1])
		}
		return r.attrs[a[1]], nil
	case "Fn::Join":
		if len(list) == 2 {
			return strings.Join(texts(list[1]), fmt.Sprint(list[0])), nil
		}
	case "Fn::Split":
		if len(list) == 2 {
			return strings.Split(fmt.Sprint(list[1]), fmt.Sprint(list[0])), nil
		}
	case "Fn::Select":
		if n, ok := list[0].(float64); ok && len(list) == 2 && int(n) < len(texts(list[1])) {
			return texts(list[1])[int(n)], nil
		}
	case "Fn::FindInMap":
		if len(list) == 3 {
			if v, ok := st.template.Mappings[fmt.Sprint(list[0])][fmt.Sprint(list[1])][fmt.Sprint(list[2])]; ok {
				return v, nil
			}
		}
	case "Fn::Base64":
		return base64.StdEncoding.EncodeToString([]byte(fmt.Sprint(arg))), nil
	case "Fn::ImportValue":
		return s.imported(st, fmt.Sprint(arg))
	}
	return nil, apiError(400, "ValidationError", "Template error: %s of %v cannot be worked out", name, raw)
}

func (s *Server) reference(st *stack, name string) (any, error) {
	switch name {
	case "AWS::StackName":
		return st.name, nil
	case "AWS::StackId":
		return st.id, nil
	case "AWS::Region":
		return s.acct.region, nil
	case "AWS::AccountId":
		return Account, nil
	case "AWS::Partition":
		return "aws", nil
	case "AWS::URLSuffix":
		return "amazonaws.com", nil
	}
	if r := st.resource(name); r != nil {
		return r.physical, nil
	}
	return nil, apiError(400, "ValidationError", "Template format error: Unresolved resource dependencies [%s]", name)
}

func (s *Server) substitute(st *stack, raw any) (any, error) {
	text, vars := "", map[string]any{}
	switch v := raw.(type) {
	case string:
		text = v
	case []any:
		text = fmt.Sprint(v[0])
		if len(v) > 1 {
			vars, _ = v[1].(map[string]any)
		}
	}
	var failed error
	out := subst.ReplaceAllStringFunc(text, func(m string) string {
		name := m[2 : len(m)-1]
		fn, arg := "Ref", any(name)
		if v, ok := vars[name]; ok {
			e, err := s.evaluate(st, v)
			if err != nil {
				failed = err
			}
			return fmt.Sprint(e)
		}
		if strings.Contains(name, ".") {
			fn = "Fn::GetAtt"
		}
		e, err := s.function(st, fn, arg)
		if err != nil {
			failed = err
		}
		return fmt.Sprint(e)
	})
	return out, failed
}

// imported finds another stack's export and remembers who uses it.
func (s *Server) imported(st *stack, name string) (any, error) {
	for _, other := range s.acct.stacks {
		if v, ok := other.exports[name]; ok && other.status != "DELETE_COMPLETE" {
			st.imports[name] = true
			return v, nil
		}
	}
	return nil, apiError(400, "ValidationError", "No export named %s found. Rollback requested by user.", name)
}
