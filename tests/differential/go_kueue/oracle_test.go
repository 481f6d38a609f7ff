// Kueue's topology-aware scheduling as an oracle: cases in the recorded format in, Kueue's answers out.
//
// It needs unexported functions, so it is built inside Kueue's own package, from a checkout with its vendor folder:
//
//	git clone https://github.com/kubernetes-sigs/kueue && cd kueue
//	git checkout ff69552e79ad21652c36caa97038382e55625cf7
//	rm pkg/cache/scheduler/*_test.go
//	cp .../tests/differential/go_kueue/oracle_test.go pkg/cache/scheduler/
//	go test -mod=vendor -c -o kueue-oracle ./pkg/cache/scheduler
//
// The first build takes about 5 minutes of CPU. ORACLE_IN and ORACLE_OUT name the two files, one JSON object a line.
package scheduler

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-base/featuregate"

	kueue "sigs.k8s.io/kueue/apis/kueue/v1beta2"
	"sigs.k8s.io/kueue/pkg/features"
	"sigs.k8s.io/kueue/pkg/resources"
	"sigs.k8s.io/kueue/pkg/util/tas"
	"sigs.k8s.io/kueue/pkg/workload"
)

type oDomain struct {
	Values []string `json:"values"`
	Count  int32    `json:"count"`
}
type oAssignment struct {
	Levels  []string  `json:"levels"`
	Domains []oDomain `json:"domains"`
}
type oPodSet struct {
	Name               string                        `json:"name"`
	Count              int32                         `json:"count"`
	RequestsPerPod     map[corev1.ResourceName]int64 `json:"requestsPerPod"`
	TopologyRequest    *kueue.PodSetTopologyRequest  `json:"topologyRequest"`
	TopologyImplied    bool                          `json:"topologyImplied"`
	PodSetGroupName    *string                       `json:"podSetGroupName"`
	NodeSelector       map[string]string             `json:"nodeSelector"`
	NodeAffinity       *corev1.NodeAffinity          `json:"nodeAffinity"`
	Tolerations        []corev1.Toleration           `json:"tolerations"`
	PreviousAssignment *oAssignment                  `json:"previousAssignment"`
}
type oUsage struct {
	Values            []string                      `json:"values"`
	Count             int32                         `json:"count"`
	SinglePodRequests map[corev1.ResourceName]int64 `json:"singlePodRequests"`
}
type oCase struct {
	FeatureGates map[featuregate.Feature]bool `json:"featureGates"`
	Objects      struct {
		Nodes []corev1.Node `json:"nodes"`
		Pods  []corev1.Pod  `json:"pods"`
	} `json:"objects"`
	Input struct {
		Levels             []string          `json:"levels"`
		FlavorNodeLabels   map[string]string `json:"flavorNodeLabels"`
		OwnUsage           []oUsage          `json:"ownUsage"`
		ExistingAssignment *oAssignment      `json:"existingAssignment"`
		UnhealthyNode      string            `json:"unhealthyNode"`
		PodSets            []oPodSet         `json:"podSets"`
		SimulateEmpty      bool              `json:"simulateEmpty"`
	} `json:"input"`
}

func (a *oAssignment) api() *kueue.TopologyAssignment {
	if a == nil {
		return nil
	}
	t := &tas.TopologyAssignment{Levels: a.Levels}
	for _, d := range a.Domains {
		t.Domains = append(t.Domains, tas.TopologyDomainAssignment{Values: d.Values, Count: d.Count})
	}
	return tas.V1Beta2From(t)
}

