;; SPDX-License-Identifier: Apache-2.0
;; Buffers that end where memory ends, before and after it has grown: exits with the number of the first step that is wrong,
;; with 100 where all are right.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1 3)
  (data (i32.const 0) "last bytes\n")
  (func $want (param $step i32) (param $is i32) (param $wanted i32)
    (if (i32.ne (local.get $is) (local.get $wanted)) (then (call $exit (local.get $step)))))
  (func (export "_start")
    ;; a vector that ends with the memory, whose buffer is fine
    (i32.store (i32.const 65528) (i32.const 0))
    (i32.store (i32.const 65532) (i32.const 11))
    (call $want (i32.const 1) (call $write (i32.const 1) (i32.const 65528) (i32.const 1) (i32.const 64)) (i32.const 0))
    (call $want (i32.const 2) (i32.load (i32.const 64)) (i32.const 11))
    ;; a byte later it does not fit; two of them neither
    (call $want (i32.const 3) (call $write (i32.const 1) (i32.const 65529) (i32.const 1) (i32.const 64)) (i32.const 21))
    (call $want (i32.const 4) (call $write (i32.const 1) (i32.const 65528) (i32.const 2) (i32.const 64)) (i32.const 21))
    ;; the count at the very end
    (i32.store (i32.const 128) (i32.const 0))
    (i32.store (i32.const 132) (i32.const 0))
    (call $want (i32.const 5) (call $write (i32.const 1) (i32.const 128) (i32.const 1) (i32.const 65532)) (i32.const 0))
    (call $want (i32.const 6) (call $write (i32.const 1) (i32.const 128) (i32.const 1) (i32.const 65533)) (i32.const 21))
    (call $want (i32.const 7) (call $time (i32.const 1) (i64.const 0) (i32.const 65528)) (i32.const 0))
    (call $want (i32.const 8) (call $time (i32.const 1) (i64.const 0) (i32.const 65529)) (i32.const 21))
    (call $want (i32.const 9) (call $random (i32.const 65536) (i32.const 1)) (i32.const 21))
    ;; nothing of nothing
    (call $want (i32.const 10) (call $random (i32.const 65536) (i32.const 0)) (i32.const 0))
    (call $want (i32.const 11) (call $random (i32.const 65537) (i32.const 0)) (i32.const 21))
    ;; what was outside is inside
    (call $want (i32.const 12) (memory.grow (i32.const 1)) (i32.const 1))
    (call $want (i32.const 13) (call $random (i32.const 65500) (i32.const 100)) (i32.const 0))
    (call $want (i32.const 14) (call $random (i32.const 131064) (i32.const 8)) (i32.const 0))
    (call $want (i32.const 15) (call $random (i32.const 131064) (i32.const 9)) (i32.const 21))
    ;; a wait whose subscription and event lie in the new page: a millisecond
    (i64.store (i32.const 70000) (i64.const 42))
    (i32.store8 (i32.const 70008) (i32.const 0))
    (i32.store (i32.const 70016) (i32.const 1))
    (i64.store (i32.const 70024) (i64.const 1000000))
    (call $want (i32.const 16) (call $poll (i32.const 70000) (i32.const 131040) (i32.const 1) (i32.const 8)) (i32.const 0))
    (call $want (i32.const 17) (i32.load (i32.const 131040)) (i32.const 42))
    ;; the maximum of the memory is kept
    (call $want (i32.const 18) (memory.grow (i32.const 1)) (i32.const 2))
    (call $want (i32.const 19) (memory.grow (i32.const 1)) (i32.const -1))
    (call $exit (i32.const 100))))
