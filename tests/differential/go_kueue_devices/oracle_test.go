// What Kueue counts, or refuses, of the devices of a Workload: cases in, its own answers out.
//
// It is built inside Kueue's own package, from a checkout with its vendor folder:
//
//	git clone https://github.com/kubernetes-sigs/kueue && cd kueue
//	git checkout ff69552e79ad21652c36caa97038382e55625cf7
//	rm pkg/dra/*_test.go && cp .../tests/differential/go_kueue_devices/oracle_test.go pkg/dra/
//	go test -mod=vendor -c -o devices-oracle ./pkg/dra
//
// The steps are those of handleDRA (pkg/controller/core/workload_controller.go), which itself writes to a
// cluster. ORACLE_IN and ORACLE_OUT name the two files, one JSON object a line.
package dra

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"testing"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/component-base/featuregate"
	"sigs.k8s.io/controller-runtime/pkg/client"

	configapi "sigs.k8s.io/kueue/apis/config/v1beta2"
	kueue "sigs.k8s.io/kueue/apis/kueue/v1beta2"
	"sigs.k8s.io/kueue/pkg/controller/core/indexer"
	"sigs.k8s.io/kueue/pkg/features"
	utiltesting "sigs.k8s.io/kueue/pkg/util/testing"
	"sigs.k8s.io/kueue/pkg/workload"
)

type oCase struct {
	FeatureGates map[featuregate.Feature]bool `json:"featureGates"`
	Resources    configapi.Resources          `json:"resources"`
	Objects      struct {
		DeviceClasses  []resourcev1.DeviceClass           `json:"deviceClasses"`
		ResourceSlices []resourcev1.ResourceSlice         `json:"resourceSlices"`
		Templates      []resourcev1.ResourceClaimTemplate `json:"resourceClaimTemplates"`
		RuntimeClasses []nodev1.RuntimeClass              `json:"runtimeClasses"`
		LimitRanges    []corev1.LimitRange                `json:"limitRanges"`
	} `json:"objects"`
	Workload kueue.Workload `json:"workload"`
}

type oAnswer struct {
	Looked   bool                                                     `json:"looked"`
	Refused  string                                                   `json:"refused,omitempty"`
	Internal bool                                                     `json:"internal,omitempty"`
	Added    map[kueue.PodSetReference]corev1.ResourceList            `json:"added,omitempty"`
	Replaced map[kueue.PodSetReference][]corev1.ResourceName          `json:"replaced,omitempty"`
	Requests map[kueue.PodSetReference]map[corev1.ResourceName]int64  `json:"requests,omitempty"`
}

func clientFor(c *oCase) client.Client {
	objects := []client.Object{}
	for i := range c.Objects.DeviceClasses {
		objects = append(objects, &c.Objects.DeviceClasses[i])
	}
	for i := range c.Objects.ResourceSlices {
		objects = append(objects, &c.Objects.ResourceSlices[i])
	}
	for i := range c.Objects.Templates {
		objects = append(objects, &c.Objects.Templates[i])
	}
	for i := range c.Objects.RuntimeClasses {
		objects = append(objects, &c.Objects.RuntimeClasses[i])
	}
	for i := range c.Objects.LimitRanges {
		objects = append(objects, &c.Objects.LimitRanges[i])
	}
	return utiltesting.NewClientBuilder(resourcev1.AddToScheme, nodev1.AddToScheme).
		WithObjects(objects...).
		WithIndex(&corev1.LimitRange{}, indexer.LimitRangeHasContainerOrPodType, indexer.IndexLimitRangeHasContainerOrPodType).
		WithIndex(&resourcev1.ResourceSlice{}, "spec.driver", func(o client.Object) []string {
			return []string{o.(*resourcev1.ResourceSlice).Spec.Driver}
		}).
		WithIndex(&resourcev1.DeviceClass{}, "spec.extendedResourceName", func(o client.Object) []string {
			name := o.(*resourcev1.DeviceClass).Spec.ExtendedResourceName
			if name == nil || *name == "" {
				return nil
			}
			return []string{*name}
		}).Build()
}

func (a *oAnswer) refuse(errs field.ErrorList) bool {
	if len(errs) == 0 {
		return false
	}
	a.Refused, a.Internal = errs.ToAggregate().Error(), workload.HasInternalError(errs)
	return true
}

