// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

type engine struct {
	runtime cri.RuntimeServiceClient
	images  cri.ImageServiceClient
	version string
	conn    *grpc.ClientConn
}

// connect ends the program where no engine answers.
func connect() *engine {
	conn, err := grpc.NewClient(*endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	die(err)
	e := &engine{runtime: cri.NewRuntimeServiceClient(conn), images: cri.NewImageServiceClient(conn), conn: conn}
	v, err := call(e.runtime.Version, &cri.VersionRequest{})
	die(err)
	e.version = v.RuntimeName + " " + v.RuntimeVersion
	return e
}

func call[Q, A any](f func(context.Context, Q, ...grpc.CallOption) (A, error), request Q) (A, error) {
	ctx, cancel := context.WithTimeout(context.Background(), *timeout)
	defer cancel()
	return f(ctx, request)
}

func (e *engine) pull() {
	_, err := call(e.images.PullImage, &cri.PullImageRequest{Image: &cri.ImageSpec{Image: *image}})
	die(err)
}

func (e *engine) removePod(id string) error {
	if _, err := call(e.runtime.StopPodSandbox, &cri.StopPodSandboxRequest{PodSandboxId: id}); err != nil {
		return err
	}
	_, err := call(e.runtime.RemovePodSandbox, &cri.RemovePodSandboxRequest{PodSandboxId: id})
	return err
}

// wipe removes what earlier runs with --keep left.
func (e *engine) wipe() (int, time.Duration) {
	all, err := call(e.runtime.ListPodSandbox, &cri.ListPodSandboxRequest{})
	die(err)
	var ids []string
	for _, p := range all.Items {
		if strings.HasPrefix(p.Metadata.GetName(), *prefix) {
			ids = append(ids, p.Id)
		}
	}
	d := inParallel("removed", len(ids), func(e *engine, i int) {
		if err := e.removePod(ids[i]); err != nil {
			fmt.Fprintln(os.Stderr, "criload: remove:", err)
		}
	})
	return len(ids), d
}

// sample is what one pod took, in milliseconds; 0 for what it did not reach.
type sample struct{ run, create, start, total, remove float64 }

type load struct {
	ids     []string
	samples []sample
	failed  atomic.Int64
	first   sync.Once
}

func newLoad(n int) *load { return &load{ids: make([]string, n), samples: make([]sample, n)} }

func (l *load) fail(err error) {
	l.failed.Add(1)
	l.first.Do(func() { fmt.Fprintln(os.Stderr, "criload: first error:", err) })
}

func (l *load) start() time.Duration {
	return inParallel("started", len(l.ids), func(e *engine, i int) {
		if err := l.startOne(e, i); err != nil {
			l.fail(err)
		}
	})
}

func (l *load) startOne(e *engine, i int) error {
	s, config, begin := &l.samples[i], podConfig(i), time.Now()
	pod, err := call(e.runtime.RunPodSandbox, &cri.RunPodSandboxRequest{Config: config, RuntimeHandler: *handler})
	if err != nil {
		return err
	}
	l.ids[i] = pod.PodSandboxId
	s.run = since(begin)
	if !*podsOnly {
		t := time.Now()
		c, err := call(e.runtime.CreateContainer, &cri.CreateContainerRequest{
			PodSandboxId: pod.PodSandboxId, Config: containerConfig(i, config), SandboxConfig: config})
		if err != nil {
			return err
		}
		s.create, t = since(t), time.Now()
		if _, err = call(e.runtime.StartContainer, &cri.StartContainerRequest{ContainerId: c.ContainerId}); err != nil {
			return err
		}
		s.start = since(t)
	}
	s.total = since(begin)
	return nil
}

func (l *load) remove() time.Duration {
	return inParallel("removed", len(l.ids), func(e *engine, i int) {
		if l.ids[i] == "" {
			return
		}
		t := time.Now()
		if err := e.removePod(l.ids[i]); err != nil {
			l.fail(err)
			return
		}
		l.samples[i].remove = since(t)
	})
}

func since(t time.Time) float64 { return float64(time.Since(t).Microseconds()) / 1000 }

// inParallel does f for 0 to n-1, with a connection for each of --parallel clients, made before the clock starts.
func inParallel(what string, n int, f func(e *engine, i int)) time.Duration {
	var next, done atomic.Int64
	var clients sync.WaitGroup
	engines := make([]*engine, min(*parallel, n))
	for k := range engines {
		engines[k] = connect()
	}
	begin := time.Now()
	stop := showProgress(what, n, &done, begin)
	for _, e := range engines {
		clients.Go(func() {
			defer e.conn.Close()
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(e, i)
				done.Add(1)
			}
		})
	}
	clients.Wait()
	d := time.Since(begin)
	stop()
	return d
}

func podConfig(i int) *cri.PodSandboxConfig {
	name := fmt.Sprintf("%s-%d", *prefix, i)
	config := &cri.PodSandboxConfig{
		Metadata:     &cri.PodSandboxMetadata{Name: name, Uid: fmt.Sprintf("%s-%d", name, os.Getpid()), Namespace: "criload"},
		LogDirectory: *logDir,
		Labels:       map[string]string{"app": *prefix},
		Linux: &cri.LinuxPodSandboxConfig{
			CgroupParent: *cgParent,
			SecurityContext: &cri.LinuxSandboxSecurityContext{NamespaceOptions: &cri.NamespaceOption{
				Network: cri.NamespaceMode_POD, Pid: cri.NamespaceMode_CONTAINER, Ipc: cri.NamespaceMode_POD}},
		},
	}
	if *network == "host" {
		config.Linux.SecurityContext.NamespaceOptions.Network = cri.NamespaceMode_NODE
	} else {
		config.Hostname = name
	}
	return config
}

func containerConfig(i int, pod *cri.PodSandboxConfig) *cri.ContainerConfig {
	config := &cri.ContainerConfig{
		Metadata: &cri.ContainerMetadata{Name: "c"},
		Image:    &cri.ImageSpec{Image: *image},
		Command:  strings.Fields(*command),
		Linux: &cri.LinuxContainerConfig{SecurityContext: &cri.LinuxContainerSecurityContext{
			NamespaceOptions: pod.Linux.SecurityContext.NamespaceOptions}},
	}
	if *logDir != "" {
		config.LogPath = fmt.Sprintf("c-%d.log", i)
	}
	return config
}
