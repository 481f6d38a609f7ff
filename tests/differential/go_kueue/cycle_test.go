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

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-base/featuregate"
	testingclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	config "sigs.k8s.io/kueue/apis/config/v1beta2"
	kueue "sigs.k8s.io/kueue/apis/kueue/v1beta2"
	qcache "sigs.k8s.io/kueue/pkg/cache/queue"
	schdcache "sigs.k8s.io/kueue/pkg/cache/scheduler"
	tasindexer "sigs.k8s.io/kueue/pkg/controller/tas/indexer"
	"sigs.k8s.io/kueue/pkg/features"
	"sigs.k8s.io/kueue/pkg/metrics"
	preemptexpectations "sigs.k8s.io/kueue/pkg/scheduler/preemption/expectations"
	"sigs.k8s.io/kueue/pkg/util/expectations"
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
	ID           string                                               `json:"id"`
	Workloads    []kueue.Workload                                     `json:"workloads"`
	Admissions   map[workload.Reference]kueue.Admission               `json:"admissions"`
	Pending      map[kueue.ClusterQueueReference][]workload.Reference `json:"pendingInQueue"`
	Inadmissible map[kueue.ClusterQueueReference][]workload.Reference `json:"inadmissible"`
	Error        string                                               `json:"error,omitempty"`
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
	for sc.Scan() {
		var c cycleCase
		if err := json.Unmarshal(sc.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		t.Run(c.ID, func(t *testing.T) {
			ctx, log := utiltesting.ContextWithLog(t)
			ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
			defer cancel()
			k := kueueOf(ctx, log, t, c)
			k.schedule(ctx)
			o := cycleAnswer{ID: c.ID, Admissions: map[workload.Reference]kueue.Admission{}}
			snap, err := k.cache.Snapshot(ctx)
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
			if err := k.client.List(ctx, &list); err != nil {
				t.Error(err)
			}
			o.Workloads = list.Items
			o.Pending = k.queues.Dump()
			o.Inadmissible = k.queues.DumpInadmissible()
			line, _ := json.Marshal(o)
			_, _ = w.Write(append(line, '\n'))
		})
	}
}

// Kueue's scheduler with its cache and queues on a case's objects, at 2026-01-01T00:00:00Z.
type kueueParts struct {
	client    client.Client
	cache     *schdcache.Cache
	queues    *qcache.Manager
	requeue   func(context.Context) int // What was asked to be looked at again is.
	expected  *expectations.Store
	clock     *testingclock.FakeClock
	scheduler *Scheduler
	writing   *sync.WaitGroup
}

func (k *kueueParts) schedule(ctx context.Context) {
	k.scheduler.schedule(ctx)
	k.writing.Wait()
}

func kueueOf(ctx context.Context, log logr.Logger, t *testing.T, c cycleCase) *kueueParts {
	metrics.AdmissionCyclePreemptionSkips.Reset()
	gates := map[featuregate.Feature]bool{features.WorkloadRequestUseMergePatch: false}
	for k, v := range c.FeatureGates {
		gates[featuregate.Feature(k)] = v
	}
	features.SetFeatureGatesDuringTest(t, gates)
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
	cache := schdcache.New(cl, schdcache.WithFairSharing(c.Fair))
	expected := preemptexpectations.New()
	q, requeuer := qcache.NewManagerForUnitTestsWithRequeuer(cl, cache, qcache.WithPreemptionExpectations(expected))
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
		q.AddOrUpdateCohort(ctx, &c.Objects.Cohorts[i])
	}
	for i := range c.Objects.ClusterQueues {
		cq := &c.Objects.ClusterQueues[i]
		for _, err := range []error{cache.AddClusterQueue(ctx, cq), q.AddClusterQueue(ctx, cq), cl.Create(ctx, cq.DeepCopy())} {
			if err != nil {
				t.Error(err)
			}
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
	now := testingclock.NewFakeClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	s := New(q, cache, cl, &utiltesting.EventRecorder{}, WithFairSharing(fs), WithClock(t, now), WithPreemptionExpectations(expected))
	wg := &sync.WaitGroup{}
	s.setAdmissionRoutineWrapper(routine.NewWrapper(func() { wg.Add(1) }, func() { wg.Done() }))
	go q.CleanUpOnContext(ctx)
	return &kueueParts{cl, cache, q, requeuer.ProcessRequeues, expected, now, s, wg}
}
