// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// engine is a warrend of the test's own under a temporary root.
type engine struct {
	t       *testing.T
	root    string
	process *exec.Cmd
	conn    *grpc.ClientConn
	runtime cri.RuntimeServiceClient
	images  cri.ImageServiceClient
}

func bin(name string) string {
	path, _ := filepath.Abs(filepath.Join("..", "..", "build", "bin", name))
	return path
}

func example(name string) string {
	path, _ := filepath.Abs(filepath.Join("..", "..", "build", "examples", name))
	return path
}

func (e *engine) socket() string { return filepath.Join(e.root, "run", "warren.sock") }

// start begins (or, after a kill, begins again) the engine on its root.
func (e *engine) start() {
	e.t.Helper()
	log, err := os.OpenFile(filepath.Join(e.root, "warrend.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		e.t.Fatal(err)
	}
	defer log.Close()
	e.process = exec.Command(bin("warrend"), "--config-file", filepath.Join(e.root, "daemon.json"),
		"--data-root", filepath.Join(e.root, "data"), "--exec-root", filepath.Join(e.root, "run"))
	e.process.Stdout, e.process.Stderr = log, log
	if err := e.process.Start(); err != nil {
		e.t.Fatalf("start warrend: %v", err)
	}
	e.connect()
}

func (e *engine) connect() {
	e.t.Helper()
	if e.conn != nil {
		e.conn.Close()
	}
	conn, err := grpc.NewClient("unix://"+e.socket(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(16<<20)))
	if err != nil {
		e.t.Fatal(err)
	}
	e.conn, e.runtime, e.images = conn, cri.NewRuntimeServiceClient(conn), cri.NewImageServiceClient(conn)
	e.eventually("the engine is ready", 20*time.Second, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		s, err := e.runtime.Status(ctx, &cri.StatusRequest{})
		if err != nil {
			return err
		}
		for _, c := range s.Status.Conditions {
			if !c.Status {
				return fmt.Errorf("%s: %s %s", c.Type, c.Reason, c.Message)
			}
		}
		return nil
	})
}

// kill ends the engine as kill -9 does.
func (e *engine) kill() {
	e.process.Process.Kill()
	e.process.Wait()
}

func (e *engine) eventually(what string, within time.Duration, check func() error) {
	e.t.Helper()
	deadline := time.Now().Add(within)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(e.root, "warrend.log"))
			if len(log) > 4000 {
				log = log[len(log)-4000:]
			}
			e.t.Fatalf("%s: not within %v: %v\nwarrend.log:\n%s", what, within, err, log)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// warren runs our CLI against the engine.
func (e *engine) warren(args ...string) string {
	e.t.Helper()
	out, err := exec.Command(bin("warren"), append([]string{"-H", "unix://" + e.socket()}, args...)...).CombinedOutput()
	if err != nil {
		e.t.Fatalf("warren %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// pods lists all of them, by the streaming call.
func (e *engine) pods(ctx context.Context) (all []*cri.PodSandbox, err error) {
	stream, err := e.runtime.StreamPodSandboxes(ctx, &cri.StreamPodSandboxesRequest{})
	for err == nil {
		var part *cri.StreamPodSandboxesResponse
		if part, err = stream.Recv(); err == nil {
			all = append(all, part.PodSandboxes...)
		}
	}
	if err == io.EOF {
		err = nil
	}
	return all, err
}

// newEngine starts an engine with the two example images and ends it, and checks that it left nothing, at the test's end.
func newEngine(t *testing.T) *engine {
	t.Helper()
	if _, err := os.Stat(bin("warrend")); err != nil {
		t.Skipf("build/bin/warrend is not built: %v", err)
	}
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	root, err := os.MkdirTemp(cmp.Or(os.Getenv("WARREN_TEST_TMP"), "/tmp"), "warren-go.")
	if err != nil {
		t.Fatal(err)
	}
	e := &engine{t: t, root: root}
	os.WriteFile(filepath.Join(root, "daemon.json"), []byte("{}"), 0o600)
	t.Cleanup(e.finish)
	e.start()
	e.warren("build", "-q", "-t", "wasi-demo:latest", example("wasi-demo"))
	e.warren("build", "-q", "-t", "busybox:latest", example("busybox"))
	return e
}

// finish removes every pod, ends the engine and fails the test where a process of its root is left.
func (e *engine) finish() {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	if e.runtime != nil {
		pods, _ := e.pods(ctx)
		for _, p := range pods {
			e.runtime.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: p.Id})
			e.runtime.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: p.Id})
		}
		e.conn.Close()
	}
	if e.process != nil {
		e.process.Process.Signal(syscall.SIGTERM)
		e.process.Wait()
	}
	deadline := time.Now().Add(10 * time.Second)
	for len(e.processes("")) > 0 && time.Now().Before(deadline) {
		time.Sleep(20 * time.Millisecond)
	}
	for _, pid := range e.processes("") {
		command, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		e.t.Errorf("left behind: process %d %s", pid, bytes.ReplaceAll(command, []byte{0}, []byte{' '}))
		syscall.Kill(pid, syscall.SIGKILL)
	}
	if mounts, _ := os.ReadFile("/proc/self/mountinfo"); strings.Contains(string(mounts), e.root) {
		e.t.Errorf("left behind: mounts below %s", e.root)
	}
	if e.t.Failed() {
		log, _ := os.ReadFile(filepath.Join(e.root, "warrend.log"))
		if len(log) > 8000 {
			log = log[len(log)-8000:]
		}
		e.t.Logf("warrend.log:\n%s", log)
	}
	os.RemoveAll(e.root)
}

