// Answers cases of the recorded format (docs: dra.md beside the recordings) with Kubernetes' own DRA allocator.
//
//	go_dra [-impl experimental|incubating|stable] < cases.jsonl > answers.jsonl
//	go_dra -bench variants.json [-impl experimental,incubating] > figures.json
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"k8s.io/dynamic-resource-allocation/structured"
)

// Answer is what is said about one case. Kinds: allocated, none, error, panic.
type Answer struct {
	Kind        string          `json:"kind"`
	Allocations json.RawMessage `json:"allocations,omitempty"`
	ErrorText   string          `json:"errorText,omitempty"`
	// OnlyThisNode: the error concerns this node, others may still work.
	OnlyThisNode bool `json:"errorOnlyThisNode,omitempty"`
	// Steps of the search (calls of allocateOne), to tell a real search from a quick no.
	Steps       int64 `json:"steps"`
	Nanoseconds int64 `json:"nanoseconds"`
}

func answer(c *Case) (found Answer) {
	defer func() {
		if p := recover(); p != nil {
			found = Answer{Kind: "panic", ErrorText: fmt.Sprint(p)}
		}
	}()
	ctx, cancel := c.context()
	defer cancel()
	run := c.allocate(ctx)
	found = Answer{Steps: run.steps, Nanoseconds: run.elapsed.Nanoseconds()}
	switch {
	case run.err != nil:
		found.Kind, found.ErrorText = "error", run.err.Error()
		found.OnlyThisNode = errors.Is(run.err, structured.ErrFailedAllocationOnNode)
	case run.results == nil:
		found.Kind = "none"
	default:
		found.Kind = "allocated"
		text, err := json.Marshal(withConstantShareIDs(run.results))
		if err != nil {
			panic(err)
		}
		found.Allocations = text
	}
	return found
}

func answerAll(in io.Reader, out io.Writer) error {
	lines := bufio.NewReaderSize(in, 1<<20)
	buffered := bufio.NewWriter(out)
	defer buffered.Flush()
	encoder := json.NewEncoder(buffered)
	encoder.SetEscapeHTML(false)
	for number := 1; ; number++ {
		line, err := lines.ReadBytes('\n')
		if len(strings.TrimSpace(string(line))) > 0 {
			c, err := readCase(line)
			if err != nil {
				return fmt.Errorf("case %d: %w", number, err)
			}
			if err := encoder.Encode(answer(c)); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func main() {
	implementations := flag.String("impl", "experimental", "experimental, incubating or stable; with -bench several, by comma")
	bench := flag.String("bench", "", "measure the variants of this file instead of answering cases")
	sample := flag.Duration("sample", defaultSample, "with -bench: CPU time of one sample")
	samples := flag.Int("samples", 5, "with -bench: samples of each figure")
	flag.Parse()
	var err error
	if *bench != "" {
		err = benchmark(*bench, strings.Split(*implementations, ","), *sample, *samples, os.Stdout)
	} else {
		structured.EnableAllocators(*implementations)
		err = answerAll(os.Stdin, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "go_dra:", err)
		os.Exit(1)
	}
}