func oRun(t *testing.T, c *oCase) (out map[string]any) {
	defer func() {
		if r := recover(); r != nil {
			out = map[string]any{"panic": fmt.Sprint(r)}
		}
	}()
	ctx := context.Background()
	log := logr.Discard()
	features.SetFeatureGatesDuringTest(t, c.FeatureGates)
	cache := NewTASCache(nil, newDefaultSimulator(), resources.NewResourceFormatter())
	for i := range c.Objects.Nodes {
		cache.SyncNode(&c.Objects.Nodes[i])
	}
	for i := range c.Objects.Pods {
		cache.UpdateNonTASUsage(&c.Objects.Pods[i], log)
	}
	fc := cache.NewTASFlavorCache(topologyInformation{Levels: c.Input.Levels},
		flavorInformation{TopologyName: "default", NodeLabels: c.Input.FlavorNodeLabels})
	var own []workload.TopologyDomainRequests
	for _, u := range c.Input.OwnUsage {
		own = append(own, workload.TopologyDomainRequests{Values: u.Values, Count: u.Count, SinglePodRequests: resources.NewRequestsFromMap(u.SinglePodRequests)})
	}
	if len(own) > 0 {
		fc.addUsage(log, "prior", own)
	}
	snapshot, err := fc.snapshot(ctx, log, newDefaultSimulatorSnapshot(), nil)
	if err != nil {
		return map[string]any{"panic": err.Error()}
	}
	var reqs []TASPodSetRequests
	for _, ps := range c.Input.PodSets {
		r := TASPodSetRequests{
			PodSet: &kueue.PodSet{Name: kueue.NewPodSetReference(ps.Name), TopologyRequest: ps.TopologyRequest,
				Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Tolerations: ps.Tolerations, NodeSelector: ps.NodeSelector}}},
			SinglePodRequests: resources.NewRequestsFromMap(ps.RequestsPerPod), Count: ps.Count,
			PreviousAssignment: ps.PreviousAssignment.api(), PodSetGroupName: ps.PodSetGroupName, Implied: ps.TopologyImplied,
		}
		if ps.NodeAffinity != nil {
			r.PodSet.Template.Spec.Affinity = &corev1.Affinity{NodeAffinity: ps.NodeAffinity}
		}
		reqs = append(reqs, r)
	}
	opts := []FindTopologyAssignmentsOption{WithSimulateEmpty(c.Input.SimulateEmpty)}
	if c.Input.ExistingAssignment != nil {
		wl := &kueue.Workload{}
		wl.Name = "wl"
		wl.Status.Admission = &kueue.Admission{ClusterQueue: "cq", PodSetAssignments: []kueue.PodSetAssignment{{
			Name: kueue.NewPodSetReference(c.Input.PodSets[0].Name), TopologyAssignment: c.Input.ExistingAssignment.api()}}}
		wl.Status.UnhealthyNodes = []kueue.UnhealthyNode{{Name: c.Input.UnhealthyNode}}
		opts = append(opts, WithWorkload(wl))
	}
	start := time.Now()
	result := snapshot.FindTopologyAssignmentsForFlavor(ctx, reqs, opts...)
	nanos := time.Since(start).Nanoseconds()
	sets := map[string]any{}
	for name, r := range result {
		one := map[string]any{}
		if r.FailureReason != "" {
			one["failureReason"] = r.FailureReason
		}
		if r.TopologyAssignment != nil {
			a := oAssignment{Levels: r.TopologyAssignment.Levels, Domains: []oDomain{}}
			for _, d := range r.TopologyAssignment.Domains {
				a.Domains = append(a.Domains, oDomain{Values: d.Values, Count: d.Count})
			}
			one["topologyAssignment"] = a
		}
		sets[string(name)] = one
	}
	return map[string]any{"podSets": sets, "nanos": nanos}
}

func TestOracle(t *testing.T) {
	in, err := os.Open(os.Getenv("ORACLE_IN"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(os.Getenv("ORACLE_OUT"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	scanner := bufio.NewScanner(in)
	scanner.Buffer(make([]byte, 1<<20), 1<<28)
	n := 0
	for scanner.Scan() {
		line := append([]byte(nil), scanner.Bytes()...)
		n++
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			var c oCase
			if err := json.Unmarshal(line, &c); err != nil {
				t.Fatal(err)
			}
			b, _ := json.Marshal(oRun(t, &c))
			fmt.Fprintf(f, "%s\n", b)
		})
	}
}
