;; SPDX-License-Identifier: Apache-2.0
;; Exits with 1 where memory grew beyond 2 MiB, with 2 where a table grew beyond what tables may, with 3 where too little was allowed.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (table $t 1 funcref)
  (func (export "_start")
    (if (i32.ne (memory.grow (i32.const 31)) (i32.const 1)) (then (call $exit (i32.const 3))))
    (if (i32.ne (memory.grow (i32.const 1)) (i32.const -1)) (then (call $exit (i32.const 1))))
    (if (i32.ne (table.grow $t (ref.null func) (i32.const 1000)) (i32.const 1)) (then (call $exit (i32.const 3))))
    (if (i32.ne (table.grow $t (ref.null func) (i32.const 10000000)) (i32.const -1)) (then (call $exit (i32.const 2))))))