// processes finds those whose command line names the engine's root and, where program is not empty, that program.
func (e *engine) processes(program string) (pids []int) {
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		command, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "cmdline"))
		words := strings.Split(string(command), "\x00")
		if err == nil && strings.Contains(string(command), e.root+"/") && !strings.HasSuffix(words[0], ".test") &&
			(program == "" || filepath.Base(words[0]) == program) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// keepers finds the processes that hold the pod: a keeper runs from memory and is told its pod's id.
func keepers(pod string) (pids []int) {
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		command, _ := os.ReadFile(filepath.Join("/proc", entry.Name(), "cmdline"))
		if err == nil && strings.HasPrefix(string(command), "warren-keeper\x00"+pod) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// short forms of the calls; a failure ends the test

func (e *engine) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	e.t.Cleanup(cancel)
	return ctx
}

func (e *engine) podConfig(name string) *cri.PodSandboxConfig {
	return &cri.PodSandboxConfig{
		Metadata:     &cri.PodSandboxMetadata{Name: name, Namespace: "default", Uid: name + "-uid"},
		LogDirectory: filepath.Join(e.root, "logs"),
		Labels:       map[string]string{"name": name},
		Annotations:  map[string]string{"note": "of " + name},
		Linux: &cri.LinuxPodSandboxConfig{SecurityContext: &cri.LinuxSandboxSecurityContext{
			NamespaceOptions: &cri.NamespaceOption{Network: cri.NamespaceMode_NODE, Pid: cri.NamespaceMode_CONTAINER}}},
	}
}

func (e *engine) runPod(handler, name string) (string, *cri.PodSandboxConfig) {
	e.t.Helper()
	os.MkdirAll(filepath.Join(e.root, "logs"), 0o755)
	config := e.podConfig(name)
	r, err := e.runtime.RunPodSandbox(e.ctx(), &cri.RunPodSandboxRequest{Config: config, RuntimeHandler: handler})
	if err != nil {
		e.t.Fatalf("RunPodSandbox %s: %v", name, err)
	}
	return r.PodSandboxId, config
}

func (e *engine) create(pod string, config *cri.PodSandboxConfig, name, image string, command ...string) string {
	e.t.Helper()
	id, err := e.tryCreate(pod, config, name, image, command...)
	if err != nil {
		e.t.Fatalf("CreateContainer %s: %v", name, err)
	}
	return id
}

func (e *engine) tryCreate(pod string, config *cri.PodSandboxConfig, name, image string, command ...string) (string, error) {
	r, err := e.runtime.CreateContainer(e.ctx(), &cri.CreateContainerRequest{
		PodSandboxId: pod, SandboxConfig: config,
		Config: &cri.ContainerConfig{
			Metadata: &cri.ContainerMetadata{Name: name}, Image: &cri.ImageSpec{Image: image},
			Command: command, LogPath: name + ".log", Labels: map[string]string{"container": name},
			Linux: &cri.LinuxContainerConfig{SecurityContext: &cri.LinuxContainerSecurityContext{
				NamespaceOptions: config.Linux.SecurityContext.NamespaceOptions}},
		}})
	if err != nil {
		return "", err
	}
	return r.ContainerId, nil
}

func (e *engine) startContainer(id string) {
	e.t.Helper()
	if _, err := e.runtime.StartContainer(e.ctx(), &cri.StartContainerRequest{ContainerId: id}); err != nil {
		e.t.Fatalf("StartContainer: %v", err)
	}
}

func (e *engine) status(id string) *cri.ContainerStatus {
	e.t.Helper()
	r, err := e.runtime.ContainerStatus(e.ctx(), &cri.ContainerStatusRequest{ContainerId: id})
	if err != nil {
		e.t.Fatalf("ContainerStatus: %v", err)
	}
	return r.Status
}

func (e *engine) podState(id string) cri.PodSandboxState {
	e.t.Helper()
	r, err := e.runtime.PodSandboxStatus(e.ctx(), &cri.PodSandboxStatusRequest{PodSandboxId: id})
	if err != nil {
		e.t.Fatalf("PodSandboxStatus: %v", err)
	}
	return r.Status.State
}

func (e *engine) waitExit(id string) *cri.ContainerStatus {
	e.t.Helper()
	var s *cri.ContainerStatus
	e.eventually("container "+id[:12]+" ends", 15*time.Second, func() error {
		if s = e.status(id); s.State != cri.ContainerState_CONTAINER_EXITED {
			return fmt.Errorf("it is %v", s.State)
		}
		return nil
	})
	return s
}

func (e *engine) log(name string) string {
	b, _ := os.ReadFile(filepath.Join(e.root, "logs", name+".log"))
	return string(b)
}

// pid is what the engine says of the container's process; 0 in wasm.
func (e *engine) pid(id string) string {
	e.t.Helper()
	r, err := e.runtime.ContainerStatus(e.ctx(), &cri.ContainerStatusRequest{ContainerId: id, Verbose: true})
	if err != nil {
		e.t.Fatalf("ContainerStatus: %v", err)
	}
	return r.Info["info"]
}
