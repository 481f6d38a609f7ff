// What Kueue refuses in a Configuration: texts in, the fields that it names out.
//
// It is built inside Kueue's own package, from a checkout with its vendor folder:
//
//	git clone https://github.com/kubernetes-sigs/kueue && cd kueue
//	git checkout ff69552e79ad21652c36caa97038382e55625cf7
//	rm pkg/config/*_test.go && cp .../tests/differential/go_kueue_config/oracle_test.go pkg/config/
//	go test -mod=vendor -c -o config-oracle ./pkg/config
//
// ORACLE_IN and ORACLE_OUT name the two files, one JSON value a line: a Configuration as an object.
package config

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"

	configapi "sigs.k8s.io/kueue/apis/config/v1beta2"
	"sigs.k8s.io/kueue/pkg/controller/jobframework"
	"sigs.k8s.io/kueue/pkg/controller/jobs"
	"sigs.k8s.io/kueue/pkg/features"
)

type oError struct {
	Type  string `json:"type"`
	Field string `json:"field"`
}
type oAnswer struct {
	Unreadable string   `json:"unreadable,omitempty"`
	Errors     []oError `json:"errors"`
}

func listed(errs field.ErrorList) []oError {
	found := []oError{}
	for _, err := range errs {
		found = append(found, oError{string(err.Type), err.Field})
	}
	return found
}

func answerOf(t *testing.T, text []byte) (answer oAnswer) {
	scheme, manager := runtime.NewScheme(), jobs.NewIntegrationManager()
	for _, add := range []func(*runtime.Scheme) error{configapi.AddToScheme, clientgoscheme.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	if err := manager.ForEachIntegration(func(_ string, cb jobframework.IntegrationCallbacks) error {
		if cb.AddToScheme != nil {
			return cb.AddToScheme(scheme)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	_, cfg, err := Load(scheme, path)
	if err != nil {
		answer.Unreadable = err.Error()
		return answer
	}
	features.SetFeatureGatesDuringTest(t, nil) // It takes back what is set below.
	answer.Errors = listed(LoadAndValidateFeatureGates("", cfg.FeatureGates))
	if len(answer.Errors) == 0 {
		answer.Errors = listed(Validate(&cfg, scheme, manager))
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
		text := append([]byte{}, lines.Bytes()...)
		t.Run("case", func(t *testing.T) {
			if err := encoder.Encode(answerOf(t, text)); err != nil {
				t.Fatal(err)
			}
		})
	}
}
