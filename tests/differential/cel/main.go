// Answers CEL cases as Kubernetes does: one case of tests/conformance/dra/README.md a line on standard input, one
// answer a line on standard output. Run: go run . < cases.jsonl
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"

	resourceapi "k8s.io/api/resource/v1"
	"k8s.io/apiserver/pkg/cel/environment"
	dracel "k8s.io/dynamic-resource-allocation/cel"
)

type question struct {
	EnvType     string          `json:"envType"`
	CelFeatures dracel.Features `json:"celFeatures"`
	Expression  string          `json:"expression"`
	Device      struct {
		Driver                   string                                                    `json:"driver"`
		AllowMultipleAllocations *bool                                                     `json:"allowMultipleAllocations"`
		Attributes               map[resourceapi.QualifiedName]resourceapi.DeviceAttribute `json:"attributes"`
		Capacity                 map[resourceapi.QualifiedName]resourceapi.DeviceCapacity  `json:"capacity"`
	} `json:"device"`
}

func answer(asked question) map[string]any {
	envType := environment.StoredExpressions
	if asked.EnvType == "NewExpressions" {
		envType = environment.NewExpressions
	}
	compiler := dracel.GetCompiler(asked.CelFeatures)
	result := compiler.CompileCELExpression(asked.Expression, dracel.Options{EnvType: &envType})
	if result.Error != nil {
		return map[string]any{"kind": "compileError", "text": result.Error.Detail}
	}
	matches, details, err := result.DeviceMatches(context.Background(), dracel.Device(asked.Device))
	found := map[string]any{"kind": "match", "match": matches, "cost": result.MaxCost}
	if err != nil {
		found = map[string]any{"kind": "matchError", "text": err.Error(), "cost": result.MaxCost}
	}
	if details != nil && details.ActualCost() != nil {
		found["actualCost"] = *details.ActualCost()
	}
	return found
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, 1<<20), 1<<26)
	for lines.Scan() {
		var asked question
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		out, _ := json.Marshal(answer(asked))
		fmt.Println(string(out))
	}
}
