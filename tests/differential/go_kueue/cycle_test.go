// Answers the cases of tests/differential/cycle_cases.py with Kueue's own scheduler: one cycle each.
// Put it into pkg/scheduler of Kueue at ff69552e, `go test -c ./pkg/scheduler`; CYCLE_IN and CYCLE_OUT are files.
package scheduler

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	testingclock "k8s.io/utils/clock/testing"
	"k8s.io/component-base/featuregate"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	config "sigs.k8s.io/kueue/apis/config/v1beta2"
	kueue "sigs.k8s.io/kueue/apis/kueue/v1beta2"
	qcache "sigs.k8s.io/kueue/pkg/cache/queue"
	schdcache "sigs.k8s.io/kueue/pkg/cache/scheduler"
	tasindexer "sigs.k8s.io/kueue/pkg/controller/tas/indexer"
	"sigs.k8s.io/kueue/pkg/features"
	"sigs.k8s.io/kueue/pkg/metrics"
	preemptexpectations "sigs.k8s.io/kueue/pkg/scheduler/preemption/expectations"
	"sigs.k8s.io/kueue/pkg/util/routine"
	utiltesting "sigs.k8s.io/kueue/pkg/util/testing"
	"sigs.k8s.io/kueue/pkg/workload"
)

type cycleCase struct {
	ID           string          `json:"id"`
	FeatureGates map[string]bool `json:"featureGates"`
	Fair         bool            `json:"fair"`
	Objects      struct {
		Namespaces      []corev1.Namespace     `json:"namespaces"`
		ResourceFlavors []kueue.ResourceFlavor `json:"resourceFlavors"`
		Topologies      []kueue.Topology       `json:"topologies"`
		Nodes           []corev1.Node          `json:"nodes"`
		Cohorts         []kueue.Cohort         `json:"cohorts"`
		ClusterQueues   []kueue.ClusterQueue   `json:"clusterQueues"`
		LocalQueues     []kueue.LocalQueue     `json:"localQueues"`
		Workloads       []kueue.Workload       `json:"workloads"`
	} `json:"objects"`
}

type cycleAnswer struct {
	ID           string                                                  `json:"id"`
	Workloads    []kueue.Workload                                        `json:"workloads"`
	Admissions   map[workload.Reference]kueue.Admission                  `json:"admissions"`
	Pending      map[kueue.ClusterQueueReference][]workload.Reference    `json:"pendingInQueue"`
	Inadmissible map[kueue.ClusterQueueReference][]workload.Reference    `json:"inadmissible"`
	Error        string                                                  `json:"error,omitempty"`
}

func TestCycleOracle(t *testing.T) {
	in, err := os.Open(os.Getenv("CYCLE_IN"))
	if err != nil {
		t.Skip()
	}
	out, _ := os.Create(os.Getenv("CYCLE_OUT"))
	defer out.Close()
	w := bufio.NewWriter(out)
	defer w.Flush()
	sc := bufio.NewScanner(in)
	sc.Buffer(make([]byte, 1<<20), 1<<26)
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for sc.Scan() {
		var c cycleCase
		if err := json.Unmarshal(sc.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		t.Run(c.ID, func(t *testing.T) {
			metrics.AdmissionCyclePreemptionSkips.Reset()
			gates := map[featuregate.Feature]bool{features.WorkloadRequestUseMergePatch: false}
			for k, v := range c.FeatureGates {
				gates[featuregate.Feature(k)] = v
			}
			features.SetFeatureGatesDuringTest(t, gates)
			ctx, log := utiltesting.ContextWithLog(t)
			b := utiltesting.NewClientBuilder().WithLists(
				&kueue.WorkloadList{Items: c.Objects.Workloads},
				&kueue.TopologyList{Items: c.Objects.Topologies},
				&corev1.NodeList{Items: c.Objects.Nodes},
				&corev1.NamespaceList{Items: c.Objects.Namespaces},
				&kueue.LocalQueueList{Items: c.Objects.LocalQueues}).
				WithInterceptorFuncs(interceptor.Funcs{SubResourcePatch: utiltesting.TreatSSAAsStrategicMerge}).
				WithStatusSubresource(&kueue.Workload{})
			_ = tasindexer.SetupIndexes(ctx, utiltesting.AsIndexer(b))
			cl := b.Build()
			recorder := &utiltesting.EventRecorder{}
			cache := schdcache.New(cl, schdcache.WithFairSharing(c.Fair))
			q := qcache.NewManagerForUnitTests(cl, cache)
			for i := range c.Objects.Nodes {
				cache.TASCache().SyncNode(&c.Objects.Nodes[i])
			}
			for i := range c.Objects.ResourceFlavors {
				cache.AddOrUpdateResourceFlavor(log, &c.Objects.ResourceFlavors[i])
			}
			for i := range c.Objects.Topologies {
				cache.AddOrUpdateTopology(log, &c.Objects.Topologies[i])
			}
			for i := range c.Objects.Cohorts {
				if err := cache.AddOrUpdateCohort(&c.Objects.Cohorts[i]); err != nil {
					t.Error(err)
				}
			}
			for i := range c.Objects.ClusterQueues {
				cq := &c.Objects.ClusterQueues[i]
				if err := cache.AddClusterQueue(ctx, cq); err != nil {
					t.Error(err)
				}
				if err := q.AddClusterQueue(ctx, cq); err != nil {
					t.Error(err)
				}
				if err := cl.Create(ctx, cq.DeepCopy()); err != nil {
					t.Error(err)
				}
			}
			for i := range c.Objects.LocalQueues {
				if err := q.AddLocalQueue(ctx, &c.Objects.LocalQueues[i]); err != nil {
					t.Error(err)
				}
			}
			var fs *config.FairSharing
			if c.Fair {
				fs = &config.FairSharing{}
			}
			s := New(q, cache, cl, recorder, WithFairSharing(fs), WithClock(t, testingclock.NewFakeClock(now)),
				WithPreemptionExpectations(preemptexpectations.New()))
			wg := sync.WaitGroup{}
			s.setAdmissionRoutineWrapper(routine.NewWrapper(func() { wg.Add(1) }, func() { wg.Done() }))
			ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
			go q.CleanUpOnContext(ctx)
			defer cancel()
			s.schedule(ctx)
			wg.Wait()
			o := cycleAnswer{ID: c.ID, Admissions: map[workload.Reference]kueue.Admission{}}
			snap, err := cache.Snapshot(ctx)
			if err != nil {
				t.Error(err)
				return
			}
			for _, cq := range snap.ClusterQueues() {
				for name, wl := range cq.Workloads {
					o.Admissions[name] = *wl.Obj.Status.Admission
				}
			}
			var list kueue.WorkloadList
			if err := cl.List(ctx, &list); err != nil {
				t.Error(err)
			}
			o.Workloads = list.Items
			o.Pending = q.Dump()
			o.Inadmissible = q.DumpInadmissible()
			line, _ := json.Marshal(o)
			_, _ = w.Write(append(line, '\n'))
		})
	}
}
