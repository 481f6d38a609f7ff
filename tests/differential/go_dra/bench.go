package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"syscall"
	"time"

	"k8s.io/dynamic-resource-allocation/structured"
)

const defaultSample = 300 * time.Millisecond

// Figure is the CPU time of one operation of one implementation on one variant.
type Figure struct {
	Variant        string `json:"variant"`
	Implementation string `json:"implementation"`
	Operation      string `json:"operation"`
	// MinNs and MedianNs of the samples: CPU time of the process (user and system, garbage collection included).
	MinNs    int64 `json:"minCpuNs"`
	MedianNs int64 `json:"medianCpuNs"`
	// PerSample is how often the operation ran in a sample, Allocated how many nodes took the claims in one operation.
	PerSample int `json:"operationsPerSample"`
	Allocated int `json:"nodesAllocated"`
}

func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func timed(operation func(), times int) time.Duration {
	started := cpuTime()
	for range times {
		operation()
	}
	return cpuTime() - started
}

// measure repeats an operation until a sample is long enough (at least once), and takes several samples.
func measure(operation func(), sample time.Duration, samples int) (least, median int64, times int) {
	operation() // Compiles CEL expressions.
	times = 1
	spent := timed(operation, times)
	for spent < sample/2 && times < 1<<20 {
		times *= 2
		spent = timed(operation, times)
	}
	figures := []int64{}
	if spent >= sample {
		samples = 1 // Slow already: "stable" needs seconds where nothing fits.
	}
	for range samples {
		figures = append(figures, timed(operation, times).Nanoseconds()/int64(times))
	}
	slices.Sort(figures)
	return figures[0], figures[len(figures)/2], times
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// operations of a variant; each says how many nodes could take the claims.
func operations(c *Case) map[string]func() int {
	ctx := context.Background()
	made := must(c.newAllocator(ctx))
	on := func(allocator structured.Allocator, node int) int {
		if must(allocator.Allocate(ctx, c.Input.Nodes[node], c.Input.ResourceClaims)) == nil {
			return 0
		}
		return 1
	}
	return map[string]func() int{
		"one-node":     func() int { return on(made, 0) },
		"new+one-node": func() int { return on(must(c.newAllocator(ctx)), 0) },
		"all-nodes": func() int {
			allocator, count := must(c.newAllocator(ctx)), 0
			for node := range c.Input.Nodes {
				count += on(allocator, node)
			}
			return count
		},
	}
}

func benchmark(path string, implementations []string, sample time.Duration, samples int, out io.Writer) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	variants := map[string]Input{}
	if err := json.Unmarshal(text, &variants); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	names := []string{}
	for name := range variants {
		names = append(names, name)
	}
	slices.Sort(names)
	figures := []Figure{}
	for _, name := range names {
		for _, implementation := range implementations {
			structured.EnableAllocators(implementation)
			found := operations(&Case{Input: variants[name]})
			for _, operation := range []string{"one-node", "new+one-node", "all-nodes"} {
				figure := Figure{Variant: name, Implementation: implementation, Operation: operation}
				work := func() { figure.Allocated = found[operation]() }
				figure.MinNs, figure.MedianNs, figure.PerSample = measure(work, sample, samples)
				figures = append(figures, figure)
			}
		}
	}
	return json.NewEncoder(out).Encode(figures)
}
