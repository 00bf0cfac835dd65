// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// maxMessage is what the kubelet and crictl accept.
const maxMessage = 16 << 20

// http2Window is fixed: grpc-go else sends a ping with each answer, to find out how large it should be.
const http2Window = 1 << 20

type engine struct {
	runtime cri.RuntimeServiceClient
	images  cri.ImageServiceClient
	version string
	conn    *grpc.ClientConn
}

func dial() *engine {
	again := grpc.ConnectParams{MinConnectTimeout: 20 * time.Second, // the backoff's delay bounds an attempt else
		Backoff: backoff.Config{BaseDelay: 10 * time.Millisecond, Multiplier: 1, MaxDelay: 10 * time.Millisecond}}
	conn, err := grpc.NewClient(*endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithConnectParams(again),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)), grpc.WithStaticStreamWindowSize(http2Window),
		grpc.WithStaticConnWindowSize(http2Window))
	die(err)
	return &engine{runtime: cri.NewRuntimeServiceClient(conn), images: cri.NewImageServiceClient(conn), conn: conn}
}

// connect ends the program where no engine answers.
func connect() *engine {
	e := dial()
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
	var ids []string
	err := e.eachPod(func(p *cri.PodSandbox) {
		if strings.HasPrefix(p.Metadata.GetName(), *prefix) {
			ids = append(ids, p.Id)
		}
	})
	die(err)
	d := inParallel("removed", len(ids), nil, func(e *engine, i int) bool {
		if err := e.removePod(ids[i]); err != nil {
			fmt.Fprintln(os.Stderr, "criload: remove:", err)
		}
		return true
	})
	return len(ids), d
}

// inParallel does f for 0 to n-1, until it says false, with a connection for each of --parallel clients, made before the clock
// starts. done may be the caller's counter.
func inParallel(what string, n int, done *atomic.Int64, f func(e *engine, i int) bool) time.Duration {
	var next atomic.Int64
	var clients sync.WaitGroup
	if done == nil {
		done = &atomic.Int64{}
	}
	engines := make([]*engine, min(*parallel, n))
	for k := range engines {
		engines[k] = connect()
	}
	begin := time.Now()
	stop := showProgress(what, n, done, begin)
	for _, e := range engines {
		clients.Go(func() {
			defer e.conn.Close()
			for i := int(next.Add(1)) - 1; i < n && f(e, i); i = int(next.Add(1)) - 1 {
				done.Add(1)
			}
		})
	}
	clients.Wait()
	d := time.Since(begin)
	stop()
	return d
}

// id is a pod's or a container's, which all engines make of 64 hexadecimal digits: half of that is kept.
type id [32]byte

func parseID(text string) (id, error) {
	var i id
	if n, err := hex.Decode(i[:], []byte(text)); err != nil || n != len(i) || len(text) != 2*len(i) {
		return i, fmt.Errorf("'%s' is no id of 64 hexadecimal digits", text)
	}
	return i, nil
}

func (i id) String() string { return hex.EncodeToString(i[:]) }
func (i id) none() bool     { return i == id{} }
