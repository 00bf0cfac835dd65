// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// load is the pods of a run. Of each the pod's id is kept, and of the newest a container's, to ask for.
type load struct {
	ids                   []id // the zero id for what was not started
	recent                [4096]atomic.Pointer[started]
	run, create, begin    histogram
	total, removal        histogram
	done, started, failed atomic.Int64
	removed               atomic.Int64
	first                 sync.Once
	commandOf             func(i int) []string // nil: --command
	limitOf               func(i int) int64    // bytes; nil: none
	mountOf               func(i int) []*cri.Mount
}

type started struct{ pod, container id }

func newLoad(n int) *load { return &load{ids: make([]id, n)} }

func (l *load) fail(err error) {
	l.failed.Add(1)
	l.first.Do(func() { fmt.Fprintln(os.Stderr, "criload: first error:", err) })
}

func (l *load) start() time.Duration {
	return inParallel("started", len(l.ids), &l.done, func(e *engine, i int) bool {
		if interrupted.Load() {
			return false
		}
		if err := l.startOne(e, i); err != nil {
			l.fail(err)
		}
		return true
	})
}

func (l *load) startOne(e *engine, i int) error {
	config, begin := podConfig(i), time.Now()
	if *logDir != "" && *logPerPod {
		if err := os.Mkdir(config.LogDirectory, 0o755); err != nil && !os.IsExist(err) {
			return err
		}
	}
	s, err := runPod(e, config)
	if err != nil {
		return err
	}
	l.ids[i] = s.pod
	l.run.add(time.Since(begin))
	if !*podsOnly {
		if err = l.startContainer(e, i, s, config); err != nil {
			return err
		}
		l.recent[i%len(l.recent)].Store(s)
	}
	l.total.add(time.Since(begin))
	l.started.Add(1)
	return nil
}

func runPod(e *engine, config *cri.PodSandboxConfig) (*started, error) {
	pod, err := call(e.runtime.RunPodSandbox, &cri.RunPodSandboxRequest{Config: config, RuntimeHandler: *handler})
	if err != nil {
		return nil, err
	}
	s := &started{}
	s.pod, err = parseID(pod.PodSandboxId)
	return s, err
}

func (l *load) startContainer(e *engine, i int, s *started, config *cri.PodSandboxConfig) error {
	t, pod := time.Now(), s.pod.String()
	c, err := call(e.runtime.CreateContainer, &cri.CreateContainerRequest{
		PodSandboxId: pod, Config: l.containerConfig(i, config), SandboxConfig: config})
	if err != nil {
		return err
	}
	if s.container, err = parseID(c.ContainerId); err != nil {
		return err
	}
	l.create.add(time.Since(t))
	t = time.Now()
	if _, err = call(e.runtime.StartContainer, &cri.StartContainerRequest{ContainerId: c.ContainerId}); err != nil {
		return err
	}
	l.begin.add(time.Since(t))
	return nil
}

func (l *load) remove() time.Duration {
	l.done.Store(0)
	return inParallel("removed", len(l.ids), &l.done, func(e *engine, i int) bool {
		if l.ids[i].none() {
			return true
		}
		t := time.Now()
		if err := e.removePod(l.ids[i].String()); err != nil {
			l.fail(err)
			return true
		}
		l.removal.add(time.Since(t))
		l.removed.Add(1)
		return true
	})
}

func podName(i int) string { return fmt.Sprintf("%s-%d", *prefix, i) }

func podConfig(i int) *cri.PodSandboxConfig {
	name, namespace := podName(i), "criload"
	if *namespaces > 1 {
		namespace = fmt.Sprintf("criload-%d", i%*namespaces)
	}
	config := &cri.PodSandboxConfig{
		Metadata:     &cri.PodSandboxMetadata{Name: name, Uid: fmt.Sprintf("%s-%d", name, os.Getpid()), Namespace: namespace},
		LogDirectory: *logDir,
		Labels:       map[string]string{"app": *prefix},
		Annotations:  annotations(),
		Linux: &cri.LinuxPodSandboxConfig{
			CgroupParent: *cgParent,
			SecurityContext: &cri.LinuxSandboxSecurityContext{NamespaceOptions: &cri.NamespaceOption{
				Network: cri.NamespaceMode_POD, Pid: cri.NamespaceMode_CONTAINER, Ipc: cri.NamespaceMode_POD}},
		},
	}
	if *logDir != "" && *logPerPod {
		config.LogDirectory = filepath.Join(*logDir, name)
	}
	if *network == "host" {
		config.Linux.SecurityContext.NamespaceOptions.Network = cri.NamespaceMode_NODE
	} else {
		config.Hostname = name
	}
	return config
}

func annotations() map[string]string {
	key, value, found := strings.Cut(*annotation, "=")
	if !found {
		return nil
	}
	return map[string]string{key: value}
}

func named(text string, i int) string { return strings.ReplaceAll(text, "{name}", podName(i)) }

func (l *load) containerConfig(i int, pod *cri.PodSandboxConfig) *cri.ContainerConfig {
	config := &cri.ContainerConfig{
		Metadata:    &cri.ContainerMetadata{Name: "c"},
		Image:       &cri.ImageSpec{Image: *image},
		Annotations: pod.Annotations,
		Linux: &cri.LinuxContainerConfig{SecurityContext: &cri.LinuxContainerSecurityContext{
			NamespaceOptions: pod.Linux.SecurityContext.NamespaceOptions}},
	}
	if l.commandOf != nil {
		config.Command = l.commandOf(i)
	} else {
		config.Command = strings.Fields(named(*command, i))
	}
	if l.limitOf != nil && l.limitOf(i) > 0 {
		config.Linux.Resources = &cri.LinuxContainerResources{MemoryLimitInBytes: l.limitOf(i)}
	}
	if l.mountOf != nil {
		config.Mounts = l.mountOf(i)
	}
	if *logDir != "" {
		config.LogPath = logName(i)
	}
	return config
}

func logName(i int) string {
	if *logPerPod {
		return "c.log"
	}
	return fmt.Sprintf("c-%d.log", i)
}

func logPath(i int) string {
	if *logPerPod {
		return filepath.Join(*logDir, podName(i), logName(i))
	}
	return filepath.Join(*logDir, logName(i))
}
