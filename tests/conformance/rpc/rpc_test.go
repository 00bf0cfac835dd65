// SPDX-License-Identifier: Apache-2.0

// Package rpc drives Warren's gRPC and ttrpc with the published Go implementations as peers: their clients against our
// server, and our client against their servers. ECHO_TOOL names tests/proto/echo-tool.
package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bufbuild/protocompile"
	"github.com/containerd/ttrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

const service = "warren.test.Echo"

var words = sync.OnceValue(func() protoreflect.MessageDescriptor {
	compiler := protocompile.Compiler{Resolver: &protocompile.SourceResolver{
		ImportPaths: []string{filepath.Join("..", "..", "proto")}}}
	files, err := compiler.Compile(context.Background(), "echo.proto")
	if err != nil {
		panic(err)
	}
	return files[0].Messages().ByName("Words")
})

func message(text string, number int64) *dynamicpb.Message {
	m := dynamicpb.NewMessage(words())
	m.Set(words().Fields().ByName("text"), protoreflect.ValueOfString(text))
	m.Set(words().Fields().ByName("number"), protoreflect.ValueOfInt64(number))
	return m
}

func textOf(m *dynamicpb.Message) string {
	return m.Get(words().Fields().ByName("text")).String()
}

func numberOf(m *dynamicpb.Message) int64 {
	return m.Get(words().Fields().ByName("number")).Int()
}

func tool(t *testing.T) string {
	path := os.Getenv("ECHO_TOOL")
	if path == "" {
		path = filepath.Join("..", "..", "..", "build", "obj", "tests", "proto", "echo-tool")
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no echo-tool: %v", err)
	}
	path, _ = filepath.Abs(path)
	return path
}

func socket(t *testing.T) string {
	dir, err := os.MkdirTemp("", "warren-rpc.")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

func serveOurs(t *testing.T) string {
	path := socket(t)
	c := exec.Command(tool(t), "serve", path)
	c.Stderr = os.Stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	for range 200 {
		if conn, err := net.Dial("unix", path); err == nil {
			conn.Close()
			return path
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the server does not come up")
	return ""
}

// call is one unary call of either protocol.
type call func(ctx context.Context, method string, in *dynamicpb.Message, out *dynamicpb.Message) error

func grpcClient(t *testing.T, path string) (*grpc.ClientConn, call) {
	conn, err := grpc.NewClient("unix://"+path, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(16<<20), grpc.MaxCallSendMsgSize(32<<20)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: time.Second}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn, func(ctx context.Context, method string, in, out *dynamicpb.Message) error {
		return conn.Invoke(ctx, "/"+service+"/"+method, in, out)
	}
}

func ttrpcClient(t *testing.T, path string) (*ttrpc.Client, call) {
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	c := ttrpc.NewClient(conn)
	t.Cleanup(func() { c.Close() })
	return c, func(ctx context.Context, method string, in, out *dynamicpb.Message) error {
		return c.Call(ctx, service, method, in, out)
	}
}

func expectCode(t *testing.T, err error, code codes.Code, text string) {
	t.Helper()
	if status.Code(err) != code || !strings.Contains(fmt.Sprint(err), text) {
		t.Errorf("expected %v with %q, got %v", code, text, err)
	}
}

func unary(t *testing.T, do call) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	out := message("", 0)
	if err := do(ctx, "Say", message("grüße", -5), out); err != nil || textOf(out) != "grüße" || numberOf(out) != -5 {
		t.Errorf("Say: %v %v", err, out)
	}
	expectCode(t, do(ctx, "Fail", message("pod 'ä' 100% gone\nline", 2), out), codes.NotFound, "pod 'ä' 100% gone\nline")
	expectCode(t, do(ctx, "Missing", message("", 0), out), codes.Unimplemented, "not implemented")
	expectCode(t, do(ctx, "Nothing", message("", 0), out), codes.Unimplemented, "unknown method Nothing")
	short, stop := context.WithTimeout(ctx, 50*time.Millisecond)
	defer stop()
	err := do(short, "Wait", message("", 60000), out)
	if status.Code(err) != codes.DeadlineExceeded && !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Wait: %v", err)
	}
	if err := do(ctx, "Say", message("after", 1), out); err != nil {
		t.Errorf("after a deadline: %v", err)
	}
	var group sync.WaitGroup
	for i := range 2000 {
		group.Go(func() {
			out := message("", 0)
			if err := do(ctx, "Say", message("many", int64(i)), out); err != nil || numberOf(out) != int64(i) {
				t.Errorf("call %d: %v %v", i, err, out)
			}
		})
	}
	group.Wait()
}

func TestGrpcGoClientIsServed(t *testing.T) {
	_, do := grpcClient(t, serveOurs(t))
	unary(t, do)
	ctx := context.Background()
	big := message(strings.Repeat("x", 17<<20), 1)
	expectCode(t, do(ctx, "Say", big, message("", 0)), codes.ResourceExhausted, "more than")
	expectCode(t, do(ctx, "Big", message("", 17<<20), message("", 0)), codes.ResourceExhausted, "more than")
	if err := do(ctx, "Say", message(strings.Repeat("x", 15<<20), 1), message("", 0)); err != nil {
		t.Errorf("15 MiB: %v", err)
	}
}

func TestTtrpcGoClientIsServed(t *testing.T) {
	c, do := ttrpcClient(t, serveOurs(t))
	unary(t, do)
	err := do(context.Background(), "Big", message("", 4<<20), message("", 0))
	expectCode(t, err, codes.ResourceExhausted, "more than")
	stream, err := c.NewStream(context.Background(), &ttrpc.StreamDesc{StreamingServer: true}, service, "Count", message("", 500))
	if err != nil {
		t.Fatal(err)
	}
	for i := int64(0); ; i++ {
		out := message("", 0)
		err := stream.RecvMsg(out)
		if err == io.EOF && i == 500 {
			break
		}
		if err != nil || numberOf(out) != i {
			t.Fatalf("message %d: %v %v", i, err, out)
		}
	}
}

func TestGrpcGoStreamsAreServed(t *testing.T) {
	conn, do := grpcClient(t, serveOurs(t))
	desc := &grpc.StreamDesc{ServerStreams: true}
	open := func(ctx context.Context, text string, n int64) grpc.ClientStream {
		s, err := conn.NewStream(ctx, desc, "/"+service+"/Count")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.SendMsg(message(text, n)); err != nil {
			t.Fatal(err)
		}
		s.CloseSend()
		return s
	}
	s := open(context.Background(), "fail", 20000)
	time.Sleep(100 * time.Millisecond)
	for i := int64(0); ; i++ {
		out := message("", 0)
		err := s.RecvMsg(out)
		if i == 20000 {
			expectCode(t, err, codes.FailedPrecondition, "at the end")
			break
		}
		if err != nil || numberOf(out) != i {
			t.Fatalf("message %d: %v %v", i, err, out)
		}
	}
	// a storm of cancelled streams must not cost the connection
	for range 3000 {
		ctx, cancel := context.WithCancel(context.Background())
		open(ctx, "", 1000000).RecvMsg(message("", 0))
		cancel()
	}
	if err := do(context.Background(), "Say", message("after", 1), message("", 0)); err != nil {
		t.Errorf("after the storm: %v", err)
	}
}

// ---- their servers -----------------------------------------------------------------------------------------

func answer(method string, in *dynamicpb.Message) (*dynamicpb.Message, error) {
	if method == "Fail" {
		return nil, status.Error(codes.Code(numberOf(in)), textOf(in))
	}
	return message(textOf(in), numberOf(in)), nil
}

func serveGrpcGo(t *testing.T) string {
	path := socket(t)
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	desc := grpc.ServiceDesc{ServiceName: service, HandlerType: (*any)(nil)}
	for _, name := range []string{"Say", "Fail"} {
		desc.Methods = append(desc.Methods, grpc.MethodDesc{MethodName: name,
			Handler: func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
				in := message("", 0)
				if err := decode(in); err != nil {
					return nil, err
				}
				return answer(name, in)
			}})
	}
	desc.Streams = []grpc.StreamDesc{{StreamName: "Count", ServerStreams: true, Handler: func(_ any, s grpc.ServerStream) error {
		in := message("", 0)
		if err := s.RecvMsg(in); err != nil {
			return err
		}
		for i := range numberOf(in) {
			if err := s.SendMsg(message(textOf(in), i)); err != nil {
				return err
			}
		}
		if textOf(in) == "fail" {
			return status.Error(codes.NotFound, "gone")
		}
		return nil
	}}}
	server := grpc.NewServer()
	server.RegisterService(&desc, struct{}{})
	go server.Serve(listener)
	t.Cleanup(server.Stop)
	return path
}

