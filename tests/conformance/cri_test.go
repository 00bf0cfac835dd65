// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
	remote "k8s.io/cri-client/pkg"
)

// technique is how a test says the same in both: what runs, and what its arguments look like.
type technique struct {
	handler, image string
	daemon         []string
	exits          func(code int) []string
	echo           []string
}

var techniques = []technique{
	{"wasm", "wasi-demo:latest", []string{"/wasi-demo.wasm", "daemon"},
		func(code int) []string { return []string{"/wasi-demo.wasm", "exit", fmt.Sprint(code)} },
		[]string{"/wasi-demo.wasm", "echo", "hello", "world"}},
	{"namespace", "busybox:latest", []string{"sh", "-c", "i=0; while :; do echo line $i; i=$((i+1)); sleep 1; done"},
		func(code int) []string { return []string{"sh", "-c", fmt.Sprintf("exit %d", code)} },
		[]string{"echo", "hello", "world"}},
}

func each(t *testing.T, name string, f func(t *testing.T, e *engine, q technique)) {
	t.Helper()
	e := newEngine(t)
	for _, q := range techniques {
		t.Run(name+"/"+q.handler, func(t *testing.T) {
			outer := e.t
			e.t = t
			defer func() { e.t = outer }()
			f(t, e, q)
		})
	}
}

func TestLifecycle(t *testing.T) {
	each(t, "a pod goes through its whole life", func(t *testing.T, e *engine, q technique) {
		pod, config := e.runPod(q.handler, "life-"+q.handler)
		if s := e.podState(pod); s != cri.PodSandboxState_SANDBOX_READY {
			t.Fatalf("the pod is %v", s)
		}
		id := e.create(pod, config, "c-"+q.handler, q.image, q.daemon...)
		if s := e.status(id); s.State != cri.ContainerState_CONTAINER_CREATED {
			t.Fatalf("created, the container is %v", s.State)
		}
		e.startContainer(id)
		s := e.status(id)
		if s.State != cri.ContainerState_CONTAINER_RUNNING || s.StartedAt == 0 || s.Metadata.Name != "c-"+q.handler {
			t.Fatalf("started, its status is %v", s)
		}
		e.eventually("a line is in the log", 10*time.Second, func() error {
			if l := e.log("c-" + q.handler); !strings.Contains(l, " stdout F ") {
				return fmt.Errorf("the log is %q", l)
			}
			return nil
		})
		list, err := e.runtime.ListContainers(e.ctx(), &cri.ListContainersRequest{Filter: &cri.ContainerFilter{
			PodSandboxId: pod, LabelSelector: map[string]string{"container": "c-" + q.handler}}})
		if err != nil || len(list.Containers) != 1 || list.Containers[0].Id != id {
			t.Fatalf("ListContainers: %v %v", list, err)
		}
		st, err := e.runtime.ContainerStats(e.ctx(), &cri.ContainerStatsRequest{ContainerId: id})
		if err != nil || st.Stats.Memory.UsageBytes.GetValue() == 0 {
			t.Fatalf("ContainerStats: %v %v", st, err)
		}
		if _, err := e.runtime.StopContainer(e.ctx(), &cri.StopContainerRequest{ContainerId: id, Timeout: 1}); err != nil {
			t.Fatalf("StopContainer: %v", err)
		}
		if s := e.status(id); s.State != cri.ContainerState_CONTAINER_EXITED || s.ExitCode < 128 {
			t.Fatalf("stopped, its status is %v", s)
		}
		for range 2 { // stop and remove are idempotent
			if _, err := e.runtime.StopContainer(e.ctx(), &cri.StopContainerRequest{ContainerId: id}); err != nil {
				t.Fatalf("StopContainer again: %v", err)
			}
		}
		for range 2 {
			if _, err := e.runtime.RemoveContainer(e.ctx(), &cri.RemoveContainerRequest{ContainerId: id}); err != nil {
				t.Fatalf("RemoveContainer: %v", err)
			}
		}
		if _, err := e.runtime.ContainerStatus(e.ctx(), &cri.ContainerStatusRequest{ContainerId: id}); status.Code(err) != codes.NotFound {
			t.Fatalf("ContainerStatus of a removed one: %v", err)
		}
		for range 2 {
			if _, err := e.runtime.StopPodSandbox(e.ctx(), &cri.StopPodSandboxRequest{PodSandboxId: pod}); err != nil {
				t.Fatalf("StopPodSandbox: %v", err)
			}
		}
		if s := e.podState(pod); s != cri.PodSandboxState_SANDBOX_NOTREADY {
			t.Fatalf("stopped, the pod is %v", s)
		}
		for range 2 {
			if _, err := e.runtime.RemovePodSandbox(e.ctx(), &cri.RemovePodSandboxRequest{PodSandboxId: pod}); err != nil {
				t.Fatalf("RemovePodSandbox: %v", err)
			}
		}
		if _, err := e.runtime.PodSandboxStatus(e.ctx(), &cri.PodSandboxStatusRequest{PodSandboxId: pod}); status.Code(err) != codes.NotFound {
			t.Fatalf("PodSandboxStatus of a removed one: %v", err)
		}
	})
}

