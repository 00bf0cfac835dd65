;; SPDX-License-Identifier: Apache-2.0
;; Calls path_open without end, of so many arguments that some lie on the stack, with no descriptor; a wrong answer ends it with 1.
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start") (local $n i64)
    (loop $again
      (local.set $n (i64.add (local.get $n) (i64.const 1)))
      (br_if $again
        (i32.eq (i32.const 8)
          (call $open (i32.const 99) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
            (local.get $n) (local.get $n) (i32.const 0) (i32.const 0)))))
    (call $exit (i32.const 1))))
