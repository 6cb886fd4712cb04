// Package model holds what the endpoint answers against the models of AWS' SDK: a second opinion on answers that were written by hand.
package model

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/pricing"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"github.com/compspec/ocifit-lab/provision/eks/awstest"
)

// clients are by signing name; of load balancing there are two versions.
var clients = map[string][]func(aws.Config) any{
	"autoscaling":    {func(c aws.Config) any { return autoscaling.NewFromConfig(c) }},
	"cloudformation": {func(c aws.Config) any { return cloudformation.NewFromConfig(c) }},
	"logs":           {func(c aws.Config) any { return cloudwatchlogs.NewFromConfig(c) }},
	"ec2":            {func(c aws.Config) any { return ec2.NewFromConfig(c) }},
	"ecr":            {func(c aws.Config) any { return ecr.NewFromConfig(c) }},
	"eks":            {func(c aws.Config) any { return eks.NewFromConfig(c) }},
	"elasticloadbalancing": {
		func(c aws.Config) any { return elasticloadbalancing.NewFromConfig(c) },
		func(c aws.Config) any { return elasticloadbalancingv2.NewFromConfig(c) },
	},
	"iam":           {func(c aws.Config) any { return iam.NewFromConfig(c) }},
	"pricing":       {func(c aws.Config) any { return pricing.NewFromConfig(c) }},
	"servicequotas": {func(c aws.Config) any { return servicequotas.NewFromConfig(c) }},
	"ssm":           {func(c aws.Config) any { return ssm.NewFromConfig(c) }},
	"sts":           {func(c aws.Config) any { return sts.NewFromConfig(c) }},
}

// without are services whose SDK is no dependency of ours: nobody but eksctl asks them.
var without = []string{"cloudtrail"}

// uncoded are services whose model names no errors.
var uncoded = []string{"ec2"}

// common are error codes that every service may answer with, from AWS' list of common errors; models leave them out.
var common = []string{
	"AccessDenied", "AccessDeniedException", "ExpiredToken", "ExpiredTokenException", "IncompleteSignature", "InternalFailure", "InvalidClientTokenId",
	"MissingAuthenticationToken", "RequestExpired", "RequestLimitExceeded", "ServiceUnavailable", "SignatureDoesNotMatch", "Throttling",
	"ThrottlingException", "TooManyRequestsException", "UnrecognizedClientException", "ValidationError",
}

// otherwise are faults by the models that AWS itself shows: answers are known to differ from the models there.
var otherwise = []string{
	// EC2 says whether a deletion went well, and the SDK passes over it.
	".return is no member that the SDK knows",
	// EC2 writes the states of endpoints in lower case; the model has them in capitals.
	`.VpcEndpoints[].State: "available" is not one of State`,
}

// Check says what the SDK makes of an answer that is not as its model has it: what cannot be read, values outside of an enumeration, required
// members that are absent, members that the model does not know and a client never sees, and error codes that the service does not have.
func Check(a awstest.Answer) []string {
	if slices.Contains(without, a.Service) || a.Operation == "" { // the request was cut before it named one
		return nil
	}
	if a.Status >= 300 {
		return checkError(a)
	}
	out, err := decode(a, a.Body)
	if err != nil {
		return []string{err.Error()}
	}
	var faults []string
	walk(reflect.ValueOf(out), "", func(path string, v reflect.Value) {
		if f := enumFault(v); f != "" {
			faults = append(faults, path+": "+f)
		}
	})
	faults = append(faults, missing(out)...)
	faults = append(faults, unseen(a, out)...)
	return slices.DeleteFunc(faults, func(f string) bool {
		return slices.ContainsFunc(otherwise, func(known string) bool { return strings.HasSuffix(f, known) })
	})
}