func TestExitCodes(t *testing.T) {
	each(t, "a container that exits with 3 reports 3", func(t *testing.T, e *engine, q technique) {
		pod, config := e.runPod(q.handler, "exit-"+q.handler)
		for _, code := range []int{0, 3, 255} {
			name := fmt.Sprintf("exit-%d-%s", code, q.handler)
			id := e.create(pod, config, name, q.image, q.exits(code)...)
			e.startContainer(id)
			s := e.waitExit(id)
			if int(s.ExitCode) != code {
				t.Errorf("exit %d is reported as %d (%s %s)", code, s.ExitCode, s.Reason, s.Message)
			}
			if reason := map[bool]string{true: "Completed", false: "Error"}[code == 0]; s.Reason != reason {
				t.Errorf("the reason of exit %d is %q", code, s.Reason)
			}
			if s.FinishedAt < s.StartedAt || s.StartedAt < s.CreatedAt {
				t.Errorf("its times are not in order: %v", s)
			}
		}
		name := "echo-" + q.handler
		id := e.create(pod, config, name, q.image, q.echo...)
		e.startContainer(id)
		e.waitExit(id)
		if !strings.Contains(e.log(name), " stdout F hello world\n") {
			t.Errorf("the log of echo is %q", e.log(name))
		}
	})
}

func TestRefusals(t *testing.T) {
	each(t, "what cannot be done is refused with its reason", func(t *testing.T, e *engine, q technique) {
		pod, config := e.runPod(q.handler, "refuse-"+q.handler)
		if _, err := e.runtime.RunPodSandbox(e.ctx(), &cri.RunPodSandboxRequest{Config: config, RuntimeHandler: q.handler}); status.Code(err) != codes.AlreadyExists {
			t.Errorf("a pod of the same name: %v", err)
		}
		if _, err := e.runtime.RunPodSandbox(e.ctx(), &cri.RunPodSandboxRequest{Config: e.podConfig("x"), RuntimeHandler: "nosuch"}); err == nil || !strings.Contains(err.Error(), "nosuch") {
			t.Errorf("a handler that does not exist: %v", err)
		}
		if _, err := e.tryCreate(pod, config, "i", "nosuch:latest", "x"); status.Code(err) != codes.NotFound {
			t.Errorf("an image that does not exist: %v", err)
		}
		id := e.create(pod, config, "missing-"+q.handler, q.image, "/no/such/program")
		_, err := e.runtime.StartContainer(e.ctx(), &cri.StartContainerRequest{ContainerId: id})
		if err == nil || !strings.Contains(err.Error(), "/no/such/program") {
			t.Errorf("a command that does not exist: %v", err)
		}
		if s := e.status(id); s.State != cri.ContainerState_CONTAINER_EXITED || s.Reason != "StartError" {
			t.Errorf("its status then: %v", s)
		}
		if _, err := e.runtime.ContainerStatus(e.ctx(), &cri.ContainerStatusRequest{ContainerId: "../../etc"}); status.Code(err) != codes.NotFound {
			t.Errorf("an id that is a path: %v", err)
		}
		if _, err := e.images.PullImage(e.ctx(), &cri.PullImageRequest{Image: &cri.ImageSpec{Image: "x"}}); status.Code(err) != codes.Unimplemented {
			t.Errorf("PullImage: %v", err)
		}
		if _, err := e.runtime.Exec(e.ctx(), &cri.ExecRequest{ContainerId: id, Cmd: []string{"x"}}); status.Code(err) != codes.Unimplemented {
			t.Errorf("Exec: %v", err)
		}
	})
}

