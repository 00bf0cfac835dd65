// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// listing is one way to list all: what it gave, in how long, or why not.
type listing struct {
	Call    string  `json:"call"`
	Items   int     `json:"items"`
	Seconds float64 `json:"s"`
	Error   string  `json:"error,omitempty"`
}

func listAll(e *engine) []listing {
	return []listing{
		listed("StreamPodSandboxes", func() (n int, err error) {
			err = e.eachPod(func(*cri.PodSandbox) { n++ })
			return
		}),
		listed("StreamContainers", func() (n int, err error) {
			err = e.eachContainer(func(*cri.Container) { n++ })
			return
		}),
		listed("ListPodSandbox", func() (int, error) {
			all, err := call(e.runtime.ListPodSandbox, &cri.ListPodSandboxRequest{})
			return len(all.GetItems()), err
		}),
		listed("ListContainers", func() (int, error) {
			all, err := call(e.runtime.ListContainers, &cri.ListContainersRequest{})
			return len(all.GetContainers()), err
		}),
	}
}

func listed(name string, f func() (int, error)) listing {
	begin := time.Now()
	n, err := f()
	l := listing{Call: name, Items: n, Seconds: time.Since(begin).Seconds()}
	if err != nil {
		l.Error = err.Error()
	}
	return l
}

// eachPod lists by the streaming call: no message holds more than a part.
func (e *engine) eachPod(f func(*cri.PodSandbox)) error {
	ctx, cancel := context.WithTimeout(context.Background(), *timeout)
	defer cancel()
	stream, err := e.runtime.StreamPodSandboxes(ctx, &cri.StreamPodSandboxesRequest{})
	for err == nil {
		var part *cri.StreamPodSandboxesResponse
		if part, err = stream.Recv(); err == nil {
			for _, p := range part.PodSandboxes {
				f(p)
			}
		}
	}
	if status.Code(err) == codes.Unimplemented { // an engine without it
		all, err := call(e.runtime.ListPodSandbox, &cri.ListPodSandboxRequest{})
		for _, p := range all.GetItems() {
			f(p)
		}
		return err
	}
	if err == io.EOF {
		return nil
	}
	return err
}

func (e *engine) eachContainer(f func(*cri.Container)) error {
	ctx, cancel := context.WithTimeout(context.Background(), *timeout)
	defer cancel()
	stream, err := e.runtime.StreamContainers(ctx, &cri.StreamContainersRequest{})
	for err == nil {
		var part *cri.StreamContainersResponse
		if part, err = stream.Recv(); err == nil {
			for _, c := range part.Containers {
				f(c)
			}
		}
	}
	if err == io.EOF {
		return nil
	}
	return err
}
