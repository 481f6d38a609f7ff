// Says of manifests what an API server with Kueue says of them: what the CRDs refuse, else what the webhooks do.
// Put it into pkg/webhooks of Kueue at ff69552e and build it with `go test -mod=mod -c ./pkg/webhooks`.
// ORACLE_CRDS is Kueue's config/components/crd/bases, ORACLE_IN has an object a line, ORACLE_OUT gets an answer a line.
package webhooks_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	admissionv1 "k8s.io/api/admission/v1"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apiextensions-apiserver/pkg/registry/customresource"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
	sigsyaml "sigs.k8s.io/yaml"

	kueue "sigs.k8s.io/kueue/apis/kueue/v1beta2"
	jobwebhook "sigs.k8s.io/kueue/pkg/controller/jobs/job"
	"sigs.k8s.io/kueue/pkg/webhooks"
)

type cause struct {
	Type   string `json:"type"`
	Field  string `json:"field"`
	Detail string `json:"detail"`
}

// By is "" for an object that is taken, else "decode", "apiserver", "crd" or "webhook".
type verdict struct {
	By      string   `json:"by"`
	Causes  []cause  `json:"causes,omitempty"`
	Unknown []string `json:"unknown,omitempty"`
}

type served struct {
	structural *structuralschema.Structural
	strategy   interface {
		Validate(context.Context, runtime.Object) field.ErrorList
	}
}