func TestIsolationOfNamespacePods(t *testing.T) {
	e := newEngine(t)
	pod, config := e.runPod("namespace", "isolated")
	one := e.create(pod, config, "one", "busybox:latest", "sh", "-c", "while :; do sleep 1; done")
	two := e.create(pod, config, "two", "busybox:latest", "sh", "-c", "while :; do sleep 1; done")
	e.startContainer(one)
	e.startContainer(two)
	r, err := e.runtime.ExecSync(e.ctx(), &cri.ExecSyncRequest{ContainerId: one, Cmd: []string{"ps"}, Timeout: 10})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(r.Stdout), "while :") != 1 || strings.Count(string(r.Stdout), "\n") > 5 {
		t.Errorf("a container sees more than itself:\n%s", r.Stdout)
	}
	r, err = e.runtime.ExecSync(e.ctx(), &cri.ExecSyncRequest{ContainerId: two, Cmd: []string{"sh", "-c", "echo out; echo err >&2; exit 7"}})
	if err != nil || r.ExitCode != 7 || string(r.Stdout) != "out\n" || string(r.Stderr) != "err\n" {
		t.Errorf("ExecSync: %v %v", r, err)
	}
	if _, err = e.runtime.ExecSync(e.ctx(), &cri.ExecSyncRequest{ContainerId: two, Cmd: []string{"sleep", "60"}, Timeout: 1}); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("ExecSync that runs into its timeout: %v", err)
	}
	if _, err = e.runtime.ExecSync(e.ctx(), &cri.ExecSyncRequest{ContainerId: two, Cmd: []string{"/nope"}}); err == nil || !strings.Contains(err.Error(), "/nope") {
		t.Errorf("ExecSync of what is not there: %v", err)
	}
}

func TestEventsAndStreams(t *testing.T) {
	e := newEngine(t)
	ctx, cancel := context.WithCancel(e.ctx())
	defer cancel()
	events, err := e.runtime.GetContainerEvents(ctx, &cri.GetEventsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond) // the stream is open once its first bytes are there
	pod, config := e.runPod("wasm", "events")
	id := e.create(pod, config, "ev", "wasi-demo:latest", "/wasi-demo.wasm", "exit", "5")
	e.startContainer(id)
	want := []cri.ContainerEventType{cri.ContainerEventType_CONTAINER_CREATED_EVENT, cri.ContainerEventType_CONTAINER_STARTED_EVENT, cri.ContainerEventType_CONTAINER_STOPPED_EVENT}
	for len(want) > 0 {
		ev, err := events.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if ev.ContainerId != id {
			continue
		}
		if ev.ContainerEventType != want[0] {
			t.Fatalf("an event of type %v, not %v", ev.ContainerEventType, want[0])
		}
		want = want[1:]
		if len(want) == 0 && (len(ev.ContainersStatuses) != 1 || ev.ContainersStatuses[0].ExitCode != 5) {
			t.Errorf("the last event says %v", ev)
		}
	}
	for i := range 30 {
		e.runPod("wasm", fmt.Sprintf("many-%d", i))
	}
	pods, err := e.pods(e.ctx())
	if n := len(pods); n != 31 {
		t.Errorf("the streaming list has %d pods: %v", n, err)
	}
}

