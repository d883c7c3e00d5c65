package main_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"
	"strconv"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	documents "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// kustomization is what a list of manifests may say.
type kustomization struct {
	metav1.TypeMeta
	Namespace string   `json:"namespace"`
	Resources []string `json:"resources"`
}

// blank returns an object of a kind that the manifests may have; nil: they may not.
func blank(kind metav1.TypeMeta) metav1.Object {
	switch kind.APIVersion + " " + kind.Kind {
	case "v1 Namespace":
		return &corev1.Namespace{}
	case "v1 ConfigMap":
		return &corev1.ConfigMap{}
	case "v1 Service":
		return &corev1.Service{}
	case "apps/v1 Deployment":
		return &appsv1.Deployment{}
	case "apps/v1 StatefulSet":
		return &appsv1.StatefulSet{}
	case "networking.k8s.io/v1 NetworkPolicy":
		return &networkingv1.NetworkPolicy{}
	case "policy/v1 PodDisruptionBudget":
		return &policyv1.PodDisruptionBudget{}
	}
	return nil
}

// manifests reads the objects of a file into the types of Kubernetes; a member that they
// do not have is an error.
func manifests(t *testing.T, name string) (all []metav1.Object) {
	t.Helper()
	reader := documents.NewYAMLReader(bufio.NewReader(bytes.NewReader(deployFile(t, name))))
	for {
		raw, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return all
		}
		var kind metav1.TypeMeta
		if err == nil {
			err = yaml.Unmarshal(raw, &kind)
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		o := blank(kind)
		if o == nil {
			t.Fatalf("%s: got %s of %s, want a kind that is known", name, kind.Kind, kind.APIVersion)
		}
		if err := yaml.UnmarshalStrict(raw, o); err != nil {
			t.Fatalf("%s: %s: %v", name, kind.Kind, err)
		}
		all = append(all, o)
	}
}

// The manifests are of the restricted standard, whole, and what they give our commands
// these take.
func TestKubernetesManifests(t *testing.T) {
	var list kustomization
	if err := yaml.UnmarshalStrict(deployFile(t, "kubernetes/kustomization.yaml"), &list); err != nil {
		t.Fatal(err)
	}
	var all []metav1.Object
	for _, name := range list.Resources {
		all = append(all, manifests(t, "kubernetes/"+name)...)
	}
	k := &cluster{t: t, configs: map[string]*corev1.ConfigMap{}, ports: map[string]map[string]string{}}
	for _, o := range all {
		if _, whole := o.(*corev1.Namespace); o.GetName() == "" || !whole && o.GetNamespace() != "tocsin" {
			t.Errorf("got %T %s in %q, want a name, in the namespace", o, o.GetName(), o.GetNamespace())
		}
		if c, ok := o.(*corev1.ConfigMap); ok {
			k.configs[c.Name] = c
		}
	}
	policies := map[string]bool{}
	for _, o := range all {
		switch o := o.(type) {
		case *appsv1.Deployment:
			k.workload(o.Name, o.Spec.Selector, o.Spec.Template, nil)
		case *appsv1.StatefulSet:
			k.workload(o.Name, o.Spec.Selector, o.Spec.Template, o.Spec.VolumeClaimTemplates)
		case *networkingv1.NetworkPolicy:
			policies[o.Spec.PodSelector.MatchLabels["app"]] = true
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
		if s, ok := o.(*corev1.Service); ok {
			for _, port := range s.Spec.Ports {
				if k.ports[s.Spec.Selector["app"]][port.TargetPort.StrVal] == "" {
					t.Errorf("the service %s: got the port %s, which %s has not", s.Name, port.TargetPort.String(), s.Spec.Selector["app"])
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
	configs map[string]*corev1.ConfigMap
	ports   map[string]map[string]string // of an app, by name
}

// outside are config maps that are made of files of docs/deploy (kubernetes.md).
func outside() []string { return []string{"prometheus-rules", "grafana-dashboard"} }

func (k *cluster) workload(name string, selector *metav1.LabelSelector, template corev1.PodTemplateSpec, claims []corev1.PersistentVolumeClaim) {
	p := template.Spec
	if selector.MatchLabels["app"] != name || template.Labels["app"] != name {
		k.t.Errorf("%s: got labels %v and the selector %v, want its app", name, template.Labels, selector)
	}
	if sc := p.SecurityContext; sc == nil || !is(sc.RunAsNonRoot) || !is(sc.RunAsUser) || !is(sc.RunAsGroup) ||
		sc.SeccompProfile == nil || sc.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault || p.AutomountServiceAccountToken == nil || *p.AutomountServiceAccountToken {
		k.t.Errorf("%s: got %+v, want nobody's user, without a token of the cluster", name, sc)
	}
	volumes := map[string]corev1.Volume{}
	for _, v := range p.Volumes {
		volumes[v.Name] = v
	}
	for _, claim := range claims {
		volumes[claim.Name] = corev1.Volume{}
	}
	k.ports[name] = map[string]string{}
	for _, c := range p.Containers {
		k.container(name, c, volumes)
	}
}

// is reports whether what may be left out is there, and is not zero.
func is[T comparable](value *T) bool {
	var zero T
	return value != nil && *value != zero
}

func (k *cluster) container(app string, c corev1.Container, volumes map[string]corev1.Volume) {
	t := k.t
	if sc := c.SecurityContext; !pinned.MatchString(c.Image) || sc == nil || sc.AllowPrivilegeEscalation == nil || *sc.AllowPrivilegeEscalation ||
		!is(sc.ReadOnlyRootFilesystem) || sc.Capabilities == nil || !slices.Equal(sc.Capabilities.Drop, []corev1.Capability{"ALL"}) {
		t.Errorf("%s: got %s with %+v, want a pinned image, a read-only root, no capability", app, c.Image, sc)
	}
	if c.ReadinessProbe == nil || c.LivenessProbe == nil || c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() {
		t.Errorf("%s: got no probes or no bounds, want both", app)
	}
	d := deployed{args: c.Args}
	for _, port := range c.Ports {
		number := strconv.Itoa(int(port.ContainerPort))
		k.ports[app][port.Name] = number
		d.ports = append(d.ports, number)
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
			if !mount.ReadOnly || !is(v.Secret.DefaultMode) || *v.Secret.DefaultMode&0o337 != 0 {
				t.Errorf("%s: got the secret %s with mode %v, want it read-only and for user and group alone", app, mount.Name, v.Secret.DefaultMode)
			}
		case v.ConfigMap != nil:
			config, ok := k.configs[v.ConfigMap.Name]
			if !ok && !slices.Contains(outside(), v.ConfigMap.Name) {
				t.Errorf("%s: got the config map %s, which there is not", app, v.ConfigMap.Name)
			}
			if ok {
				for _, text := range config.Data {
					d.config += text
				}
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
