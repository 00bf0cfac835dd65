;; SPDX-License-Identifier: Apache-2.0
;; Ends while its instance is made, before _start.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func $begin (call $exit (i32.const 7)))
  (start $begin)
  (func (export "_start") (call $exit (i32.const 8))))
