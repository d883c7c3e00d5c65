package main_test

import (
	"fmt"
	"slices"
	"testing"

	"go.yaml.in/yaml/v3"
)

// object is one of Kubernetes, in the shapes that the manifests need.
type object struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   meta
	Data       map[string]string
	Spec       yaml.Node
}

type meta struct {
	Name, Namespace string
	Labels          map[string]string
}

type selector struct {
	MatchLabels map[string]string `yaml:"matchLabels"`
}

type workload struct {
	ServiceName string `yaml:"serviceName"`
	Replicas    int
	Selector    selector
	Strategy    *struct {
		Type          string
		RollingUpdate *struct {
			MaxUnavailable int `yaml:"maxUnavailable"`
			MaxSurge       int `yaml:"maxSurge"`
		} `yaml:"rollingUpdate"`
	}
	Template struct {
		Metadata meta
		Spec     pod
	}
	VolumeClaimTemplates []struct {
		Metadata meta
		Spec     struct {
			AccessModes []string `yaml:"accessModes"`
			Resources   resources
		}
	} `yaml:"volumeClaimTemplates"`
}

type resources struct{ Requests, Limits map[string]string }

type pod struct {
	AutomountServiceAccountToken  *bool `yaml:"automountServiceAccountToken"`
	TerminationGracePeriodSeconds int   `yaml:"terminationGracePeriodSeconds"`
	SecurityContext               struct {
		RunAsNonRoot   bool                  `yaml:"runAsNonRoot"`
		RunAsUser      int                   `yaml:"runAsUser"`
		RunAsGroup     int                   `yaml:"runAsGroup"`
		FSGroup        int                   `yaml:"fsGroup"`
		SeccompProfile struct{ Type string } `yaml:"seccompProfile"`
	} `yaml:"securityContext"`
	TopologySpreadConstraints []struct {
		MaxSkew           int      `yaml:"maxSkew"`
		TopologyKey       string   `yaml:"topologyKey"`
		WhenUnsatisfiable string   `yaml:"whenUnsatisfiable"`
		LabelSelector     selector `yaml:"labelSelector"`
	} `yaml:"topologySpreadConstraints"`
	Containers []container
	Volumes    []volume
}

type container struct {
	Name, Image   string
	Command, Args []string
	Ports         []struct {
		Name          string
		ContainerPort int `yaml:"containerPort"`
	}
	SecurityContext struct {
		AllowPrivilegeEscalation *bool `yaml:"allowPrivilegeEscalation"`
		ReadOnlyRootFilesystem   bool  `yaml:"readOnlyRootFilesystem"`
		Capabilities             struct{ Drop []string }
	} `yaml:"securityContext"`
	Resources      resources
	StartupProbe   *probe `yaml:"startupProbe"`
	ReadinessProbe *probe `yaml:"readinessProbe"`
	LivenessProbe  *probe `yaml:"livenessProbe"`
	Env            []struct{ Name, Value string }
	VolumeMounts   []struct {
		Name      string
		MountPath string `yaml:"mountPath"`
		SubPath   string `yaml:"subPath"`
		ReadOnly  bool   `yaml:"readOnly"`
	} `yaml:"volumeMounts"`
}

type probe struct {
	Exec      *struct{ Command []string }
	HTTPGet   *struct{ Path, Port, Scheme string } `yaml:"httpGet"`
	TCPSocket *struct{ Port string }               `yaml:"tcpSocket"`
	Period    int                                  `yaml:"periodSeconds"`
	Timeout   int                                  `yaml:"timeoutSeconds"`
	Failures  int                                  `yaml:"failureThreshold"`
}

type volume struct {
	Name     string
	EmptyDir *struct {
		SizeLimit string `yaml:"sizeLimit"`
	} `yaml:"emptyDir"`
	ConfigMap *struct{ Name string } `yaml:"configMap"`
	Secret    *struct {
		SecretName  string `yaml:"secretName"`
		DefaultMode int    `yaml:"defaultMode"`
	}
	Projected *struct {
		Sources []struct {
			ConfigMap struct{ Name string } `yaml:"configMap"`
		}
	}
}

type service struct {
	ClusterIP string `yaml:"clusterIP"`
	Selector  map[string]string
	Ports     []struct {
		Name       string
		Port       int
		TargetPort string `yaml:"targetPort"`
	}
}

type networkPolicy struct {
	PodSelector     selector `yaml:"podSelector"`
	PolicyTypes     []string `yaml:"policyTypes"`
	Ingress, Egress []struct {
		From, To []struct {
			PodSelector selector `yaml:"podSelector"`
		}
		Ports []struct{ Port, Protocol string }
	}
}

type budget struct {
	MinAvailable int `yaml:"minAvailable"`
	Selector     selector
}

type kustomization struct {
	APIVersion      string `yaml:"apiVersion"`
	Kind, Namespace string
	Resources       []string
}

// spec decodes the spec of an object strictly.
func spec[T any](t *testing.T, o object) T {
	t.Helper()
	raw, err := yaml.Marshal(&o.Spec)
	if err != nil {
		t.Fatal(err)
	}
	return strictly[T](t, raw)[0]
}