// A list of more than the 16 MiB that clients accept is refused with the way out, and the streaming calls bring all of it.
func TestListsBeyondTheLimit(t *testing.T) {
	e := newEngine(t)
	const n = 20
	for i := range n {
		config := e.podConfig(fmt.Sprintf("large-%d", i))
		config.Annotations = map[string]string{"large": strings.Repeat("x", 1<<20)}
		r, err := e.runtime.RunPodSandbox(e.ctx(), &cri.RunPodSandboxRequest{Config: config, RuntimeHandler: "wasm"})
		if err != nil {
			t.Fatal(err)
		}
		e.startContainer(e.create(r.PodSandboxId, config, fmt.Sprintf("large-%d", i), "wasi-demo:latest", "/wasi-demo.wasm", "daemon"))
	}
	_, err := e.runtime.ListPodSandbox(e.ctx(), &cri.ListPodSandboxRequest{})
	if status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), "16777216") || !strings.Contains(err.Error(), "StreamPodSandboxes") {
		t.Errorf("a list of 20 MiB: %v", err)
	}
	_, err = e.runtime.ListPodSandboxStats(e.ctx(), &cri.ListPodSandboxStatsRequest{})
	if status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), "StreamPodSandboxStats") {
		t.Errorf("stats of 20 MiB: %v", err)
	}
	if one, err := e.runtime.ListContainers(e.ctx(), &cri.ListContainersRequest{}); err != nil || len(one.Containers) != n {
		t.Errorf("ListContainers: %v %v", one, err)
	}
	if pods, err := e.pods(e.ctx()); err != nil || len(pods) != n {
		t.Errorf("StreamPodSandboxes: %d pods, %v", len(pods), err)
	}
	stats, err := e.runtime.StreamPodSandboxStats(e.ctx(), &cri.StreamPodSandboxStatsRequest{})
	seen := 0
	for err == nil {
		var part *cri.StreamPodSandboxStatsResponse
		if part, err = stats.Recv(); err == nil {
			seen += len(part.PodSandboxStats)
		}
	}
	if seen != n || err != io.EOF {
		t.Errorf("StreamPodSandboxStats: %d pods, %v", seen, err)
	}
	out, err := exec.Command(bin("warren"), "-H", "unix://"+e.socket(), "cri", "pods", "-q").Output()
	if lines := strings.Count(string(out), "\n"); err != nil || lines != n {
		t.Errorf("warren cri pods lists %d: %v", lines, err)
	}
}

