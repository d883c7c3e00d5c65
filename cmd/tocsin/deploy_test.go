package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	main "github.com/tocsin-ssf/tocsin/cmd/tocsin"
)

// pinned is the name of an image with the tag of one version.
var pinned = regexp.MustCompile(`^[a-z0-9./-]+:v?[0-9]+\.[0-9]+\.[0-9]+(-alpine)?$`)

// strictly reads all documents of a file into values that make gives; a key that they do
// not have is an error.
func strictly[T any](t *testing.T, raw []byte) (all []T) {
	t.Helper()
	d := yaml.NewDecoder(bytes.NewReader(raw))
	d.KnownFields(true)
	for {
		var one T
		err := d.Decode(&one)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
}

// deployFile reads a file of docs/deploy.
func deployFile(t *testing.T, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, "docs/deploy", name))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// deployed is what a container of ours is given: its command line, the text of its
// configuration, and where secrets are mounted.
type deployed struct {
	args    []string
	config  string
	secrets []string // paths, or folders
	ports   []string // that lead to it
	mounts  []string
}

var secretPath = regexp.MustCompile(`/run/secrets/[A-Za-z0-9_./-]+`)

// check fails unless the command line parses, its configuration is taken, and all files,
// folders and ports that it names are there.
func (d deployed) check(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	text := secretPath.ReplaceAllStringFunc(d.config, func(path string) string {
		if !slices.ContainsFunc(d.secrets, func(mount string) bool { return path == mount || strings.HasPrefix(path, mount+"/") }) {
			t.Errorf("got %s in a configuration, want it mounted: %q", path, d.secrets)
		}
		name := filepath.Join(dir, strings.ReplaceAll(strings.TrimPrefix(path, "/run/secrets/"), "/", "-"))
		if err := os.WriteFile(name, []byte(strings.Repeat("x", 32)), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	})
	file := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	args := slices.Clone(d.args)
	i := slices.Index(args, "--config")
	if i < 0 || i+1 >= len(args) || !slices.ContainsFunc(d.mounts, func(m string) bool { return args[i+1] == m || filepath.Dir(args[i+1]) == m }) {
		t.Fatalf("got %q, want --config of a file that is mounted: %q", args, d.mounts)
	}
	args[i+1] = file
	if command, _ := main.Parse(args); command == nil {
		t.Errorf("got a command line or a configuration that is wrong: %q\n%s", args, text)
	}
	if args[0] == "receive" {
		var out, errOut bytes.Buffer
		if code := main.Run(t.Context(), []string{"receive", "check", "--config", file}, nil, strings.NewReader(""), &out, &errOut); code != 0 {
			t.Errorf("got exit code %d and %s, want a configuration that is taken", code, &errOut)
		}
	}
	var settings map[string]any
	if err := yaml.Unmarshal([]byte(d.config), &settings); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"listen", "admin-listen", "admin_listen"} {
		if address, ok := settings[key].(string); ok {
			host, port, err := net.SplitHostPort(address)
			if err != nil || host != "0.0.0.0" || !slices.Contains(d.ports, port) {
				t.Errorf("%s: got %s (%v), want one of the ports that lead to it, %q", key, address, err, d.ports)
			}
		}
	}
	data, _ := settings["data"].(string)
	if !slices.ContainsFunc(d.mounts, func(m string) bool { return data == m || strings.HasPrefix(data, m+"/") }) {
		t.Errorf("got the data folder %s, want it mounted: %q", data, d.mounts)
	}
}

type compose struct {
	Name     string
	Hardened composeService `yaml:"x-hardened"`
	Services map[string]composeService
	Networks map[string]struct{ Internal bool }
	Volumes  map[string]struct{}
	Configs  map[string]struct{ File string }
	Secrets  map[string]struct{ File string }
}

type composeService struct {
	Image       string
	Build       *struct{ Context string }
	User        string
	Command     []string
	ReadOnly    bool     `yaml:"read_only"`
	CapDrop     []string `yaml:"cap_drop"`
	SecurityOpt []string `yaml:"security_opt"`
	Restart     string
	PidsLimit   int `yaml:"pids_limit"`
	Environment map[string]string
	Configs     []struct{ Source, Target string }
	Secrets     []string
	Volumes     []string
	Tmpfs       []string
	Ports       []string
	Networks    []string
	DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
	Stop        string                                `yaml:"stop_grace_period"`
	Healthcheck *struct {
		Test              []string
		Interval, Timeout string
		Start             string `yaml:"start_period"`
	}
}

