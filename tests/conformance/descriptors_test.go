// SPDX-License-Identifier: Apache-2.0

// Package conformance holds Warren against the published interfaces and their own clients.
package conformance

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	_ "github.com/containerd/containerd/api/events"
	_ "github.com/containerd/containerd/api/runtime/task/v2"
	taskv3 "github.com/containerd/containerd/api/runtime/task/v3"
	_ "github.com/containerd/containerd/api/services/sandbox/v1"
	_ "github.com/containerd/containerd/api/types"
	_ "github.com/containerd/containerd/api/types/task"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// ours parses one file of api/.
func ours(t *testing.T, name string) protoreflect.FileDescriptor {
	t.Helper()
	compiler := protocompile.Compiler{Resolver: protocompile.WithStandardImports(
		&protocompile.SourceResolver{ImportPaths: []string{filepath.Join("..", "..", "api")}})}
	files, err := compiler.Compile(context.Background(), name)
	if err != nil {
		t.Fatalf("parse api/%s: %v", name, err)
	}
	return files[0]
}

// published finds the descriptor of the same full name among those of the imported Go modules.
func published[D protoreflect.Descriptor](t *testing.T, d D) (found D, ok bool) {
	t.Helper()
	p, err := protoregistry.GlobalFiles.FindDescriptorByName(d.FullName())
	if err != nil {
		t.Errorf("%s is ours alone: %v", d.FullName(), err)
		return found, false
	}
	found, ok = p.(D)
	if !ok {
		t.Errorf("%s is a %T, published is a %T", d.FullName(), d, p)
	}
	return found, ok
}

// list makes a slice of protoreflect's several list types.
func list[D any](l interface {
	Len() int
	Get(int) D
}) []D {
	all := make([]D, l.Len())
	for i := range all {
		all[i] = l.Get(i)
	}
	return all
}

// typeName is what a field holds: a scalar's name, a message's or enum's full name, or both sides of a map.
func typeName(f protoreflect.FieldDescriptor) string {
	if f.IsMap() {
		return "map of " + typeName(f.MapKey()) + " to " + typeName(f.MapValue())
	}
	switch f.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return string(f.Message().FullName())
	case protoreflect.EnumKind:
		return string(f.Enum().FullName())
	default:
		return f.Kind().String()
	}
}

// sameMessage compares both ways. Presence (proto3's optional) may differ, since the wire does not show it and protoc-c refuses it.
func sameMessage(t *testing.T, our, pub protoreflect.MessageDescriptor) {
	t.Helper()
	for _, p := range list(pub.Fields()) {
		f := our.Fields().ByName(p.Name())
		if f == nil {
			t.Errorf("%s lacks field %s = %d", our.FullName(), p.Name(), p.Number())
			continue
		}
		if f.Number() != p.Number() {
			t.Errorf("%s is %d, published is %d", f.FullName(), f.Number(), p.Number())
		}
		if typeName(f) != typeName(p) {
			t.Errorf("%s is a %s, published is a %s", f.FullName(), typeName(f), typeName(p))
		}
		if f.IsList() != p.IsList() || f.IsMap() != p.IsMap() || f.IsPacked() != p.IsPacked() {
			t.Errorf("%s: list %t map %t packed %t, published: list %t map %t packed %t", f.FullName(),
				f.IsList(), f.IsMap(), f.IsPacked(), p.IsList(), p.IsMap(), p.IsPacked())
		}
		if realOneof(f) != realOneof(p) {
			t.Errorf("%s is in oneof %q, published in %q", f.FullName(), realOneof(f), realOneof(p))
		}
	}
	for _, f := range list(our.Fields()) {
		if pub.Fields().ByName(f.Name()) == nil {
			t.Errorf("%s = %d is ours alone", f.FullName(), f.Number())
		}
	}
	for _, p := range list(pub.Messages()) {
		if m := our.Messages().ByName(p.Name()); m == nil {
			t.Errorf("%s lacks message %s", our.FullName(), p.Name())
		} else {
			sameMessage(t, m, p)
		}
	}
	sameEnums(t, our.FullName(), our.Enums(), pub.Enums())
}

func realOneof(f protoreflect.FieldDescriptor) protoreflect.Name {
	if o := f.ContainingOneof(); o != nil && !o.IsSynthetic() {
		return o.Name()
	}
	return ""
}

func sameEnums(t *testing.T, in protoreflect.FullName, our, pub protoreflect.EnumDescriptors) {
	t.Helper()
	for _, p := range list(pub) {
		if e := our.ByName(p.Name()); e == nil {
			t.Errorf("%s lacks enum %s", in, p.Name())
		} else {
			sameEnum(t, e, p)
		}
	}
}