// The kubelet's own client library, with its defaults.
func TestKubeletClient(t *testing.T) {
	e := newEngine(t)
	service, err := remote.NewRemoteRuntimeService(e.ctx(), "unix://"+e.socket(), 10*time.Second, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	version, err := service.Version(e.ctx(), "")
	if err != nil || version.RuntimeName != "warren" || version.RuntimeApiVersion != "v1" {
		t.Fatalf("Version: %v %v", version, err)
	}
	images, err := remote.NewRemoteImageService(e.ctx(), "unix://"+e.socket(), 10*time.Second, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	list, err := images.ListImages(e.ctx(), nil)
	if err != nil || len(list) != 2 {
		t.Fatalf("ListImages: %v %v", list, err)
	}
	for _, q := range techniques {
		config := e.podConfig("kubelet-" + q.handler)
		pod, err := service.RunPodSandbox(e.ctx(), config, q.handler)
		if err != nil {
			t.Fatal(err)
		}
		id, err := service.CreateContainer(e.ctx(), pod, &cri.ContainerConfig{
			Metadata: &cri.ContainerMetadata{Name: "k"}, Image: &cri.ImageSpec{Image: q.image}, Command: q.daemon}, config)
		if err != nil {
			t.Fatal(err)
		}
		if err := service.StartContainer(e.ctx(), id); err != nil {
			t.Fatal(err)
		}
		if s, err := service.ContainerStatus(e.ctx(), id, true); err != nil || s.Status.State != cri.ContainerState_CONTAINER_RUNNING {
			t.Errorf("ContainerStatus: %v %v", s, err)
		}
		if err := service.StopPodSandbox(e.ctx(), pod); err != nil {
			t.Error(err)
		}
		if err := service.RemovePodSandbox(e.ctx(), pod); err != nil {
			t.Error(err)
		}
	}
}

func TestEngineKilled(t *testing.T) {
	each(t, "kill -9 of the engine loses nothing", func(t *testing.T, e *engine, q technique) {
		const n = 20
		var ids []string
		for i := range n {
			pod, config := e.runPod(q.handler, fmt.Sprintf("k-%s-%d", q.handler, i))
			ids = append(ids, e.create(pod, config, fmt.Sprintf("k-%s-%d", q.handler, i), q.image, q.daemon...))
			e.startContainer(ids[i])
		}
		pod, config := e.runPod(q.handler, "brief-"+q.handler)
		sleeper := []string{"sh", "-c", "sleep 1; exit 9"}
		if q.handler == "wasm" {
			sleeper = []string{"/wasi-demo.wasm", "exit", "9", "1"}
		}
		brief := e.create(pod, config, "brief-"+q.handler, q.image, sleeper...)
		e.startContainer(brief)
		before := make([]string, n)
		for i := range n {
			before[i] = e.pid(ids[i])
		}
		go func() { // load while it dies; what fails, fails
			for i := range 50 {
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				e.runtime.RunPodSandbox(ctx, &cri.RunPodSandboxRequest{Config: e.podConfig(fmt.Sprintf("load-%s-%d", q.handler, i)), RuntimeHandler: q.handler})
				cancel()
			}
		}()
		time.Sleep(30 * time.Millisecond)
		e.kill()
		time.Sleep(1500 * time.Millisecond) // brief ends meanwhile
		e.start()
		for i := range n {
			if s := e.status(ids[i]); s.State != cri.ContainerState_CONTAINER_RUNNING {
				t.Fatalf("container %d is %v %s", i, s.State, s.Message)
			}
			if after := e.pid(ids[i]); after != before[i] {
				t.Errorf("container %d was %s and is %s", i, before[i], after)
			}
		}
		e.eventually("the exit that happened meanwhile is found", 10*time.Second, func() error {
			if s := e.status(brief); s.State != cri.ContainerState_CONTAINER_EXITED || s.ExitCode != 9 {
				return fmt.Errorf("%v", s)
			}
			return nil
		})
		lines := strings.Count(e.log("k-"+q.handler+"-0"), "\n")
		e.eventually("the log goes on", 10*time.Second, func() error {
			if now := strings.Count(e.log("k-"+q.handler+"-0"), "\n"); now <= lines {
				return fmt.Errorf("%d lines", now)
			}
			return nil
		})
		if _, err := e.runtime.StopContainer(e.ctx(), &cri.StopContainerRequest{ContainerId: ids[0], Timeout: 1}); err != nil {
			t.Errorf("stop after the restart: %v", err)
		}
	})
}

// Two thousand wasm pods and the end of each of the programs that know of them.
func TestManyPodsOutliveEngineAndSandboxer(t *testing.T) {
	e := newEngine(t)
	const n, clients = 2000, 8
	ids := make([]string, n)
	failed := make(chan error, clients)
	for k := range clients {
		go func() {
			var err error
			for i := k; i < n && err == nil; i += clients {
				ids[i], err = e.tryStart(fmt.Sprintf("many-%d", i))
			}
			failed <- err
		}()
	}
	for range clients {
		if err := <-failed; err != nil {
			t.Fatal(err)
		}
	}
	check := func(after string) {
		t.Helper()
		e.eventually("all pods are there after the end of "+after, 10*time.Second, func() error {
			ready := 0
			pods, err := e.pods(e.ctx())
			for _, p := range pods {
				if p.State == cri.PodSandboxState_SANDBOX_READY {
					ready++
				}
			}
			if err != nil || ready != n {
				return fmt.Errorf("%d of %d ready: %v", ready, len(pods), err)
			}
			_, err = e.runtime.ContainerStats(e.ctx(), &cri.ContainerStatsRequest{ContainerId: ids[n-1]})
			return err
		})
		for i := 0; i < n; i += 100 {
			if s := e.status(ids[i]); s.State != cri.ContainerState_CONTAINER_RUNNING {
				t.Errorf("container %d is %v %s after the end of %s", i, s.State, s.Message, after)
			}
		}
	}
	e.kill()
	e.start()
	check("warrend")
	before := e.processes("warren-wasm")
	for _, pid := range before {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	e.eventually("the sandboxer is back", 10*time.Second, func() error {
		if now := e.processes("warren-wasm"); len(now) != 1 || now[0] == before[0] {
			return fmt.Errorf("sandboxers: %v", now)
		}
		return nil
	})
	check("warren-wasm")
}

// tryStart runs a wasm pod with a container that waits for ever, from any goroutine.
func (e *engine) tryStart(name string) (string, error) {
	config := e.podConfig(name)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	pod, err := e.runtime.RunPodSandbox(ctx, &cri.RunPodSandboxRequest{Config: config, RuntimeHandler: "wasm"})
	if err != nil {
		return "", err
	}
	c, err := e.runtime.CreateContainer(ctx, &cri.CreateContainerRequest{PodSandboxId: pod.PodSandboxId, SandboxConfig: config,
		Config: &cri.ContainerConfig{Metadata: &cri.ContainerMetadata{Name: "c"}, Image: &cri.ImageSpec{Image: "wasi-demo:latest"},
			Command: []string{"/wasi-demo.wasm", "wait", name}}})
	if err != nil {
		return "", err
	}
	_, err = e.runtime.StartContainer(ctx, &cri.StartContainerRequest{ContainerId: c.ContainerId})
	return c.ContainerId, err
}

func TestSandboxerKilled(t *testing.T) {
	each(t, "kill -9 of a sandboxer ends no pod", func(t *testing.T, e *engine, q technique) {
		pod, config := e.runPod(q.handler, "s-"+q.handler)
		id := e.create(pod, config, "s-"+q.handler, q.image, q.daemon...)
		e.startContainer(id)
		pids := e.processes("warren-" + q.handler)
		if len(pids) != 1 {
			t.Fatalf("sandboxers of %s: %v", q.handler, pids)
		}
		syscall.Kill(pids[0], syscall.SIGKILL)
		e.eventually("the sandboxer is back", 15*time.Second, func() error {
			now := e.processes("warren-" + q.handler)
			if len(now) != 1 || now[0] == pids[0] {
				return fmt.Errorf("sandboxers: %v", now)
			}
			_, err := e.runtime.ContainerStats(e.ctx(), &cri.ContainerStatsRequest{ContainerId: id})
			return err
		})
		if s := e.status(id); s.State != cri.ContainerState_CONTAINER_RUNNING {
			t.Errorf("the container is %v %s", s.State, s.Message)
		}
		if _, err := e.runtime.StopContainer(e.ctx(), &cri.StopContainerRequest{ContainerId: id, Timeout: 1}); err != nil {
			t.Errorf("stop afterwards: %v", err)
		}
		if s := e.status(id); s.State != cri.ContainerState_CONTAINER_EXITED {
			t.Errorf("stopped, it is %v", s.State)
		}
	})
}

func TestHolderKilled(t *testing.T) {
	each(t, "kill -9 of a holder ends its pods and no others", func(t *testing.T, e *engine, q technique) {
		first, config := e.runPod(q.handler, "h1-"+q.handler)
		one := e.create(first, config, "h1-"+q.handler, q.image, q.daemon...)
		e.startContainer(one)
		pids := e.processes("warren-wasm-worker")
		if q.handler == "namespace" {
			pids = keepers(first)
		}
		if len(pids) != 1 {
			t.Fatalf("holders of the pod: %v", pids)
		}
		other := e.podConfig("h2-" + q.handler)
		other.Metadata.Namespace = "another" // a worker of its own in wasm
		r, err := e.runtime.RunPodSandbox(e.ctx(), &cri.RunPodSandboxRequest{Config: other, RuntimeHandler: q.handler})
		if err != nil {
			t.Fatal(err)
		}
		two := e.create(r.PodSandboxId, other, "h2-"+q.handler, q.image, q.daemon...)
		e.startContainer(two)
		syscall.Kill(pids[0], syscall.SIGKILL)
		s := e.waitExit(one)
		if s.ExitCode != 137 {
			t.Errorf("the container of the killed holder reports %d", s.ExitCode)
		}
		e.eventually("its pod is not ready", 10*time.Second, func() error {
			if s := e.podState(first); s != cri.PodSandboxState_SANDBOX_NOTREADY {
				return fmt.Errorf("it is %v", s)
			}
			return nil
		})
		if s := e.status(two); s.State != cri.ContainerState_CONTAINER_RUNNING {
			t.Errorf("the other pod's container is %v", s.State)
		}
	})
}