func devicesOf(ctx context.Context, c *oCase, answer *oAnswer) (map[kueue.PodSetReference]corev1.ResourceList, map[kueue.PodSetReference]sets.Set[corev1.ResourceName]) {
	cl, wl := clientFor(c), &c.Workload
	mapper, backed := NewResourceMapper(), NewExtendedResourceCache()
	if err := mapper.PopulateFromConfiguration(c.Resources.DeviceClassMappings); err != nil {
		panic(err)
	}
	for i := range c.Objects.DeviceClasses {
		class := &c.Objects.DeviceClasses[i]
		if class.Spec.ExtendedResourceName != nil {
			backed.Add(corev1.ResourceName(*class.Spec.ExtendedResourceName), class.Name)
		}
	}
	answer.Looked = NeedsDRAReconcile(wl, backed)
	workload.AdjustResources(ctx, cl, wl)
	if !answer.Looked {
		return nil, nil
	}
	if !features.Enabled(features.KueueDRAIntegration) {
		answer.Refused = "off"
		return nil, nil
	}
	if workload.HasResourceClaim(wl) {
		answer.Refused = "claim"
		return nil, nil
	}
	slices := NewResourceSliceCache(cl)
	added, errs := GetResourceRequestsForResourceClaimTemplates(ctx, cl, slices, mapper, wl)
	if answer.refuse(errs) {
		return nil, nil
	}
	var replaced map[kueue.PodSetReference]sets.Set[corev1.ResourceName]
	if features.Enabled(features.KueueDRAIntegrationExtendedResource) {
		extended, instead, errs := ResolveExtendedResourceQuota(ctx, cl, mapper, wl)
		if answer.refuse(errs) {
			return nil, nil
		}
		added, replaced = MergeDRAResources(added, extended), instead
	}
	if features.Enabled(features.KueueDRAIntegrationPartitionableDevices) {
		counters, errs := GetCounterResourcesForWorkload(ctx, cl, slices, mapper, wl)
		if answer.refuse(errs) {
			return nil, nil
		}
		added = MergeDRAResources(added, counters)
	}
	if features.Enabled(features.KueueDRAIntegrationConsumableCapacity) {
		capacity, errs := DetermineCapacityResourcesForWorkload(ctx, cl, slices, mapper, wl)
		if answer.refuse(errs) {
			return nil, nil
		}
		added = MergeDRAResources(added, capacity)
	}
	return added, replaced
}

func answerOf(ctx context.Context, c *oCase) (answer oAnswer) {
	added, replaced := devicesOf(ctx, c, &answer)
	if answer.Refused != "" {
		return answer
	}
	options := []workload.InfoOption{
		workload.WithExcludedResourcePrefixes(c.Resources.ExcludeResourcePrefixes),
		workload.WithResourceTransformations(c.Resources.Transformations),
	}
	if len(added) > 0 || len(replaced) > 0 {
		options = append(options, workload.WithPreprocessedDRAResources(added, replaced))
	}
	answer.Added, answer.Replaced = added, map[kueue.PodSetReference][]corev1.ResourceName{}
	for name, resources := range replaced {
		answer.Replaced[name] = sets.List(resources)
	}
	answer.Requests = map[kueue.PodSetReference]map[corev1.ResourceName]int64{}
	for _, podSet := range workload.NewInfo(&c.Workload, options...).TotalRequests {
		answer.Requests[podSet.Name] = map[corev1.ResourceName]int64{}
		for resource, amount := range podSet.Requests.Iter() {
			answer.Requests[podSet.Name][resource] = amount
		}
	}
	return answer
}

func TestOracle(t *testing.T) {
	in, err := os.Open(os.Getenv("ORACLE_IN"))
	if err != nil {
		t.Skip()
	}
	out, err := os.Create(os.Getenv("ORACLE_OUT"))
	if err != nil {
		t.Fatal(err)
	}
	lines, encoder := bufio.NewScanner(in), json.NewEncoder(out)
	lines.Buffer(nil, 1<<26)
	for lines.Scan() {
		var c oCase
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		t.Run("case", func(t *testing.T) {
			features.SetFeatureGatesDuringTest(t, c.FeatureGates)
			ctx, _ := utiltesting.ContextWithLog(t)
			if err := encoder.Encode(answerOf(ctx, &c)); err != nil {
				t.Fatal(err)
			}
		})
	}
}