func sameEnum(t *testing.T, our, pub protoreflect.EnumDescriptor) {
	t.Helper()
	for _, p := range list(pub.Values()) {
		v := our.Values().ByName(p.Name())
		if v == nil || v.Number() != p.Number() {
			t.Errorf("%s lacks %s = %d", our.FullName(), p.Name(), p.Number())
		}
	}
	if our.Values().Len() != pub.Values().Len() {
		t.Errorf("%s has %d values, published has %d", our.FullName(), our.Values().Len(), pub.Values().Len())
	}
}

// sameService compares both ways; name maps the full name of a published message to ours.
func sameService(t *testing.T, our, pub protoreflect.ServiceDescriptor, name func(protoreflect.FullName) protoreflect.FullName) {
	t.Helper()
	for _, p := range list(pub.Methods()) {
		m := our.Methods().ByName(p.Name())
		if m == nil {
			t.Errorf("%s lacks method %s", our.FullName(), p.Name())
			continue
		}
		if m.Input().FullName() != name(p.Input().FullName()) || m.Output().FullName() != name(p.Output().FullName()) {
			t.Errorf("%s takes %s and gives %s, published: %s and %s", m.FullName(),
				m.Input().FullName(), m.Output().FullName(), p.Input().FullName(), p.Output().FullName())
		}
		if m.IsStreamingClient() != p.IsStreamingClient() || m.IsStreamingServer() != p.IsStreamingServer() {
			t.Errorf("%s: client streams %t, server streams %t; published %t, %t", m.FullName(),
				m.IsStreamingClient(), m.IsStreamingServer(), p.IsStreamingClient(), p.IsStreamingServer())
		}
	}
	if our.Methods().Len() != pub.Methods().Len() {
		t.Errorf("%s has %d methods, published has %d", our.FullName(), our.Methods().Len(), pub.Methods().Len())
	}
}

func sameName(n protoreflect.FullName) protoreflect.FullName { return n }

// sameFile compares all that our file declares with what is published under the same names.
func sameFile(t *testing.T, our protoreflect.FileDescriptor) {
	t.Helper()
	if our.Messages().Len() == 0 {
		t.Errorf("%s has no messages", our.Path())
	}
	for _, m := range list(our.Messages()) {
		if p, ok := published(t, m); ok {
			sameMessage(t, m, p)
		}
	}
	for _, e := range list(our.Enums()) {
		if p, ok := published(t, e); ok {
			sameEnum(t, e, p)
		}
	}
	for _, s := range list(our.Services()) {
		if p, ok := published(t, s); ok {
			sameService(t, s, p, sameName)
		}
	}
}

func TestContainerdMessagesAreAsPublished(t *testing.T) {
	for _, name := range []string{"sandbox.proto", "types.proto", "task_types.proto", "task_v2.proto", "events.proto"} {
		t.Run(name, func(t *testing.T) { sameFile(t, ours(t, name)) })
	}
}

func TestCRIIsAsPublishedAndComplete(t *testing.T) {
	our, pub := ours(t, "cri.proto"), cri.File_staging_src_k8s_io_cri_api_pkg_apis_runtime_v1_api_proto
	sameFile(t, our)
	if our.Package() != pub.Package() {
		t.Errorf("package %s, published is %s", our.Package(), pub.Package())
	}
	for _, p := range list(pub.Messages()) {
		if our.Messages().ByName(p.Name()) == nil {
			t.Errorf("message %s is missing", p.Name())
		}
	}
	for _, p := range list(pub.Services()) {
		if our.Services().ByName(p.Name()) == nil {
			t.Errorf("service %s is missing", p.Name())
		}
	}
	sameEnums(t, pub.Package(), our.Enums(), pub.Enums())
}

// The Task service is served under its v3 name with v2's messages: good as long as they are the same but for the package.
func TestTaskV3IsTaskV2UnderAnotherName(t *testing.T) {
	our, pub := ours(t, "task_v2.proto"), taskv3.File_runtime_task_v3_shim_proto
	inV2 := func(n protoreflect.FullName) protoreflect.FullName {
		if n.Parent() == pub.Package() {
			return our.Package().Append(n.Name())
		}
		return n
	}
	sameService(t, our.Services().ByName("Task"), pub.Services().ByName("Task"), inV2)
	for _, p := range list(pub.Messages()) {
		if m := our.Messages().ByName(p.Name()); m == nil {
			t.Errorf("message %s is missing", p.Name())
		} else {
			sameMessage(t, m, p)
		}
	}
}
