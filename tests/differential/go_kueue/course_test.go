// Answers the cases of tests/differential/course_cases.py with Kueue's own scheduler and queues: several cycles.
// Put it into pkg/scheduler of Kueue at ff69552e beside cycle_test.go; COURSE_IN and COURSE_OUT are files.
//
// What Kueue's controllers do between two cycles is done here with the calls that they make (its
// workload_controller.go, Update and Create; jobframework/reconciler.go): who was evicted has stopped, gives its quota
// back and waits again; who is said to finish does; new Workloads come; then parked ones are looked at again.
package scheduler

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"slices"
	"testing"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kueue "sigs.k8s.io/kueue/apis/kueue/v1beta2"
	utiltesting "sigs.k8s.io/kueue/pkg/util/testing"
	"sigs.k8s.io/kueue/pkg/workload"
)

type courseCase struct {
	cycleCase
	// By step, who comes before its cycle, and who finishes after it if it runs then.
	Steps []struct {
		Arrive []kueue.Workload `json:"arrive"`
		Finish []string         `json:"finish"`
	} `json:"steps"`
}

type courseStep struct {
	Held         map[workload.Reference]kueue.Admission               `json:"held"`
	Evicted      []string                                             `json:"evicted"`
	Pending      map[kueue.ClusterQueueReference][]workload.Reference `json:"pendingInQueue"`
	Inadmissible map[kueue.ClusterQueueReference][]workload.Reference `json:"inadmissible"`
}

type courseAnswer struct {
	ID    string       `json:"id"`
	Steps []courseStep `json:"steps"`
}

func TestCourseOracle(t *testing.T) {
	in, err := os.Open(os.Getenv("COURSE_IN"))
	if err != nil {
		t.Skip()
	}
	out, _ := os.Create(os.Getenv("COURSE_OUT"))
	defer out.Close()
	w := bufio.NewWriter(out)
	defer w.Flush()
	sc := bufio.NewScanner(in)
	sc.Buffer(make([]byte, 1<<20), 1<<26)
	for sc.Scan() {
		var c courseCase
		if err := json.Unmarshal(sc.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		t.Run(c.ID, func(t *testing.T) {
			line, _ := json.Marshal(courseOf(t, c))
			_, _ = w.Write(append(line, '\n'))
		})
	}
}

func courseOf(t *testing.T, c courseCase) courseAnswer {
	ctx, log := utiltesting.ContextWithLog(t)
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	k := kueueOf(ctx, log, t, c.cycleCase)
	cl, cache, q, now := k.client, k.cache, k.queues, k.clock
	k.requeue(ctx)

	answer := courseAnswer{ID: c.ID}
	seen := map[string]string{} // The resourceVersion of each Workload that the controllers saw.
	for _, wl := range workloadsOf(ctx, t, cl) {
		seen[wl.Name] = wl.ResourceVersion
	}
	for _, step := range c.Steps {
		for i := range step.Arrive {
			wl := &step.Arrive[i]
			if err := cl.Create(ctx, wl.DeepCopy()); err != nil {
				t.Error(err)
			}
			_ = q.AddOrUpdateWorkload(log, wl.DeepCopy())
		}
		for _, wl := range workloadsOf(ctx, t, cl) {
			seen[wl.Name] = wl.ResourceVersion
		}
		if len(q.Dump()) > 0 {
			k.schedule(ctx)
		}
		list := workloadsOf(ctx, t, cl)
		var evicted []string
		for i := range list {
			wl := &list[i]
			key := workload.Key(wl)
			if seen[wl.Name] == wl.ResourceVersion {
			} else if workload.HasQuotaReservation(wl) {
				// The controller sees the update of who got quota, and of who is evicted.
				if !apimeta.IsStatusConditionTrue(wl.Status.Conditions, kueue.WorkloadEvicted) {
					q.DeleteWorkload(log, key)
				}
				cache.AddOrUpdateWorkload(log, wl.DeepCopy())
				k.expected.ObservedUID(log, client.ObjectKeyFromObject(wl), wl.UID)
			} else {
				_ = q.AddOrUpdateWorkload(log, wl.DeepCopy())
			}
			if workload.HasQuotaReservation(wl) && apimeta.IsStatusConditionTrue(wl.Status.Conditions, kueue.WorkloadEvicted) {
				evicted = append(evicted, wl.Name)
			}
		}
		held := map[workload.Reference]kueue.Admission{}
		snap, err := cache.Snapshot(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, cq := range snap.ClusterQueues() {
			for name, wl := range cq.Workloads {
				held[name] = *wl.Obj.Status.Admission
			}
		}
		answer.Steps = append(answer.Steps, courseStep{
			Held: held, Evicted: evicted, Pending: q.Dump(), Inadmissible: q.DumpInadmissible(),
		})
		now.Step(time.Second)
		for i := range list {
			wl := list[i].DeepCopy()
			key := workload.Key(wl)
			switch {
			case slices.Contains(evicted, wl.Name):
				condition := apimeta.FindStatusCondition(wl.Status.Conditions, kueue.WorkloadEvicted)
				workload.SetRequeuedCondition(wl, condition.Reason, condition.Message, true)
				workload.UnsetQuotaReservationWithCondition(wl, "Pending", condition.Message, now.Now())
				write(ctx, t, cl, wl)
				q.QueueAssociatedInadmissibleWorkloadsAfter(ctx, key, func() {
					_ = cache.DeleteWorkload(log, key)
					_ = q.AddOrUpdateWorkloadWithoutLock(log, wl)
				})
			case slices.Contains(step.Finish, wl.Name) && workload.IsAdmitted(wl):
				apimeta.SetStatusCondition(&wl.Status.Conditions, metav1.Condition{
					Type: kueue.WorkloadFinished, Status: metav1.ConditionTrue, Reason: "Done", LastTransitionTime: metav1.NewTime(now.Now()),
				})
				write(ctx, t, cl, wl)
				q.DeleteWorkload(log, key)
				q.QueueAssociatedInadmissibleWorkloadsAfter(ctx, key, func() { _ = cache.DeleteWorkload(log, key) })
			}
		}
		k.requeue(ctx)
	}
	return answer
}

func workloadsOf(ctx context.Context, t *testing.T, cl client.Client) []kueue.Workload {
	var list kueue.WorkloadList
	if err := cl.List(ctx, &list); err != nil {
		t.Error(err)
	}
	var found []kueue.Workload
	for i := range list.Items {
		if !apimeta.IsStatusConditionTrue(list.Items[i].Status.Conditions, kueue.WorkloadFinished) {
			found = append(found, list.Items[i])
		}
	}
	return found
}

func write(ctx context.Context, t *testing.T, cl client.Client, wl *kueue.Workload) {
	if err := cl.Status().Update(ctx, wl); err != nil {
		t.Error(err)
	}
}
