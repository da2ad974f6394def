import { readFileSync, writeFileSync } from 'node:fs'
import type { Count } from '../../lib/runtime/clock.ts'

/**
 * Tables that all namespaces of a machine share. A host has few namespaces with guests in them; here every guest is one,
 * with neighbours of its own, and a full table loses the first packets of connections for seconds.
 * @see https://docs.kernel.org/networking/ip-sysctl.html neigh/default/gc_thresh3
 */
const wanted: readonly (readonly [string, Count])[] = [
  // The largest first: the kernel collects above the lower ones, and never above the last one.
  ['net/ipv4/neigh/default/gc_thresh3', 262_144],
  ['net/ipv4/neigh/default/gc_thresh2', 131_072],
  ['net/ipv4/neigh/default/gc_thresh1', 65_536],
  ['net/ipv6/neigh/default/gc_thresh3', 262_144],
  ['net/ipv6/neigh/default/gc_thresh2', 131_072],
  ['net/ipv6/neigh/default/gc_thresh1', 65_536],
  // Every finished connection is remembered for two minutes where it was redirected.
  ['net/netfilter/nf_conntrack_max', 2_097_152],
]

/**
 * Raises the limits that a machine full of guests would run into. What cannot be raised stays as it is.
 * @returns puts back what was there before
 */
export function raiseKernelLimits(): () => void {
  const before = new Map<string, string>()
  for (const [name, value] of wanted) {
    try {
      const path = `/proc/sys/${name}`
      const text = readFileSync(path, 'utf8').trim()
      if (Number(text) >= value) continue
      writeFileSync(path, String(value))
      before.set(path, text)
    } catch {
      // Not there, or not ours to change.
    }
  }
  return () => {
    for (const [path, value] of before) writeFileSync(path, value)
    before.clear()
  }
}
