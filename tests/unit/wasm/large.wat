;; SPDX-License-Identifier: Apache-2.0
;; Wants 64 MiB of memory at once.
(module
  (memory (export "memory") 1024)
  (func (export "_start")))
