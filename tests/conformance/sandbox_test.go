// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	task "github.com/containerd/containerd/api/runtime/task/v2"
	taskv3 "github.com/containerd/containerd/api/runtime/task/v3"
	controller "github.com/containerd/containerd/api/services/sandbox/v1"
	"github.com/containerd/containerd/api/types"
	tasktypes "github.com/containerd/containerd/api/types/task"
	"github.com/containerd/ttrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// sandboxer is one of our sandboxers and an engine as Kuasar's users have it: Sandbox API by gRPC, containers announced by
// Update, Task API by ttrpc, a bundle directory and FIFOs for each.
type sandboxer struct {
	t         *testing.T
	technique technique
	root      string
	process   *exec.Cmd
	conn      *grpc.ClientConn
	control   controller.ControllerClient
	tasks     task.TTRPCTaskService
	tasksV3   taskv3.TTRPCTaskService
	wanted    []map[string]any // of the tasks extension, always complete
}

func (s *sandboxer) socket() string { return filepath.Join(s.root, "s.sock") }

func (s *sandboxer) start() {
	s.t.Helper()
	log, err := os.OpenFile(filepath.Join(s.root, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	s.process = exec.Command(bin("warren-"+s.technique.handler), "--listen", s.socket(), "--dir", filepath.Join(s.root, "d"), "--log-level", "debug")
	s.process.Stdout, s.process.Stderr = log, log
	if err := s.process.Start(); err != nil {
		s.t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		conn, err := net.Dial("unix", s.socket())
		if err == nil {
			client := ttrpc.NewClient(conn)
			s.tasks, s.tasksV3 = task.NewTTRPCTaskClient(client), taskv3.NewTTRPCTaskClient(client)
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("the sandboxer does not listen: %v", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func newSandboxer(t *testing.T, q technique) *sandboxer {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	if _, err := os.Stat(bin("warren-" + q.handler)); err != nil {
		t.Skip(err)
	}
	root, err := os.MkdirTemp("/tmp", "warren-sbx.")
	if err != nil {
		t.Fatal(err)
	}
	s := &sandboxer{t: t, technique: q, root: root}
	t.Cleanup(s.finish)
	s.start()
	s.conn, err = grpc.NewClient("unix://"+s.socket(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	s.control = controller.NewControllerClient(s.conn)
	return s
}

func (s *sandboxer) finish() {
	if s.t.Failed() {
		text, _ := os.ReadFile(filepath.Join(s.root, "log"))
		s.t.Logf("the sandboxer's log:\n%s", text)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if s.control != nil {
		s.control.Shutdown(ctx, &controller.ControllerShutdownRequest{SandboxID: "pod"})
		s.conn.Close()
	}
	s.process.Process.Signal(syscall.SIGTERM)
	if err := s.process.Wait(); err != nil {
		s.t.Errorf("the sandboxer did not end cleanly: %v", err)
	}
	if err := os.RemoveAll(s.root); err != nil {
		s.t.Errorf("something is left: %v", err)
	}
}

func (s *sandboxer) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	s.t.Cleanup(cancel)
	return ctx
}

func (s *sandboxer) runPod() *controller.ControllerStartResponse {
	s.t.Helper()
	config, err := proto.Marshal(&cri.PodSandboxConfig{
		Metadata: &cri.PodSandboxMetadata{Name: "pod", Namespace: "default", Uid: "u"},
		Linux: &cri.LinuxPodSandboxConfig{SecurityContext: &cri.LinuxSandboxSecurityContext{
			NamespaceOptions: &cri.NamespaceOption{Network: cri.NamespaceMode_NODE, Pid: cri.NamespaceMode_CONTAINER}}},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	// without a type, as iSulad sends it
	if _, err := s.control.Create(s.ctx(), &controller.ControllerCreateRequest{SandboxID: "pod", Options: &anypb.Any{Value: config}}); err != nil {
		s.t.Fatalf("Create: %v", err)
	}
	started, err := s.control.Start(s.ctx(), &controller.ControllerStartRequest{SandboxID: "pod"})
	if err != nil {
		s.t.Fatalf("Start: %v", err)
	}
	return started
}

// rootfs is a directory with what the technique runs.
func (s *sandboxer) rootfs(id string) string {
	s.t.Helper()
	dir := filepath.Join(s.root, "bundles", id, "rootfs")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		s.t.Fatal(err)
	}
	fill := exec.Command("tar", "-C", dir, "-xf", filepath.Join(example("busybox"), "rootfs.tar"))
	if s.technique.handler == "wasm" {
		fill = exec.Command("cp", filepath.Join(example("wasi-demo"), "wasi-demo.wasm"), dir)
	}
	if out, err := fill.CombinedOutput(); err != nil {
		s.t.Fatalf("%v: %s", err, out)
	}
	return dir
}

func (s *sandboxer) spec(args []string) map[string]any {
	spec := map[string]any{
		"ociVersion": "1.2.0",
		"process": map[string]any{"args": args, "cwd": "/", "env": []string{"PATH=/bin"},
			"user": map[string]any{"uid": 0, "gid": 0}},
		"root": map[string]any{"path": "rootfs"},
	}
	if s.technique.handler != "wasm" {
		spec["mounts"] = []any{map[string]any{"destination": "/proc", "type": "proc", "source": "proc"}}
		spec["linux"] = map[string]any{"namespaces": []any{map[string]any{"type": "pid"}, map[string]any{"type": "mount"},
			map[string]any{"type": "uts"}, map[string]any{"type": "ipc"}}}
	}
	return spec
}

func (s *sandboxer) announce() {
	s.t.Helper()
	text, err := json.Marshal(map[string]any{"tasks": s.wanted})
	if err != nil {
		s.t.Fatal(err)
	}
	_, err = s.control.Update(s.ctx(), &controller.ControllerUpdateRequest{SandboxID: "pod", Fields: []string{"extensions.tasks"},
		Sandbox: &types.Sandbox{SandboxID: "pod", Extensions: map[string]*anypb.Any{
			"tasks": {TypeUrl: "github.com/containerd/containerd/Tasks", Value: text}}}})
	if err != nil {
		s.t.Fatalf("Update: %v", err)
	}
}

// container is one with its standard output read from a FIFO.
type container struct {
	s    *sandboxer
	id   string
	out  chan string // its whole output, at its end
	exec string
}

func (s *sandboxer) fifo(name string) (string, chan string) {
	s.t.Helper()
	path := filepath.Join(s.root, name)
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		s.t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	out := make(chan string, 1)
	go func() {
		defer file.Close()
		var all bytes.Buffer
		for buf := make([]byte, 4096); ; {
			n, err := file.Read(buf)
			all.Write(buf[:n])
			if n == 0 && all.Len() > 0 || err != nil && all.Len() > 0 {
				out <- all.String()
				return
			}
			if n == 0 { // nobody has opened it yet
				time.Sleep(5 * time.Millisecond)
				if _, err := os.Stat(s.root); err != nil {
					return
				}
			}
		}
	}()
	return path, out
}

func (s *sandboxer) create(id string, args ...string) *container {
	s.t.Helper()
	rootfs := s.rootfs(id)
	bundle := filepath.Dir(rootfs)
	spec := s.spec(args)
	text, _ := json.Marshal(spec)
	if err := os.WriteFile(filepath.Join(bundle, "config.json"), text, 0o600); err != nil {
		s.t.Fatal(err)
	}
	path, out := s.fifo(id + ".out")
	s.wanted = append(s.wanted, map[string]any{"task_id": id, "spec": spec, "stdout": path, "stdin": "", "stderr": "",
		"rootfs":    []any{map[string]any{"destination": "/", "type": "bind", "source": rootfs, "options": []string{"rbind"}}},
		"processes": []any{}})
	s.announce()
	if _, err := s.tasks.Create(s.ctx(), &task.CreateTaskRequest{ID: id, Bundle: bundle, Stdout: path}); err != nil {
		s.t.Fatalf("Task.Create of %s: %v", id, err)
	}
	return &container{s: s, id: id, out: out}
}

func (c *container) start() uint32 {
	c.s.t.Helper()
	p, err := c.s.tasks.Start(c.s.ctx(), &task.StartRequest{ID: c.id, ExecID: c.exec})
	if err != nil {
		c.s.t.Fatalf("Task.Start of %s: %v", c.id, err)
	}
	return p.Pid
}

func (c *container) wait() uint32 {
	c.s.t.Helper()
	p, err := c.s.tasks.Wait(c.s.ctx(), &task.WaitRequest{ID: c.id, ExecID: c.exec})
	if err != nil {
		c.s.t.Fatalf("Task.Wait of %s: %v", c.id, err)
	}
	if p.ExitedAt == nil {
		c.s.t.Errorf("%s has no time of its end", c.id)
	}
	return p.ExitStatus
}

func (c *container) state() tasktypes.Status {
	c.s.t.Helper()
	p, err := c.s.tasks.State(c.s.ctx(), &task.StateRequest{ID: c.id, ExecID: c.exec})
	if err != nil {
		c.s.t.Fatalf("Task.State of %s: %v", c.id, err)
	}
	return p.Status
}

func (c *container) output() string {
	c.s.t.Helper()
	select {
	case text := <-c.out:
		return text
	case <-time.After(20 * time.Second):
		c.s.t.Fatalf("no output of %s", c.id)
	}
	return ""
}

func eachSandboxer(t *testing.T, f func(s *sandboxer)) {
	for _, q := range techniques {
		t.Run(q.handler, func(t *testing.T) { f(newSandboxer(t, q)) })
	}
}

func (s *sandboxer) code(err error) codes.Code { return status.Code(err) }

// TestSandboxerServesThePublishedConversation is what Kuasar's engines say from a pod's creation to its end.
func TestSandboxerServesThePublishedConversation(t *testing.T) {
	eachSandboxer(t, func(s *sandboxer) {
		t := s.t
		started := s.runPod()
		if started.Address != "ttrpc+unix://"+s.socket() || started.Version != 2 || started.CreatedAt == nil {
			t.Errorf("Start answers %v", started)
		}
		platform, err := s.control.Platform(s.ctx(), &controller.ControllerPlatformRequest{SandboxID: "pod"})
		if err != nil || platform.Platform.GetOS() != "linux" || platform.Platform.GetArchitecture() != "amd64" {
			t.Errorf("Platform answers %v, %v", platform, err)
		}
		ended := make(chan error, 1)
		go func() {
			_, err := s.control.Wait(context.Background(), &controller.ControllerWaitRequest{SandboxID: "pod"})
			ended <- err
		}()

		ok := s.create("says", s.technique.echo...)
		ok.start()
		if got := ok.output(); got != "hello world\n" {
			t.Errorf("it wrote %q", got)
		}
		if got := ok.wait(); got != 0 {
			t.Errorf("it exits with %d", got)
		}
		fails := s.create("fails", s.technique.exits(3)...)
		fails.start()
		if got := fails.wait(); got != 3 {
			t.Errorf("a container that exits with 3 reports %d", got)
		}
		deleted, err := s.tasks.Delete(s.ctx(), &task.DeleteRequest{ID: "fails"})
		if err != nil || deleted.ExitStatus != 3 {
			t.Errorf("Delete answers %v, %v", deleted, err)
		}
		if _, err := s.tasks.State(s.ctx(), &task.StateRequest{ID: "fails"}); s.code(err) != codes.NotFound {
			t.Errorf("State of a deleted one: %v", err)
		}

		lives := s.create("lives", s.technique.daemon...)
		lives.start()
		if got := lives.state(); got != tasktypes.Status_RUNNING {
			t.Errorf("it is %v", got)
		}
		// Task v3: the same under another name
		three, err := s.tasksV3.State(s.ctx(), &taskv3.StateRequest{ID: "lives"})
		if err != nil || three.Status != tasktypes.Status_RUNNING {
			t.Errorf("Task v3: %v, %v", three, err)
		}
		measured, err := s.control.Metrics(s.ctx(), &controller.ControllerMetricsRequest{SandboxID: "pod"})
		if err != nil || measured.Metrics.GetData().GetTypeUrl() != "io.containerd.cgroups.v2.Metrics" {
			t.Errorf("Metrics: %v, %v", measured, err)
		}
		if _, err := s.tasks.Delete(s.ctx(), &task.DeleteRequest{ID: "lives"}); s.code(err) != codes.FailedPrecondition {
			t.Errorf("Delete of a running one: %v", err)
		}
		if _, err := s.tasks.Kill(s.ctx(), &task.KillRequest{ID: "lives", Signal: uint32(syscall.SIGKILL)}); err != nil {
			t.Errorf("Kill: %v", err)
		}
		if got := lives.wait(); got != 137 {
			t.Errorf("a killed container reports %d", got)
		}

		if _, err := s.control.Stop(s.ctx(), &controller.ControllerStopRequest{SandboxID: "pod", TimeoutSecs: 1}); err != nil {
			t.Errorf("Stop: %v", err)
		}
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Wait: %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("Wait does not end with the pod")
		}
		if _, err := s.control.Shutdown(s.ctx(), &controller.ControllerShutdownRequest{SandboxID: "pod"}); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
}

// TestSandboxerOnUnknownIds: Stop and Shutdown succeed, the others say NOT_FOUND.
func TestSandboxerOnUnknownIds(t *testing.T) {
	eachSandboxer(t, func(s *sandboxer) {
		t := s.t
		if _, err := s.control.Stop(s.ctx(), &controller.ControllerStopRequest{SandboxID: "none"}); err != nil {
			t.Errorf("Stop: %v", err)
		}
		if _, err := s.control.Shutdown(s.ctx(), &controller.ControllerShutdownRequest{SandboxID: "none"}); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if _, err := s.control.Wait(s.ctx(), &controller.ControllerWaitRequest{SandboxID: "none"}); s.code(err) != codes.NotFound {
			t.Errorf("Wait: %v", err)
		}
		if _, err := s.control.Status(s.ctx(), &controller.ControllerStatusRequest{SandboxID: "none"}); s.code(err) != codes.NotFound {
			t.Errorf("Status: %v", err)
		}
		if _, err := s.control.Start(s.ctx(), &controller.ControllerStartRequest{SandboxID: "none"}); s.code(err) != codes.NotFound {
			t.Errorf("Start: %v", err)
		}
		if _, err := s.control.Create(s.ctx(), &controller.ControllerCreateRequest{SandboxID: "../x"}); s.code(err) != codes.InvalidArgument {
			t.Errorf("Create with a bad id: %v", err)
		}
		if _, err := s.tasks.Create(s.ctx(), &task.CreateTaskRequest{ID: "c", Bundle: "/nonexistent"}); s.code(err) != codes.NotFound {
			t.Errorf("Task.Create without a bundle: %v", err)
		}
	})
}

// TestSandboxerKilledUnderAForeignEngine: what runs goes on and is found by its id.
func TestSandboxerKilledUnderAForeignEngine(t *testing.T) {
	eachSandboxer(t, func(s *sandboxer) {
		t := s.t
		s.runPod()
		c := s.create("lives", s.technique.daemon...)
		pid := c.start()
		s.process.Process.Kill()
		s.process.Wait()
		s.start()
		if got := c.state(); got != tasktypes.Status_RUNNING {
			t.Errorf("it is %v", got)
		}
		var found *controller.ControllerStatusResponse
		var err error
		for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
			if found, err = s.control.Status(s.ctx(), &controller.ControllerStatusRequest{SandboxID: "pod"}); err == nil {
				break
			}
		}
		if err != nil || found.State != "SANDBOX_READY" || !strings.HasSuffix(found.Address, s.socket()) {
			t.Errorf("Status: %v, %v", found, err)
		}
		if again, err := s.tasks.State(s.ctx(), &task.StateRequest{ID: "lives"}); err != nil || again.Pid != pid {
			t.Errorf("its pid was %d: %v, %v", pid, again, err)
		}
		if _, err := s.tasks.Kill(s.ctx(), &task.KillRequest{ID: "lives", Signal: uint32(syscall.SIGKILL)}); err != nil {
			t.Errorf("Kill: %v", err)
		}
		if got := c.wait(); got != 137 {
			t.Errorf("it reports %d", got)
		}
	})
}

// TestSandboxerExecsOfAForeignEngine: an exec by Task.Exec; namespace only, wasm has none.
func TestSandboxerExecsOfAForeignEngine(t *testing.T) {
	s := newSandboxer(t, techniques[1])
	s.runPod()
	s.create("lives", s.technique.daemon...).start()
	path, out := s.fifo("exec.out")
	spec, _ := json.Marshal(map[string]any{"args": []string{"sh", "-c", "echo inside; exit 7"}, "cwd": "/", "env": []string{"PATH=/bin"},
		"user": map[string]any{"uid": 0, "gid": 0}})
	if _, err := s.tasks.Exec(s.ctx(), &task.ExecProcessRequest{ID: "lives", ExecID: "e", Stdout: path,
		Spec: &anypb.Any{TypeUrl: "types.containerd.io/opencontainers/runtime-spec/1/Process", Value: spec}}); err != nil {
		t.Fatal(err)
	}
	e := &container{s: s, id: "lives", exec: "e", out: out}
	e.start()
	if got := e.output(); got != "inside\n" {
		t.Errorf("it wrote %q", got)
	}
	if got := e.wait(); got != 7 {
		t.Errorf("it exits with %d", got)
	}
}
