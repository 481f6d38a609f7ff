// Kueue's flavor assigner as an oracle: cases in the recorded format in, Kueue's answers out.
//
// It is built inside Kueue's own package, from a checkout with its vendor folder:
//
//	git clone https://github.com/kubernetes-sigs/kueue && cd kueue
//	git checkout ff69552e79ad21652c36caa97038382e55625cf7
//	rm pkg/scheduler/flavorassigner/*_test.go
//	cp .../tests/differential/go_kueue_flavors/oracle_test.go pkg/scheduler/flavorassigner/
//	go test -mod=vendor -c -o flavor-oracle ./pkg/scheduler/flavorassigner
//
// ORACLE_IN and ORACLE_OUT name the two files, one JSON object a line.
package flavorassigner

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-base/featuregate"

	configapi "sigs.k8s.io/kueue/apis/config/v1beta2"
	kueue "sigs.k8s.io/kueue/apis/kueue/v1beta2"
	schdcache "sigs.k8s.io/kueue/pkg/cache/scheduler"
	"sigs.k8s.io/kueue/pkg/features"
	"sigs.k8s.io/kueue/pkg/resources"
	preemptioncommon "sigs.k8s.io/kueue/pkg/scheduler/preemption/common"
	utiltesting "sigs.k8s.io/kueue/pkg/util/testing"
	"sigs.k8s.io/kueue/pkg/workload"
)

type oAmount struct {
	Flavor   kueue.ResourceFlavorReference `json:"flavor"`
	Resource corev1.ResourceName           `json:"resource"`
	Amount   int64                         `json:"amount"`
}
type oPreemption struct {
	Flavor              kueue.ResourceFlavorReference `json:"flavor"`
	Resource            corev1.ResourceName           `json:"resource"`
	Possibility         string                        `json:"possibility"`
	BorrowingLevelAfter int                           `json:"borrowingLevelAfter"`
}
type oCase struct {
	FeatureGates map[featuregate.Feature]bool `json:"featureGates"`
	Config       map[string]any               `json:"config"`
	Objects      struct {
		ClusterQueues   []kueue.ClusterQueue   `json:"clusterQueues"`
		Cohorts         []kueue.Cohort         `json:"cohorts"`
		ResourceFlavors []kueue.ResourceFlavor `json:"resourceFlavors"`
	} `json:"objects"`
	Input struct {
		Workload         kueue.Workload                           `json:"workload"`
		ClusterQueue     kueue.ClusterQueueReference              `json:"clusterQueue"`
		Usage            map[kueue.ClusterQueueReference][]oAmount `json:"usage"`
		PreemptionOracle []oPreemption                            `json:"preemptionOracle"`
		LastTried        []map[corev1.ResourceName]int            `json:"lastTriedFlavorIndex"`
		Counts           []int32                                  `json:"counts"`
	} `json:"input"`
}
type oStub map[resources.FlavorResource]oPreemption

func (s oStub) SimulatePreemption(_ context.Context, _ *schdcache.ClusterQueueSnapshot, _ workload.Info, fr resources.FlavorResource, _ resources.Amount) (preemptioncommon.PreemptionPossibility, int) {
	one, found := s[fr]
	if !found {
		return preemptioncommon.Preempt, 0
	}
	for _, p := range []preemptioncommon.PreemptionPossibility{preemptioncommon.NoCandidates, preemptioncommon.Preempt, preemptioncommon.Reclaim} {
		if p.String() == one.Possibility {
			return p, one.BorrowingLevelAfter
		}
	}
	panic(one.Possibility)
}