// checkError looks at the code of an error.
func checkError(a awstest.Answer) []string {
	_, err := decode(a, a.Body)
	var api smithy.APIError
	if !errors.As(err, &api) {
		return []string{fmt.Sprintf("the SDK reads no error of AWS in it: %v", err)}
	}
	var generic *smithy.GenericAPIError
	if !errors.As(err, &generic) || slices.Contains(uncoded, a.Service) || slices.Contains(common, api.ErrorCode()) {
		return nil
	}
	return []string{"the model has no error " + api.ErrorCode()}
}

// canned answers every request alike.
type canned struct {
	a    awstest.Answer
	body []byte
}

func (c canned) Do(r *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: c.a.Status, Status: http.StatusText(c.a.Status), Header: c.a.Header.Clone(), Request: r,
		Body: io.NopCloser(bytes.NewReader(c.body)), ContentLength: int64(len(c.body)), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}, nil
}

// decode has the SDK's client of the service read a body as the answer to the operation.
func decode(a awstest.Answer, body []byte) (any, error) {
	config := aws.Config{
		Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("key", "secret", ""), HTTPClient: canned{a, body},
		BaseEndpoint: aws.String("http://endpoint.test"), Retryer: func() aws.Retryer { return aws.NopRetryer{} },
		APIOptions: []func(*middleware.Stack) error{func(s *middleware.Stack) error {
			_, _ = s.Initialize.Remove("OperationInputValidation")
			_, _ = s.Deserialize.Remove("ResponseErrorWrapper")
			return nil
		}},
	}
	for _, make := range clients[a.Service] {
		client := reflect.ValueOf(make(config))
		method := client.MethodByName(a.Operation)
		if !method.IsValid() || !versionOf(client, a.Version) {
			continue
		}
		input := reflect.New(method.Type().In(1).Elem())
		fill(input.Elem())
		result := method.Call([]reflect.Value{reflect.ValueOf(context.Background()), input})
		if err, _ := result[1].Interface().(error); err != nil {
			return nil, err
		}
		return result[0].Interface(), nil
	}
	return nil, fmt.Errorf("the SDK's service %s has no operation %s", a.Service, a.Operation)
}

// versionOf tells whether a client speaks a version of its service's interface; empty fits all.
func versionOf(client reflect.Value, version string) bool {
	return version == "" || client.Type() != reflect.TypeFor[*elasticloadbalancing.Client]() && client.Type() != reflect.TypeFor[*elasticloadbalancingv2.Client]() ||
		(client.Type() == reflect.TypeFor[*elasticloadbalancing.Client]()) == (version == "2012-06-01")
}

// fill gives texts to an input, for some are parts of the request's path.
func fill(in reflect.Value) {
	for i := range in.NumField() {
		if f := in.Field(i); f.CanSet() && f.Type() == reflect.TypeFor[*string]() {
			f.Set(reflect.ValueOf(aws.String("x")))
		}
	}
}

// walk visits every value of an output that is set.
func walk(v reflect.Value, path string, visit func(string, reflect.Value)) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			walk(v.Elem(), path, visit)
		}
	case reflect.Slice:
		for i := range v.Len() {
			walk(v.Index(i), path+"[]", visit)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			walk(v.MapIndex(k), path+"{}", visit)
		}
	case reflect.Struct:
		visit(path, v)
		for i := range v.NumField() {
			if t := v.Type().Field(i); t.IsExported() && t.Name != "ResultMetadata" {
				walk(v.Field(i), path+"."+t.Name, visit)
			}
		}
	default:
		visit(path, v)
	}
}

// enumFault says that a value is not one of its enumeration.
func enumFault(v reflect.Value) string {
	values := v.MethodByName("Values")
	if v.Kind() != reflect.String || !values.IsValid() || v.String() == "" {
		return ""
	}
	known := values.Call(nil)[0]
	for i := range known.Len() {
		if known.Index(i).String() == v.String() {
			return ""
		}
	}
	return fmt.Sprintf("%q is not one of %s", v.String(), strings.TrimPrefix(v.Type().String(), "types."))
}