func serveTtrpcGo(t *testing.T) string {
	path := socket(t)
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server, err := ttrpc.NewServer()
	if err != nil {
		t.Fatal(err)
	}
	methods := map[string]ttrpc.Method{}
	for _, name := range []string{"Say", "Fail"} {
		methods[name] = func(_ context.Context, decode func(any) error) (any, error) {
			in := message("", 0)
			if err := decode(in); err != nil {
				return nil, err
			}
			return answer(name, in)
		}
	}
	server.RegisterService(service, &ttrpc.ServiceDesc{Methods: methods, Streams: map[string]ttrpc.Stream{
		"Count": {StreamingServer: true, Handler: func(_ context.Context, s ttrpc.StreamServer) (any, error) {
			in := message("", 0)
			if err := s.RecvMsg(in); err != nil {
				return nil, err
			}
			for i := range numberOf(in) {
				if err := s.SendMsg(message(textOf(in), i)); err != nil {
					return nil, err
				}
			}
			if textOf(in) == "fail" {
				return nil, status.Error(codes.NotFound, "gone")
			}
			return nil, nil
		}}}})
	go server.Serve(context.Background(), listener)
	t.Cleanup(func() { server.Close() })
	return path
}

func run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(tool(t), args...).Output()
	if err != nil {
		t.Fatalf("%v: %v %s", args, err, out)
	}
	return string(out)
}

func callTheirs(t *testing.T, protocol, path string) {
	for _, c := range []struct{ args, want string }{
		{"call P S Say hello 7", "hello 7 0\n"},
		{"call P S Fail why 5", "error 5 why\n"},
		{"call P S Fail why 12", "error 12 why\n"},
		{"call P S Wait x 1", "error 12 "},
		{"count P S x 3000", "3000 end\n"},
		{"count P S x 0", "0 end\n"},
		{"count P S fail 2", "2 error 5 gone\n"},
	} {
		args := strings.Fields(c.args)
		for i := range args {
			args[i] = map[bool]string{true: protocol, false: args[i]}[args[i] == "P"]
			args[i] = map[bool]string{true: path, false: args[i]}[args[i] == "S"]
		}
		if got := run(t, args...); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: expected %q, got %q", c.args, c.want, got)
		}
	}
}

func TestOurClientCallsGrpcGo(t *testing.T)  { callTheirs(t, "grpc", serveGrpcGo(t)) }
func TestOurClientCallsTtrpcGo(t *testing.T) { callTheirs(t, "ttrpc", serveTtrpcGo(t)) }