func oRun(t *testing.T, c *oCase) (out map[string]any) {
	defer func() {
		if r := recover(); r != nil {
			out = map[string]any{"panic": fmt.Sprint(r)}
		}
	}()
	ctx, log := context.Background(), logr.Discard()
	features.SetFeatureGatesDuringTest(t, c.FeatureGates)
	cache := schdcache.New(utiltesting.NewFakeClient())
	flavors := map[kueue.ResourceFlavorReference]*kueue.ResourceFlavor{}
	for i := range c.Objects.ResourceFlavors {
		one := &c.Objects.ResourceFlavors[i]
		flavors[kueue.ResourceFlavorReference(one.Name)] = one
		cache.AddOrUpdateResourceFlavor(log, one)
	}
	for i := range c.Objects.ClusterQueues {
		if err := cache.AddClusterQueue(ctx, &c.Objects.ClusterQueues[i]); err != nil {
			return map[string]any{"panic": err.Error()}
		}
	}
	for i := range c.Objects.Cohorts {
		if err := cache.AddOrUpdateCohort(&c.Objects.Cohorts[i]); err != nil {
			return map[string]any{"panic": err.Error()}
		}
	}
	snapshot, err := cache.Snapshot(ctx)
	if err != nil {
		return map[string]any{"panic": err.Error()}
	}
	for name, rows := range c.Input.Usage {
		usage := resources.FlavorResourceQuantities{}
		for _, row := range rows {
			usage[resources.FlavorResource{Flavor: row.Flavor, Resource: row.Resource}] = resources.NewAmount(row.Amount)
		}
		snapshot.ClusterQueue(name).AddUsage(workload.Usage{Quota: workload.ResourceUsage{Assigned: usage}})
	}
	stub := oStub{}
	for _, one := range c.Input.PreemptionOracle {
		stub[resources.FlavorResource{Flavor: one.Flavor, Resource: one.Resource}] = one
	}
	_, fair := c.Config["fairSharing"]
	info := workload.NewInfo(&c.Input.Workload)
	if c.Input.LastTried != nil {
		info.LastAssignment = &workload.AssignmentClusterQueueState{LastTriedFlavorIdx: c.Input.LastTried}
	}
	cq := snapshot.ClusterQueue(c.Input.ClusterQueue)
	assigner := New(info, cq, flavors, fair, stub, nil, configapi.QuotaCheckBlockUndeclared, resources.NewResourceFormatter(), 0)
	assignment := assigner.Assign(ctx, c.Input.Counts)
	return map[string]any{"representativeMode": assignment.RepresentativeMode().String(), "assignment": oAnswer(&assignment)}
}

func oAnswer(a *Assignment) map[string]any {
	podSets := []any{}
	for i := range a.PodSets {
		ps := &a.PodSets[i]
		flavors := map[corev1.ResourceName]any{}
		for name, one := range ps.Flavors {
			flavors[name] = map[string]any{"flavor": one.Name, "mode": one.Mode.String(), "triedFlavorIndex": one.TriedFlavorIdx}
		}
		attempts := []any{}
		for _, one := range ps.FlavorAssignmentAttempts {
			row := map[string]any{"flavor": one.Flavor, "mode": one.Mode.String(), "borrowingLevel": one.Borrow, "reasons": one.Reasons, "noFitReason": one.NoFitReason}
			if one.PreemptionPossibility != nil {
				row["preemptionMode"] = one.PreemptionPossibility.String()
			}
			attempts = append(attempts, row)
		}
		row := map[string]any{"name": ps.Name, "count": ps.Count, "flavors": flavors, "requests": ps.Requests, "reasons": ps.Status.reasons, "attempts": attempts}
		if ps.Status.err != nil {
			row["error"] = ps.Status.err.Error()
		}
		podSets = append(podSets, row)
	}
	usage := []oAmount{}
	for fr, amount := range a.Usage.Quota.Assigned {
		usage = append(usage, oAmount{fr.Flavor, fr.Resource, amount.Int64()})
	}
	return map[string]any{"podSets": podSets, "borrowingLevel": a.Borrowing, "usage": usage, "noFitReason": a.NoFitReason}
}

func TestOracle(t *testing.T) {
	in, err := os.Open(os.Getenv("ORACLE_IN"))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(os.Getenv("ORACLE_OUT"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<26)
	encoder := json.NewEncoder(out)
	for lines.Scan() {
		var c oCase
		answer := map[string]any{}
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			answer["panic"] = err.Error()
		} else {
			t.Run("case", func(t *testing.T) { answer = oRun(t, &c) })
		}
		if err := encoder.Encode(answer); err != nil {
			t.Fatal(err)
		}
	}
}
