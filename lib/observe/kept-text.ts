import type { Count } from '../runtime/clock.ts'

/**
 * The beginning of a text, to be remembered. V8 lets a part of a string refer to the whole of it, so the path of a request would keep its
 * head of some KiB in memory, and a thousand of them what no budget counts.
 * @param text as Latin-1, as all of a request's head
 */
export function keptText(text: string, longest: Count): string {
  return Buffer.from(text.slice(0, longest), 'latin1').toString('latin1')
}
