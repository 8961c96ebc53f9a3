// Package kubernetes checks the example in configs/kubernetes against Kubernetes' own schemas, which the module pinned in
// schemas.mod carries, and against the programs.
package kubernetes

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"
)

// folder is what is checked; release is the Kubernetes whose schemas are taken.
const (
	folder  = "../../configs/kubernetes"
	release = "1.30"
)

// schemas validates objects of the API. It is for one goroutine.
type schemas struct {
	dir      string
	compiler *jsonschema.Compiler
	byKind   map[string]*jsonschema.Schema // by apiVersion and kind
}

// openSchemas finds the schemas in the module cache, where the Go tool puts them if they are not there.
func openSchemas(t *testing.T) *schemas {
	t.Helper()
	out, err := exec.Command("go", "mod", "download", "-modfile=schemas.mod", "-json", "sigs.k8s.io/kubectl-validate").Output()
	if err != nil {
		t.Fatalf("go mod download: %v: %s", err, out)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		t.Fatal(err)
	}
	return &schemas{filepath.Join(module.Dir, "pkg/openapiclient/builtins", release), jsonschema.NewCompiler(), make(map[string]*jsonschema.Schema)}
}

// validate tells what is wrong with an object.
func (s *schemas) validate(o map[string]any) error {
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	schema, err := s.schema(fmt.Sprint(o["apiVersion"]), fmt.Sprint(o["kind"]))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

func (s *schemas) schema(apiVersion, kind string) (*jsonschema.Schema, error) {
	if schema := s.byKind[apiVersion+" "+kind]; schema != nil {
		return schema, nil
	}
	file := "api/" + apiVersion + ".json"
	if strings.Contains(apiVersion, "/") {
		file = "apis/" + apiVersion + ".json"
	}
	text, err := os.ReadFile(filepath.Join(s.dir, file))
	if err != nil {
		return nil, fmt.Errorf("apiVersion %s is not Kubernetes %s's: %w", apiVersion, release, err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	all := doc.(map[string]any)["components"].(map[string]any)["schemas"].(map[string]any)
	name := find(all, apiVersion, kind)
	if name == "" {
		return nil, fmt.Errorf("%s has no kind %s", apiVersion, kind)
	}
	for _, schema := range all {
		closeObjects(schema)
	}
	url := "file:///" + file
	if err := s.compiler.AddResource(url, doc); err != nil && !errors.As(err, new(*jsonschema.ResourceExistsError)) {
		return nil, err
	}
	schema, err := s.compiler.Compile(url + "#/components/schemas/" + name)
	s.byKind[apiVersion+" "+kind] = schema
	return schema, err
}

// find returns the name of a kind's schema.
func find(all map[string]any, apiVersion, kind string) string {
	group, version, ok := strings.Cut(apiVersion, "/")
	if !ok {
		group, version = "", apiVersion
	}
	for name, schema := range all {
		kinds, _ := schema.(map[string]any)["x-kubernetes-group-version-kind"].([]any)
		for _, k := range kinds {
			k := k.(map[string]any)
			if len(kinds) == 1 && k["group"] == group && k["version"] == version && k["kind"] == kind {
				return name
			}
		}
	}
	return ""
}

// closeObjects makes unknown fields an error, as a server does that is asked for strict validation: by themselves the schemas
// allow them.
func closeObjects(schema any) {
	m, ok := schema.(map[string]any)
	if !ok {
		return
	}
	if _, has := m["properties"]; has && m["additionalProperties"] == nil && m["x-kubernetes-preserve-unknown-fields"] == nil {
		m["additionalProperties"] = false
	}
	properties, _ := m["properties"].(map[string]any)
	for _, p := range properties {
		closeObjects(p)
	}
	closeObjects(m["items"])
	closeObjects(m["additionalProperties"])
}

// objects reads a file's YAML documents.
func objects(t *testing.T, file string) (all []map[string]any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var o map[string]any
		if err := dec.Decode(&o); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all = append(all, o)
	}
}

// files are those with objects of the API.
func files(t *testing.T) (all []string) {
	t.Helper()
	matches, err := filepath.Glob(folder + "/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range matches {
		if filepath.Base(file) != "kustomization.yaml" {
			all = append(all, file)
		}
	}
	if len(all) == 0 {
		t.Fatal("no files")
	}
	return all
}

func TestTheExampleIsValid(t *testing.T) {
	s := openSchemas(t)
	for _, file := range files(t) {
		for _, o := range objects(t, file) {
			if err := s.validate(o); err != nil {
				t.Errorf("%s: %v: %v", file, o["kind"], err)
			}
		}
	}
}

// What the check is worth: each of these mistakes must be found.
func TestMistakesAreFound(t *testing.T) {
	s := openSchemas(t)
	for _, tt := range []struct{ name, file, from, to, want string }{
		{"a misspelt field", "filler.yaml", "readinessProbe:", "readynessProbe:", "readynessProbe"},
		{"a misspelt field deep inside", "cacheserver.yaml", "readOnlyRootFilesystem:", "readOnlyRootFileSystem:", "readOnlyRootFileSystem"},
		{"a wrong type", "gateway.yaml", "replicas: 2", "replicas: two", "replicas"},
		{"a field that is missing", "cacheserver.yaml", "serviceName: pagegate-cacheserver", "revisionHistoryLimit: 3", "serviceName"},
		{"an unknown kind", "networkpolicy.yaml", "kind: NetworkPolicy", "kind: NetworkPolice", "NetworkPolice"},
		{"an unknown version", "cacheserver.yaml", "apiVersion: policy/v1", "apiVersion: policy/v0", "policy/v0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join(folder, tt.file))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(text), tt.from) {
				t.Fatalf("%s has no %q", tt.file, tt.from)
			}
			bad := filepath.Join(t.TempDir(), tt.file)
			if err := os.WriteFile(bad, []byte(strings.Replace(string(text), tt.from, tt.to, 1)), 0o644); err != nil {
				t.Fatal(err)
			}
			var errs error
			for _, o := range objects(t, bad) {
				errs = errors.Join(errs, s.validate(o))
			}
			if errs == nil || !strings.Contains(errs.Error(), tt.want) {
				t.Errorf("want an error about %s, got %v", tt.want, errs)
			}
		})
	}
}