func TestWebhookOracle(t *testing.T) {
	asked := os.Getenv("ORACLE_IN")
	if asked == "" {
		t.Skip("ORACLE_IN says what is asked")
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{kueue.AddToScheme, clientgoscheme.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	crds := readCRDs(t, os.Getenv("ORACLE_CRDS"))
	in, err := os.Open(asked)
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(os.Getenv("ORACLE_OUT"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	write := bufio.NewWriter(out)
	defer write.Flush()
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 1<<20), 1<<26)
	for lines.Scan() {
		answer, err := json.Marshal(judge(t, scheme, crds, lines.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = write.Write(append(answer, '\n'))
	}
}

func readCRDs(t *testing.T, folder string) map[string]served {
	found := map[string]served{}
	files, _ := filepath.Glob(filepath.Join(folder, "kueue.x-k8s.io_*.yaml"))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var external apiextensionsv1.CustomResourceDefinition
		if err := sigsyaml.Unmarshal(text, &external); err != nil {
			t.Fatal(err)
		}
		for _, version := range external.Spec.Versions {
			if version.Name != "v1beta2" {
				continue
			}
			var props apiextensions.JSONSchemaProps
			if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(version.Schema.OpenAPIV3Schema, &props, nil); err != nil {
				t.Fatal(err)
			}
			structural, err := structuralschema.NewStructural(&props)
			if err != nil {
				t.Fatal(err)
			}
			validator, _, err := validation.NewSchemaValidator(&props)
			if err != nil {
				t.Fatal(err)
			}
			kind := schema.GroupVersionKind{Group: external.Spec.Group, Version: version.Name, Kind: external.Spec.Names.Kind}
			namespaced := external.Spec.Scope == apiextensionsv1.NamespaceScoped
			strategy := customresource.NewStrategy(unstructuredTyper{}, namespaced, kind, validator, nil, structural, nil, nil, nil)
			found[kind.Kind] = served{structural: structural, strategy: strategy}
		}
	}
	if len(found) == 0 {
		t.Fatal("ORACLE_CRDS has no CRDs")
	}
	return found
}

type unstructuredTyper struct{}

func (unstructuredTyper) ObjectKinds(obj runtime.Object) ([]schema.GroupVersionKind, bool, error) {
	return []schema.GroupVersionKind{obj.GetObjectKind().GroupVersionKind()}, false, nil
}

func (unstructuredTyper) Recognizes(schema.GroupVersionKind) bool { return true }

func judge(t *testing.T, scheme *runtime.Scheme, crds map[string]served, raw []byte) verdict {
	object := &unstructured.Unstructured{}
	if err := object.UnmarshalJSON(raw); err != nil {
		return decodeRefusal(err)
	}
	kind := object.GetKind()
	if kind == "Job" {
		return judgeJob(raw)
	}
	crd, ok := crds[kind]
	if !ok {
		t.Fatalf("no CRD of %s", kind)
	}
	metadata, hasMetadata, _, err := objectmeta.GetObjectMetaWithOptions(object.Object, objectmeta.ObjectMetaOptions{})
	if err != nil {
		return decodeRefusal(err)
	}
	unknown := pruning.PruneWithOptions(object.Object, crd.structural, true, structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	defaulting.PruneNonNullableNullsWithoutDefaults(object.Object, crd.structural)
	if hasMetadata {
		if err := objectmeta.SetObjectMeta(object.Object, metadata); err != nil {
			return decodeRefusal(err)
		}
	}
	defaulting.Default(object.Object, crd.structural)
	answer := verdict{Unknown: unknown}
	status, hasStatus := object.Object["status"]
	if err := mutate(scheme, kind, object); err != nil {
		answer.By, answer.Causes = "decode", decodeRefusal(err).Causes
		return answer
	}
	if hasStatus { // It is written by itself, past the mutating webhooks.
		object.Object["status"] = status
	}
	if refused := crd.strategy.Validate(context.Background(), object); len(refused) > 0 {
		answer.By, answer.Causes = "crd", causes(refused.ToAggregate())
		return answer
	}
	if err := webhook(object); err != nil {
		answer.By, answer.Causes = "webhook", causes(err)
	}
	return answer
}

// mutate is what the mutating webhooks do; the object is decoded into Kueue's own types on the way.
func mutate(scheme *runtime.Scheme, kind string, object *unstructured.Unstructured) error {
	var handler *admission.Webhook
	switch kind {
	case "ClusterQueue":
		handler = admission.WithDefaulter[*kueue.ClusterQueue](scheme, &webhooks.ClusterQueueWebhook{})
	case "ResourceFlavor":
		handler = admission.WithDefaulter[*kueue.ResourceFlavor](scheme, &webhooks.ResourceFlavorWebhook{})
	case "Workload":
		handler = admission.WithDefaulter[*kueue.Workload](scheme, &webhooks.WorkloadWebhook{})
	default:
		return nil
	}
	raw, err := object.MarshalJSON()
	if err != nil {
		return err
	}
	request := admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
		Operation: admissionv1.Create, Object: runtime.RawExtension{Raw: raw},
	}}
	response := handler.Handler.Handle(context.Background(), request)
	if !response.Allowed {
		return errors.New(response.Result.Message)
	}
	if len(response.Patches) == 0 {
		return nil
	}
	operations, err := json.Marshal(response.Patches)
	if err != nil {
		return err
	}
	patch, err := jsonpatch.DecodePatch(operations)
	if err != nil {
		return err
	}
	patched, err := patch.Apply(raw)
	if err != nil {
		return err
	}
	return object.UnmarshalJSON(patched)
}

func webhook(object *unstructured.Unstructured) error {
	ctx := context.Background()
	switch object.GetKind() {
	case "ClusterQueue":
		return validated(ctx, object, &kueue.ClusterQueue{}, (&webhooks.ClusterQueueWebhook{}).ValidateCreate)
	case "Cohort":
		return validated(ctx, object, &kueue.Cohort{}, (&webhooks.CohortWebhook{}).ValidateCreate)
	case "ResourceFlavor":
		return validated(ctx, object, &kueue.ResourceFlavor{}, (&webhooks.ResourceFlavorWebhook{}).ValidateCreate)
	case "Workload":
		return validated(ctx, object, &kueue.Workload{}, (&webhooks.WorkloadWebhook{}).ValidateCreate)
	}
	return nil
}

func validated[T runtime.Object](
	ctx context.Context, object *unstructured.Unstructured, typed T, validate func(context.Context, T) (admission.Warnings, error),
) error {
	raw, err := object.MarshalJSON()
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, typed); err != nil {
		return err
	}
	_, err = validate(ctx, typed)
	return err
}

// judgeJob leaves out what kube-apiserver says of a Job's spec, which is no part of Kueue.
func judgeJob(raw []byte) verdict {
	job := &batchv1.Job{}
	if err := json.Unmarshal(raw, job); err != nil {
		return decodeRefusal(err)
	}
	if refused := apivalidation.ValidateObjectMeta(&job.ObjectMeta, true, apivalidation.NameIsDNSSubdomain, field.NewPath("metadata")); len(refused) > 0 {
		return verdict{By: "apiserver", Causes: causes(refused.ToAggregate())}
	}
	one := int32(1)
	if job.Spec.Parallelism == nil {
		job.Spec.Parallelism = &one
		if job.Spec.Completions == nil {
			job.Spec.Completions = &one
		}
	}
	if _, err := (&jobwebhook.JobWebhook{}).ValidateCreate(context.Background(), job); err != nil {
		return verdict{By: "webhook", Causes: causes(err)}
	}
	return verdict{}
}

func decodeRefusal(err error) verdict {
	return verdict{By: "decode", Causes: []cause{{Type: "decode", Detail: err.Error()}}}
}

func causes(err error) []cause {
	if err == nil {
		return nil
	}
	var several utilerrors.Aggregate
	if !errors.As(err, &several) {
		return []cause{{Type: "other", Detail: err.Error()}}
	}
	var found []cause
	for _, each := range several.Errors() {
		var one *field.Error
		if errors.As(each, &one) {
			found = append(found, cause{string(one.Type), one.Field, strings.SplitN(one.Detail, "\n", 2)[0]})
		} else {
			found = append(found, cause{Type: "other", Detail: each.Error()})
		}
	}
	sort.Slice(found, func(i, j int) bool {
		if found[i].Field != found[j].Field {
			return found[i].Field < found[j].Field
		}
		return found[i].Detail < found[j].Detail
	})
	return found
}
