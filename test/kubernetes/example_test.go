package kubernetes

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"gopkg.in/yaml.v3"

	"pagegate/internal/config"
)

// workload is what is looked at of a Deployment or StatefulSet; the schemas have checked that nothing is misspelt.
type workload struct {
	Kind     string
	Metadata struct{ Name string }
	Spec     struct {
		Replicas int
		Selector struct {
			MatchLabels map[string]string `yaml:"matchLabels"`
		}
		Template struct {
			Metadata struct{ Labels map[string]string }
			Spec     struct {
				SecurityContext struct {
					RunAsNonRoot   bool                  `yaml:"runAsNonRoot"`
					SeccompProfile struct{ Type string } `yaml:"seccompProfile"`
				} `yaml:"securityContext"`
				Containers []container
			}
		}
	}
}

type container struct {
	Name            string
	Ports           []struct{ Name string }
	ReadinessProbe  probe `yaml:"readinessProbe"`
	LivenessProbe   probe `yaml:"livenessProbe"`
	Resources       struct{ Limits map[string]string }
	SecurityContext struct {
		AllowPrivilegeEscalation *bool `yaml:"allowPrivilegeEscalation"`
		ReadOnlyRootFilesystem   bool  `yaml:"readOnlyRootFilesystem"`
		Capabilities             struct{ Drop []string }
	} `yaml:"securityContext"`
}

type probe struct {
	HTTPGet struct{ Path, Port string } `yaml:"httpGet"`
	TCP     struct{ Port string }       `yaml:"tcpSocket"`
}

// The pods meet Kubernetes' "restricted" standard, have a bound of memory, and probe ports that they have.
func TestPodsAreRestricted(t *testing.T) {
	seen := 0
	for _, file := range files(t) {
		for _, o := range objects(t, file) {
			if kind := o["kind"]; kind != "Deployment" && kind != "StatefulSet" {
				continue
			}
			seen++
			var w workload
			into(t, o, &w)
			pod := w.Spec.Template.Spec
			for key, value := range w.Spec.Selector.MatchLabels {
				if w.Spec.Template.Metadata.Labels[key] != value {
					t.Errorf("%s: the selector's label %s is not the pods'", w.Metadata.Name, key)
				}
			}
			if !pod.SecurityContext.RunAsNonRoot || pod.SecurityContext.SeccompProfile.Type != "RuntimeDefault" {
				t.Errorf("%s: the pod is not restricted: %+v", w.Metadata.Name, pod.SecurityContext)
			}
			for _, c := range pod.Containers {
				checkContainer(t, c)
			}
		}
	}
	if seen != 3 {
		t.Errorf("%d workloads, want 3", seen)
	}
}

func checkContainer(t *testing.T, c container) {
	t.Helper()
	sc := c.SecurityContext
	if sc.AllowPrivilegeEscalation == nil || *sc.AllowPrivilegeEscalation || !sc.ReadOnlyRootFilesystem || !slices.Equal(sc.Capabilities.Drop, []string{"ALL"}) {
		t.Errorf("%s: not restricted: %+v", c.Name, sc)
	}
	if c.Resources.Limits["memory"] == "" {
		t.Errorf("%s: no bound of memory", c.Name)
	}
	for _, p := range []probe{c.ReadinessProbe, c.LivenessProbe} {
		port := p.HTTPGet.Port + p.TCP.Port
		if !slices.ContainsFunc(c.Ports, func(has struct{ Name string }) bool { return has.Name == port }) {
			t.Errorf("%s: a probe asks port %q, which the container does not name", c.Name, port)
		}
	}
}

// The programs take the configuration, and it names each cache server that the StatefulSet starts.
func TestTheProgramsTakeTheConfiguration(t *testing.T) {
	var cm struct{ Data map[string]string }
	into(t, objects(t, folder+"/configmap.yaml")[0], &cm)
	var w workload
	for _, o := range objects(t, folder+"/cacheserver.yaml") {
		if o["kind"] == "StatefulSet" {
			into(t, o, &w)
		}
	}
	var servers []string
	for i := range w.Spec.Replicas {
		servers = append(servers, fmt.Sprintf("%[1]s-%[2]d.%[1]s:11211", w.Metadata.Name, i))
	}
	for _, p := range []config.Program{config.Filler, config.Gateway} {
		file := filepath.Join(t.TempDir(), string(p)+".yaml")
		if err := os.WriteFile(file, []byte(cm.Data[string(p)+".yaml"]), 0o644); err != nil {
			t.Fatal(err)
		}
		cmd, err := config.Parse(p, []string{"--config", file}, new(bytes.Buffer))
		if err != nil {
			t.Error(err)
		} else if !slices.Equal(cmd.Config.Cache.Servers, servers) || len(servers) == 0 {
			t.Errorf("%s: cache servers %v, want %v", p, cmd.Config.Cache.Servers, servers)
		}
	}
}

func TestKustomizationNamesAllFiles(t *testing.T) {
	text, err := os.ReadFile(folder + "/kustomization.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var k struct{ Resources []string }
	if err := yaml.Unmarshal(text, &k); err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, file := range files(t) {
		want = append(want, filepath.Base(file))
	}
	slices.Sort(k.Resources)
	if !slices.Equal(k.Resources, want) {
		t.Errorf("resources %v, want %v", k.Resources, want)
	}
}

func into(t *testing.T, o map[string]any, to any) {
	t.Helper()
	text, err := yaml.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, to); err != nil {
		t.Fatal(err)
	}
}