// The manifests are of the restricted standard, whole, and what they give our commands
// these take.
func TestKubernetesManifests(t *testing.T) {
	list := strictly[kustomization](t, deployFile(t, "kubernetes/kustomization.yaml"))[0]
	var all []object
	for _, name := range list.Resources {
		all = append(all, strictly[object](t, deployFile(t, "kubernetes/"+name))...)
	}
	k := &cluster{t: t, configs: map[string]object{}, ports: map[string]map[string]string{}}
	for _, o := range all {
		if o.Metadata.Name == "" || o.Kind != "Namespace" && o.Metadata.Namespace != "tocsin" {
			t.Errorf("got %+v, want a name, in the namespace", o.Metadata)
		}
		if o.Kind == "ConfigMap" {
			k.configs[o.Metadata.Name] = o
		}
	}
	policies := map[string]bool{}
	for _, o := range all {
		switch want := map[string]string{
			"Namespace": "v1", "ConfigMap": "v1", "Service": "v1", "Deployment": "apps/v1", "StatefulSet": "apps/v1",
			"NetworkPolicy": "networking.k8s.io/v1", "PodDisruptionBudget": "policy/v1",
		}[o.Kind]; {
		case want == "" || o.APIVersion != want:
			t.Errorf("got %s of %s, want %q", o.Kind, o.APIVersion, want)
		case o.Kind == "Deployment" || o.Kind == "StatefulSet":
			k.workload(o)
		case o.Kind == "NetworkPolicy":
			policies[spec[networkPolicy](t, o).PodSelector.MatchLabels["app"]] = true
		case o.Kind == "PodDisruptionBudget":
			spec[budget](t, o)
		}
	}
	for app, named := range k.ports {
		if !policies[app] {
			t.Errorf("%s: got no network policy, want one", app)
		}
		if len(named) == 0 {
			t.Errorf("%s: got no port", app)
		}
	}
	for _, o := range all {
		if o.Kind == "Service" {
			s := spec[service](t, o)
			for _, port := range s.Ports {
				if k.ports[s.Selector["app"]][port.TargetPort] == "" {
					t.Errorf("the service %s: got the port %s, which %s has not", o.Metadata.Name, port.TargetPort, s.Selector["app"])
				}
			}
		}
	}
	if len(k.ports) != 5 || !policies[""] {
		t.Errorf("got workloads %v, want five, and a policy for all", k.ports)
	}
}

type cluster struct {
	t       *testing.T
	configs map[string]object
	ports   map[string]map[string]string // of an app, by name
}

// outside are config maps that are made of files of docs/deploy (kubernetes.md).
func outside() []string { return []string{"prometheus-rules", "grafana-dashboard"} }

func (k *cluster) workload(o object) {
	w := spec[workload](k.t, o)
	name, p := o.Metadata.Name, w.Template.Spec
	if w.Selector.MatchLabels["app"] != name || w.Template.Metadata.Labels["app"] != name {
		k.t.Errorf("%s: got labels %v and the selector %v, want its app", name, w.Template.Metadata.Labels, w.Selector)
	}
	sc := p.SecurityContext
	if !sc.RunAsNonRoot || sc.RunAsUser == 0 || sc.RunAsGroup == 0 || sc.SeccompProfile.Type != "RuntimeDefault" || p.AutomountServiceAccountToken == nil || *p.AutomountServiceAccountToken {
		k.t.Errorf("%s: got %+v, want nobody's user, without a token of the cluster", name, sc)
	}
	volumes := map[string]volume{}
	for _, v := range p.Volumes {
		volumes[v.Name] = v
	}
	for _, claim := range w.VolumeClaimTemplates {
		volumes[claim.Metadata.Name] = volume{}
	}
	k.ports[name] = map[string]string{}
	for _, c := range p.Containers {
		k.container(name, c, volumes)
	}
}

func (k *cluster) container(app string, c container, volumes map[string]volume) {
	t := k.t
	sc := c.SecurityContext
	if !pinned.MatchString(c.Image) || sc.AllowPrivilegeEscalation == nil || *sc.AllowPrivilegeEscalation || !sc.ReadOnlyRootFilesystem || !slices.Equal(sc.Capabilities.Drop, []string{"ALL"}) {
		t.Errorf("%s: got %s with %+v, want a pinned image, a read-only root, no capability", app, c.Image, sc)
	}
	if c.ReadinessProbe == nil || c.LivenessProbe == nil || c.Resources.Limits["memory"] == "" || c.Resources.Requests["cpu"] == "" {
		t.Errorf("%s: got no probes or no bounds, want both", app)
	}
	d := deployed{args: c.Args}
	for _, port := range c.Ports {
		k.ports[app][port.Name] = fmt.Sprint(port.ContainerPort)
		d.ports = append(d.ports, fmt.Sprint(port.ContainerPort))
	}
	for _, mount := range c.VolumeMounts {
		v, ok := volumes[mount.Name]
		if !ok {
			t.Errorf("%s: got a mount of %s, which there is not", app, mount.Name)
		}
		d.mounts = append(d.mounts, mount.MountPath)
		switch {
		case v.Secret != nil:
			d.secrets = append(d.secrets, mount.MountPath)
			if !mount.ReadOnly || v.Secret.DefaultMode == 0 || v.Secret.DefaultMode&0o337 != 0 {
				t.Errorf("%s: got the secret %s with mode %#o, want it read-only and for user and group alone", app, mount.Name, v.Secret.DefaultMode)
			}
		case v.ConfigMap != nil:
			config, ok := k.configs[v.ConfigMap.Name]
			if !ok && !slices.Contains(outside(), v.ConfigMap.Name) {
				t.Errorf("%s: got the config map %s, which there is not", app, v.ConfigMap.Name)
			}
			for _, text := range config.Data {
				d.config += text
			}
		}
	}
	for _, text := range c.Env {
		byFile(t, app, text.Name, text.Value, d.secrets)
	}
	if app == "transmitter" || app == "receiver" {
		d.check(t)
		health(t, c.ReadinessProbe.Exec.Command)
		health(t, c.StartupProbe.Exec.Command)
	}
}
