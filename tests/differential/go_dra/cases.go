package main

import (
	"bytes"
	"context"
	"encoding/json"
	"reflect"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/dynamic-resource-allocation/cel"
	"k8s.io/dynamic-resource-allocation/structured"
)

// shareID stands for every random UUID of a share, as in the recordings.
var shareID = types.UID("aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa")

// Case is one line; keys which are not needed here (name, tags, expected, ...) are skipped.
type Case struct {
	Raw          json.RawMessage     `json:"input"`
	FeatureFlags structured.Features `json:"featureFlags"`
	CelFeatures  *cel.Features       `json:"celFeatures"`
	Input        Input               `json:"-"`
	Info         struct {
		ContextState string `json:"contextState"`
	} `json:"info"`
}

// Input of one Allocate. Nodes is used by the benchmark only.
type Input struct {
	Node           *corev1.Node                `json:"node"`
	Nodes          []*corev1.Node              `json:"nodes"`
	DeviceClasses  []*resourcev1.DeviceClass   `json:"deviceClasses"`
	ResourceSlices []*resourcev1.ResourceSlice `json:"resourceSlices"`
	ResourceClaims []*resourcev1.ResourceClaim `json:"resourceClaims"`
	AllocatedState State                       `json:"allocatedState"`
}

// DeviceName is a device, a share of one, or what is consumed of one.
type DeviceName struct {
	Driver           string                                         `json:"driver"`
	Pool             string                                         `json:"pool"`
	Device           string                                         `json:"device"`
	ShareID          *types.UID                                     `json:"shareID"`
	ConsumedCapacity map[resourcev1.QualifiedName]resource.Quantity `json:"consumedCapacity"`
}

func (d DeviceName) id() structured.DeviceID {
	return structured.MakeDeviceID(d.Driver, d.Pool, d.Device)
}

// State is what other claims hold.
type State struct {
	AllocatedDevices         []DeviceName `json:"allocatedDevices"`
	AllocatedSharedDeviceIDs []DeviceName `json:"allocatedSharedDeviceIDs"`
	AggregatedCapacity       []DeviceName `json:"aggregatedCapacity"`
}

func (s State) allocatedState() structured.AllocatedState {
	state := structured.AllocatedState{
		AllocatedDevices:         sets.New[structured.DeviceID](),
		AllocatedSharedDeviceIDs: sets.New[structured.SharedDeviceID](),
		AggregatedCapacity:       structured.NewConsumedCapacityCollection(),
	}
	for _, device := range s.AllocatedDevices {
		state.AllocatedDevices.Insert(device.id())
	}
	for _, device := range s.AllocatedSharedDeviceIDs {
		state.AllocatedSharedDeviceIDs.Insert(structured.MakeSharedDeviceID(device.id(), device.ShareID))
	}
	for _, device := range s.AggregatedCapacity {
		state.AggregatedCapacity.Insert(structured.NewDeviceConsumedCapacity(device.id(), device.ConsumedCapacity))
	}
	return state
}

// classes is the DeviceClassLister. Its text for a missing class is a cluster's (that of the recordings names nothing).
type classes []*resourcev1.DeviceClass

func (c classes) List() ([]*resourcev1.DeviceClass, error) { return c, nil }

func (c classes) Get(name string) (*resourcev1.DeviceClass, error) {
	for _, class := range c {
		if class.Name == name {
			return class, nil
		}
	}
	return nil, apierrors.NewNotFound(resourcev1.Resource("deviceclasses"), name)
}

// readCase refuses a field of the API that the Go types lack: it would be lost, and the answer be of another case.
func readCase(line []byte) (*Case, error) {
	c := &Case{}
	if err := json.Unmarshal(line, c); err != nil {
		return nil, err
	}
	strict := json.NewDecoder(bytes.NewReader(c.Raw))
	strict.DisallowUnknownFields()
	return c, strict.Decode(&c.Input)
}

// context is expired or cancelled for the recordings that interrupt the search.
func (c *Case) context() (context.Context, context.CancelFunc) {
	if state := c.Info.ContextState; state == "timeout" || state == "deadline" {
		return context.WithDeadline(context.Background(), time.Now().Add(-time.Second))
	}
	ctx, cancel := context.WithCancel(context.Background())
	if c.Info.ContextState == "cancel" {
		cancel()
	}
	return ctx, cancel
}

var celCaches = map[cel.Features]*cel.Cache{}

// celCache keeps compiled expressions over cases, one cache for each set of features.
func (c *Case) celCache() *cel.Cache {
	features := cel.Features{
		EnableConsumableCapacity: c.FeatureFlags.ConsumableCapacity,
		EnableListTypeAttributes: c.FeatureFlags.ListTypeAttributes,
	}
	if c.CelFeatures != nil {
		features = *c.CelFeatures
	}
	if celCaches[features] == nil {
		celCaches[features] = cel.NewCache(10_000, features)
	}
	return celCaches[features]
}

func (c *Case) newAllocator(ctx context.Context) (structured.Allocator, error) {
	in := &c.Input
	return structured.NewAllocator(ctx, c.FeatureFlags, in.AllocatedState.allocatedState(),
		classes(in.DeviceClasses), in.ResourceSlices, c.celCache())
}

type outcome struct {
	results []resourcev1.AllocationResult
	err     error
	steps   int64
	elapsed time.Duration
}

func (c *Case) allocate(ctx context.Context) outcome {
	started := time.Now()
	allocator, err := c.newAllocator(ctx)
	if err != nil {
		return outcome{err: err}
	}
	results, err := allocator.Allocate(ctx, c.Input.Node, c.Input.ResourceClaims)
	return outcome{results, err, steps(allocator), time.Since(started)}
}

// steps reads the statistics, whose type is internal to Kubernetes' module, by reflection; 0 where there are none.
func steps(allocator structured.Allocator) int64 {
	method := reflect.ValueOf(allocator).MethodByName("GetStats")
	if !method.IsValid() {
		return 0
	}
	return method.Call(nil)[0].FieldByName("NumAllocateOneInvocations").Int()
}

func withConstantShareIDs(results []resourcev1.AllocationResult) []resourcev1.AllocationResult {
	for i := range results {
		for j := range results[i].Devices.Results {
			if results[i].Devices.Results[j].ShareID != nil {
				results[i].Devices.Results[j].ShareID = &shareID
			}
		}
	}
	return results
}