// docs/deploy/compose.yaml is hardened throughout, and what it gives our commands they
// take.
func TestComposeFile(t *testing.T) {
	file := strictly[compose](t, deployFile(t, "compose.yaml"))[0]
	if len(file.Services) != 5 {
		t.Errorf("got %d services, want five", len(file.Services))
	}
	targets := string(deployFile(t, "compose/prometheus.yml"))
	for name, s := range file.Services {
		if !pinned.MatchString(s.Image) || !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") ||
			s.User == "" || strings.HasPrefix(s.User, "0") || s.PidsLimit == 0 {
			t.Errorf("%s: got %+v, want a pinned image, a read-only root, no capability, no root", name, s)
		}
		for _, secret := range s.Secrets {
			if file.Secrets[secret].File == "" {
				t.Errorf("%s: got the secret %s, which there is not", name, secret)
			}
		}
		d := deployed{args: s.Command}
		for _, c := range s.Configs {
			d.mounts = append(d.mounts, c.Target)
			raw := deployFile(t, file.Configs[c.Source].File)
			if strings.HasPrefix(c.Target, "/etc/tocsin/") {
				d.config = string(raw)
			}
		}
		for _, secret := range s.Secrets {
			d.secrets = append(d.secrets, "/run/secrets/"+secret)
		}
		for _, volume := range s.Volumes {
			from, to, _ := strings.Cut(volume, ":")
			if _, ok := file.Volumes[from]; !ok {
				t.Errorf("%s: got the volume %s, which there is not", name, from)
			}
			d.mounts = append(d.mounts, to)
		}
		if name != "transmitter" && name != "receiver" {
			continue
		}
		for _, port := range s.Ports {
			_, inside, _ := strings.Cut(port, ":")
			d.ports = append(d.ports, inside)
		}
		if _, port, ok := strings.Cut(targets, name+":"); ok {
			d.ports = append(d.ports, port[:4])
		}
		d.check(t)
		if s.Healthcheck == nil || len(s.Healthcheck.Test) < 3 {
			t.Errorf("%s: got no health check", name)
			continue
		}
		health(t, s.Healthcheck.Test[1:])
	}
	for _, path := range secretPath.FindAllString(targets, -1) {
		if !slices.Contains(file.Services["prometheus"].Secrets, filepath.Base(path)) {
			t.Errorf("Prometheus: got %s, which is not mounted", path)
		}
	}
}

// health fails unless a probe is a command of ours.
func health(t *testing.T, command []string) {
	t.Helper()
	parsed, _ := main.Parse(command[1:])
	if command[0] != "/usr/bin/tocsin" || parsed == nil || parsed.Selected().Path() != "health" {
		t.Errorf("got the probe %q, want tocsin health", command)
	}
}

// Commands in the pages about deploying are ones that the parser takes.
func TestDeployCommands(t *testing.T) {
	for _, page := range []string{"compose.md", "kubernetes.md"} {
		found := 0
		for line := range strings.Lines(string(deployFile(t, page))) {
			if _, rest, ok := strings.Cut(strings.TrimSpace(strings.ReplaceAll(line, "`", " ")), "/usr/bin/tocsin "); ok {
				rest, _, _ = strings.Cut(rest, ", and")
				rest, _, _ = strings.Cut(rest, " ;")
				rest = strings.ReplaceAll(rest, "--config /etc/tocsin/serve.yaml", "")
				if command, _ := main.Parse(split(t, strings.TrimSpace(rest))); command == nil {
					t.Errorf("%s: got a line that is wrong usage: tocsin %s", page, rest)
				}
				found++
			}
		}
		if found < 3 {
			t.Errorf("%s: got %d commands, want them", page, found)
		}
	}
}

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
		if path := secretPath.FindString(text.Value); path != "" && !slices.Contains(d.secrets, filepath.Dir(path)) {
			t.Errorf("%s: got %s, which is not mounted", app, path)
		}
	}
	if app == "transmitter" || app == "receiver" {
		d.check(t)
		health(t, c.ReadinessProbe.Exec.Command)
		health(t, c.StartupProbe.Exec.Command)
	}
}
